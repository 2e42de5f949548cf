//! [twistor]: twistor
//! [coming from Twisted]: twistor::manual::coming_from_twisted
//!
// The first definition of a link wins: here these lead to pages, in the README to files.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod guides;
pub mod internet;
pub mod protocols;
pub mod python;
