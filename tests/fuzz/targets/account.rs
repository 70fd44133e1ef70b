//! The Azure CLI's `azureProfile.json`.
#![no_main]

use docker_credential_acrscoped::properties::AzureCli;
use std::sync::LazyLock;
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    // In memory where there is such a folder.
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a temporary folder")
});
static AZURE_CLI: LazyLock<AzureCli> = LazyLock::new(|| AzureCli::new(FOLDER.path()));

libfuzzer_sys::fuzz_target!(|profile: &[u8]| AZURE_CLI.account(profile));
