//! What clients speak.

mod delegate;
pub mod docker;
