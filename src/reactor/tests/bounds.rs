//! No source starves another: each of them goes on for ever here, and the others get their turn all the same.

use super::*;
use crate::{protocol::Transport, reactor::Remote};
use futures_lite::future::yield_now;

/// More turns than any of the others needs.
const TURNS: usize = 1000;

/// Runs beside what goes on for ever until a timer, a socket, a task and a call from a thread have all had their turn.
fn others_get_their_turn(world: &World) {
    let log = &world.log;
    let noting = log.clone();
    let port = world.serve(move || Noting(noting.clone()));
    let peer = world.connect(&port);
    peer.send(b"x");
    world.later(0, log.note("timer"));
    let task = log.note("task");
    world
        .reactor
        .spawn(async move {
            task();
            Ok(())
        })
        .or_log("test");
    let call = log.note("call");
    world.reactor.remote().call_from_thread(move |_| call()).unwrap();
    let done = log.clone();
    world
        .reactor
        .spawn(async move {
            while done.len() < 5 {
                yield_now().await;
            }
            Ok(Reactor::current().crash()?)
        })
        .or_log("test");
    world.run();
    let mut seen = log.take();
    seen.sort();
    assert_eq!(seen, ["call", "data x", "made", "task", "timer"]);
}

fn each_timer_makes_another(limit: impl Fn() + Clone + 'static) {
    limit();
    Reactor::current().call_later(Duration::ZERO, || each_timer_makes_another(limit));
}

#[test]
fn timers_of_no_delay() {
    let world = World::new();
    let limit = at_most(TURNS);
    world.later(0, move || each_timer_makes_another(limit));
    others_get_their_turn(&world);
}

fn each_call_makes_another(remote: Remote, left: usize) {
    if left == 0 {
        Reactor::current().crash().unwrap();
        return;
    }
    let again = remote.clone();
    remote.call_from_thread(move |_| each_call_makes_another(again, left - 1)).unwrap();
}

#[test]
fn calls_from_threads() {
    let world = World::new();
    each_call_makes_another(world.reactor.remote(), TURNS);
    others_get_their_turn(&world);
}

#[test]
fn a_task_that_never_waits() {
    let world = World::new();
    let limit = at_most(TURNS * 256);
    world
        .reactor
        .spawn::<()>(async move {
            loop {
                limit();
                yield_now().await;
            }
        })
        .or_log("test");
    others_get_their_turn(&world);
}

/// Sends as much as is taken, for ever.
struct Flood(Peer);

impl Flood {
    fn go_on(self, limit: impl Fn() + Clone + 'static) {
        limit();
        while self.0.send(&[0; 1024]) > 0 {}
        Reactor::current()
            .spawn(async move {
                yield_now().await;
                self.go_on(limit);
                Ok(())
            })
            .or_log("test");
    }
}

#[test]
fn a_peer_that_never_stops_sending() {
    struct Sink;
    impl Protocol for Sink {}
    let world = World::new();
    let port = world.serve(|| Sink);
    let flood = Flood(world.connect(&port));
    let limit = at_most(TURNS);
    world.later(0, move || flood.go_on(limit));
    others_get_their_turn(&world);
}

/// Calls itself for ever. After 64 calls in a row it is held back.
struct Caller<F>(F);

impl<F: Fn() + 'static> Caller<F> {
    fn again(&mut self, cx: &Context<Self>) {
        (self.0)();
        cx.call(|caller, cx| {
            caller.again(cx);
            Ok(())
        })
        .or_log("test");
    }
}

impl<F: Fn() + 'static> Protocol for Caller<F> {
    fn connection_made(&mut self, cx: &Context<Self>) {
        self.again(cx);
    }

    fn data_received(&mut self, _cx: &Context<Self>, _data: &[u8]) {
        unreachable!("its calls come before any event");
    }
}

#[test]
fn a_protocol_that_calls_itself() {
    let world = World::new();
    let limit = at_most(TURNS * 64);
    let port = world.serve(move || Caller(limit.clone()));
    let peer = world.connect(&port);
    peer.send(b"x");
    others_get_their_turn(&world);
    assert!(world.reports.take().is_empty());
}

