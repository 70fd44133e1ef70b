//! The shipped binary under load: many calls of many identities for many registries, while the services throttle, reset and dawdle.
//!
//! `tests/run` makes a few hundred calls, `tests/soak/run` ten thousand.
#![cfg(target_os = "linux")]
#![allow(
    clippy::disallowed_methods,
    reason = "tests are a process edge of their own"
)]

#[path = "../support/mod.rs"]
mod support;

mod cached;
mod callers;
mod faults;
mod mixed;
