//! Twistor.
#![forbid(unsafe_code)]

pub mod address;
pub mod error;
pub mod failure;
pub mod report;
pub mod time;
pub mod trace;
mod reactor { pub(crate) mod driver; }

pub use address::Address;
pub use failure::{Failure, Result};
