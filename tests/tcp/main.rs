//! TCP, on the system's loopback and in a simulation.
//!
//! Each test is a server or a client of twistor and a peer whose script is a task of the same reactor: a socket of the kernel, or one of the
//! simulated network. Nothing sleeps. What would hang fails at the deadline.

#[path = "../loopback/mod.rs"]
mod loopback;

mod client;
mod closing;
mod flow;
mod half_close;
mod lifetime;
mod panics;
mod ports;
mod producers;
