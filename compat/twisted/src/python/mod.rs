//! Twisted's `twisted.python`.

pub mod failure;
pub mod log;
