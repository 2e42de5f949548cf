//! A program with one of each: a listener, connections, a lookup, nested chains, a task that awaits, a forgotten promise.

use crate::at;
use std::{cell::RefCell, rc::Rc, time::Duration};
use twistor::{
    Address, Context, DatagramContext, DatagramProtocol, Protocol, Reactor,
    defer::{Deferred, DeferredLock, Promise, gather_results},
    factory,
    protocols::basic::{LineProtocol, LineReceiver},
    report,
    snapshot::{Entry, Kind, Snapshot, State},
    testing::on_both,
};

/// The server's side. When a line comes it makes chains that nobody fires, writes what nobody reads, and looks.
struct Server {
    seen: Rc<RefCell<Option<Snapshot>>>,
    kept: Vec<Promise<u8>>,
}

impl LineProtocol for Server {
    fn line_received(&mut self, cx: &Context<Self>, _line: &[u8]) {
        let (innermost, promise) = Deferred::<u8>::pending(); // @innermost
        self.kept.push(promise);
        let innermost = innermost.add_callback(|n| Ok(n + 1)); // @innermost stage
        let (inner, start_inner) = Deferred::<()>::pending(); // @inner
        let inner = inner
            .add_callback(move |()| innermost) // @inner waits
            .add_callback(|n| Ok(n + 1)); // @inner stage
        let (outer, start_outer) = Deferred::<()>::pending(); // @outer
        outer
            .add_callback(move |()| inner) // @outer waits
            .add_callback(|n| Ok(n + 1)) // @outer stage
            .or_log("outer"); // @outer end
        start_outer.callback(());
        start_inner.callback(());
        cx.write(vec![b'x'; 1000]);
        let reactor = Reactor::current();
        reactor.call_later(Duration::from_secs(30), || ()); // @timer
        // Whatever it comes to, it comes in a later turn: the lookup is seen under way.
        reactor.connect_tcp(("a.name.invalid", 80), factory(|_| Client)); // @lookup
        self.seen.replace(Some(reactor.snapshot()));
        reactor.stop().expect("it runs");
    }
}

struct Client;

impl Protocol for Client {
    fn connection_made(&mut self, cx: &Context<Self>) {
        cx.write("a line\r\nand a half");
        cx.pause_producing();
    }
}

struct Ignore;

impl DatagramProtocol for Ignore {
    fn datagram_received(&mut self, _cx: &DatagramContext<Self>, _data: &[u8], _from: &Address) {}
}

fn run(reactor: &Reactor) -> Snapshot {
    // At the end what nobody has fired is abandoned: that is the program.
    let _hook = report::hook(|_| ());
    let seen: Rc<RefCell<Option<Snapshot>>> = Rc::default();
    let server = factory({
        let seen = seen.clone();
        move |_| LineReceiver::new(Server { seen: seen.clone(), kept: vec![] })
    });
    let port = reactor.listen_tcp(("127.0.0.1", 0), server).expect("a free port"); // @listen
    let to = port.get_host().expect("it listens").as_inet().expect("TCP");
    reactor.listen_udp(("127.0.0.1", 0), Ignore).expect("a free port"); // @udp
    reactor.connect_tcp(to, factory(|_| Client)); // @connect

    let (forgotten, promise) = Deferred::<u8>::pending(); // @forgotten
    forgotten.map(|n| n + 1).or_log("forgotten"); // @forgotten stage

    let (awaited, _awaited) = Deferred::<u8>::pending(); // @awaited
    let task = reactor.spawn(async move { Ok(awaited.await? + 1) }); // @task
    task.or_log("task");

    let (first, _first) = Deferred::<u8>::pending(); // @first
    let (second, _second) = Deferred::<u8>::pending(); // @second
    gather_results([first, second]).or_log("both"); // @both
    let lock = DeferredLock::new();
    lock.acquire().or_log("holds the lock");
    lock.acquire().or_log("waits for the lock"); // @lock
    reactor.run_without_signal_handlers().expect("it ends");
    promise.callback(1);
    seen.take().expect("it was looked at")
}

/// The one entry that was made there, of those that `is` takes.
fn find<'a>(snapshot: &'a Snapshot, place: &str, is: impl Fn(&Kind) -> bool) -> &'a Entry {
    let here = |entry: &&Entry| format!("{}:{}", entry.made.file(), entry.made.line()) == place;
    let found: Vec<_> = snapshot.entries.iter().filter(here).filter(|entry| is(&entry.kind)).collect();
    assert_eq!(found.len(), 1, "made {place}: {found:#?}\n{snapshot}");
    found[0]
}

fn lines(places: &[twistor::trace::Place]) -> Vec<String> {
    places.iter().map(|place| format!("{}:{}", place.file(), place.line())).collect()
}

fn parent<'a>(snapshot: &'a Snapshot, entry: &Entry) -> Option<&'a Entry> {
    snapshot.parent(entry)
}

