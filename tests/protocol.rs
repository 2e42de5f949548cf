//! What is promised of protocols, contexts, layers and factories, without a reactor.

use std::{
    any::Any,
    cell::{Cell, RefCell},
    rc::Rc,
};
use twistor::{
    Address, Context, Factory, Failure, IntoLayer, Layer, Producer, Protocol, Slot, Transport, boxed,
    defer::{Deferred, Promise, succeed},
    error::{
        CancelledError, ConnectionAborted, ConnectionDone, NoHost, Panicked, ProducerRegistered, ProtocolGone,
    },
    factory, for_protocol, report,
    testing::{self, Connected},
};

type Notes = Rc<RefCell<Vec<String>>>;

/// Notes what it is told, and does what the data ask for.
#[derive(Default)]
struct Noting {
    notes: Notes,
    kept: Option<Context<Noting>>,
    promise: Option<Promise<u8>>,
    inside: bool,
}

impl Noting {
    fn note(&mut self, text: impl Into<String>) {
        assert!(!std::mem::replace(&mut self.inside, true), "entered again");
        self.notes.borrow_mut().push(text.into());
        self.inside = false;
    }

    fn got(&mut self, _cx: &Context<Self>, n: u8) {
        self.note(n.to_string());
    }
}

impl Protocol for Noting {
    fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        self.note(data.escape_ascii().to_string());
        if data == b"calls" {
            self.inside = true;
            for n in 0..3 {
                cx.call(move |p, cx| p.got(cx, n));
            }
            succeed(3).add_callback(cx.bind(Noting::got));
            self.inside = false;
        }
        if data == b"keep" {
            self.kept = Some(cx.clone());
        }
    }

    fn connection_lost(&mut self, cx: &Context<Self>, why: Failure) {
        self.note(format!("lost: {why}"));
        succeed(9)
            .add_callback(cx.bind(Noting::got))
            .add_callback(cx.bind(|p: &mut Noting, _, ()| p.note("second")));
    }
}

impl Drop for Noting {
    fn drop(&mut self) {
        self.note("dropped");
        if let Some(cx) = self.kept.take() {
            let gone = cx.call(|_, _| Ok(())).now().expect("it is not queued").unwrap_err();
            assert!(gone.check::<ProtocolGone>());
        }
    }
}

fn noting() -> (Connected<Slot<Noting>>, Context<Noting>, Notes) {
    let notes = Notes::default();
    let t = testing::connect(Noting { notes: notes.clone(), kept: None, promise: None, inside: false });
    let cx = t.context();
    (t, cx, notes)
}

/// What is reported while `f` runs.
fn reports(f: impl FnOnce()) -> Vec<String> {
    let seen = Rc::new(RefCell::new(vec![]));
    let hook = seen.clone();
    let guard =
        report::hook(move |report| hook.borrow_mut().push(format!("{}: {}", report.origin, report.failure)));
    f();
    drop(guard);
    seen.take()
}

// ---- never entered twice --------------------------------------------------------------------------------------------

#[test]
fn calls_made_inside_a_method_run_after_it_in_the_order_they_were_made() {
    let (mut t, _, notes) = noting();
    t.receive("calls");
    assert_eq!(*notes.borrow(), ["calls", "0", "1", "2", "3"]);
}

#[test]
fn a_call_made_by_a_callback_of_a_queued_one_waits_behind_those_that_wait() {
    let (_t, cx, notes) = noting();
    cx.call(|_, cx| {
        cx.call(|p, _| p.note("one")).add_callback({
            let cx = cx.clone();
            move |()| cx.call(|p, _| p.note("one, then"))
        });
        cx.call(|p, _| p.note("two"));
    });
    assert_eq!(*notes.borrow(), ["one", "two", "one, then"]);
}

