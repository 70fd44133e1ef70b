//! kubelet's credential provider: what it answers, that pods stay apart, and that kubelet's own rules take its answers.
#![cfg(target_os = "linux")]

#[path = "../support/mod.rs"]
mod support;

mod client;
mod golden;
mod node;
mod pods;
mod stage;
