//! Framers: from bytes to lines, and back.

pub mod basic;
