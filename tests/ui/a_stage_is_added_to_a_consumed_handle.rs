use twistor::defer::Deferred;

fn main() {
    let (deferred, promise) = Deferred::<u32>::pending();
    deferred.add_callback(|n| Ok(n + 1));
    deferred.add_callback(|n| Ok(n * 2));
    promise.callback(1);
}
