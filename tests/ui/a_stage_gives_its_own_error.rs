use std::{error::Error, fmt};
use twistor::defer::Deferred;

#[derive(Debug)]
struct NoSuchUser;

impl fmt::Display for NoSuchUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no such user")
    }
}

impl Error for NoSuchUser {}

fn main() {
    let (user, _promise) = Deferred::<u32>::pending();
    let _user = user.add_callback(|id| if id == 0 { Err(NoSuchUser) } else { Ok(id) });
}
