//! The order of a turn, and the one place where a callback waits.

use crate::narrator::say;
use std::time::Duration;
use twistor::{
    Context, Protocol, Reactor, Result,
    defer::{Deferred, gather_results},
    testing,
};

/// Fires a Deferred from inside one of its own methods.
struct Careful;

impl Protocol for Careful {
    fn data_received(&mut self, cx: &Context<Self>, _data: &[u8]) {
        let (plain, fire_plain) = Deferred::pending();
        let (bound, fire_bound) = Deferred::pending();
        plain.map(|()| say("closure", "runs inside callback(), as in Twisted")).or_log("a closure");
        bound.add_callback(cx.bind(Self::method)).or_log("a method");
        say("data_received", "fires one with a closure");
        fire_plain.callback(());
        say("data_received", "fires one with a bound method of this very protocol, which is busy");
        fire_bound.callback(());
        say("data_received", "returns");
    }
}

impl Careful {
    fn method(&mut self, _cx: &Context<Self>, _: ()) {
        say(
            "bound method",
            "runs as soon as data_received has returned: two at once would need two &mut self",
        );
    }
}

/// A call that is due sets others, and spawns a task.
fn turns(reactor: &Reactor) -> Deferred<Vec<()>> {
    let spawned = reactor.spawn(async {
        say("task", "in the same turn: tasks are polled after calls and sockets");
        Ok(())
    });
    let later = |millis: u64, what: &'static str| {
        let (called, promise) = Deferred::pending();
        reactor.call_later(Duration::from_millis(millis), move || {
            say("call_later", what);
            promise.callback(());
        });
        called
    };
    gather_results([
        later(3, "of 3 ms, made first and called last"),
        later(1, "of 1 ms"),
        later(0, "of 0 ms: in the next turn, never inside call_later"),
        spawned,
    ])
}

pub(crate) async fn tour() -> Result<()> {
    let mut t = testing::connect(Careful); // a connection in memory: protocols need no reactor
    t.receive("anything");

    let (begun, promise) = Deferred::pending();
    let reactor = Reactor::current();
    reactor.clone().call_later(Duration::ZERO, move || {
        say("call_later", "is called by the loop: sets three calls, and spawns a task");
        turns(&reactor).chain_deferred(promise);
    });
    begun.await?;
    say("tour", "all four are done");
    Ok(())
}
