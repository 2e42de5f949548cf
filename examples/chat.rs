//! A chat for many: a factory that reaches all its protocols.
//!
//! Run with: `cargo run --example chat -- --port 8123`, then `nc -C 127.0.0.1 8123` in two windows.
//!
//! You will see a question for your name, and then what the others write. Ctrl-C ends it, and tells them.

mod support;

use std::{cell::RefCell, collections::BTreeMap};
use twistor::{
    Address, Context, Factory, Failure, Reactor, Result,
    protocols::basic::{LineControl, LineProtocol, LineReceiver},
};

/// Who is there, each by the context of its connection: a cheap handle, through which others reach it.
#[derive(Default)]
pub(crate) struct Room {
    users: RefCell<BTreeMap<String, Context<Chat>>>,
}

impl Room {
    fn tell(&self, line: &str) {
        self.users.borrow().values().for_each(|user| user.send_line(line));
    }

    fn tell_others(&self, name: &str, line: &str) {
        let users = self.users.borrow();
        users.iter().filter(|(user, _)| *user != name).for_each(|(_, user)| user.send_line(line));
    }
}

impl Factory for Room {
    type Protocol = LineReceiver<Chat>;

    fn build_protocol(&self, _peer: &Address) -> Option<LineReceiver<Chat>> {
        Some(LineReceiver::new(Chat::Arriving))
    }
}

pub(crate) enum Chat {
    /// Has not told a name yet.
    Arriving,
    /// Is in the room under this name.
    Here(String),
}

impl LineProtocol for Chat {
    fn connection_made(&mut self, cx: &Context<Self>) {
        cx.send_line("What is your name?");
    }

    fn line_received(&mut self, cx: &Context<Self>, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        match self {
            Chat::Arriving => self.arrive(cx, line.trim()),
            Chat::Here(name) => cx.factory::<Room>().tell_others(name, &format!("<{name}> {line}")),
        }
    }

    fn connection_lost(&mut self, cx: &Context<Self>, _why: Failure) {
        if let Chat::Here(name) = self {
            let room = cx.factory::<Room>();
            room.users.borrow_mut().remove(name);
            room.tell(&format!("* {name} is gone"));
        }
    }
}

impl Chat {
    fn arrive(&mut self, cx: &Context<Self>, name: &str) {
        let room = cx.factory::<Room>();
        if name.is_empty() || room.users.borrow().contains_key(name) {
            return cx.send_line("That name is taken or empty. Another one?");
        }
        room.tell(&format!("* {name} is here"));
        room.users.borrow_mut().insert(name.to_string(), cx.clone());
        cx.send_line(format!("Welcome, {name}!"));
        *self = Chat::Here(name.to_string());
    }
}

fn main() -> Result<()> {
    let reactor = Reactor::new()?;
    let port = reactor.listen_tcp(("127.0.0.1", support::port(8123)?), Room::default())?;
    println!("listening on {}", port.get_host()?);
    reactor.run()
}
