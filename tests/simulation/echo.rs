//! The echo of the examples, with clients on a reactor of their own.

#[allow(dead_code)] // its main function
#[path = "../../examples/echo.rs"]
mod example;

use crate::{
    TCP, faults,
    talker::{Outcome, Talker},
    under_all_faults,
    world::World,
};
use std::{cell::Cell, rc::Rc};
use twistor::testing::Simulation;

const SIZES: [usize; 3] = [1, 3_000, 150_000];

pub(crate) fn run(sim: &Simulation) -> bool {
    let world = World::new(sim);
    let (server, client) = (world.reactor(), world.reactor());
    world.listen(&server, 8007, example::EchoFactory::default());
    talk(&world, &client, 8007);
    world.end()
}

/// A few clients talk to that port, at once, until they are done.
pub(crate) fn talk(world: &World<'_>, reactor: &twistor::Reactor, port: u16) {
    let outcomes = SIZES.map(|bytes| {
        let outcome = Rc::new(Cell::new(Outcome::Pending));
        world.connect(reactor, port, Talker { bytes, outcome: outcome.clone() });
        outcome
    });
    world.sim.run_until_idle();
    for (outcome, bytes) in outcomes.iter().zip(SIZES) {
        let outcome = outcome.get();
        assert_ne!(outcome, Outcome::Pending, "the client of {bytes} bytes hangs");
        assert!(
            outcome == Outcome::Complete || !world.is_whole(),
            "the client of {bytes} bytes: {outcome:?}"
        );
    }
}

#[test]
fn runs_under_all_faults() {
    under_all_faults(run, &TCP);
}

/// The hash that two runs of a seed have in common, and two seeds do not.
#[test]
fn a_seed_is_a_promise() {
    let trace = |seed| {
        let sim = Simulation::from_seed(seed);
        sim.faults(faults());
        run(&sim);
        sim.trace()
    };
    let (one, again, other) = (trace(1), trace(1), trace(2));
    println!("seed 1: {one:?}\nagain:  {again:?}\nseed 2: {other:?}");
    assert_eq!((one.to_string(), one.hash()), (again.to_string(), again.hash()));
    assert_ne!(one.hash(), other.hash());
}
