use twistor::defer::Deferred;

fn main() {
    let (deferred, promise) = Deferred::<u32>::pending();
    std::thread::spawn(move || drop(deferred));
    promise.callback(1);
}
