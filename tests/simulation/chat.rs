//! The chat of the examples, with a few who talk.

#[allow(dead_code)] // its main function
#[path = "../../examples/chat.rs"]
mod example;

use crate::{TCP, under_all_faults, world::World};
use std::{cell::RefCell, collections::BTreeMap, rc::Rc, time::Duration};
use twistor::{
    Address, ClientFactory, Connector, Context, Factory, Failure, Reactor,
    error::ConnectError,
    protocols::basic::{LineControl, LineProtocol, LineReceiver},
    testing::Simulation,
};

const NAMES: [&str; 3] = ["ann", "bob", "eve"];
/// So many lines each says, one a second.
const LINES: usize = 5;
/// Who is welcome waits so long for the others, then talks; and leaves long after.
const BEFORE: Duration = Duration::from_secs(5);
const AFTER: Duration = Duration::from_secs(20);

/// How many lines one has heard of another.
type Heard = Rc<RefCell<BTreeMap<(&'static str, String), usize>>>;

struct Talk {
    name: &'static str,
    heard: Heard,
}

struct Talking {
    name: &'static str,
    heard: Heard,
}

impl LineProtocol for Talking {
    fn connection_made(&mut self, cx: &Context<Self>) {
        cx.send_line(self.name);
    }

    fn line_received(&mut self, cx: &Context<Self>, line: &[u8]) {
        let line = std::str::from_utf8(line).expect("text");
        if line.starts_with("Welcome") {
            return talk(cx);
        }
        let Some((speaker, number)) = line.strip_prefix('<').and_then(|line| line.split_once("> ")) else {
            return;
        };
        let mut heard = self.heard.borrow_mut();
        let heard = heard.entry((self.name, speaker.to_string())).or_default();
        assert_eq!(number, heard.to_string(), "the next line of {speaker}, to {}", self.name);
        *heard += 1;
    }
}

/// Says its lines, and leaves.
fn talk(cx: &Context<Talking>) {
    let reactor = Reactor::current();
    for number in 0..LINES {
        let cx = cx.clone();
        let at = BEFORE + Duration::from_secs(number as u64);
        reactor.call_later(at, move || cx.send_line(number.to_string()));
    }
    let cx = cx.clone();
    reactor.call_later(AFTER, move || cx.lose_connection());
}

impl Factory for Talk {
    type Protocol = LineReceiver<Talking>;

    fn build_protocol(&self, _peer: &Address) -> Option<LineReceiver<Talking>> {
        Some(LineReceiver::new(Talking { name: self.name, heard: self.heard.clone() }))
    }
}

impl ClientFactory for Talk {
    /// A fault: then the others are not asked what they have heard.
    fn client_connection_failed(&self, _connector: &Connector, why: Failure) {
        assert!(why.check::<ConnectError>(), "{why}");
    }
}

pub(crate) fn run(sim: &Simulation) -> bool {
    let world = World::new(sim);
    let (server, client) = (world.reactor(), world.reactor());
    world.listen(&server, 8123, example::Room::default());
    let heard = Heard::default();
    for name in NAMES {
        world.connect(&client, 8123, Talk { name, heard: heard.clone() });
    }
    sim.run_until_idle();
    if world.is_whole() {
        let pairs = NAMES.len() * (NAMES.len() - 1);
        assert_eq!(heard.borrow().values().copied().collect::<Vec<_>>(), vec![LINES; pairs]);
    }
    world.end()
}

#[test]
fn runs_under_all_faults() {
    under_all_faults(run, &TCP);
}
