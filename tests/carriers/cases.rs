//! What every carrier promises: each case is a server, a client, and what both are told.

use crate::{
    carrier::{Carrier, Side},
    talker::{Log, Talker, later},
};
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};
use twistor::{
    Context, Layer, Producer, Transport, boxed,
    protocols::basic::{LineControl, LineProtocol, LineReceiver},
};

/// Larger than what the system buffers between two ends, so that some of it waits.
const MUCH: usize = 12 << 20;

/// The server of that name.
pub(crate) fn server(name: &str, log: &Log) -> Box<dyn Layer> {
    match name {
        "echo" => boxed(Talker::<false>::new(log).heard(|all, cx| cx.write(std::mem::take(all)))),
        "shout" => boxed(LineReceiver::new(Shout(log.clone()))),
        "backwards" => boxed(backwards(log)),
        "push" => boxed(Talker::<false>::new(log).made(|cx| Push::begin(cx.transport()))),
        "pull" => boxed(Talker::<false>::new(log).made(|cx| Pull::begin(cx.transport()))),
        "much" => boxed(Talker::<false>::new(log).made(|cx| {
            cx.write(vec![b'm'; MUCH]);
            cx.lose_connection();
        })),
        "counting" => boxed(counting(log)),
        "comparing" => boxed(comparing(log)),
        "greeting" => boxed(Talker::<false>::new(log).made(|cx| cx.write("hi"))),
        "deaf" => boxed(Talker::<false>::new(log).made(|cx| {
            cx.pause_producing();
            let transport = cx.transport();
            later(move || transport.resume_producing());
        })),
        "refusing" => boxed(Talker::<false>::new(log).made(|cx| cx.lose_connection())),
        _ => panic!("no server is called {name}"),
    }
}

/// What the two ends were told.
struct Told<C: Carrier> {
    server: Log,
    client: Log,
    carrier: std::marker::PhantomData<C>,
}

impl<C: Carrier> Told<C> {
    #[track_caller]
    fn client(&self, expected: &[&str]) -> &Self {
        assert_eq!(self.client.all(), expected, "the client");
        self
    }

    #[track_caller]
    fn server(&self, expected: &[&str]) -> &Self {
        if C::SHOWS_SERVER {
            assert_eq!(self.server.all(), expected, "the server");
        }
        self
    }
}

/// Carries a case to its end.
fn carry<C: Carrier, const HALF: bool>(
    name: &'static str,
    client: impl FnOnce(Talker<HALF>) -> Talker<HALF>,
) -> Told<C> {
    let (here, there) = (Log::default(), Log::default());
    let client = client(Talker::new(&here));
    let log = there.clone();
    C::carry(Side::new(name, move || server(name, &log)), Side::new("client", move || client));
    Told { server: there, client: here, carrier: std::marker::PhantomData }
}

const DONE: &[&str] = &["made", "lost done"];

pub(crate) fn echo<C: Carrier>() {
    let told = carry::<C, false>("echo", |client| {
        client.made(|cx| cx.write("hello")).heard(|all, cx| {
            if all == b"hello" {
                cx.lose_connection();
            }
        })
    });
    told.client(DONE).server(DONE);
}

// ---- framers --------------------------------------------------------------------------------------------------------------------------------

struct Shout(Log);

impl LineProtocol for Shout {
    fn line_received(&mut self, cx: &Context<Self>, line: &[u8]) {
        self.0.add(format!("line {}", String::from_utf8_lossy(line)));
        cx.send_line(line.to_ascii_uppercase());
        if line == b"quit" {
            cx.lose_connection();
        }
    }
}

/// No line is given after `lose_connection`, though it came with the one before.
pub(crate) fn lines<C: Carrier>() {
    let answer = Rc::new(RefCell::new(vec![]));
    let seen = answer.clone();
    let told = carry::<C, false>("shout", |client| {
        client.made(|cx| cx.write("one\r\ntwo\r\n\r\nquit\r\nafter\r\n")).heard(move |all, _| {
            seen.replace(all.clone());
        })
    });
    told.client(DONE).server(&["line one", "line two", "line ", "line quit"]);
    assert_eq!(String::from_utf8_lossy(&answer.borrow()), "ONE\r\nTWO\r\n\r\nQUIT\r\n");
}

