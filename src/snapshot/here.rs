//! Where a thread is: which reactor turns, at what time, in whose callback. What is made meanwhile copies that.
//!
//! The reactor writes it, at each turn and each callback; nobody reads a clock.

use crate::trace::Place;
use std::{cell::Cell, time::Duration};

/// What everything that is made copies: sixteen bytes, in one go.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stamp {
    /// Milliseconds of the reactor's time, written once a turn.
    pub(crate) now: u32,
    /// The number of the reactor that turns; 0 for none.
    pub(crate) reactor: u32,
    /// The number of the connection, port, connector or task whose callback runs; 0 for none.
    pub(crate) owner: u32,
    /// Of what is made: the number of what will fire it. Always 0 here, so that copying also clears it.
    pub(crate) holder: u32,
}

/// One cell for each, so that the owner is changed with one store.
struct Here {
    now: Cell<u32>,
    reactor: Cell<u32>,
    owner: Cell<u32>,
}

thread_local! {
    static HERE: Here = const { Here { now: Cell::new(0), reactor: Cell::new(0), owner: Cell::new(0) } };
    /// One counter for all that is shown.
    static SERIAL: Cell<u32> = const { Cell::new(1) };
}

/// The stamp of what is made now.
#[inline]
pub(crate) fn stamp() -> Stamp {
    HERE.with(|here| Stamp {
        now: here.now.get(),
        reactor: here.reactor.get(),
        owner: here.owner.get(),
        holder: 0,
    })
}

/// Draws a number. It begins anew after four thousand million: then 0 is left out, which says "none".
#[inline]
pub(crate) fn next_serial() -> u32 {
    let serial = SERIAL.get();
    SERIAL.set(serial.wrapping_add(1).max(1));
    serial
}

/// Has `owner` own what is made from now on. Gives the former one.
#[inline]
pub(crate) fn set_owner(owner: u32) -> u32 {
    HERE.with(|here| here.owner.replace(owner))
}

/// The same until the guard goes.
pub(crate) fn owned_by(owner: u32) -> Owned {
    Owned(set_owner(owner))
}

pub(crate) struct Owned(u32);

impl Drop for Owned {
    #[inline]
    fn drop(&mut self) {
        set_owner(self.0);
    }
}

/// A reactor turns, until the guard goes: a thread may hold several, one inside the other.
#[inline]
pub(crate) fn turn(reactor: u32, now: Duration) -> Turning {
    let now = now.as_millis() as u32;
    HERE.with(|here| Turning {
        now: here.now.replace(now),
        reactor: here.reactor.replace(reactor),
        owner: here.owner.replace(0),
    })
}

pub(crate) struct Turning {
    now: u32,
    reactor: u32,
    owner: u32,
}

impl Drop for Turning {
    /// Outside of its turns, what is made is of the same reactor still, and of the time of its last turn.
    #[inline]
    fn drop(&mut self) {
        HERE.with(|here| {
            here.owner.set(self.owner);
            if here.reactor.replace(self.reactor) != self.reactor {
                here.now.set(self.now);
            }
        });
    }
}

/// A reactor was made: what a thread makes outside of all turns is of its first one.
pub(crate) fn reactor_made(reactor: u32) {
    HERE.with(|here| {
        if here.reactor.get() == 0 {
            here.reactor.set(reactor);
            here.now.set(0);
        }
    });
}

/// A reactor is gone.
pub(crate) fn reactor_gone(reactor: u32) {
    HERE.with(|here| {
        if here.reactor.get() == reactor {
            here.reactor.set(0);
        }
    });
}

/// What a timer, a port, a connector or a job keeps of its beginning.
#[derive(Clone, Copy)]
pub(crate) struct Birth {
    pub(crate) serial: u32,
    pub(crate) stamp: Stamp,
    pub(crate) place: Place,
}

impl Birth {
    #[inline]
    pub(crate) fn at(place: Place) -> Birth {
        Birth { serial: next_serial(), stamp: stamp(), place }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_nest_and_the_time_of_a_reactor_stays_when_its_turn_has_ended() {
        let told = || (stamp().reactor, stamp().now, stamp().owner);
        reactor_made(7);
        {
            let _turn = turn(7, Duration::from_millis(20));
            set_owner(3);
            {
                let _guest = turn(8, Duration::from_millis(500));
                assert_eq!(told(), (8, 500, 0));
            }
            assert_eq!(told(), (7, 20, 3));
            let _owned = owned_by(4);
            assert_eq!(told(), (7, 20, 4));
        }
        assert_eq!(told(), (7, 20, 0));
        reactor_gone(8);
        assert_eq!(told(), (7, 20, 0));
        reactor_gone(7);
        assert_eq!(told().0, 0);
    }
}
