//! The echo of the examples by datagrams. One may be lost, late or doubled; none is made up.

#[allow(dead_code)] // its main function
#[path = "../../examples/echo_udp.rs"]
mod example;

use crate::{under_all_faults, world::World};
use std::{cell::RefCell, collections::BTreeMap, rc::Rc, time::Duration};
use twistor::{
    Address, DatagramContext, DatagramProtocol,
    testing::{Fault, Simulation},
};

/// So many are sent, one every ten milliseconds: a late one is overtaken.
const SENT: u32 = 4;
const EVERY: Duration = Duration::from_millis(10);
const PORT: u16 = 9999;

/// How often each has come back, in the order of the first time.
#[derive(Clone, Default)]
struct Heard(Rc<RefCell<BTreeMap<u32, usize>>>);

struct Client(Heard);

impl DatagramProtocol for Client {
    fn datagram_received(&mut self, _cx: &DatagramContext<Self>, data: &[u8], from: &Address) {
        assert_eq!(from.port(), Some(PORT), "who answers");
        let number = u32::from_be_bytes(data.try_into().expect("four bytes, as they were sent"));
        assert!(number < SENT, "{number} was never sent");
        *self.0.0.borrow_mut().entry(number).or_default() += 1;
    }
}

fn run(sim: &Simulation) -> bool {
    let world = World::new(sim);
    let (server, client) = (world.reactor(), world.reactor());
    let server = world.listen_udp(&server, PORT, example::Echo);
    let (heard, to) = (Heard::default(), server.get_host().expect("it is open"));
    let sender = world.listen_udp(&client, 0, Client(heard.clone()));
    for number in 0..SENT {
        let (sender, to) = (sender.clone(), to.clone());
        client.call_later(EVERY * number, move || {
            sender.write_to(number.to_be_bytes(), &to).expect("it is sent")
        });
    }
    drop((server, sender));
    sim.run_until_idle();
    let (heard, struck) = (heard.0.take(), sim.struck());
    let (lost, doubled) =
        (struck.contains(&Fault::DatagramLoss), struck.contains(&Fault::DatagramDuplication));
    assert!(lost || heard.len() == SENT as usize, "no loss has struck, but only these came back: {heard:?}");
    // There and back: two of two.
    let most = if doubled { 4 } else { 1 };
    assert!(heard.values().all(|times| (1..=most).contains(times)), "too often: {heard:?}");
    world.end();
    !lost
}

#[test]
fn runs_under_all_faults() {
    let kinds = [
        Fault::Delay,
        Fault::DatagramLoss,
        Fault::DatagramReorder,
        Fault::DatagramDuplication,
        Fault::ClockJump,
    ];
    under_all_faults(run, &kinds);
}
