//! What a Deferred costs, beside `malloc` and `free` of 72 bytes, which is the floor of a stage.

use divan::{Bencher, black_box, counter::ItemsCount};
use twistor::defer::{Deferred, succeed};

fn main() {
    divan::main();
}

#[divan::bench(name = "malloc and free of 72 bytes")]
fn floor() {
    drop(black_box(Box::new([0_u8; 72])));
}

/// Each callback is one item.
#[divan::bench(name = "made, 3 callbacks, fired")]
fn three_callbacks(bencher: Bencher<'_, '_>) {
    let k = black_box(1_u64);
    bencher.counter(ItemsCount::new(3_u32)).bench_local(|| {
        let (deferred, promise) = Deferred::<u64>::pending();
        let deferred = deferred
            .add_callback(move |n| Ok(n + k))
            .add_callback(move |n| Ok(n + k))
            .add_callback(move |n| Ok(n ^ k));
        promise.callback(black_box(1));
        drop(black_box(deferred));
    });
}

/// Each callback is one item.
#[divan::bench(name = "a chain of callbacks, fired", args = [1_000, 1_000_000])]
fn chain(bencher: Bencher<'_, '_>, length: u32) {
    let k = black_box(1_u64);
    bencher.counter(ItemsCount::new(length)).bench_local(|| {
        let (mut deferred, promise) = Deferred::<u64>::pending();
        for _ in 0..length {
            deferred = deferred.add_callback(move |n| Ok(n + k));
        }
        promise.callback(black_box(1));
        drop(black_box(deferred));
    });
}

/// Each callback is one item.
#[divan::bench(name = "has fired, 3 callbacks")]
fn fired(bencher: Bencher<'_, '_>) {
    let k = black_box(1_u64);
    bencher.counter(ItemsCount::new(3_u32)).bench_local(|| {
        let deferred = succeed(black_box(1_u64));
        let deferred = deferred.add_callback(move |n| Ok(n + k)).add_callback(move |n| Ok(n + k));
        drop(black_box(deferred.add_callback(move |n| Ok(n ^ k))));
    });
}

#[divan::bench(name = "waits for another, fired")]
fn inner() {
    let (inner, promise) = Deferred::<u64>::pending();
    let (outer, start) = Deferred::<()>::pending();
    let outer = outer.add_callback(move |()| inner);
    start.callback(());
    promise.callback(black_box(1));
    drop(black_box(outer));
}
