//! Bugs that are planted are found.

use crate::{SEEDS, chat, echo, faults, portforward};
use std::panic::catch_unwind;
use twistor::{
    planted::{Bug, plant},
    testing::{Simulation, seeds},
};

/// What the seed runner says of the bug in this program, if it finds it.
fn found(bug: Bug, program: fn(&Simulation) -> bool) -> Option<String> {
    plant(Some(bug));
    let told = catch_unwind(|| {
        seeds(SEEDS, faults(), |sim| {
            program(sim);
        })
    });
    plant(None);
    told.err().map(|panic| *panic.downcast::<String>().expect("a text"))
}

#[test]
fn each_is_found_within_200_seeds() {
    let programs: [(&str, fn(&Simulation) -> bool); 3] =
        [("echo", echo::run), ("chat", chat::run), ("portforward", portforward::run)];
    for bug in [Bug::LostWake, Bug::DoubleFlush, Bug::OffByOne] {
        let mut by = vec![];
        for (name, program) in programs {
            if let Some(told) = found(bug, program) {
                println!("{bug:?} in {name}: {told}");
                by.push(name);
            }
        }
        assert!(!by.is_empty(), "{bug:?} is not found");
    }
}
