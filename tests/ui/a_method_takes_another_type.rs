use twistor::{Result, defer::Deferred};

fn audit(user: &str) -> Result<usize> {
    Ok(user.len())
}

fn main() {
    let (user, _promise) = Deferred::<String>::pending();
    let _length = user.add_callback(audit);
}
