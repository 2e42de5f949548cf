//! Whole programs on virtual reactors, under every fault: the same for the same seed, and right for each.
//!
//! The programs are those of `examples/`. What is held of each, whatever goes wrong: bytes arrive in order and none twice; each connection is made once, lost
//! once and told nothing in between the two that is not its own; what no fault has cut is complete; no failure is left unhandled; at the end everything is
//! released. And over all seeds each kind of fault that there is for such a program has struck.
//!
//! 200 seeds each are part of every test run. More of them, and one again:
//! ```sh
//! TWISTOR_SEEDS=10000 cargo test --release --test simulation
//! TWISTOR_SEED=17 cargo test --test simulation -- --exact chat::runs_under_all_faults --nocapture
//! ```
//! That it finds what is wrong is shown by bugs that are planted:
//! ```sh
//! cargo test --features planted-bugs --test simulation planted
//! ```

#![allow(clippy::duplicate_mod)] // each of the examples brings `support` along

mod chat;
mod datagrams;
mod echo;
mod order;
#[cfg(feature = "planted-bugs")]
mod planted;
mod portforward;
mod talker;
mod watched;
mod world;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
};
use twistor::testing::{Fault, Faults, Simulation, seeds};

/// So many seeds are part of every test run.
const SEEDS: u64 = 200;

/// All faults; those that cut a connection so rarely that about half of the runs are whole.
fn faults() -> Faults {
    [(Fault::Reset, 0.001), (Fault::Close, 0.001), (Fault::Refusal, 0.01), (Fault::NoDescriptor, 0.01)]
        .into_iter()
        .fold(Faults::all(), |faults, (cut, probability)| faults.with(cut, probability))
}

/// Those that can strike a program with connections.
const TCP: [Fault; 10] = [
    Fault::Delay,
    Fault::PartialRead,
    Fault::PartialWrite,
    Fault::FullBuffer,
    Fault::Reset,
    Fault::Close,
    Fault::Refusal,
    Fault::NoDescriptor,
    Fault::ClockJump,
    Fault::Order,
];

/// Runs a program with all seeds, and sees to it that there are runs of both kinds, and that all of these faults strike. It says whether its run was
/// whole.
fn under_all_faults(program: fn(&Simulation) -> bool, kinds: &[Fault]) {
    let (whole, all) = (Cell::new(0), Cell::new(0));
    let struck = RefCell::new(BTreeSet::new());
    seeds(SEEDS, faults(), |sim| {
        whole.set(whole.get() + u64::from(program(sim)));
        all.set(all.get() + 1);
        struck.borrow_mut().extend(sim.struck());
    });
    println!("{} of {} runs were whole", whole.get(), all.get());
    // Unless one seed alone was asked for.
    if all.get() >= SEEDS {
        let (tenth, whole) = (all.get() / 10, whole.get());
        assert!(tenth < whole && whole < all.get() - tenth, "{whole} whole runs are too few, or too many");
        assert_eq!(struck.take(), kinds.iter().copied().collect(), "the kinds that struck");
    }
}
