use twistor::defer::Deferred;

fn main() {
    let (length, _promise) = Deferred::<usize>::pending();
    let _either = length.add_callbacks(|n| Ok(n + 1), |failure| Ok(failure.to_string()));
}
