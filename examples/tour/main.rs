//! A tour: callbacks and async code, clients and servers, timers, a thread and datagrams, all on one reactor.
//!
//! Run with: `cargo run --release --example tour`. It needs nothing else, and ends by itself.
//!
//! You will see when each thing happened, who did it and what, in the order in which it happened. Each line is printed by the callback or the
//! async fn that it tells of: take a stop out of the tour below and its lines are gone.

mod callbacks;
mod cancelling;
mod datagrams;
mod mixed;
mod narrator;
mod order;
mod threads;

use narrator::{chapter, say};
use twistor::{Reactor, Result};

/// The tour itself is async code on the reactor that it shows.
async fn tour() -> Result<()> {
    chapter(
        "1. A callback server, a callback client",
        "who is called when, on one connection; the clock starts at 0 in each chapter",
    );
    callbacks::tour().await?;
    chapter(
        "2. The two worlds on one loop",
        "an async client asks a server of callbacks, and then one whose handler is async too",
    );
    mixed::tour().await?;
    chapter("3. What runs when", "a fired callback at once; then calls, sockets and tasks, turn by turn");
    order::tour().await?;
    chapter("4. When it takes too long", "a timeout cancels the work; a failure knows where it comes from");
    cancelling::tour().await?;
    chapter("5. A thread", "work goes out, calls come in by one door");
    threads::tour().await?;
    chapter("6. Datagrams", "the same contracts without a connection");
    datagrams::tour().await
}

fn main() -> Result<()> {
    let reactor = Reactor::new()?;
    let stop = reactor.clone();
    let toured = reactor.spawn(async move {
        let result = tour().await;
        chapter("The end", "what is still open is closed in order");
        say("tour", "asks the reactor to stop");
        stop.stop()?;
        result
    });
    reactor.run()?;
    say("main", "run() has returned");
    toured.now().unwrap_or_else(|_interrupted| Ok(()))
}
