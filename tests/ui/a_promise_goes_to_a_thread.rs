use twistor::defer::Deferred;

fn main() {
    let (_deferred, promise) = Deferred::<u32>::pending();
    std::thread::spawn(move || promise.callback(1));
}
