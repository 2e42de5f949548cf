//! Twisted's `twisted.protocols`.

pub mod basic;
