//! A panic in a callback, of whatever kind, ends that alone and is reported.

use super::*;
use crate::{Address, IntoLayer, Layer, Producer, Transport, defer::Host};
use std::any::Any;

/// Has a panic happen beside what is to go on, and gives what was reported.
#[track_caller]
fn beside_a_panic(prepare: impl FnOnce(&World)) -> Vec<String> {
    let world = World::new();
    prepare(&world);
    let noting = world.log.clone();
    let port = world.serve(move || Noting(noting.clone()));
    let peer = world.connect(&port);
    world.later(1, move || {
        peer.send(b"x");
    });
    world.later(2, world.log.note("timer"));
    world.stop_after(3);
    world.run();
    let order = ["made", "data x", "timer", "lost: connection to the other side was lost"];
    assert_eq!(world.log.take(), order);
    world.reports.take()
}

/// The one report is of this origin.
#[track_caller]
fn is_reported_once(reports: &[String], origin: &str) {
    let [report] = reports else { panic!("{reports:?}") };
    assert!(report.starts_with(origin) && report.contains("panicked: oh"), "{report}");
}

fn oh() {
    panic!("oh");
}

#[test]
fn a_call_from_a_thread() {
    let reports = beside_a_panic(|world| world.reactor.remote().call_from_thread(|_| oh()).unwrap());
    is_reported_once(&reports, "call_from_thread: ");
}

#[test]
fn a_timer() {
    is_reported_once(&beside_a_panic(|world| world.later(0, oh)), "call_later: ");
}

#[test]
fn a_task_is_a_failure_of_its_deferred() {
    let reports = beside_a_panic(|world| {
        world
            .reactor
            .spawn(async {
                oh();
                Ok(())
            })
            .or_log("a task")
    });
    is_reported_once(&reports, "a task: ");
}

#[test]
fn a_task_that_a_host_was_given() {
    let reports = beside_a_panic(|world| world.reactor.core.spawn_local(Box::pin(async { oh() })));
    is_reported_once(&reports, "a task: ");
}

/// The methods of a protocol in which it panics.
#[derive(Clone, Copy, PartialEq)]
enum In {
    Made,
    Data,
    Lost,
    Call,
    BuildProtocol,
}

struct Panicking(In);

impl Panicking {
    fn check(&self, at: In) {
        if self.0 == at {
            oh();
        }
    }
}

impl Protocol for Panicking {
    fn connection_made(&mut self, cx: &Context<Self>) {
        self.check(In::Made);
        cx.write("hello");
        let (call, cx) = (cx.clone(), cx.clone());
        Reactor::current().call_later(secs(1), move || {
            call.call(|protocol, _| {
                protocol.check(In::Call);
                Ok(())
            })
            .or_log("test");
        });
        Reactor::current().call_later(secs(2), move || cx.lose_connection());
    }

    fn data_received(&mut self, _cx: &Context<Self>, _data: &[u8]) {
        self.check(In::Data);
    }

    fn connection_lost(&mut self, _cx: &Context<Self>, _why: Failure) {
        self.check(In::Lost);
    }
}

#[test]
fn a_method_of_a_protocol_ends_its_connection() {
    for (at, origin) in [
        (In::BuildProtocol, "build_protocol: "),
        (In::Made, "connection_made: "),
        (In::Data, "data_received: "),
        (In::Call, "a call: "),
        (In::Lost, "connection_lost: "),
    ] {
        let mut ends: Vec<Peer> = Vec::new();
        let reports = beside_a_panic(|world| {
            let port = world.serve_panicking(at);
            ends.extend((0..2).map(|_| world.connect(&port)));
            ends[0].send(b"x");
            ends[1].send(b"x");
        });
        assert_eq!(reports.len(), 2, "{reports:?}");
        reports.iter().for_each(|report| assert!(report.starts_with(origin), "{report}"));
        for peer in ends {
            let texts = [peer.received(), peer.received()];
            assert!(texts.contains(&"end".into()), "{texts:?}");
        }
    }
}

