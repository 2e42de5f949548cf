use twistor::{Result, defer::Deferred};

struct Finger {
    asked: usize,
}

impl Finger {
    fn lookup(&mut self, user: Deferred<String>) {
        user.add_callback(|name| self.got_user(name));
    }

    fn got_user(&mut self, name: String) -> Result<usize> {
        self.asked += 1;
        Ok(name.len())
    }
}

fn main() {
    let (user, _promise) = Deferred::<String>::pending();
    Finger { asked: 0 }.lookup(user);
}