#[test]
fn a_call_from_another_protocol_and_from_its_factory_waits_too() {
    struct Other(Context<Noting>);
    impl Protocol for Other {
        fn data_received(&mut self, cx: &Context<Self>, _data: &[u8]) {
            self.0.call(|p, _| p.note("from another"));
            cx.factory::<Others>().tell();
        }
    }
    struct Others(Context<Noting>);
    impl Others {
        fn tell(&self) {
            self.0.call(|p, _| p.note("from a factory"));
        }
    }
    impl Factory for Others {
        type Protocol = Other;
        fn build_protocol(&self, _peer: &Address) -> Option<Other> {
            Some(Other(self.0.clone()))
        }
    }
    let (_t, cx, notes) = noting();
    let other = testing::accept(&Rc::new(Others(cx.clone()))).expect("it takes all");
    let other_cx = other.context::<Other>();
    let transport = other.transport().clone();
    cx.call(move |p, _| {
        other_cx.call(move |other, cx| other.data_received(cx, b""));
        p.note("first");
        drop(transport);
    });
    assert_eq!(*notes.borrow(), ["first", "from another", "from a factory"]);
}

#[test]
fn a_call_from_a_drop_waits_too() {
    struct Bell(Context<Noting>);
    impl Drop for Bell {
        fn drop(&mut self) {
            self.0.call(|p, _| p.note("from a drop"));
        }
    }
    let (_t, cx, notes) = noting();
    let bell = Bell(cx.clone());
    cx.call(move |p, _| {
        drop(bell);
        p.note("first");
    });
    assert_eq!(*notes.borrow(), ["first", "from a drop"]);
}

#[test]
fn an_event_that_a_layer_tells_too_early_waits_too() {
    let (t, cx, notes) = noting();
    let transport = t.transport().clone();
    cx.call(move |p, _| {
        let slot = transport.layer::<Slot<Noting>>().expect("it is there");
        slot.data_received(&transport, b"early");
        slot.connection_lost(&transport, Failure::new(ConnectionDone::default()));
        slot.data_received(&transport, b"too late");
        p.note("first");
    });
    assert_eq!(notes.borrow()[..4], ["first", "early", "lost: connection was closed cleanly", "too late"]);
    assert_eq!(notes.borrow()[4..], ["9", "dropped"]);
}

#[test]
fn many_calls_run_in_one_row_without_a_reactor_and_on_a_small_stack() {
    fn again(p: &mut Noting, cx: &Context<Noting>, left: u32) {
        p.promise = None;
        if left > 0 {
            cx.call(|_, _| ())
                .add_callback(cx.bind(move |p: &mut Noting, cx: &Context<_>, ()| again(p, cx, left - 1)));
        } else {
            p.note("done");
        }
    }
    let small = std::thread::Builder::new().stack_size(256 << 10).spawn(|| {
        let (_t, cx, notes) = noting();
        cx.call(|p, cx| again(p, cx, 100_000));
        cx.call(|_, cx| (0..100_000).for_each(|_| drop(cx.call(|_, _| ()))));
        assert_eq!(*notes.borrow(), ["done"]);
    });
    small.expect("a thread").join().expect("no overflow");
}

#[test]
fn two_protocols_that_call_each_other_do_not_recurse() {
    struct Ping(Option<Context<Ping>>, u32);
    impl Protocol for Ping {}
    fn hit(p: &mut Ping, _cx: &Context<Ping>) {
        p.1 += 1;
        if p.1 < 50_000 {
            p.0.as_ref().expect("the other").call(hit);
        }
    }
    let small = std::thread::Builder::new().stack_size(256 << 10).spawn(|| {
        let (mut one, mut two) = (testing::connect(Ping(None, 0)), testing::connect(Ping(None, 0)));
        let (a, b) = (one.context::<Ping>(), two.context::<Ping>());
        let to = b.clone();
        a.call(move |p, _| p.0 = Some(to));
        b.call(move |p, _| p.0 = Some(a));
        b.call(hit);
        assert_eq!(one.peek(|p: &Ping| p.1) + two.peek(|p: &Ping| p.1), 99_999);
        one.lose();
        two.lose();
    });
    small.expect("a thread").join().expect("no overflow");
}

// ---- what a call gives ----------------------------------------------------------------------------------------------

#[test]
fn a_queued_call_that_is_cancelled_before_its_turn_never_runs() {
    let (_t, cx, notes) = noting();
    let queued = Rc::new(Cell::new(None));
    let out = queued.clone();
    cx.call(move |p, cx| {
        let one = cx.call(|p, _| p.note("never"));
        out.set(Some(one.add_callback(|()| Ok(1))));
        let one = out.take().expect("just set");
        one.cancel();
        out.set(Some(one));
        p.note("first");
    });
    assert_eq!(*notes.borrow(), ["first"]);
    let result = queued.take().expect("set").now().expect("it is cancelled");
    assert!(result.unwrap_err().check::<CancelledError>());
}

