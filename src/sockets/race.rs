//! [`Race`]: which address of a host is tried when, after RFC 8305 ("Happy Eyeballs").
//!
//! Addresses are tried in their order, but one of IPv6 and one of IPv4 in turn. While one goes on, the next is tried a quarter of a second later; when none
//! goes on any more, at once. The first that connects wins. No sockets and no clock are in here.

use crate::address::Address;
use std::{collections::VecDeque, time::Duration};

/// So long an attempt has before the next one begins beside it.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// So long one of IPv4 that came first waits for one of IPv6.
const RESOLUTION_DELAY: Duration = Duration::from_millis(50);

#[derive(Default)]
pub(super) struct Race {
    /// Those that were not tried yet, as they came.
    left: VecDeque<Address>,
    /// Whether more may come still. They all have when this is false.
    open: bool,
    /// When the first came.
    began: Option<Duration>,
    /// The family of the last that was tried, and when the next may be tried beside it.
    last: Option<(Family, Duration)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Six,
    Other,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Try this one.
    Try(Address),
    /// Nothing before that time, unless something happens.
    WaitUntil(Duration),
    /// Nothing, unless something happens.
    Wait,
    /// None is left, and none goes on.
    Lost,
}

impl Race {
    /// Between those that come.
    pub(super) fn open() -> Race {
        Race { open: true, ..Race::default() }
    }

    pub(super) fn add(&mut self, place: Address, now: Duration) {
        self.began.get_or_insert(now);
        self.left.push_back(place);
    }

    /// That one could not be tried now.
    pub(super) fn put_back(&mut self, place: Address) {
        self.left.push_front(place);
    }

    /// No more will come. Whether any came.
    pub(super) fn close(&mut self) -> bool {
        self.open = false;
        self.began.is_some()
    }

    /// What is to be done now that so many are being tried.
    pub(super) fn step(&mut self, now: Duration, going_on: usize) -> Step {
        let Some(next) = self.next() else {
            return if self.open || going_on > 0 { Step::Wait } else { Step::Lost };
        };
        let not_before = match self.last {
            Some((_, next)) if going_on > 0 => next,
            None if self.open && family(&self.left[next]) == Family::Other => {
                self.began.unwrap_or(now) + RESOLUTION_DELAY
            }
            _ => now,
        };
        if now < not_before {
            return Step::WaitUntil(not_before);
        }
        let Some(place) = self.left.remove(next) else { return Step::Wait };
        self.last = Some((family(&place), now + ATTEMPT_DELAY));
        Step::Try(place)
    }

    /// The first of the other family than the last one's, or of the same if that has no more. At first, of IPv6 if not all have come.
    fn next(&self) -> Option<usize> {
        let wanted = match self.last {
            Some((Family::Six, _)) => Some(Family::Other),
            Some((Family::Other, _)) => Some(Family::Six),
            None => self.open.then_some(Family::Six),
        };
        let other = self.left.iter().position(|place| Some(family(place)) == wanted);
        other.or_else(|| (!self.left.is_empty()).then_some(0))
    }
}

fn family(place: &Address) -> Family {
    match place.as_inet() {
        Some(address) if address.is_ipv6() => Family::Six,
        _ => Family::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// `6a` is an address of IPv6, `4b` one of IPv4.
    fn place(name: &str) -> Address {
        let (family, last) = name.split_at(1);
        let text =
            if family == "6" { format!("[::{last}]:1") } else { format!("10.0.0.{}:1", last.as_bytes()[0]) };
        text.parse().expect("an address")
    }

    fn race(names: &[&str]) -> Race {
        let mut race = Race::open();
        names.iter().for_each(|name| race.add(place(name), ms(0)));
        race.close();
        race
    }

    /// The order in which they are tried if each fails at once.
    fn order<const N: usize>(mut race: Race, expected: [&str; N]) {
        for name in expected {
            assert_eq!(race.step(ms(0), 0), Step::Try(place(name)));
        }
        assert_eq!(race.step(ms(0), 0), Step::Lost);
    }

    #[test]
    fn families_take_turns_and_the_first_address_says_who_begins() {
        order(race(&["6a", "6b", "6c", "4a", "4b"]), ["6a", "4a", "6b", "4b", "6c"]);
        order(race(&["4a", "4b", "6a"]), ["4a", "6a", "4b"]);
        order(race(&["4a", "4b"]), ["4a", "4b"]);
        order(race(&[]), []);
    }

    #[test]
    fn the_next_is_tried_after_a_quarter_of_a_second_or_when_none_goes_on() {
        let mut race = race(&["6a", "4a", "6b"]);
        assert_eq!(race.step(ms(10), 0), Step::Try(place("6a")));
        assert_eq!(race.step(ms(10), 1), Step::WaitUntil(ms(260)));
        assert_eq!(race.step(ms(260), 1), Step::Try(place("4a")));
        assert_eq!(race.step(ms(260), 2), Step::WaitUntil(ms(510)));
        // One fails, the other goes on: no reason to hurry. Both have: there is.
        assert_eq!(race.step(ms(300), 1), Step::WaitUntil(ms(510)));
        assert_eq!(race.step(ms(310), 0), Step::Try(place("6b")));
        assert_eq!(race.step(ms(310), 1), Step::Wait);
        assert_eq!(race.step(ms(400), 0), Step::Lost);
    }

    #[test]
    fn while_more_may_come_ipv4_waits_a_moment_for_ipv6() {
        let mut race = Race::open();
        assert_eq!(race.step(ms(0), 0), Step::Wait);
        race.add(place("4a"), ms(100));
        assert_eq!(race.step(ms(100), 0), Step::WaitUntil(ms(150)));
        race.add(place("6a"), ms(120));
        assert_eq!(race.step(ms(120), 0), Step::Try(place("6a")));

        let mut race = Race::open();
        race.add(place("4a"), ms(100));
        assert_eq!(race.step(ms(150), 0), Step::Try(place("4a")), "it has waited");
        // And that one has failed: who comes later is tried at once.
        assert_eq!(race.step(ms(200), 0), Step::Wait);
        race.add(place("4b"), ms(300));
        assert_eq!(race.step(ms(300), 0), Step::Try(place("4b")));
        assert!(race.close());
        assert_eq!(race.step(ms(300), 0), Step::Lost);

        let mut race = Race::open();
        race.add(place("4a"), ms(100));
        assert!(race.close());
        assert_eq!(race.step(ms(100), 0), Step::Try(place("4a")), "no other comes");
        assert!(!Race::open().close());
    }
}
