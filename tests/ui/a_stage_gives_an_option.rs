use twistor::defer::Deferred;

fn main() {
    let (deferred, _promise) = Deferred::<Vec<u32>>::pending();
    let _first = deferred.add_callback(|list| list.first().copied());
}
