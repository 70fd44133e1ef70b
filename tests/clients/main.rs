//! Real clients, with the shipped binary as their helper, against a real registry behind the simulator.
//!
//! They need what `tests/setup` installs, and root; `tests/run` runs them all.
#![cfg(target_os = "linux")]

#[path = "../support/mod.rs"]
mod support;

mod anonymous;
mod azure_cli;
mod buildah;
mod buildkit;
mod chromium;
mod configured;
mod containers;
mod creds_store;
mod docker;
mod image;
mod keyring;
mod laptop;
mod login;
mod person;
mod podman;
mod registry;
mod rootless;
mod skopeo;
mod world;
