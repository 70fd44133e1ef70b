//! What clients speak: one file for each protocol, each a caller of [`crate::helper::Helper`].

pub mod docker;
