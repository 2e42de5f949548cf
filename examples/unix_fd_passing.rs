//! Files for those who cannot open them: the server opens a file and passes the open descriptor over a UNIX socket; the client reads it itself.
//! One program is both.
//!
//! Run with: `cargo run --example unix_fd_passing -- --socket /tmp/files.sock`, then
//! `cargo run --example unix_fd_passing -- --socket /tmp/files.sock --ask Cargo.toml`.
//!
//! You will see the first line of the file, and what the server says of who asked. Ask for `../secret`, or for what is not there.

#[expect(dead_code, reason = "it listens on no port")]
mod support;

use std::{
    fs::File,
    io::{BufRead, BufReader},
    os::fd::OwnedFd,
    path::{Component, Path, PathBuf},
};
use twistor::{
    Context, Failure, Protocol, Reactor, Result, factory,
    protocols::basic::{LineControl, LineProtocol, LineReceiver},
    unix::UnixListen,
};

// ---- the server -----------------------------------------------------------------------------------------------------

/// Opens files of its own directory, by name.
struct Opener;

impl LineProtocol for Opener {
    fn line_received(&mut self, cx: &Context<Self>, line: &[u8]) {
        let name = String::from_utf8_lossy(line).into_owned();
        let who = cx.peer_credentials().map_or("somebody".into(), |peer| format!("user {}", peer.uid));
        println!("{who} asks for {name}");
        match open(Path::new(&name)) {
            // The descriptor goes with the first byte that is written after it, and is there before that.
            Ok(file) => match cx.send_file_descriptor(file) {
                Ok(()) => cx.send_line("here it is"),
                Err(error) => cx.fail(error),
            },
            Err(error) => cx.send_line(format!("no: {error}")),
        }
    }
}

/// A file of this directory alone.
fn open(name: &Path) -> std::io::Result<File> {
    match name.components().collect::<Vec<_>>()[..] {
        [Component::Normal(name)] => File::open(name),
        _ => Err(std::io::Error::other("only the name of a file, without a directory")),
    }
}

// ---- the client -----------------------------------------------------------------------------------------------------

/// Asks for a file, and prints its first line.
struct Asker {
    name: String,
    file: Option<File>,
}

impl Protocol for Asker {
    fn connection_made(&mut self, cx: &Context<Self>) {
        cx.write(format!("{}\r\n", self.name));
    }

    fn file_descriptor_received(&mut self, _cx: &Context<Self>, descriptor: OwnedFd) {
        self.file = Some(descriptor.into());
    }

    fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        print!("{}", String::from_utf8_lossy(data));
        if let Some(file) = self.file.take() {
            match BufReader::new(file).lines().next() {
                Some(Ok(line)) => println!("{line}"),
                Some(Err(error)) => println!("it cannot be read: {error}"),
                None => println!("it is empty"),
            }
        }
        cx.lose_connection();
    }

    fn connection_lost(&mut self, _cx: &Context<Self>, _why: Failure) {
        let _ = Reactor::current().stop(); // nothing else is to be done
    }
}

fn main() -> Result<()> {
    let socket: PathBuf = support::option("--socket")?.unwrap_or_else(|| "files.sock".into());
    let reactor = Reactor::new()?;
    if let Some(name) = support::option::<String>("--ask")? {
        reactor.connect_unix(&socket, factory(move |_peer| Asker { name: name.clone(), file: None }));
        return reactor.run();
    }
    // For this user alone. If a server before was killed, its socket is replaced.
    let at = UnixListen::new(&socket).mode(0o600).want_pid(true);
    let port = reactor.listen_unix(at, factory(|_peer| LineReceiver::new(Opener)))?;
    println!("listening on {}", port.get_host()?);
    reactor.run()
}
