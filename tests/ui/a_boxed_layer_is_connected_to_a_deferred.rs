use twistor::{Protocol, Reactor, boxed};

struct Quiet;
impl Protocol for Quiet {}

fn main() -> twistor::Result<()> {
    Reactor::new()?.connect_protocol(("localhost", 7), boxed(Quiet)).or_log("connect");
    Ok(())
}
