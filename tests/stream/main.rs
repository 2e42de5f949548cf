//! Connections as streams, on loopback and in a simulation; the peers are sockets without a reactor.
//!
//! Nothing sleeps. What would hang fails at the deadline.

#[path = "../loopback/mod.rs"]
mod loopback;

mod attaching;
mod connecting;
mod costs;
mod datagrams;
mod echoes;
mod halves;
mod handing_over;
mod incoming;
mod reading;
mod serving;
mod writing;

use std::time::Instant;

/// Lets others have their turn.
async fn pause() {
    futures_lite::future::yield_now().await;
}

/// Waits until it is so. By the system's clock, which goes on also where a virtual one stands because somebody always has something to do.
async fn until(mut so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < loopback::DEADLINE, "it does not come");
        pause().await;
    }
}