impl World {
    fn serve_panicking(&self, at: In) -> ListeningPort {
        self.serve(move || {
            if at == In::BuildProtocol {
                oh();
            }
            Panicking(at)
        })
    }
}

/// A layer of the program's own, which panics in one of its methods.
struct PanickingLayer(In);

impl Layer for PanickingLayer {
    fn connection_made(&self, _transport: &Transport) {
        Panicking(self.0).check(In::Made);
    }
    fn data_received(&self, _transport: &Transport, _data: &[u8]) {
        Panicking(self.0).check(In::Data);
    }
    fn connection_lost(&self, _transport: &Transport, _why: Failure) {
        Panicking(self.0).check(In::Lost);
    }
    fn next(&self) -> Option<&dyn Layer> {
        None
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl IntoLayer for PanickingLayer {
    type Layer = Self;
    fn into_layer(self) -> Self {
        self
    }
}

#[test]
fn a_framer_ends_its_connection_and_not_its_port() {
    for at in [In::Made, In::Data] {
        let mut ends: Vec<Peer> = Vec::new();
        let reports = beside_a_panic(|world| {
            let port = world.listen(factory(move |_: &Address| PanickingLayer(at)));
            ends.extend((0..2).map(|_| world.connect(&port)));
            ends.iter().for_each(|peer| {
                peer.send(b"x");
            });
        });
        assert_eq!(reports.len(), 2, "{reports:?}");
        // What was not read is told as the kernel tells it.
        let end = if at == In::Made { "ConnectionReset" } else { "end" };
        assert!(ends.iter().all(|peer| peer.received() == end));
    }
}

#[test]
fn a_framer_at_the_end_of_all() {
    let reports = beside_a_panic(|world| {
        let port = world.listen(factory(move |_: &Address| PanickingLayer(In::Lost)));
        world.connect(&port);
    });
    is_reported_once(&reports, "connection_lost: ");
}

/// A pull producer that panics when it is asked for more: not within a method, but when all was sent.
struct Dry(Transport, Cell<bool>);

impl Producer for Dry {
    fn resume_producing(&self) {
        if self.1.replace(true) {
            oh();
        }
        self.0.write("hello");
    }
    fn stop_producing(&self) {}
}

struct Produces;

impl Protocol for Produces {
    fn data_received(&mut self, cx: &Context<Self>, _data: &[u8]) {
        let dry = Dry((**cx).clone(), Cell::new(false));
        cx.register_producer(dry, false).unwrap();
    }
}

#[test]
fn a_producer_ends_its_connection() {
    let mut ends: Vec<Peer> = Vec::new();
    let reports = beside_a_panic(|world| {
        let port = world.serve(|| Produces);
        ends.push(world.connect(&port));
        ends[0].send(b"x");
    });
    is_reported_once(&reports, "resume_producing: ");
    assert_eq!((ends[0].received(), ends[0].received()), ("hello".into(), "end".into()));
}

#[test]
fn a_factory_at_the_end_of_all() {
    struct Stops;
    impl Factory for Stops {
        type Protocol = Noting;
        fn build_protocol(&self, _peer: &Address) -> Option<Noting> {
            None
        }
        fn stop_factory(&self) {
            oh();
        }
    }
    let reports = beside_a_panic(|world| drop(world.listen(Stops)));
    is_reported_once(&reports, "stop_factory: ");
}

#[test]
fn what_a_delayed_call_captured_panics_when_it_is_dropped_at_the_end() {
    struct Panics;
    impl Drop for Panics {
        fn drop(&mut self) {
            oh();
        }
    }
    let panics = Panics;
    let reports = beside_a_panic(|world| world.later(9, move || drop(panics)));
    is_reported_once(&reports, "the end of a delayed call: ");
}
