//! A protocol that logs what it is told, and does what the test says.

use crate::loopback::{Log, run, stop};
use twistor::{
    Failure, ProcessContext, ProcessProtocol, Reactor,
    error::{ConnectionDone, ConnectionLost, Panicked, ProcessDone, ProcessTerminated, WriteBufferFull},
    process::Spawn,
};

pub(crate) type Cx = ProcessContext<Probe>;

type Hook<A> = Box<dyn FnMut(&Cx, A)>;

pub(crate) struct Probe {
    log: Log,
    made: Hook<()>,
    data: Box<dyn FnMut(&Cx, i32, &[u8])>,
    lost: Hook<i32>,
    exited: Hook<()>,
    ended: Hook<Failure>,
}

impl Probe {
    /// One that stops the reactor at the end of its process.
    pub(crate) fn new(log: &Log) -> Probe {
        Probe {
            log: log.clone(),
            made: Box::new(|_, ()| ()),
            data: Box::new(|_, _, _| ()),
            lost: Box::new(|_, _| ()),
            exited: Box::new(|_, ()| ()),
            ended: Box::new(|_, _| stop()),
        }
    }

    pub(crate) fn made(mut self, mut f: impl FnMut(&Cx) + 'static) -> Probe {
        self.made = Box::new(move |cx, ()| f(cx));
        self
    }

    pub(crate) fn data(mut self, f: impl FnMut(&Cx, i32, &[u8]) + 'static) -> Probe {
        self.data = Box::new(f);
        self
    }

    pub(crate) fn lost(mut self, f: impl FnMut(&Cx, i32) + 'static) -> Probe {
        self.lost = Box::new(f);
        self
    }

    pub(crate) fn exited(mut self, mut f: impl FnMut(&Cx) + 'static) -> Probe {
        self.exited = Box::new(move |cx, ()| f(cx));
        self
    }

    pub(crate) fn ended(mut self, f: impl FnMut(&Cx, Failure) + 'static) -> Probe {
        self.ended = Box::new(f);
        self
    }
}

impl ProcessProtocol for Probe {
    fn connection_made(&mut self, cx: &Cx) {
        self.log.add("made");
        (self.made)(cx, ());
    }

    fn child_data_received(&mut self, cx: &Cx, descriptor: i32, data: &[u8]) {
        if data.len() <= 4096 {
            self.log.add(format!("{descriptor}: {}", String::from_utf8_lossy(data)));
        }
        (self.data)(cx, descriptor, data);
    }

    fn child_connection_lost(&mut self, cx: &Cx, descriptor: i32, why: Failure) {
        self.log.add(format!("{descriptor} {}", reason(&why)));
        (self.lost)(cx, descriptor);
    }

    fn process_exited(&mut self, cx: &Cx, why: Failure) {
        self.log.add(format!("exited {}", reason(&why)));
        (self.exited)(cx, ());
    }

    fn process_ended(&mut self, cx: &Cx, why: Failure) {
        self.log.add(format!("ended {}", reason(&why)));
        (self.ended)(cx, why);
    }
}

/// A short name for why something ended.
pub(crate) fn reason(why: &Failure) -> String {
    if let Some(ended) = why.value::<ProcessTerminated>() {
        return match (ended.exit_code, ended.signal) {
            (Some(code), _) => format!("code {code}"),
            (_, Some(signal)) => format!("signal {signal}"),
            _ => "unknown".into(),
        };
    }
    let names: [(bool, &str); 5] = [
        (why.check::<ProcessDone>(), "done"),
        (why.check::<ConnectionDone>(), "closed"),
        (why.check::<ConnectionLost>(), "lost"),
        (why.check::<WriteBufferFull>(), "full"),
        (why.check::<Panicked>(), "panicked"),
    ];
    names.iter().find(|(is, _)| *is).map_or_else(|| why.to_string(), |(_, name)| (*name).into())
}

pub(crate) fn sh(script: &str) -> Spawn {
    Spawn::new("/bin/sh").args(["-c", script])
}

/// Runs it until somebody stops the reactor; then what it was told, in order.
pub(crate) fn play(how: impl Into<Spawn>, probe: impl FnOnce(&Log) -> Probe) -> Vec<String> {
    let (log, reactor) = (Log::default(), Reactor::new().expect("a reactor"));
    reactor.spawn_process(probe(&log), how).expect("it is started");
    run(&reactor);
    log.all()
}

/// The same lines in any order: pipes and the process end as they like.
pub(crate) fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

/// What came by a descriptor, put together.
pub(crate) fn said(lines: &[String], descriptor: i32) -> String {
    let prefix = format!("{descriptor}: ");
    lines.iter().filter_map(|line| line.strip_prefix(&prefix)).collect()
}
