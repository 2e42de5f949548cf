//! Connections as streams over loopback, on a real reactor, against peers that are plain sockets in threads of their own.
//!
//! Nothing sleeps. What would hang fails at the deadline.

#[path = "../loopback/mod.rs"]
mod loopback;

mod attaching;
mod connecting;
mod datagrams;
mod echoes;
mod halves;
mod handing_over;
mod incoming;
mod reading;
mod serving;
mod writing;