/// Each has its turn before one has its second.
#[test]
fn ready_sockets_take_turns() {
    struct Numbered(u8, Log);
    impl Protocol for Numbered {
        fn data_received(&mut self, _cx: &Context<Self>, _data: &[u8]) {
            self.1.add(self.0.to_string());
        }
    }
    let world = World::new();
    let (log, count) = (world.log.clone(), Cell::new(0));
    let port = world.serve(move || Numbered(count.replace(count.get() + 1), log.clone()));
    let peers: Vec<_> = (0..3).map(|_| world.connect(&port)).collect();
    world.settle();
    for round in 0..2 {
        peers.iter().for_each(|peer| {
            peer.send(&[round]);
        });
        world.settle();
    }
    assert_eq!(world.log.take(), ["0", "1", "2", "0", "1", "2"]);
}

/// What is done with what was read.
type Act = fn(&Transport, &[u8]);

/// Notes how many KiB it is given at a time, and acts on them.
struct Reading(Log, Act);

impl Protocol for Reading {
    fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        self.0.add(format!("{} KiB", data.len() >> 10));
        (self.1)(cx, data);
    }
}

/// So many connections, each with so many KiB waiting for one, in a world that has room for them.
fn flooded(world: &World, connections: usize, kib: usize, act: Act) {
    let log = world.log.clone();
    let port = world.serve(move || Reading(log.clone(), act));
    let peers: Vec<_> = (0..connections).map(|_| world.connect(&port)).collect();
    world.settle();
    world.sim.widen(kib << 10);
    let bytes = vec![b'x'; kib << 10];
    peers.iter().for_each(|peer| assert_eq!(peer.send(&bytes), bytes.len()));
}

#[test]
fn a_stream_is_read_depth_first_to_a_bound() {
    let world = World::new();
    flooded(&world, 2, 1280, |_cx, _data| {});
    world.turn();
    assert_eq!(world.log.take(), ["256 KiB"; 8], "four of each, though a fifth waits");
    world.turn();
    assert_eq!(world.log.take(), ["256 KiB"; 2]);
}

#[test]
fn one_that_answers_large_reads_at_once_reads_on() {
    let world = World::new();
    flooded(&world, 1, 1024, |cx, data| cx.write(data));
    world.turn();
    assert_eq!(world.log.take(), ["256 KiB"; 4]);
}

#[test]
fn one_whose_answer_waits_is_read_once_a_turn() {
    let world = World::new();
    flooded(&world, 1, 512, |cx, data| cx.write(data.to_vec()));
    for _ in 0..2 {
        world.turn();
        assert_eq!(world.log.take(), ["256 KiB"]);
    }
}

#[test]
fn one_that_pauses_is_read_no_more() {
    let world = World::new();
    flooded(&world, 1, 512, |cx, _data| cx.pause_producing());
    for expected in [&["256 KiB"][..], &[]] {
        world.turn();
        assert_eq!(world.log.take(), expected);
    }
}

#[test]
fn many_streams_share_what_a_turn_reads() {
    for (connections, share) in [(16, 1024), (32, 512), (64, 256), (128, 128)] {
        let world = World::new();
        flooded(&world, connections, share + 1, |_cx, _data| {});
        world.turn();
        let expected = vec![format!("{} KiB", share.min(256)); connections * share.div_ceil(256)];
        assert_eq!(world.log.take(), expected, "16 MiB in all, {share} KiB each");
    }
}

/// The thread has a buffer to lend, from what was written before; one that has sent all has no use for it.
#[test]
fn a_large_write_that_left_keeps_no_buffer() {
    struct Writer(Log);
    impl Protocol for Writer {
        fn connection_made(&mut self, cx: &Context<Self>) {
            cx.write("small");
        }

        fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
            cx.write(&[b'x'; 16 << 10][..]);
            self.0.add(format!(
                "{} wait, room for {}",
                cx.buffered(),
                cx.wire().with_out(|out| out.capacity())
            ));
            assert_eq!(data, b"go");
        }
    }
    let world = World::new();
    let log = world.log.clone();
    let port = world.serve(move || Writer(log.clone()));
    let peer = world.connect(&port);
    world.settle();
    peer.send(b"go");
    world.settle();
    assert_eq!(world.log.take(), ["0 wait, room for 0"]);
}
