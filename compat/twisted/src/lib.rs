#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod guides;
pub mod internet;
pub mod protocols;
pub mod python;
