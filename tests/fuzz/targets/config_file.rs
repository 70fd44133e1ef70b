//! A config file.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| tempfile::tempdir().expect("a temporary folder").keep());

libfuzzer_sys::fuzz_target!(|input: &[u8]| docker_credential_acrscoped::properties::config_file(&FOLDER, input));
