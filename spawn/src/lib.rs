#![doc = include_str!("../README.md")]
//!
//! ```
//! use std::{fs::File, io::{self, Read}, os::fd::OwnedFd};
//! use twistor_spawn::{Spawn, Status};
//!
//! // The child's descriptor 7 is the end that is written to; it has no other.
//! let (mut output, end) = io::pipe()?;
//! let mut spawn = Spawn::new("/bin/sh");
//! spawn.args(["-c", "echo hello >&7"]).descriptor(7, OwnedFd::from(end));
//! let mut child = spawn.spawn()?;
//! drop(spawn); // with our copy of the end
//!
//! let mut said = String::new();
//! output.read_to_string(&mut said)?;
//! assert_eq!(said, "hello\n");
//! assert_eq!(child.wait()?, Status::Exited(0));
//! # io::Result::Ok(())
//! ```

mod child;
mod claims;
mod handover;
mod raw;
#[cfg(target_os = "linux")]
mod reaper;
mod spawn;
mod terminal;

pub use child::{Child, Status};
pub use spawn::Spawn;
pub use terminal::{Terminal, WindowSize, set_window_size, window_size};
