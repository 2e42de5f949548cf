//! The Deferreds that are measured: for their instructions, for their time, and beside their peers.

use std::hint::black_box;

use twistor::defer::{Deferred, succeed};

/// Made, 3 callbacks, fired.
#[inline]
pub fn three_callbacks() {
    let k = black_box(1_u64);
    let (deferred, promise) = Deferred::<u64>::pending();
    let deferred = deferred
        .add_callback(move |n| Ok(n + k))
        .add_callback(move |n| Ok(n + k))
        .add_callback(move |n| Ok(n ^ k));
    promise.callback(black_box(1));
    drop(black_box(deferred));
}

/// Made, so many callbacks, fired.
#[inline]
pub fn chain(length: usize) {
    let k = black_box(1_u64);
    let (mut deferred, promise) = Deferred::<u64>::pending();
    for _ in 0..length {
        deferred = deferred.add_callback(move |n| Ok(n + k));
    }
    promise.callback(black_box(1));
    drop(black_box(deferred));
}

/// Has fired, 3 callbacks.
#[inline]
pub fn fired() {
    let k = black_box(1_u64);
    let deferred = succeed(black_box(1_u64));
    let deferred = deferred.add_callback(move |n| Ok(n + k)).add_callback(move |n| Ok(n + k));
    drop(black_box(deferred.add_callback(move |n| Ok(n ^ k))));
}

/// Waits for another, which is fired.
#[inline]
pub fn inner() {
    let (inner, promise) = Deferred::<u64>::pending();
    let (outer, start) = Deferred::<()>::pending();
    let outer = outer.add_callback(move |()| inner);
    start.callback(());
    promise.callback(black_box(1));
    drop(black_box(outer));
}
