//! `LineReceiver` and `LineOnlyReceiver`, on a connection in memory.
//!
//! The recorder's transport only keeps a trace, and what it keeps is written here where the call is made: `cx` is asked to
//! pause, to lose the connection, and the event of that is written with it.

use crate::{
    divergences::TOO_LONG,
    json::{Fields, Op, hex},
    world::World,
};
use serde_json::json;
use std::{
    cell::{Cell, RefCell},
    ops::Range,
    rc::Rc,
};
use twistor::{
    Context, Layer,
    protocols::basic::{LineControl, LineOnlyReceiver, LineProtocol, LineReceiver},
    testing::{self, Connected},
};

#[derive(Default)]
pub(crate) struct Tables {
    connection: Cell<Option<Box<dyn Connection>>>,
    cx: RefCell<Option<Context<Lines>>>,
    /// Where the trace has to be told what was written, and which part of all that is.
    writes: RefCell<Vec<(usize, Range<usize>)>>,
}

impl Tables {
    pub(crate) fn clear(&self) {
        drop((self.connection.take(), self.cx.take()));
    }

    fn cx(&self) -> Context<Lines> {
        self.cx.borrow().clone().expect("the receiver is there from the first operation to the last")
    }

    /// The connection is not in its place while it is used.
    fn with<R>(&self, f: impl FnOnce(&mut dyn Connection) -> R) -> R {
        let mut connection =
            self.connection.take().expect("there is one connection, and no data inside of data");
        let result = f(&mut *connection);
        self.connection.set(Some(connection));
        result
    }
}

pub(crate) fn exec(world: &Rc<World>, op: &Op) -> bool {
    match op.text("op") {
        "make" => make(world, op),
        "data" => world.lines.with(|connection| connection.data(&op.bytes("x"))),
        "finish" => finish(world),
        _ => return control(world, &world.lines.cx(), op),
    }
    true
}

/// What a program may also do inside of a line.
fn control(world: &World, cx: &Context<Lines>, op: &Op) -> bool {
    match op.text("op") {
        "send" => send(world, cx, &op.bytes("x")),
        "lose" => lose(world, cx),
        "pause" => pause(world, cx, "transport_pause"),
        // What `stop` of the recorder's transport does is not seen any more, and of the receiver it is a pause. Twistor's
        // would close the connection, as Twisted's real transports do.
        "stop" => pause(world, cx, "transport_stop"),
        "resume" => resume(world, cx),
        "raw" => cx.set_raw_mode(),
        "line" => cx.set_line_mode(op.bytes("x")),
        "clear" => world.log(json!(["cleared", hex(&cx.clear_line_buffer())])),
        "max" => cx.set_max_length(op.size("n").expect("a limit is a number")),
        "delimiter" => cx.set_delimiter(op.bytes("x")),
        _ => return false,
    }
    true
}

/// What was written can be seen at the end only: until then its event has its place.
fn send(world: &World, cx: &Context<Lines>, line: &[u8]) {
    let before = cx.buffered();
    cx.send_line(line);
    let (place, part) = (world.trace.borrow().len(), before..cx.buffered());
    world.lines.writes.borrow_mut().push((place, part));
    world.log(json!(["write"]));
}

fn lose(world: &World, cx: &Context<Lines>) {
    world.log(json!(["lose"]));
    cx.lose_connection();
}

fn pause(world: &World, cx: &Context<Lines>, event: &str) {
    world.log(json!([event]));
    cx.pause_producing();
}

fn resume(world: &World, cx: &Context<Lines>) {
    world.log(json!(["transport_resume"]));
    cx.resume_producing();
}

fn make(world: &Rc<World>, op: &Op) {
    let lines = Lines { world: world.clone(), does: op.clone() };
    let connection: Box<dyn Connection> = match op.text("kind") {
        "line" => Box::new(testing::connect(LineReceiver::new(lines))),
        _ => Box::new(testing::connect(LineOnlyReceiver::new(lines))),
    };
    let cx = connection.cx();
    op.size("max").into_iter().for_each(|bytes| cx.set_max_length(bytes));
    if op["delimiter"].is_string() {
        cx.set_delimiter(op.bytes("delimiter"));
    }
    world.lines.connection.set(Some(connection));
    world.lines.cx.replace(Some(cx));
}

fn finish(world: &Rc<World>) {
    let sent = world.lines.with(|connection| connection.sent());
    for (place, part) in world.lines.writes.take() {
        world.trace.borrow_mut()[place] = json!(["write", hex(&sent[part])]);
    }
    world.log(json!(["written", hex(&sent)]));
    world.log(json!(["disconnecting", world.lines.cx().is_disconnecting()]));
    world.finish();
}

/// A connection, whichever receiver is on it.
trait Connection {
    fn cx(&self) -> Context<Lines>;
    fn data(&mut self, data: &[u8]);
    fn sent(&mut self) -> Vec<u8>;
}

impl<L: Layer> Connection for Connected<L> {
    fn cx(&self) -> Context<Lines> {
        self.context()
    }

    /// While nothing is read, programs go on giving bytes to the receiver itself.
    fn data(&mut self, data: &[u8]) {
        if self.transport().is_paused() || self.disconnecting() {
            return self.protocol().data_received(self.transport(), data);
        }
        self.receive(data);
    }

    fn sent(&mut self) -> Vec<u8> {
        Connected::sent(self)
    }
}

/// The protocol: writes what it is given, and does what the program has for that.
struct Lines {
    world: Rc<World>,
    does: Op,
}

impl Lines {
    fn given(&self, cx: &Context<Lines>, event: &str, data: &[u8]) {
        let data = hex(data);
        self.world.log(json!([event, data]));
        for op in self.does["react"].items(&data) {
            assert!(control(&self.world, cx, op), "{op} is nothing to do inside of a line");
        }
    }
}

impl LineProtocol for Lines {
    fn line_received(&mut self, cx: &Context<Self>, line: &[u8]) {
        self.given(cx, "line", line);
    }

    fn raw_data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        self.given(cx, "raw", data);
        if self.does["raw_end"].is_string()
            && let Some(rest) = after(data, &self.does.bytes("raw_end"))
        {
            cx.set_line_mode(rest);
        }
    }

    /// What the trait does by itself, unless the program has it overridden.
    fn line_length_exceeded(&mut self, cx: &Context<Self>, line: &[u8]) {
        self.world.log(json!(["exceeded", hex(line)]));
        match self.does.text("exceed") {
            "drop" => lose(&self.world, cx),
            _ => self.world.note(TOO_LONG),
        }
    }
}

/// What follows the first `mark`.
fn after<'a>(data: &'a [u8], mark: &[u8]) -> Option<&'a [u8]> {
    let at = data.windows(mark.len()).position(|part| part == mark)?;
    Some(&data[at + mark.len()..])
}