on_both!(each_is_shown_under_the_right_parent_with_the_right_place);
fn each_is_shown_under_the_right_parent_with_the_right_place(reactor: &Reactor) {
    let seen = run(reactor);
    let any = |_: &Kind| true;
    let listener = find(&seen, &at!("listen"), |kind| matches!(kind, Kind::Listener { .. }));
    assert_eq!(parent(&seen, listener), None);
    let served = find(&seen, &at!("listen"), |kind| matches!(kind, Kind::Connection { .. }));
    assert_eq!(parent(&seen, served), Some(listener));
    let Kind::Connection { incoming, outgoing, reading_paused, .. } = &served.kind else { unreachable!() };
    assert_eq!((*incoming, *outgoing, *reading_paused), (10, 1000, None), "half a line in, 1000 bytes out");

    let connector = find(&seen, &at!("connect"), |kind| matches!(kind, Kind::Client { connected: true, .. }));
    let client = find(&seen, &at!("connect"), |kind| matches!(kind, Kind::Connection { .. }));
    assert_eq!(parent(&seen, client), Some(connector));
    assert!(matches!(&client.kind, Kind::Connection { reading_paused: Some(_), .. }));
    find(&seen, &at!("udp"), |kind| matches!(kind, Kind::Udp { .. }));

    // The lookup: the job and the patience with it are the connector's.
    let looks = find(&seen, &at!("lookup"), |kind| matches!(kind, Kind::Client { connected: false, .. }));
    let job = find(&seen, &at!("lookup"), |kind| matches!(kind, Kind::Job { .. }));
    assert_eq!(parent(&seen, job), Some(looks));
    assert!(matches!(&job.kind, Kind::Job { what, .. } if what == "lookup of a.name.invalid"));
    let patience = find(&seen, &at!("lookup"), |kind| matches!(kind, Kind::Timer { .. }));
    assert_eq!(parent(&seen, patience), Some(looks));

    // The nested chains.
    let outer = find(&seen, &at!("outer"), any);
    let inner = find(&seen, &at!("inner"), any);
    let innermost = find(&seen, &at!("innermost"), any);
    assert_eq!(parent(&seen, outer), Some(served), "it was made in the callback of this connection");
    assert_eq!((parent(&seen, inner), parent(&seen, innermost)), (Some(outer), Some(inner)));
    assert_eq!(lines(outer.at.as_slice()), [at!("outer waits")]);
    assert_eq!(lines(inner.at.as_slice()), [at!("inner waits")]);
    assert_eq!(lines(&outer.then), [at!("outer stage"), at!("outer end")]);
    assert_eq!(lines(&inner.then), [at!("inner stage")]);
    assert_eq!(lines(&innermost.then), [at!("innermost stage")]);
    assert_eq!(innermost.kind, Kind::Chain(State::Unfired));
    assert_eq!(outer.kind, Kind::Chain(State::Waiting));
    let timer = find(&seen, &at!("timer"), any);
    assert_eq!(parent(&seen, timer), Some(served));

    // At the root: a task with what it awaits, a forgotten promise, a combination, one in line.
    let task = find(&seen, &at!("task"), any);
    let awaited = find(&seen, &at!("awaited"), any);
    assert_eq!((parent(&seen, task), parent(&seen, awaited)), (None, Some(task)));
    assert_eq!(lines(task.at.as_slice()), [at!("task")]);
    let forgotten = find(&seen, &at!("forgotten"), any);
    assert_eq!(parent(&seen, forgotten), None);
    assert_eq!(forgotten.then.first().map(|place| lines(&[place]).remove(0)), Some(at!("forgotten stage")));
    let both = find(&seen, &at!("both"), any);
    assert_eq!(both.kind, Kind::Chain(State::Combined));
    assert_eq!(parent(&seen, find(&seen, &at!("first"), any)), Some(both));
    assert_eq!(parent(&seen, find(&seen, &at!("second"), any)), Some(both));
    assert_eq!(find(&seen, &at!("lock"), any).kind, Kind::Chain(State::InLine));

    // Nothing else, and nothing without an age.
    assert_eq!(seen.entries.len(), 19, "{seen}");
    assert!(seen.entries.iter().all(|entry| entry.age.is_some()), "{seen}");
    println!("{seen}\n{}", seen.to_json());
}

on_both!(it_is_plain_data_that_outlives_the_reactor);
/// A snapshot is data: it can be read elsewhere, when what it tells of is gone.
fn it_is_plain_data_that_outlives_the_reactor(reactor: &Reactor) {
    fn is_send<T: Send + Sync + Clone + 'static>(_: &T) {}
    let seen = run(reactor);
    is_send(&seen);
    let text = std::thread::spawn(move || seen.to_string()).join().expect("it is rendered in another thread");
    assert!(text.contains("waits in callback"), "{text}");
}
