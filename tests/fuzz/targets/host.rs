//! Server URLs.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    acrscoped_fuzz::host(text);
    acrscoped_fuzz::shown(text);
});
