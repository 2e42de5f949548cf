//! What the programs have in common: their reactors, and the end of all of them.

use crate::watched::{Book, Watched};
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};
use twistor::{
    ClientFactory, DatagramContext, DatagramProtocol, Factory, Reactor,
    tcp::ListeningPort,
    testing::{Fault, Guard, Simulation},
};

/// The faults after which a connection need not be complete.
const CUTS: [Fault; 4] = [Fault::Reset, Fault::Close, Fault::Refusal, Fault::NoDescriptor];

pub(crate) struct World<'a> {
    pub(crate) sim: &'a Simulation,
    reactors: RefCell<Vec<Reactor>>,
    books: RefCell<Vec<Rc<Book>>>,
    ports: Cell<usize>,
    /// Of what nobody handles, and of what is left.
    guard: Guard,
}

impl<'a> World<'a> {
    pub(crate) fn new(sim: &'a Simulation) -> World<'a> {
        World {
            sim,
            reactors: RefCell::default(),
            books: RefCell::default(),
            ports: Cell::new(0),
            guard: Guard::new(),
        }
    }

    pub(crate) fn reactor(&self) -> Reactor {
        let reactor = self.sim.reactor();
        self.reactors.borrow_mut().push(reactor.clone());
        reactor
    }

    pub(crate) fn listen(&self, reactor: &Reactor, port: u16, factory: impl Factory) -> ListeningPort {
        self.ports.set(self.ports.get() + 1);
        reactor.listen_tcp(("127.0.0.1", port), self.watched(factory)).expect("it is free")
    }

    pub(crate) fn connect(&self, reactor: &Reactor, port: u16, factory: impl ClientFactory) {
        reactor.connect_tcp(("127.0.0.1", port), self.watched(factory));
    }

    pub(crate) fn listen_udp<P: DatagramProtocol>(
        &self,
        reactor: &Reactor,
        port: u16,
        protocol: P,
    ) -> DatagramContext<P> {
        self.ports.set(self.ports.get() + 1);
        reactor.listen_udp(("127.0.0.1", port), protocol).expect("it is free")
    }

    fn watched<F>(&self, factory: F) -> Watched<F> {
        let book = Rc::<Book>::default();
        self.books.borrow_mut().push(book.clone());
        Watched { factory, book }
    }

    /// Whether no connection was cut by a fault, so that each has to be complete.
    pub(crate) fn is_whole(&self) -> bool {
        !self.sim.struck().iter().any(|kind| CUTS.contains(kind))
    }

    /// All is done: no connection is open any more. Then the reactors are stopped, and nothing is left of them. Whether it was whole.
    pub(crate) fn end(self) -> bool {
        self.sim.run_until_idle();
        for book in self.books.borrow().iter() {
            assert_eq!(
                book.made.get(),
                book.lost.get(),
                "connections that were made, and lost, before the end"
            );
        }
        assert_eq!(self.sim.sockets(), self.ports.get(), "sockets beside the ports");
        for reactor in self.reactors.borrow().iter() {
            assert_eq!(reactor.get_delayed_calls().len(), 0, "delayed calls");
            reactor.stop().expect("it runs");
        }
        self.sim.pump();
        assert_eq!(self.sim.sockets(), 0, "sockets after the end");
        self.reactors.take();
        self.guard.check().unwrap_or_else(|left| panic!("{left}"));
        self.is_whole()
    }
}