// ---- ends -----------------------------------------------------------------------------------------------------------------------------------

/// Answers when the peer has ended its direction.
fn backwards(log: &Log) -> Talker<true> {
    Talker::new(log).read_lost(|all, cx| {
        all.reverse();
        cx.write(std::mem::take(all));
        cx.lose_connection();
    })
}

pub(crate) fn half_close<C: Carrier>() {
    let told = carry::<C, true>("backwards", |client| {
        let log = client.log();
        client
            .made(|cx| {
                cx.write("abc");
                cx.lose_write_connection();
            })
            .read_lost(move |all, cx| {
                log.add(String::from_utf8_lossy(all));
                cx.lose_connection();
            })
    });
    told.client(&["made", "write lost", "read lost", "cba", "lost done"]);
    told.server(&["made", "read lost", "lost done"]);
}

pub(crate) fn abort<C: Carrier>() {
    let told = carry::<C, false>("greeting", |client| client.heard(|_, cx| cx.abort_connection()));
    told.client(&["made", "lost aborted"]);
    told.server(&["made", if C::TELLS_ABORT { "lost lost" } else { "lost done" }]);
}

pub(crate) fn refuse<C: Carrier>() {
    carry::<C, false>("refusing", |client| client).client(DONE).server(DONE);
}

// ---- much -----------------------------------------------------------------------------------------------------------------------------------

/// Says how much came when the peer has ended.
fn counting(log: &Log) -> Talker<false> {
    let (count, told) = (Rc::new(Cell::new(0)), log.clone());
    let so_far = count.clone();
    Talker::new(log)
        .heard(move |all, _| count.set(count.get() + std::mem::take(all).len()))
        .lost(move || told.add(format!("{} bytes", so_far.get())))
}

/// What was written before `lose_connection` arrives, however much it is.
pub(crate) fn lose_when_sent<C: Carrier>() {
    let told = carry::<C, false>("counting", |client| {
        client.made(|cx| {
            cx.write(vec![b'x'; MUCH]);
            cx.lose_connection();
        })
    });
    told.client(DONE).server(&["made", "lost done", &format!("{MUCH} bytes")]);
}

/// Nothing comes while reading is paused, and nothing is lost by it.
pub(crate) fn paused_reader<C: Carrier>() {
    let (count, paused) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
    let so_far = count.clone();
    let told = carry::<C, false>("much", |client| {
        client.heard(move |all, cx| {
            assert!(!paused.get(), "it came while reading was paused");
            assert!(all.iter().all(|byte| *byte == b'm'));
            if so_far.replace(so_far.get() + std::mem::take(all).len()) > 0 {
                return;
            }
            cx.pause_producing();
            paused.set(true);
            let (transport, paused) = (cx.transport(), paused.clone());
            later(move || {
                paused.set(false);
                transport.resume_producing();
            });
        })
    });
    told.client(DONE).server(DONE);
    assert_eq!(count.get(), MUCH);
}

/// Who writes more than may wait, to a peer that does not read, is ended by name.
pub(crate) fn write_limit<C: Carrier>() {
    let told = carry::<C, false>("deaf", |client| {
        client.made(|cx| {
            cx.set_write_limit(1 << 20);
            cx.write(vec![b'x'; MUCH]);
            cx.write("too much");
        })
    });
    told.client(&["made", "lost full"]);
}

// ---- order ----------------------------------------------------------------------------------------------------------------------------------

/// Small and large, borrowed and owned, one and several.
fn pieces() -> [Vec<u8>; 6] {
    let large = |byte| vec![byte; 40 << 10];
    [b"a".to_vec(), large(b'B'), b"c".to_vec(), large(b'D'), b"ef".to_vec(), large(b'G')]
}

