//! What has been pending, or paused, for too long: in virtual time.

use crate::at;
use std::time::Duration;
use twistor::{
    Context, Producer, Protocol, Reactor, Transport,
    defer::Deferred,
    factory,
    snapshot::{Kind, Limits, Lint},
    testing::Simulation,
};

const SECOND: Duration = Duration::from_secs(1);

fn limits(seconds: u32) -> Limits {
    Limits { pending: SECOND * seconds, paused: SECOND * seconds }
}

fn texts(lints: &[Lint]) -> Vec<String> {
    lints.iter().map(Lint::to_string).collect()
}

#[test]
fn deferreds_are_counted_by_the_place_that_made_them_the_oldest_first() {
    let simulation = Simulation::new();
    let reactor = simulation.reactor();
    let kept = std::rc::Rc::new(std::cell::RefCell::new(vec![]));
    let keep = kept.clone();
    reactor.call_later(SECOND, move || {
        for _ in 0..3 {
            keep.borrow_mut().push(Deferred::<u8>::pending()); // @three
        }
    });
    let keep = kept.clone();
    reactor.call_later(SECOND * 5, move || keep.borrow_mut().push(Deferred::<u8>::pending())); // @one
    reactor.spawn(futures::future::pending::<twistor::Result<()>>()).or_log("a task is not among them");
    simulation.advance(SECOND * 11);

    let seen = reactor.snapshot();
    assert_eq!(seen.lints(limits(10)), [], "10 s are not more than 10 s");
    let lints = seen.lints(limits(9));
    let [Lint::Pending { count: 3, oldest, age, .. }] = &lints[..] else { panic!("{lints:?}") };
    assert_eq!((*age, seen.get(*oldest).map(|entry| entry.age)), (SECOND * 10, Some(Some(SECOND * 10))));
    let three = format!("3 deferreds made {} are pending, the oldest, #{oldest}, for 10.0 s", at!("three"));
    assert_eq!(texts(&lints)[0], three);
    let all = texts(&seen.lints(limits(5)));
    assert_eq!((all.len(), &all[0]), (2, &three));
    assert!(all[1].starts_with(&format!("1 deferred made {} is pending, #", at!("one"))), "{}", all[1]);
}

/// Writes until it is paused.
struct Flood(Transport);

impl Producer for Flood {
    fn resume_producing(&self) {
        self.0.write(vec![b'x'; 4 << 20]);
    }

    fn stop_producing(&self) {}
}

struct Floods;

impl Protocol for Floods {
    fn connection_made(&mut self, cx: &Context<Self>) {
        let flood = Flood(cx.transport());
        cx.register_producer(flood, true).expect("the first one");
        cx.write(vec![b'x'; 4 << 20]);
    }
}

struct Deaf;

impl Protocol for Deaf {
    fn connection_made(&mut self, cx: &Context<Self>) {
        cx.pause_producing();
    }
}

#[test]
fn a_peer_that_does_not_read_pauses_a_producer_and_both_ends_are_told_of() {
    let simulation = Simulation::new();
    let reactor: Reactor = simulation.reactor();
    let port = reactor.listen_tcp(("127.0.0.1", 0), factory(|_| Floods)).expect("a free port");
    let to = port.get_host().expect("it listens").as_inet().expect("TCP");
    reactor.connect_tcp(to, factory(|_| Deaf));
    simulation.advance(SECOND);
    assert_eq!(reactor.snapshot().lints(limits(12)), []);
    simulation.advance(SECOND * 12);

    let seen = reactor.snapshot();
    let lints = seen.lints(limits(12));
    let told: Vec<bool> = lints.iter().map(|lint| matches!(lint, Lint::ProducerPaused { .. })).collect();
    assert_eq!(lints.len(), 2, "{lints:?}\n{seen}");
    assert!(told.contains(&true) && told.contains(&false), "{lints:?}");
    for lint in &lints {
        let (id, age) = match lint {
            Lint::ProducerPaused { id, age, outgoing, .. } => {
                assert!(*outgoing > 64 << 10);
                (id, age)
            }
            Lint::ReadingPaused { id, age, .. } => (id, age),
            other => panic!("{other}"),
        };
        assert!(*age > SECOND * 12 && *age <= SECOND * 13, "{lint}");
        assert!(matches!(seen.get(*id).map(|entry| &entry.kind), Some(Kind::Connection { .. })));
    }
}
