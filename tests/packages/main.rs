//! What is handed on, as its users have it: packages in clean roots, the image, the manifests of package managers, the steps for CI.
//!
//! They need what `tests/setup` installs, root, and the static binary, whose path is in `ACRSCOPED_TEST_BINARY`; `tests/run` runs them all.
#![cfg(target_os = "linux")]
#![allow(
    clippy::disallowed_methods,
    reason = "tests are a process edge of their own"
)]

#[path = "../support/mod.rs"]
mod support;

mod ci;
mod container;
mod deb;
mod made;
mod manifests;
mod notices;
mod root;
mod rpm;
mod shells;
