//! Tokens: two times of eight bytes, then the payload.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((now, rest)) = input.split_first_chunk() else { return };
    let Some((at, payload)) = rest.split_first_chunk() else { return };
    let (now, at) = (u64::from_le_bytes(*now), u64::from_le_bytes(*at));
    docker_credential_acrscoped::properties::token(payload, now, at);
    docker_credential_acrscoped::properties::refresh_token(&String::from_utf8_lossy(payload), now, at);
});