#[test]
fn the_result_of_a_queued_call_waits_for_what_it_gives_and_a_cancel_goes_there() {
    for cancel in [false, true] {
        let (_t, cx, notes) = noting();
        let told = notes.clone();
        let result = Rc::new(Cell::new(None));
        let out = result.clone();
        cx.call(move |_, cx| {
            out.set(Some(cx.call(move |p, _| {
                let (inner, promise) =
                    Deferred::<u8>::cancellable(move |_| told.borrow_mut().push("inner".into()));
                p.promise = Some(promise);
                inner
            })));
        });
        let result: Deferred<u8> = result.take().expect("set").now().expect_err("it waits");
        if cancel {
            result.cancel();
            assert_eq!(*notes.borrow(), ["inner"]);
            assert!(result.now().expect("cancelled").unwrap_err().check::<CancelledError>());
        } else {
            let promise = cx.call(|p, _| Ok(p.promise.take())).now().expect("idle").expect("it is there");
            promise.expect("kept").callback(5);
            assert_eq!(result.now().expect("fired").expect("a value"), 5);
        }
    }
}

#[test]
fn peek_sees_the_protocol_only_when_it_is_idle() {
    let (t, cx, _) = noting();
    assert_eq!(cx.peek(|p| p.inside), Some(false));
    assert_eq!(cx.call(|_, cx| Ok(cx.peek(|_| ()))).now().expect("idle").expect("a value"), None);
    assert!(!t.peek(|p: &Noting| p.inside));
}

// ---- at the loss ----------------------------------------------------------------------------------------------------

#[test]
fn calls_made_in_connection_lost_still_run_and_nothing_after_them() {
    let (mut t, cx, notes) = noting();
    let seen = reports(|| {
        t.lose();
        t.lose();
        cx.call(|p, _| p.note("too late"));
        succeed(4).add_callback(cx.bind(Noting::got)).add_callback(|()| Ok(()));
        drop(cx.call(|_, _| Err::<(), _>(Failure::msg("never made"))));
    });
    assert_eq!(*notes.borrow(), ["lost: connection was closed cleanly", "9", "dropped"]);
    assert_eq!(seen, [""; 0]); // that it is gone is nobody's mistake
    assert_eq!(cx.peek(|_| ()), None);
}

#[test]
fn a_context_kept_in_the_protocol_is_no_leak() {
    let (mut t, cx, notes) = noting();
    t.receive("keep");
    drop(cx);
    t.lose();
    assert_eq!(notes.borrow().last().expect("noted"), "dropped");
}

#[test]
fn calls_that_wait_at_the_loss_have_their_turn_before_it() {
    let (t, cx, notes) = noting();
    let transport = t.transport().clone();
    cx.call(move |_, cx| {
        cx.call(|p, _| p.note("waits"));
        transport
            .layer::<Slot<Noting>>()
            .expect("it is there")
            .connection_lost(&transport, Failure::msg("end"));
        cx.call(|p, _| p.note("called before the loss was told"));
    });
    assert_eq!(*notes.borrow(), ["waits", "lost: end", "called before the loss was told", "9", "dropped"]);
}

#[test]
fn a_call_that_calls_itself_for_ever_ends_with_the_connection() {
    fn spin(p: &mut Noting, cx: &Context<Noting>) {
        if p.notes.borrow().len() == 3 {
            cx.fail(Failure::msg("enough"));
            let transport = cx.transport();
            transport
                .layer::<Slot<Noting>>()
                .expect("it is there")
                .connection_lost(&transport, Failure::msg("end"));
        }
        p.note("spin");
        cx.call(spin);
    }
    let (_t, cx, notes) = noting();
    cx.call(spin);
    let notes = notes.borrow();
    assert_eq!(notes[4..], ["lost: end", "spin", "9", "dropped"]);
}

// ---- panics ---------------------------------------------------------------------------------------------------------

