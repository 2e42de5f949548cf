//! Child processes: `sh`, `cat`, `sleep` and their like, what they say, and how they end.
#![cfg(target_os = "linux")]

#[path = "../loopback/mod.rs"]
mod loopback;

mod ends;
mod options;
mod outputs;
mod pipes;
mod probe;
mod streams;
mod terminal;
