//! What goes wrong by chance: that each kind does, that nothing else does, and that a seed is a promise.

use super::{super::faults::Chance, *};
use crate::{
    Address, ClientFactory, Connector, DatagramContext, DatagramProtocol, Factory, Failure,
    ReconnectingClientFactory,
    error::{ConnectError, ConnectErrorKind, ConnectionDone, ConnectionLost},
};

/// A client that sends so many bytes, and notes what comes of it.
struct Client(Log, usize);

struct Sender(Log, usize);

impl Protocol for Sender {
    fn connection_made(&mut self, cx: &Context<Self>) {
        cx.write(vec![7; self.1]);
    }

    fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        self.1 -= data.len();
        if self.1 == 0 {
            self.0.add("all");
            cx.lose_connection();
        }
    }

    fn connection_lost(&mut self, _cx: &Context<Self>, why: Failure) {
        let done = why.check::<ConnectionDone>();
        self.0.add(if done {
            "done"
        } else if why.check::<ConnectionLost>() {
            "lost"
        } else {
            "other"
        });
    }
}

impl Factory for Client {
    type Protocol = Sender;
    fn build_protocol(&self, _peer: &Address) -> Option<Sender> {
        Some(Sender(self.0.clone(), self.1))
    }
}

impl ClientFactory for Client {
    fn client_connection_failed(&self, _connector: &Connector, why: Failure) {
        let error = why.value::<ConnectError>().map(ConnectError::kind);
        self.0.add(match error {
            Some(ConnectErrorKind::Refused) => "refused",
            Some(ConnectErrorKind::Bind) => "no descriptor",
            _ => "other",
        });
    }
}

/// A client and an echo in one world; what happened, and the trace.
fn one_connection(seed: u64, faults: Faults, bytes: usize) -> (Vec<String>, Trace, Duration) {
    let sim = Simulation::from_seed(seed);
    sim.faults(faults);
    let (server, client) = (sim.reactor(), sim.reactor());
    echo(&server);
    let log = Log::default();
    client.connect_tcp(local(7), Client(log.clone(), bytes));
    sim.run_until_idle();
    (log.take(), sim.trace(), sim.now())
}

fn count(trace: &Trace, kind: Fault) -> usize {
    trace.to_string().matches(&format!("fault: {kind}\n")).count()
}

const WHOLE: usize = 100_000;

#[test]
fn without_faults_there_are_none() {
    let (log, trace, now) = one_connection(1, Faults::none(), WHOLE);
    assert_eq!((log, now), (vec!["all".to_string(), "done".to_string()], Duration::ZERO));
    assert!(!trace.to_string().contains("fault"));
    assert_eq!(trace.hash(), one_connection(2, Faults::none(), WHOLE).1.hash());
}

/// What a program should not notice: it takes longer, or more calls.
#[test]
fn what_is_slow_or_in_parts_arrives_all_the_same() {
    for kind in [Fault::Delay, Fault::PartialRead, Fault::PartialWrite, Fault::FullBuffer, Fault::Order] {
        let mut struck = 0;
        for seed in 0..10 {
            let (log, trace, now) = one_connection(seed, Faults::none().with(kind, 0.5), WHOLE);
            assert_eq!(log, ["all", "done"], "{kind}, seed {seed}");
            struck += count(&trace, kind);
            let takes_time = matches!(kind, Fault::Delay | Fault::FullBuffer) && count(&trace, kind) > 0;
            assert_eq!(now > Duration::ZERO, takes_time, "{kind}, seed {seed}");
        }
        assert!(kind == Fault::Order || struck > 0, "{kind}");
    }
}

#[test]
fn what_ends_a_connection_is_told_as_what_it_is() {
    for (kind, told) in [
        (Fault::Reset, "lost"),
        (Fault::Close, "lost"), // what it then wrote met nobody
        (Fault::Refusal, "refused"),
        (Fault::NoDescriptor, "no descriptor"),
    ] {
        let (log, trace, _) = one_connection(1, Faults::none().with(kind, 1.0), WHOLE);
        assert_eq!(log, [told], "{kind}: {trace}");
    }
}

/// A port that has no descriptor for one that connects turns it away, and accepts others later.
#[test]
fn a_port_without_a_descriptor_turns_away() {
    let sim = Simulation::new();
    sim.faults(Faults::none().with(Fault::NoDescriptor, 1.0));
    let server = sim.reactor();
    echo(&server);
    let peer = sim.connect(local(7)).unwrap();
    sim.pump();
    assert!(peer.is_at_end());
    sim.faults(Faults::none());
    let peer = sim.connect(local(7)).unwrap();
    peer.send("x").unwrap();
    sim.run_until_idle();
    assert_eq!(peer.received(), b"x");
}

/// Counts what it hears.
struct Hears(Log);

impl DatagramProtocol for Hears {
    fn datagram_received(&mut self, _cx: &DatagramContext<Self>, data: &[u8], _from: &Address) {
        self.0.add(String::from_utf8_lossy(data));
    }
}