/// Panics in the method of this name.
struct Fragile(&'static str, Notes);

impl Fragile {
    fn enter(&self, method: &'static str) {
        self.1.borrow_mut().push(method.into());
        assert!(self.0 != method, "in {method}");
    }
}

impl Protocol for Fragile {
    const HALF_CLOSEABLE: bool = true;
    fn connection_made(&mut self, _cx: &Context<Self>) {
        self.enter("connection_made");
    }
    fn data_received(&mut self, cx: &Context<Self>, _data: &[u8]) {
        cx.lose_write_connection();
        self.enter("data_received");
    }
    fn connection_lost(&mut self, _cx: &Context<Self>, why: Failure) {
        self.1.borrow_mut().push(why.to_string());
        self.enter("connection_lost");
    }
    fn read_connection_lost(&mut self, _cx: &Context<Self>) {
        self.enter("read_connection_lost");
    }
    fn write_connection_lost(&mut self, _cx: &Context<Self>) {
        self.enter("write_connection_lost");
    }
}

impl Drop for Fragile {
    fn drop(&mut self) {
        self.enter("the Drop of a protocol");
    }
}

#[test]
fn a_panic_in_any_method_ends_this_connection_alone_and_is_reported_once() {
    for method in ["connection_made", "data_received", "read_connection_lost", "write_connection_lost"] {
        let (mut other, _, _) = noting();
        let notes = Notes::default();
        let seen = reports(|| {
            let mut t = testing::connect(Fragile(method, notes.clone()));
            t.receive("x");
            t.sent();
            t.end();
            assert!(!t.connected(), "{method}");
        });
        assert_eq!(seen, [format!("{method}: panicked: in {method}")]);
        let notes = notes.borrow();
        let told = notes.iter().filter(|note| *note == "connection_lost").count();
        assert_eq!((told, notes.contains(&format!("panicked: in {method}"))), (1, true), "{notes:?}");
        other.receive("still there");
        assert!(other.connected());
    }
}

#[test]
fn a_panic_in_connection_lost_or_in_drop_is_reported_once_and_stays_there() {
    for method in ["connection_lost", "the Drop of a protocol"] {
        let seen = reports(|| {
            let mut t = testing::connect(Fragile(method, Notes::default()));
            t.lose();
            assert!(t.context_gone());
        });
        assert_eq!(seen, [format!("{method}: panicked: in {method}")]);
    }
}

trait ContextGone {
    fn context_gone(&self) -> bool;
}

impl ContextGone for Connected<Slot<Fragile>> {
    fn context_gone(&self) -> bool {
        self.context::<Fragile>().peek(|_| ()).is_none()
    }
}

#[test]
fn a_panic_in_a_call_is_reported_once_and_its_deferred_has_it_too() {
    for queued in [false, true] {
        let (mut t, cx, notes) = noting();
        let result = Rc::new(Cell::new(None));
        let out = result.clone();
        let bad = move |cx: &Context<Noting>| {
            let bad = cx.call(|_, _| -> Result<(), Failure> { panic!("on request") });
            out.set(Some(bad));
        };
        let seen = reports(|| if queued { drop(cx.call(move |_, cx| bad(cx))) } else { bad(&cx) });
        assert_eq!(seen, ["a call: panicked: on request"]);
        let failure = result.take().expect("set").now().expect("fired").unwrap_err();
        assert_eq!(failure.value::<Panicked>().expect("the panic").message(), "on request");
        assert!(t.disconnecting());
        t.receive("never");
        assert_eq!(notes.borrow()[0], "lost: panicked: on request");
    }
}

#[test]
fn a_panic_in_build_protocol_reaches_the_test() {
    let bad = Rc::new(factory(|_| -> Option<Noting> { panic!("no protocol today") }));
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(testing::accept(&bad))));
    let message = panic.unwrap_err().downcast::<String>().expect("a text");
    assert!(message.contains("no protocol today"), "{message}");
}

#[test]
fn fail_and_abort_end_the_connection_with_their_reason() {
    let (mut t, cx, notes) = noting();
    cx.fail(std::io::Error::other("bad peer"));
    cx.fail(Failure::msg("too late"));
    t.receive("never");
    assert_eq!((t.connected(), &notes.borrow()[0][..]), (false, "lost: bad peer"));

    struct Why(Rc<Cell<Option<Failure>>>);
    impl Protocol for Why {
        fn data_received(&mut self, cx: &Context<Self>, _data: &[u8]) {
            cx.abort_connection();
        }
        fn connection_lost(&mut self, _cx: &Context<Self>, why: Failure) {
            self.0.set(Some(why));
        }
    }
    let why = Rc::new(Cell::new(None));
    testing::connect(Why(why.clone())).receive("x");
    assert!(why.take().expect("told").check::<ConnectionAborted>());
}

