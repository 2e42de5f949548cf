use twistor::defer::{Deferred, succeed};

fn audit(n: u32) -> Deferred<u32> {
    succeed(n)
}

fn main() {
    let (deferred, _promise) = Deferred::<u32>::pending();
    let _next = deferred.add_callback(|n| {
        if n == 0 {
            return Ok(3);
        }
        audit(n)
    });
}
