//! `configure`, from outside: the files of clients before, after, and when it is undone.
#![cfg(unix)]

#[path = "../support/mod.rs"]
mod support;

mod corpus;
mod home;
mod places;
mod told;
mod undone;
