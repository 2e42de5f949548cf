use twistor::defer::Deferred;

fn main() {
    let (length, _promise) = Deferred::<usize>::pending();
    let _length = length.add_errback(|failure| Ok(failure.to_string()));
}
