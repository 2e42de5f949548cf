//! Whatever is done in whatever callback: each of eleven actions in each of eleven callbacks, on the virtual and on the real reactor.
//!
//! | file | idea |
//! |---|---|
//! | `callbacks` | the callbacks, and how each is brought about |
//! | `actions` | what is done in them |
//! | `rules` | what comes of it, by rule |
//! | `cell` | one cell, run and judged |
//! | `scene` | one cell while it runs: a server, a client, a UDP port, and the log |
//!
//! After that, all pairs of actions, of which it is only said what must be so in any case.
//!
//! It prints the table. In each cell: what is logged is what the rules say, nothing more and nothing twice; whatever was made is lost once; nothing is
//! left behind; and unless the run has ended, the port still serves.

mod actions;
mod callbacks;
mod cell;
mod rules;
mod scene;

use self::{
    actions::Action,
    callbacks::Callback,
    cell::{World, breaks, differs},
};
use std::{panic, process::ExitCode};

fn main() -> ExitCode {
    quiet_panics();
    let mut wrong = vec![];
    print!("{:20}", "");
    Action::ALL.iter().for_each(|action| print!(" {:15}", action.name()));
    println!();
    for callback in Callback::ALL {
        print!("{:20}", callback.name());
        for action in Action::ALL {
            let outcome = rules::outcome(callback, action);
            let found: Vec<String> = World::both()
                .into_iter()
                .filter_map(|world| differs(world, callback, action, &outcome))
                .collect();
            let mark = if found.is_empty() { outcome.word } else { "WRONG" };
            print!(" {mark:15}");
            wrong.extend(found);
        }
        println!();
    }
    wrong.extend(pairs());
    wrong.iter().for_each(|wrong| println!("{wrong}"));
    ExitCode::from(u8::from(!wrong.is_empty()))
}

/// Two actions one after the other, in each callback: no rule says what comes of that, but some things must be so.
fn pairs() -> Vec<String> {
    let mut wrong = vec![];
    for callback in Callback::ALL {
        for first in Action::ALL {
            for second in Action::ALL {
                wrong.extend(
                    World::both().into_iter().filter_map(|world| breaks(world, callback, [first, second])),
                );
            }
        }
    }
    wrong
}

/// Keeps quiet about the panics that are an action.
fn quiet_panics() {
    let former = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if info.payload().downcast_ref::<&str>() != Some(&actions::PANIC) {
            former(info);
        }
    }));
}
