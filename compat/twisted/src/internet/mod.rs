//! Twisted's `twisted.internet`.

pub mod address;
pub mod defer;
pub mod error;
pub mod protocol;
pub mod reactor;
pub mod task;
pub mod threads;
