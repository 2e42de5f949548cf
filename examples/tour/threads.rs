//! Threads, and the one door between them and a reactor.

use crate::narrator::say;
use std::{thread, time::Duration};
use twistor::{Reactor, Result, defer::Deferred};

pub(crate) async fn tour() -> Result<()> {
    let (reactor, here) = (Reactor::current(), thread::current().id());
    let sum = reactor
        .defer_to_thread(move || Ok((thread::current().id() != here, (1..=1_000_000_u64).sum::<u64>())));
    say("tour", "has sent a long sum to another thread; the loop goes on meanwhile");
    let (elsewhere, sum) = sum.await?;
    assert!(elsewhere);
    say("tour", format!("the sum is {sum}, and nothing waited for it but this"));

    let remote = reactor.remote(); // Send and Sync; a Reactor and a Deferred are neither
    let answer = reactor.defer_to_thread(move || {
        remote.blocking_call_from_thread(|reactor| {
            say(
                "loop",
                "was called by a thread, at the beginning of a turn; the thread waits for a Deferred",
            );
            let (later, promise) = Deferred::pending();
            reactor.call_later(Duration::from_millis(1), move || {
                say("loop", "fires it");
                promise.callback("come in");
            });
            later
        })
    });
    let answer = answer.await?;
    say("tour", format!("the thread was told {answer:?}, and has told this"));
    Ok(())
}
