//! What a message to async code allocates, counted: the difference between a long run and a short one is what the messages alone take.
//!
//! On the system's sockets only: a simulation keeps a trace.

use crate::loopback::DEADLINE;
use allocation_counter::measure;
use futures_lite::io::copy;
use std::{cell::Cell, net::SocketAddr};
use twistor::{
    Context, Factory, Protocol, Reactor, Result, Stream,
    defer::{Deferred, Promise},
    factory, serve, testing,
};

const MESSAGE: [u8; 64] = [b'x'; 64];

/// So many messages more has the long run.
const MORE: u64 = 1000;

/// The queue of the executor takes a block for so many wakes.
const WAKES_A_BLOCK: u64 = 31;

/// Sends a message, waits for it to come back, and sends the next.
struct Peer {
    left: u64,
    done: Option<Promise<()>>,
}

impl Protocol for Peer {
    fn connection_made(&mut self, cx: &Context<Self>) {
        cx.write(MESSAGE);
    }

    fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        assert_eq!(data, MESSAGE, "nothing else is on its way");
        self.left -= 1;
        match self.done.take_if(|_| self.left == 0) {
            Some(done) => assert!(done.callback(()).is_delivered()),
            None => cx.write(MESSAGE),
        }
    }
}

/// How many allocations so many messages take, both ends and the reactor included.
fn allocations(server: impl Factory, messages: u64) -> u64 {
    let reactor = Reactor::new().unwrap();
    let port = reactor.listen_tcp(("127.0.0.1", 0), server).unwrap();
    let to: SocketAddr = port.get_host().unwrap().as_inet().unwrap();
    let (all, done) = Deferred::pending();
    let done = Cell::new(Some(done));
    reactor.connect_tcp(to, factory(move |_peer| Peer { left: messages, done: done.take() }));
    measure(|| testing::run(&reactor, DEADLINE, all).unwrap()).count_total
}

/// Of `MORE` messages.
fn of_messages<F: Factory>(server: impl Fn() -> F) -> u64 {
    allocations(server(), 100); // what is made once is there
    allocations(server(), 100 + MORE) - allocations(server(), 100)
}

#[test]
fn a_message_to_a_stream_allocates_nothing() {
    let taken = of_messages(|| {
        serve(|stream: Stream| async move {
            let (mut from, mut to) = stream.split();
            copy(&mut from, &mut to).await?;
            Ok(())
        })
    });
    assert!(taken <= MORE / WAKES_A_BLOCK + 1, "{taken} allocations");
}

/// Answers each message from a task that awaits a Deferred.
struct Asks;

impl Protocol for Asks {
    fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        let (answer, promise) = Deferred::pending();
        let to = cx.clone();
        let task = async move {
            let answer: [u8; 64] = answer.await?;
            to.write(answer);
            Result::Ok(())
        };
        cx.spawn(task).or_log("an answer");
        promise.callback(data.try_into().unwrap());
    }
}

#[test]
fn a_task_that_awaits_a_deferred_is_five_allocations() {
    let taken = of_messages(|| factory(|_peer| Asks));
    // The Deferred that is awaited, the future, its node, its place in the executor, and the stage of `or_log`.
    let all = 5 * MORE;
    assert!((all..=all + MORE / WAKES_A_BLOCK + 1).contains(&taken), "{taken} allocations");
}