fn comparing(log: &Log) -> Talker<false> {
    let (all_of_it, told) = (pieces().concat(), log.clone());
    Talker::new(log).heard(move |all, cx| {
        if all.len() >= all_of_it.len() {
            told.add(if *all == all_of_it { "in order" } else { "out of order" });
            cx.write("thanks");
            cx.lose_connection();
        }
    })
}

pub(crate) fn order<C: Carrier>() {
    let told = carry::<C, false>("comparing", |client| {
        let log = client.log();
        client
            .made(|cx| {
                let [a, b, c, d, ef, g] = pieces();
                cx.write(a);
                cx.write(b);
                cx.write(&c);
                cx.write(&d);
                cx.write_sequence(ef.chunks(1));
                cx.write(&g);
            })
            .heard(move |all, _| {
                if all == b"thanks" {
                    log.add("thanks");
                }
            })
    });
    told.client(&["made", "thanks", "lost done"]).server(&["made", "in order", "lost done"]);
}

// ---- producers ------------------------------------------------------------------------------------------------------------------------------

/// Writes until it is paused, and says at the end whether it was.
struct Push {
    to: Transport,
    left: Cell<usize>,
    paused: Cell<bool>,
    pauses: Cell<usize>,
}

const PIECE: usize = 8 << 10;
const PIECES: usize = 512;

impl Push {
    fn begin(to: Transport) {
        let (left, paused, pauses) = (Cell::new(PIECES), Cell::new(false), Cell::new(0));
        let push = Rc::new(Push { to, left, paused, pauses });
        push.to.clone().register_producer(Shared(push.clone()), true).expect("the first");
        push.write();
    }

    fn write(&self) {
        while !self.paused.get() && self.left.get() > 0 {
            self.left.set(self.left.get() - 1);
            self.to.write([b'p'; PIECE]);
        }
        if self.left.get() == 0 && !self.paused.get() {
            self.to.unregister_producer();
            self.to.write(if self.pauses.get() > 0 { "paused" } else { "never paused" });
            self.to.lose_connection();
        }
    }
}

struct Shared(Rc<Push>);

impl Producer for Shared {
    fn resume_producing(&self) {
        self.0.paused.set(false);
        self.0.write();
    }

    fn pause_producing(&self) {
        self.0.paused.set(true);
        self.0.pauses.set(self.0.pauses.get() + 1);
    }

    fn stop_producing(&self) {}
}

pub(crate) fn push_producer<C: Carrier>() {
    let (count, end) = (Rc::new(Cell::new(0)), Rc::new(RefCell::new(vec![])));
    let (so_far, last) = (count.clone(), end.clone());
    let told = carry::<C, false>("push", |client| {
        client.heard(move |all, _| {
            let pieces = all.iter().filter(|byte| **byte == b'p').count();
            so_far.set(so_far.get() + pieces);
            last.borrow_mut().extend(std::mem::take(all).into_iter().rev().take("never paused".len()).rev());
        })
    });
    told.client(DONE).server(DONE);
    assert_eq!(count.get(), PIECES * PIECE + 1, "each piece, and the p of the word");
    assert!(end.borrow().ends_with(b"ppaused"), "{:?}", String::from_utf8_lossy(&end.borrow()));
}

/// Writes a piece each time it is asked.
struct Pull {
    to: Transport,
    left: Cell<u8>,
}

impl Pull {
    fn begin(to: Transport) {
        let pull = Pull { to: to.clone(), left: Cell::new(5) };
        to.register_producer(pull, false).expect("the first");
    }
}

impl Producer for Pull {
    fn resume_producing(&self) {
        self.to.write(self.left.get().to_string());
        self.left.set(self.left.get() - 1);
        if self.left.get() == 0 {
            self.to.unregister_producer();
            self.to.lose_connection();
        }
    }

    fn stop_producing(&self) {}
}

pub(crate) fn pull_producer<C: Carrier>() {
    let seen = Rc::new(RefCell::new(vec![]));
    let all_of_it = seen.clone();
    let told = carry::<C, false>("pull", |client| {
        client.heard(move |all, _| {
            all_of_it.replace(all.clone());
        })
    });
    told.client(DONE).server(DONE);
    assert_eq!(*seen.borrow(), b"54321");
}