// ---- factories ------------------------------------------------------------------------------------------------------

#[derive(Default)]
struct Echo;

impl Protocol for Echo {
    fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        cx.write(data);
    }
}

#[test]
fn closures_options_and_boxes_are_factories() {
    let echo = Rc::new(factory(|_| Echo));
    let mut t = testing::accept(&echo).expect("it takes all");
    t.receive("hello");
    assert_eq!(t.sent(), b"hello");

    let local = factory(|peer| peer.as_inet().is_some_and(|peer| peer.ip().is_loopback()).then_some(Echo));
    assert!(testing::accept(&Rc::new(local)).is_none());

    let mut defaults = testing::accept(&Rc::new(for_protocol::<Echo>())).expect("it takes all");
    defaults.receive("x");
    assert_eq!(defaults.sent(), b"x");

    let turn = Cell::new(0);
    let mixed = Rc::new(factory(move |_| {
        turn.set(turn.get() + 1);
        match turn.get() {
            1 => Some(boxed(Echo)),
            2 => Some(boxed(Noting::default())),
            _ => None,
        }
    }));
    let (mut one, two) = (testing::accept(&mixed).expect("first"), testing::accept(&mixed).expect("second"));
    one.receive("x");
    assert_eq!(one.sent(), b"x");
    assert_eq!(two.peek(|p: &Noting| p.notes.borrow().len()), 0);
    assert!(two.transport().context::<Echo>().is_none());
    assert!(testing::accept(&mixed).is_none());
}

