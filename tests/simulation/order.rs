//! Sockets that are ready at once are told in another order.

use std::{cell::RefCell, collections::BTreeSet, rc::Rc};
use twistor::{
    Context, Protocol, factory,
    testing::{Fault, Faults, Simulation},
};

struct Hears(Rc<RefCell<String>>);

impl Protocol for Hears {
    fn data_received(&mut self, _cx: &Context<Self>, data: &[u8]) {
        self.0.borrow_mut().push_str(std::str::from_utf8(data).expect("a letter"));
    }
}

/// In which order three connections are told that their peers have said something, all at once.
fn order(seed: u64, faults: Faults) -> String {
    let sim = Simulation::from_seed(seed);
    let (reactor, heard) = (sim.reactor(), Rc::<RefCell<String>>::default());
    let hears = heard.clone();
    reactor.listen_tcp(7, factory(move |_| Hears(hears.clone()))).expect("it is free");
    let peers = [(); 3].map(|()| sim.connect(([127, 0, 0, 1], 7)).expect("it listens"));
    sim.pump();
    sim.faults(faults);
    for (peer, letter) in peers.iter().zip(["a", "b", "c"]) {
        peer.send(letter).expect("there is room");
    }
    sim.pump();
    heard.take()
}

#[test]
fn each_order_of_three_comes_with_some_seed_and_without_the_fault_one_alone() {
    let with =
        |faults: Faults| -> BTreeSet<String> { (0..50).map(|seed| order(seed, faults.clone())).collect() };
    assert_eq!(with(Faults::none()).len(), 1);
    let all = ["abc", "acb", "bac", "bca", "cab", "cba"].map(String::from);
    assert_eq!(with(Faults::none().with(Fault::Order, 1.0)), BTreeSet::from(all));
}
