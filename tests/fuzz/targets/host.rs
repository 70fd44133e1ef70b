//! Server URLs.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    docker_credential_acrscoped::properties::host(text);
    docker_credential_acrscoped::properties::shown(text);
});
