//! What the programs have in common: their reactors, and the end of all of them.

use crate::watched::{Book, Watched};
use std::{cell::RefCell, rc::Rc};
use twistor::{
    Factory, Reactor, defer,
    tcp::ListeningPort,
    testing::{Fault, Simulation},
};

/// The faults after which a connection need not be complete.
const CUTS: [Fault; 4] = [Fault::Reset, Fault::Close, Fault::Refusal, Fault::NoDescriptor];

pub(crate) struct World<'a> {
    pub(crate) sim: &'a Simulation,
    reactors: RefCell<Vec<Reactor>>,
    books: RefCell<Vec<Rc<Book>>>,
}

impl<'a> World<'a> {
    pub(crate) fn new(sim: &'a Simulation) -> World<'a> {
        World { sim, reactors: RefCell::default(), books: RefCell::default() }
    }

    pub(crate) fn reactor(&self) -> Reactor {
        let reactor = self.sim.reactor();
        self.reactors.borrow_mut().push(reactor.clone());
        reactor
    }

    pub(crate) fn listen(&self, reactor: &Reactor, port: u16, factory: impl Factory) -> ListeningPort {
        let book = Rc::<Book>::default();
        self.books.borrow_mut().push(book.clone());
        reactor.listen_tcp(("127.0.0.1", port), Watched { factory, book }).expect("it is free")
    }

    /// Whether no connection was cut by a fault, so that each has to be complete.
    pub(crate) fn is_whole(&self) -> bool {
        let trace = self.sim.trace().to_string();
        !CUTS.iter().any(|cut| trace.contains(&format!("fault: {cut}\n")))
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
        let ports = self.books.borrow().len();
        assert_eq!(self.sim.sockets(), ports, "sockets beside the ports");
        for reactor in self.reactors.borrow().iter() {
            assert_eq!(reactor.get_delayed_calls().len(), 0, "delayed calls");
            reactor.stop().expect("it runs");
        }
        self.sim.pump();
        assert_eq!(self.sim.sockets(), 0, "sockets after the end");
        self.reactors.take();
        let pending = defer::pending();
        assert!(pending.is_empty(), "Deferreds after the end: {pending:?}");
        self.is_whole()
    }
}
