use twistor::defer::Deferred;

fn main() {
    let (_deferred, promise) = Deferred::<u32>::pending();
    promise.callback(7);
    promise.callback(8);
}
