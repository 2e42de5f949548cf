//! The portforward of the examples, between an echo and its clients, each on a reactor of its own.

#[allow(dead_code)] // its main function
#[path = "../../examples/portforward.rs"]
mod example;

use crate::{TCP, echo, under_all_faults, world::World};
use twistor::{Context, Protocol, factory, tcp::TcpConnect, testing::Simulation};

struct Echo;

impl Protocol for Echo {
    fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        cx.write(data);
    }
}

pub(crate) fn run(sim: &Simulation) -> bool {
    let world = World::new(sim);
    let (server, forwarder, client) = (world.reactor(), world.reactor(), world.reactor());
    world.listen(&server, 8007, factory(|_| Echo));
    let to = TcpConnect::new("127.0.0.1", 8007);
    world.listen(&forwarder, 8080, factory(move |_| example::Outside::new(to.clone())));
    echo::talk(&world, &client, 8080);
    world.end()
}

#[test]
fn runs_under_all_faults() {
    under_all_faults(run, &TCP);
}