#[test]
fn a_shared_factory_starts_with_its_first_use_and_stops_with_its_last() {
    #[derive(Default)]
    struct Counting(RefCell<Vec<&'static str>>);
    impl Factory for Counting {
        type Protocol = Echo;
        fn build_protocol(&self, _peer: &Address) -> Option<Echo> {
            None
        }
        fn start_factory(&self) {
            self.0.borrow_mut().push("start");
        }
        fn stop_factory(&self) {
            self.0.borrow_mut().push("stop");
        }
    }
    let shared = Rc::new(Counting::default());
    let second = shared.clone();
    shared.stop_factory(); // not in use
    shared.start_factory();
    second.start_factory();
    shared.stop_factory();
    assert_eq!(*shared.0.borrow(), ["start"]);
    second.stop_factory();
    second.start_factory();
    second.stop_factory();
    assert_eq!(*shared.0.borrow(), ["start", "stop", "start", "stop"]);
    // One that was never stopped does not make another that takes its place look used.
    for _ in 0..100 {
        let shared = Rc::new(Counting::default());
        shared.start_factory();
        assert_eq!(*shared.0.borrow(), ["start"]);
    }
}

#[test]
fn a_factory_of_another_type_is_a_clear_panic() {
    struct Asking;
    impl Protocol for Asking {
        fn data_received(&mut self, cx: &Context<Self>, _data: &[u8]) {
            assert!(cx.try_factory::<Echo>().is_none());
            cx.factory::<Echo>();
        }
    }
    struct Real;
    impl Factory for Real {
        type Protocol = Asking;
        fn build_protocol(&self, _peer: &Address) -> Option<Asking> {
            Some(Asking)
        }
    }
    let seen = reports(|| testing::accept(&Rc::new(Real)).expect("it takes all").receive("x"));
    assert!(seen[0].contains("is a protocol::a_factory_of_another_type_is_a_clear_panic::Real"), "{seen:?}");
    assert!(seen[0].contains("not a protocol::Echo: ask for the type"), "{seen:?}");
    let seen = reports(|| testing::connect(Asking).receive("x"));
    assert!(seen[0].contains("protocol connected without a factory"), "{seen:?}");
}

// ---- layers ---------------------------------------------------------------------------------------------------------

/// A policy of a user's own: it counts, and passes on.
struct Counting<L>(Cell<usize>, L);

impl<L: Layer> Layer for Counting<L> {
    fn connection_made(&self, t: &Transport) {
        self.1.connection_made(t);
    }
    fn data_received(&self, t: &Transport, data: &[u8]) {
        self.0.set(self.0.get() + data.len());
        self.1.data_received(t, data);
    }
    fn connection_lost(&self, t: &Transport, why: Failure) {
        self.1.connection_lost(t, why);
    }
    fn next(&self) -> Option<&dyn Layer> {
        Some(&self.1)
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl<L: Layer> IntoLayer for Counting<L> {
    type Layer = Self;
    fn into_layer(self) -> Self {
        self
    }
}

#[test]
fn layers_are_found_by_type_and_pass_on_what_they_do_not_change() {
    let notes = Notes::default();
    let inner = Counting(Cell::new(0), boxed(Fragile("", notes.clone())));
    let mut t = testing::connect(Counting(Cell::new(0), inner));
    t.receive("four");
    t.sent();
    t.end();
    assert!(t.connected()); // half-closeable, through both
    assert_eq!(t.layer::<Counting<Box<dyn Layer>>>().0.get(), 4);
    assert_eq!(t.layer::<Counting<Counting<Box<dyn Layer>>>>().0.get(), 4);
    assert!(t.transport().layer::<Counting<Echo>>().is_none());
    t.context::<Fragile>().call(|p, _| p.enter("a call"));
    t.lose();
    let told =
        ["connection_made", "data_received", "write_connection_lost", "read_connection_lost", "a call"];
    assert_eq!(notes.borrow()[..5], told);
    assert_eq!(notes.borrow()[6..], ["connection_lost", "the Drop of a protocol"]);
}

// ---- the transport, through the kit ---------------------------------------------------------------------------------

#[test]
fn async_code_that_waits_needs_a_host() {
    let (t, _, _) = noting();
    let now = t.transport().spawn(async { Ok(5) });
    assert_eq!(now.now().expect("it did not wait").expect("a value"), 5);
    let (never, _promise) = Deferred::<u8>::pending();
    let waits = t.transport().spawn(never);
    assert!(waits.now().expect("failed").unwrap_err().check::<NoHost>());
}

#[test]
fn drained_fires_when_all_is_sent_and_fails_with_the_connection() {
    let (mut t, cx, _) = noting();
    assert!(cx.drained().is_fired());
    cx.write("x");
    let (sent, cx) = (cx.drained(), cx);
    assert!(!sent.is_fired());
    assert_eq!(t.sent(), b"x");
    assert!(sent.now().expect("sent").is_ok());
    cx.write("y");
    let lost = cx.drained();
    t.lose();
    assert!(lost.now().expect("lost").unwrap_err().check::<ConnectionDone>());
    assert!(cx.drained().now().expect("gone").unwrap_err().check::<ProtocolGone>());
}

#[test]
fn what_was_written_before_the_peer_ended_is_still_sent() {
    let mut t = testing::connect(Echo);
    t.receive("last words");
    t.end();
    assert_eq!((t.connected(), t.sent().as_slice()), (false, &b"last words"[..]));
    assert_eq!(t.sent(), b"");
}

#[test]
fn producers_are_paused_resumed_and_stopped_through_the_kit() {
    struct Told(Notes);
    impl Producer for Told {
        fn resume_producing(&self) {
            self.0.borrow_mut().push("resume".into());
        }
        fn pause_producing(&self) {
            self.0.borrow_mut().push("pause".into());
        }
        fn stop_producing(&self) {
            self.0.borrow_mut().push("stop".into());
        }
    }
    let (mut t, cx, _) = noting();
    let notes = Notes::default();
    cx.register_producer(Told(notes.clone()), true).expect("the first");
    assert_eq!(cx.register_producer(Told(notes.clone()), true), Err(ProducerRegistered::default()));
    cx.write(vec![0; 100_000]);
    cx.write("more");
    assert_eq!(*notes.borrow(), ["pause"]);
    t.sent();
    assert_eq!(*notes.borrow(), ["pause", "resume"]);
    t.lose();
    assert_eq!(*notes.borrow(), ["pause", "resume", "stop"]);
    assert!(cx.register_producer(Told(notes.clone()), false).is_ok());
    assert_eq!(notes.borrow()[3..], ["stop"]); // there is nothing to produce for
}

#[test]
fn a_pause_keeps_bytes_below_until_the_resume() {
    let (mut t, cx, notes) = noting();
    cx.pause_producing();
    t.receive("a");
    t.receive("b");
    assert!(notes.borrow().is_empty());
    cx.resume_producing();
    t.receive("c");
    assert_eq!(*notes.borrow(), ["abc"]);
}
