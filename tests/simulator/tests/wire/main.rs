//! The simulator seen from the wire: what it grants, what it refuses, and how.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod arc;
mod client;
mod entra;
mod exchange;
mod federation;
mod identities;
mod images;
mod journal;
mod other_hosts;
mod real_registry;
mod registry_token;
mod tenants;
mod tls;
mod users;
