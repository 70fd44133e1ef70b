//! The shipped binary with the real keyrings of Linux: the kernel's, and a Secret Service.
//!
//! No real user's keyring is touched: every test is a user who did not exist before, with a session bus of their own. Needs
//! what `tests/setup` installs, and root; `tests/run` runs them all.
#![cfg(target_os = "linux")]

#[path = "../support/mod.rs"]
mod support;

mod choice;
mod commands;
mod contract;
mod desktop;
mod half_life;
mod kernel;
mod secret_service;
mod user;
