//! Variables: a line each, its first byte chooses the name.
#![no_main]

use docker_credential_acrscoped::properties::VARIABLES;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let rows = input.split(|byte| *byte == b'\n').filter_map(|line| {
        let (name, value) = line.split_first()?;
        // No variable holds a zero byte.
        let value: Vec<u8> = value.iter().copied().filter(|byte| *byte != 0).collect();
        let name = VARIABLES[usize::from(name.wrapping_sub(b'A')) % VARIABLES.len()];
        Some((name.to_owned(), OsStr::from_bytes(&value).to_owned()))
    });
    docker_credential_acrscoped::properties::config(rows.collect());
});
