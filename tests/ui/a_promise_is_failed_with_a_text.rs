use twistor::defer::Deferred;

fn main() {
    let (_deferred, promise) = Deferred::<u32>::pending();
    promise.errback("no such user");
}
