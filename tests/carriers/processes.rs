//! The pipes of a child process: this program again, which has the server.

use crate::{
    both_ways::BothWays,
    carrier::{Carrier, Open, Side, run},
    cases,
    talker::Log,
};
use async_io::Async;
use std::{env, fs::File, time::Duration};
use twistor::{Reactor, process::Spawn, stream::attach};

pub(crate) struct Processes;

/// In the child it names the server.
const SERVER: &str = "TWISTOR_CARRIERS_SERVER";

impl Carrier for Processes {
    const TELLS_ABORT: bool = false;
    const SHOWS_SERVER: bool = false;

    fn carry(server: Side, client: Side) {
        let (reactor, open) = (Reactor::new().expect("a reactor"), Open::default());
        // What the test's own frame prints is not to be among what the server says.
        let script = r#"exec "$0" --exact processes::serve 3<&0 4>&1 >/dev/null 2>&1"#;
        let this = env::current_exe().expect("a program");
        let how = Spawn::new("/bin/sh").args(["-c", script]).args([this]).env(SERVER, server.name);
        let client = client.end(&open);
        let process_over = open.clone();
        open.one_more();
        let r = reactor.clone();
        reactor.call_later(Duration::ZERO, move || {
            let stream = r.connect_process(how).expect("it is started");
            stream.process().ended().add_callback(move |()| process_over.lost()).or_log("the child");
            attach(client, stream).expect("a reactor");
        });
        run(&reactor, &open);
    }
}

/// The child's side of it; nothing in the test's own process.
#[test]
fn serve() {
    let Ok(name) = env::var(SERVER) else { return };
    let (reactor, open) = (Reactor::new().expect("a reactor"), Open::default());
    let name: &'static str = name.leak();
    let server = Side::new(name, move || cases::server(name, &Log::default())).end(&open);
    reactor.call_later(Duration::ZERO, move || {
        let input = File::open("/proc/self/fd/3").expect("a pipe");
        let output = File::options().write(true).open("/proc/self/fd/4").expect("a pipe");
        let pipes = BothWays(Async::new(input).expect("a pipe"), Async::new(output).expect("a pipe"));
        attach(server, pipes).expect("a reactor");
    });
    run(&reactor, &open);
}
