//! What kubelet writes to stdin: a request, or what is put into one as its image.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    docker_credential_acrscoped::properties::kubelet(input);
    if let Ok(image) = std::str::from_utf8(input) {
        docker_credential_acrscoped::properties::image(image);
    }
});
