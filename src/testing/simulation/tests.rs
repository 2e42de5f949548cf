//! The world below the virtual reactor: that it is as the kernel's, and how time goes by.

mod faults;
mod network;
mod time;

use super::*;
use crate::{Context, Protocol, factory, tcp::ListeningPort};
use std::{
    cell::RefCell,
    sync::{Arc, Mutex},
};

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// For the tests of the reactor as well.
impl Simulation {
    /// From now on each look at the clock puts it on, as on a real one.
    pub(crate) fn tick(&self, by: Duration) {
        self.world.tick.set(by);
    }

    /// How often something was sent on a connection.
    pub(crate) fn sends(&self) -> usize {
        self.trace().to_string().matches(" send: ").count()
    }

    /// Whether the first reactor's alarm was rung, and it has not looked yet.
    pub(crate) fn is_rung(&self) -> bool {
        self.world.bells.is_rung(0)
    }
}

/// What happened, in order.
#[derive(Clone, Default)]
struct Log(Rc<RefCell<Vec<String>>>);

impl Log {
    fn add(&self, what: impl Into<String>) {
        self.0.borrow_mut().push(what.into());
    }

    /// What happened since the last look.
    fn take(&self) -> Vec<String> {
        self.0.take()
    }

    fn note(&self, what: &'static str) -> impl FnOnce() + 'static {
        let log = self.clone();
        move || log.add(what)
    }
}

/// Sends back what comes.
struct Echo;

impl Protocol for Echo {
    fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        cx.write(data);
    }
}

fn echo(reactor: &Reactor) -> ListeningPort {
    reactor.listen_tcp(("127.0.0.1", 7), factory(|_| Echo)).unwrap()
}

fn local(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}