#[test]
fn datagrams_get_lost_late_and_doubled() {
    let heard = |kind, probability| {
        let sim = Simulation::new();
        sim.faults(Faults::none().with(kind, probability));
        let reactor = sim.reactor();
        let log = Log::default();
        let port = reactor.listen_udp(("127.0.0.1", 9), Hears(log.clone())).unwrap();
        for n in 10..20 {
            port.write_to(n.to_string(), &local(9).into()).unwrap();
        }
        sim.run_until_idle();
        log.take()
    };
    let sent: Vec<_> = (10..20).map(|n| n.to_string()).collect();
    assert_eq!(heard(Fault::DatagramLoss, 1.0), [""; 0]);
    assert_eq!(
        heard(Fault::DatagramDuplication, 1.0),
        sent.iter().flat_map(|n| [&n[..]; 2]).collect::<Vec<_>>()
    );
    let mut late = heard(Fault::DatagramReorder, 0.5);
    assert_ne!(late, sent);
    late.sort();
    assert_eq!(late, sent);
}

/// Three ports that hear at once.
#[test]
fn sockets_that_are_ready_at_once_are_told_in_any_order() {
    let heard = |seed, faults| {
        let sim = Simulation::from_seed(seed);
        sim.faults(faults);
        let (reactor, log) = (sim.reactor(), Log::default());
        let ports =
            [9, 10, 11].map(|port| reactor.listen_udp(("127.0.0.1", port), Hears(log.clone())).unwrap());
        for to in [9, 10, 11] {
            ports[0].write_to(to.to_string(), &local(to).into()).unwrap();
        }
        sim.pump();
        (log.take(), sim.struck())
    };
    let sorted = ["9", "10", "11"].map(String::from).to_vec();
    assert_eq!(heard(0, Faults::none()), (sorted.clone(), vec![]));
    let orders = (0..20).map(|seed| {
        let (mut order, struck) = heard(seed, Faults::none().with(Fault::Order, 1.0));
        assert_eq!(struck, [Fault::Order]);
        let told = order.clone();
        order.sort_by_key(|port| port.parse::<u16>().unwrap());
        assert_eq!(order, sorted);
        told
    });
    assert!(orders.collect::<std::collections::BTreeSet<_>>().len() > 3);
}

/// Faults that are set in the middle of a run do not begin it anew: the numbers that the seed runner tells go on.
#[test]
fn other_faults_leave_what_has_struck() {
    let sim = Simulation::new();
    sim.faults(Faults::none().with(Fault::Refusal, 1.0));
    let (server, client) = (sim.reactor(), sim.reactor());
    echo(&server);
    let attempt = || {
        client.connect_tcp(local(7), Client(Log::default(), 1));
        sim.run_until_idle();
    };
    attempt();
    sim.faults(Faults::none());
    attempt();
    sim.faults(Faults::none().with(Fault::Refusal, 1.0));
    attempt();
    assert_eq!(sim.strikes(), [(Fault::Refusal, 0), (Fault::Refusal, 1)]);
}

#[test]
fn the_clock_jumps_past_a_deadline() {
    let sim = Simulation::new();
    sim.faults(Faults::none().with(Fault::ClockJump, 1.0).lasting(Fault::ClockJump, secs(2)..=secs(3)));
    let reactor = sim.reactor();
    let log = Log::default();
    for at in [1, 2] {
        let log = log.clone();
        reactor.call_later(secs(at), move || log.add((Reactor::current().now() >= secs(3)).to_string()));
    }
    sim.run_until_idle();
    assert_eq!(log.take(), ["true", "true"]);
}

#[test]
fn the_same_seed_gives_the_same_trace_and_another_another() {
    let traces: Vec<_> = (0..20).map(|seed| one_connection(seed, Faults::all(), WHOLE).1).collect();
    for (seed, trace) in traces.iter().enumerate() {
        let again = one_connection(seed as u64, Faults::all(), WHOLE).1;
        assert_eq!((trace.to_string(), trace.hash()), (again.to_string(), again.hash()));
        println!("seed {seed}: {trace:?}");
    }
    let hashes: std::collections::BTreeSet<_> = traces.iter().map(Trace::hash).collect();
    // Some end with their first call.
    assert!(hashes.len() > 15, "{hashes:?}");
}

/// Written down, so that it is seen when it is not the same on another machine, or not the same any more. If the loop makes its calls in another
/// order, or one more, then the new one is right.
#[test]
fn the_hash_of_a_seed_is_this() {
    let (_, trace, _) = one_connection(7, Faults::all(), 1000);
    assert_eq!(format!("{trace:?}"), "Trace(16 lines, hash f2502e6073815d9a)", "{trace}");
}

#[test]
fn what_else_is_left_to_chance_comes_from_the_seed_too() {
    let attempts = |seed| {
        let sim = Simulation::from_seed(seed);
        let reactor = sim.reactor();
        let client = ReconnectingClientFactory::new(&reactor, Client(Log::default(), 1)).max_retries(9);
        reactor.connect_tcp(local(7), client);
        sim.run_until_idle();
        sim.trace().hash()
    };
    assert_eq!(attempts(1), attempts(1));
    assert_ne!(attempts(1), attempts(2));
}

/// To leave out a kind leaves the others where they were, as long as the program does the same.
#[test]
fn each_kind_has_a_chance_of_its_own() {
    let struck = |faults| {
        let mut chance = Chance::new(3);
        chance.faults = faults;
        let all = (0..100).map(|_| chance.strikes(Fault::Reset).is_some());
        let resets: Vec<bool> = all.collect();
        (0..100).for_each(|_| {
            chance.strikes(Fault::Close);
        });
        resets
    };
    let both = Faults::none().with(Fault::Reset, 0.5).with(Fault::Close, 0.5);
    assert_eq!(struck(both.clone()), struck(both.without(Fault::Close)));
}
