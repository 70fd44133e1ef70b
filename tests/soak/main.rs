//! The shipped binary under load: many calls of many identities for many registries, while the services throttle, reset and dawdle.
//!
//! `ACRSCOPED_SOAK_CALLS=10000 tests/run` makes it the long run. It needs user namespaces and keyutils; `tests/run` runs it.
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
