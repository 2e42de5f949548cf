//! Connections as streams, on loopback and in a simulation; the peers are sockets without a reactor.
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
