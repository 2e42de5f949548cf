use twistor::defer::Deferred;

fn main() {
    let (deferred, _promise) = Deferred::<u32>::pending();
    let _next = deferred.add_async(async |n| n + 1);
}
