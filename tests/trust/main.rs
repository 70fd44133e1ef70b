//! Trust comes from protected places: what a hostile checkout cannot do, and the set-ups that keep working.
#![cfg(target_os = "linux")]

#[path = "../support/mod.rs"]
mod support;

mod hostile;
mod set_ups;
