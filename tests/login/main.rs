//! `login` and `logout` through the shipped binary: the test plays the browser, the keyring is the kernel's own.
//!
//! `tests/clients/login.rs` does the same with a real browser.
#![cfg(target_os = "linux")]
#![allow(
    clippy::disallowed_methods,
    reason = "tests are a process edge of their own"
)]

#[path = "../support/mod.rs"]
mod support;

mod accounts;
mod browser;
mod device_code;
mod forgotten;
mod kept;
mod person;
mod sign_in;
