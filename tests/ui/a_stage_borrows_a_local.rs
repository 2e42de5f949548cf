use twistor::defer::Deferred;

fn main() {
    let mut seen = vec![];
    let (deferred, promise) = Deferred::<u32>::pending();
    let _end = deferred.add_callback(|n| {
        seen.push(n);
    });
    promise.callback(1);
    println!("{seen:?}");
}
