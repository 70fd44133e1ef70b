//! What a docker client writes to stdin, for every verb.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| docker_credential_acrscoped::properties::docker_verbs(input));
