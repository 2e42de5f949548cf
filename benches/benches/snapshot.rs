//! Reading what is pending: 10,000 Deferreds of two callbacks.

use divan::{Bencher, black_box};
use twistor::{
    Reactor,
    defer::{Deferred, Promise},
};

fn main() {
    divan::main();
}

const WAITING: usize = 10_000;

type Pending = Vec<(Deferred<u64>, Promise<u64>)>;

fn pending() -> (Reactor, Pending) {
    let reactor = Reactor::new().expect("a reactor");
    let chain = || {
        let (deferred, promise) = Deferred::<u64>::pending();
        (deferred.map(|n| n + 1).map(|n| n + 1), promise)
    };
    let pending = (0..WAITING).map(|_| chain()).collect();
    assert_eq!(reactor.snapshot().entries.len(), WAITING);
    (reactor, pending)
}

/// It may take 5 ms at most.
#[divan::bench(name = "snapshot()")]
fn snapshot(bencher: Bencher<'_, '_>) {
    let (reactor, _pending) = pending();
    bencher.bench_local(|| black_box(reactor.snapshot()));
}

#[divan::bench(name = "as a tree")]
fn tree(bencher: Bencher<'_, '_>) {
    let (reactor, _pending) = pending();
    let snapshot = reactor.snapshot();
    bencher.bench_local(|| black_box(snapshot.to_string()));
}

#[divan::bench(name = "as JSON")]
fn json(bencher: Bencher<'_, '_>) {
    let (reactor, _pending) = pending();
    let snapshot = reactor.snapshot();
    bencher.bench_local(|| black_box(snapshot.to_json()));
}
