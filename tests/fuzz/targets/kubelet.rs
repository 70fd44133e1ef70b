//! What kubelet writes to stdin: a request, or what is put into one as its image.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    acrscoped_fuzz::kubelet(input);
    if let Ok(image) = std::str::from_utf8(input) {
        acrscoped_fuzz::image(image);
    }
});
