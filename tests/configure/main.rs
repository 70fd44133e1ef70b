//! `configure`, from outside: the files of clients before, after, and when it is undone.
#![cfg(unix)]

#[path = "../support/mod.rs"]
mod support;

mod corpus;
mod environment;
mod home;
mod places;
mod removal;
