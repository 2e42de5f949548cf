//! The order of a turn, and of what is due at once.

use super::*;

#[test]
fn a_turn_has_an_order() {
    let world = World::new();
    let log = world.log.clone();
    let noting = log.clone();
    let port = world.serve(move || Noting(noting.clone()));
    let peer = world.connect(&port);
    world.settle();
    assert_eq!(log.take(), ["made"]);

    let (timer, timers_timer) = (log.note("timer"), log.note("timer of the timer"));
    world.later(0, move || {
        timer();
        Reactor::current().call_later(Duration::ZERO, timers_timer);
    });
    let task = log.note("task");
    world
        .reactor
        .spawn(async move {
            task();
            Ok(())
        })
        .or_log("test");
    peer.send(b"x");
    let (call, calls_timer, calls_call) =
        (log.note("call"), log.note("timer of the call"), log.note("call of the call"));
    let remote = world.reactor.remote();
    let again = remote.clone();
    let put = remote.call_from_thread(move |reactor| {
        call();
        reactor.call_later(Duration::ZERO, calls_timer);
        again.call_from_thread(move |_| calls_call()).unwrap();
    });
    put.unwrap();

    let core = &world.reactor.core;
    let _entered = core.enter();
    core.look().unwrap();
    core.turn();
    assert_eq!(log.take(), ["call", "timer", "timer of the call", "data x", "task"]);
    core.turn();
    assert_eq!(log.take(), ["call of the call", "timer of the timer"]);
}

/// The real clock goes on between two looks at it.
#[test]
fn a_timer_of_a_call_from_a_thread_is_made_in_the_same_turn_though_time_goes_by() {
    let world = World::new();
    let timer = world.log.note("timer");
    let put = world.reactor.remote().call_from_thread(move |reactor| {
        reactor.call_later(Duration::ZERO, timer);
    });
    put.unwrap();
    world.sim.tick(Duration::from_nanos(1));
    world.reactor.core.turn();
    assert_eq!(world.log.take(), ["timer"]);
}

#[test]
fn what_is_due_at_the_same_instant_is_called_first_come_first_served() {
    let world = World::new();
    for n in 0..100 {
        let log = world.log.clone();
        world.later(1, move || log.add(n.to_string()));
    }
    world.stop_after(1);
    world.run();
    let expected: Vec<_> = (0..100).map(|n| n.to_string()).collect();
    assert_eq!(world.log.take(), expected);
}

#[test]
fn time_goes_by_only_while_the_loop_sleeps() {
    let world = World::new();
    let began = world.reactor.now();
    for after in [3, 1, 2] {
        let log = world.log.clone();
        world.later(after, move || {
            log.add(format!("{:?}", Reactor::current().now() - began));
        });
    }
    world.stop_after(4);
    world.run();
    assert_eq!(world.log.take(), ["1s", "2s", "3s"]);
    assert_eq!(world.reactor.now() - began, secs(4));
}

#[test]
fn awaiters_come_after_callbacks_and_before_the_loop_sleeps() {
    let world = World::new();
    let (deferred, promise) = crate::defer::Deferred::<()>::pending();
    let (callback, awaiter) = (world.log.note("callback"), world.log.note("awaiter"));
    let deferred = deferred.map(move |()| callback());
    world
        .reactor
        .spawn(async move {
            deferred.await?;
            awaiter();
            Ok(())
        })
        .or_log("test");
    let log = world.log.clone();
    world.later(1, move || {
        promise.callback(());
        log.add("fired");
    });
    world.later(2, world.log.note("later"));
    world.stop_after(2);
    world.run();
    assert_eq!(world.log.take(), ["callback", "fired", "awaiter", "later"]);
}

#[test]
fn what_several_callbacks_write_leaves_in_one_send_at_the_end_of_the_turn() {
    let world = World::new();
    let made: Rc<Cell<Option<Context<Keeping>>>> = Rc::default();
    let keep = made.clone();
    let port = world.serve(move || Keeping(keep.clone()));
    let peer = world.connect(&port);
    world.settle();
    let cx = made.take().unwrap();
    for text in ["a", "b", "c"] {
        let cx = cx.clone();
        world.later(0, move || cx.write(text));
    }
    let sends = world.sim.sends();
    world.settle();
    assert_eq!((peer.received(), world.sim.sends() - sends), ("abc".into(), 1));
}

/// Shows its context to the test.
struct Keeping(Rc<Cell<Option<Context<Keeping>>>>);

impl Protocol for Keeping {
    fn connection_made(&mut self, cx: &Context<Self>) {
        self.0.set(Some(cx.clone()));
    }
}

/// A Deferred that fires, a write and a timer from outside of a turn need no other wake.
#[test]
fn what_is_asked_for_outside_of_a_turn_rings() {
    let world = World::new();
    let asks: [fn(&Reactor); 3] = [
        |reactor| drop(reactor.call_later(secs(9), || ())),
        |reactor| reactor.spawn(async { Ok(()) }).or_log("test"),
        |reactor| reactor.get_delayed_calls()[0].reset(secs(1)).unwrap(),
    ];
    for ask in asks {
        world.settle();
        assert!(!world.sim.is_rung());
        ask(&world.reactor);
        assert!(world.sim.is_rung());
    }
}
