//! A stop that drains: what its ports have accepted comes to its end, up to a deadline.

use std::{cell::RefCell, net::SocketAddr, rc::Rc, time::Duration};
use twistor::{
    Context, Failure, Protocol, Reactor, Result, Transport, factory,
    reactor::Phase,
    tcp::ListeningPort,
    testing::{Peer, on_both},
};

/// What no test is to wait for.
const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(20);

#[derive(Clone, Default)]
struct Log(Rc<RefCell<Vec<String>>>);

impl Log {
    fn add(&self, line: impl Into<String>) {
        self.0.borrow_mut().push(line.into());
    }

    fn all(&self) -> Vec<String> {
        self.0.borrow().clone()
    }
}

/// Echoes, and keeps its transport where the test finds it.
struct Echo {
    log: Log,
    open: Rc<RefCell<Vec<Transport>>>,
}

impl Protocol for Echo {
    fn connection_made(&mut self, cx: &Context<Self>) {
        self.open.borrow_mut().push(Transport::clone(cx));
    }

    fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        cx.write(data);
    }

    fn connection_lost(&mut self, _cx: &Context<Self>, why: Failure) {
        self.log.add(format!("lost: {}", why.message()));
    }
}

/// A port with peers that stay, and what is to happen when all of them are there.
struct Scene {
    reactor: Reactor,
    port: ListeningPort,
    log: Log,
    open: Rc<RefCell<Vec<Transport>>>,
}

impl Scene {
    fn new(reactor: &Reactor) -> Scene {
        let (log, open) = (Log::default(), Rc::<RefCell<Vec<_>>>::default());
        let (told, all) = (log.clone(), open.clone());
        let echo = factory(move |_| Echo { log: told.clone(), open: all.clone() });
        let port = reactor.listen_tcp(("127.0.0.1", 0), echo).expect("it listens");
        for (phase, what) in [(Phase::Before, "before"), (Phase::During, "during"), (Phase::After, "after")] {
            let log = log.clone();
            reactor.add_system_event_trigger(phase, "shutdown", move || log.add(what));
        }
        Scene { reactor: reactor.clone(), port, log, open }
    }

    fn at(&self) -> SocketAddr {
        self.port.get_host().expect("it listens").as_inet().expect("it is TCP")
    }

    fn peers(&self, count: usize) -> Vec<Peer> {
        (0..count).map(|_| Peer::connect(&self.reactor, self.at()).expect("it listens")).collect()
    }

    /// Runs until it is stopped, which `script` does, once so many connections are there.
    fn run(&self, count: usize, script: impl FnOnce(&[Transport]) + 'static) -> Vec<String> {
        self.when_open(count, Box::new(script));
        self.reactor.run_without_signal_handlers().expect("it ends in order");
        self.open.take();
        self.log.all()
    }

    fn when_open(&self, count: usize, script: Box<dyn FnOnce(&[Transport])>) {
        let (open, script) = (self.open.clone(), RefCell::new(Some(script)));
        let looking = twistor::task::LoopingCall::with_handle(&self.reactor, move |looking| {
            if open.borrow().len() == count {
                let _ = looking.stop();
                let all = open.borrow().clone();
                script.take().expect("once")(&all);
            }
        });
        looking.start(Duration::from_millis(1), true).or_log("looking");
    }
}

fn stop() {
    Reactor::current().stop().expect("it runs");
}

const DONE: &str = "lost: connection was closed cleanly";
const ABORTED: &str = "lost: connection was aborted by this side";
const LOST: &str = "lost: connection to the other side was lost";

/// They still work meanwhile, and nobody else is let in.
fn it_ends_with_the_last_connection(reactor: &Reactor) -> Result<()> {
    reactor.drain_at_stop(LONG);
    let scene = Scene::new(reactor);
    let (peers, at) = (scene.peers(2), scene.at());
    let told = scene.log.clone();
    let log = scene.run(2, move |open| {
        stop();
        let (first, second) = (open[0].clone(), open[1].clone());
        let reactor = Reactor::current();
        reactor.call_later(SHORT, move || {
            let refused = Peer::connect(&Reactor::current(), at).is_err();
            told.add(format!("refused: {refused}, running: {}", Reactor::current().running()));
            first.write("still here");
            first.lose_connection();
        });
        reactor.call_later(2 * SHORT, move || second.lose_connection());
    });
    let order = ["before", "refused: true, running: true", DONE, DONE, "during", "after"];
    assert_eq!(log, order);
    let mut all = vec![0; 100];
    let received: Vec<_> = peers.iter().filter_map(|peer| peer.receive(&mut all).ok()).collect();
    assert!(received.contains(&"still here".len()));
    Ok(())
}
on_both!(it_ends_with_the_last_connection);

fn at_the_deadline_who_is_left_is_aborted(reactor: &Reactor) {
    reactor.drain_at_stop(SHORT);
    let scene = Scene::new(reactor);
    let _peers = scene.peers(3);
    let log = scene.run(3, |open| {
        stop();
        open[1].lose_connection();
    });
    // The one that ends is told by the system when it comes to that.
    assert_eq!(log, ["before", DONE, ABORTED, ABORTED, "during", "after"]);
}
on_both!(at_the_deadline_who_is_left_is_aborted);

/// Of ports that the program has stopped itself too, and each once.
fn what_a_stopped_port_has_accepted_is_waited_for(reactor: &Reactor) {
    reactor.drain_at_stop(LONG);
    let scene = Scene::new(reactor);
    let _peers = scene.peers(2);
    let port = scene.port.clone();
    let log = scene.run(2, move |open| {
        drop(port.stop_listening());
        stop();
        let open = open.to_vec();
        Reactor::current().call_later(SHORT, move || open.iter().for_each(Transport::lose_connection));
    });
    assert_eq!(log, ["before", DONE, DONE, "during", "after"]);
    assert_eq!(reactor.get_delayed_calls().len(), 0, "no deadline is left");
}
on_both!(what_a_stopped_port_has_accepted_is_waited_for);

/// A client's connection is the program's to end.
fn what_it_has_connected_to_is_not_waited_for(reactor: &Reactor) {
    reactor.drain_at_stop(LONG);
    let scene = Scene::new(reactor);
    let listener = twistor::testing::PeerListener::bind(reactor, ([127, 0, 0, 1], 0)).expect("it listens");
    let (log, open) = (scene.log.clone(), scene.open.clone());
    let to = listener.local_address().expect("it listens");
    let echo = factory(move |_| Echo { log: log.clone(), open: open.clone() });
    reactor.connect_tcp(to, echo);
    let log = scene.run(1, |_| stop());
    assert_eq!(log, ["before", LOST, "during", "after"]);
}
on_both!(what_it_has_connected_to_is_not_waited_for);

fn without_a_deadline_they_are_lost_at_once(reactor: &Reactor) {
    let scene = Scene::new(reactor);
    let _peers = scene.peers(1);
    let log = scene.run(1, |_| stop());
    assert_eq!(log, ["before", LOST, "during", "after"]);
}
on_both!(without_a_deadline_they_are_lost_at_once);
