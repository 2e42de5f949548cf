use twistor::{Failure, defer::Deferred};

fn main() {
    let (first, start) = Deferred::<u32>::pending();
    let (_second, promise) = Deferred::<u32>::pending();
    first.add_callback(move |n| {
        promise.callback(n);
    });
    promise.errback(Failure::msg("too late"));
    start.callback(1);
}
