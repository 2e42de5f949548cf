//! TCP over loopback, on a real reactor.
//!
//! Each test is a server or a client of twistor and a peer that is a plain socket. Nothing sleeps: a peer that has to know how far the
//! reactor is calls into it. What would hang fails at the deadline.

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
