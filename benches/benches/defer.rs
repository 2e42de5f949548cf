//! What a Deferred costs, beside `malloc` and `free` of 72 bytes, which is the floor of a stage.

use divan::{Bencher, black_box, counter::ItemsCount};
use twistor_bench::chains;

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
    bencher.counter(ItemsCount::new(3_u32)).bench_local(chains::three_callbacks);
}

/// Each callback is one item.
#[divan::bench(name = "a chain of callbacks, fired", args = [1_000, 1_000_000])]
fn chain(bencher: Bencher<'_, '_>, length: usize) {
    bencher.counter(ItemsCount::new(length)).bench_local(|| chains::chain(length));
}

/// Each callback is one item.
#[divan::bench(name = "has fired, 3 callbacks")]
fn fired(bencher: Bencher<'_, '_>) {
    bencher.counter(ItemsCount::new(3_u32)).bench_local(chains::fired);
}

#[divan::bench(name = "waits for another, fired")]
fn inner() {
    chains::inner();
}
