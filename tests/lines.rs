//! Line receivers: whatever way the bytes are cut, and whatever is asked from inside a method.

use std::{
    any::Any,
    cell::{Cell, RefCell},
    rc::Rc,
};
use twistor::{
    Context, Failure, IntoLayer, Layer, Producer, Transport,
    defer::succeed,
    protocols::basic::{LineControl, LineOnlyReceiver, LineProtocol, LineReceiver, MAX_LENGTH},
    report,
    testing::{self, Connected},
};

/// Writes down what it is given. Some lines are commands.
#[derive(Default)]
struct Log(Vec<String>);

fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

impl LineProtocol for Log {
    fn line_received(&mut self, cx: &Context<Self>, line: &[u8]) {
        self.0.push(text(line));
        match line {
            b"RAW" => cx.set_raw_mode(),
            b"PAUSE" => cx.pause_producing(),
            b"BLINK" => {
                cx.pause_producing();
                cx.resume_producing();
            }
            b"CLEAR" => self.0.push(format!("cleared {}", text(&cx.clear_line_buffer()))),
            b"LOSE" => cx.lose_connection(),
            b"COMMA" => cx.set_delimiter(","),
            b"SHORT" => cx.set_max_length(5),
            b"LATER" => {
                drop(succeed(()).add_callback(cx.bind(|log: &mut Log, _, ()| log.0.push("later".into()))))
            }
            _ => {}
        }
    }

    /// Raw up to a `!`.
    fn raw_data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        let end = data.iter().position(|byte| *byte == b'!');
        let raw = text(&data[..end.unwrap_or(data.len())]);
        match self.0.last_mut().filter(|last| last.starts_with("raw ")) {
            Some(last) => last.push_str(&raw),
            None => self.0.push(format!("raw {raw}")),
        }
        if let Some(end) = end {
            self.0.push("line mode".into());
            cx.set_line_mode(&data[end + 1..]);
        }
    }

    fn line_length_exceeded(&mut self, cx: &Context<Self>, line: &[u8]) {
        self.0.push(format!("too long: {}", text(line)));
        cx.lose_connection();
    }

    fn connection_lost(&mut self, cx: &Context<Self>, _why: Failure) {
        let rest = cx.clear_line_buffer();
        if let Some(lost) = cx.try_factory::<Lost>() {
            *lost.0.borrow_mut() = text(&rest);
        }
    }
}

/// A factory that is told what was left at the loss.
#[derive(Default)]
struct Lost(RefCell<String>);

impl twistor::Factory for Lost {
    type Protocol = LineReceiver<Log>;
    fn build_protocol(&self, _peer: &twistor::Address) -> Option<LineReceiver<Log>> {
        Some(LineReceiver::logging())
    }
}

trait NewLog {
    fn logging() -> Self;
}

impl NewLog for LineReceiver<Log> {
    fn logging() -> Self {
        LineReceiver::new(Log::default())
    }
}

fn lines(protocol: LineReceiver<Log>) -> Connected<LineReceiver<Log>> {
    testing::connect(protocol)
}

fn log<L: Layer>(t: &Connected<L>) -> Vec<String> {
    t.peek(|log: &Log| log.0.clone())
}

/// What is logged when these pieces come, and the number of bytes that are held then.
fn given<L: Layer>(receiver: impl IntoLayer<Layer = L>, pieces: &[&[u8]]) -> Vec<String> {
    let mut t = testing::connect(receiver);
    pieces.iter().for_each(|piece| t.receive(piece));
    log(&t)
}

/// All ways to cut `input` into at most three pieces, and into single bytes.
fn cuts(input: &[u8], mut check: impl FnMut(&[&[u8]])) {
    for first in 0..=input.len() {
        for second in first..=input.len() {
            check(&[&input[..first], &input[first..second], &input[second..]]);
        }
    }
    check(&input.chunks(1).collect::<Vec<_>>());
}

// ---- every cut gives the same ---------------------------------------------------------------------------------------

#[test]
fn lines_come_the_same_way_however_the_bytes_are_cut() {
    let cases: [(&str, &[u8], &[u8], &[&str]); 10] = [
        ("plain", b"\r\n", b"one\r\n\r\ntwo\rthree\n\r\nfour", &["one", "", "two\\rthree\\n"]),
        ("CR before CR LF", b"\r\n", b"a\r\r\n\r\r\r\nb", &["a\\r", "\\r\\r"]),
        ("one byte", b"\n", b"a\nb\r\n\nc", &["a", "b\\r", ""]),
        ("overlapping itself", b"aab", b"xaaabyaabaabz", &["xa", "y", ""]),
        ("overlapping twice", b"aba", b"xababayaba", &["x", "bay"]),
        ("raw", b"\r\n", b"a\r\nRAW\r\nb\r\nc!d\r\n", &["a", "RAW", "raw b\\r\\nc", "line mode", "d"]),
        (
            "raw and back, twice",
            b",",
            b"RAW,x!RAW,!a,b",
            &["RAW", "raw x", "line mode", "RAW", "raw ", "line mode", "a"],
        ),
        ("another delimiter", b"\r\n", b"a\r\nCOMMA\r\nb\r\n,c,d", &["a", "COMMA", "b\\r\\n", "c"]),
        ("a shorter limit", b"\n", b"123456\nSHORT\n12345\nx", &["123456", "SHORT", "12345"]),
        ("a blink", b"\n", b"a\nBLINK\nLATER\nb\n", &["a", "BLINK", "LATER", "later", "b"]),
    ];
    for (name, delimiter, input, expected) in cases {
        cuts(input, |pieces| {
            let mut seen = given(LineReceiver::logging().with_delimiter(delimiter), pieces);
            // An empty piece of raw bytes is none.
            let mut expected: Vec<_> = expected.iter().map(|line| (*line).to_string()).collect();
            [&mut seen, &mut expected].into_iter().for_each(|log| log.retain(|line| line != "raw "));
            assert_eq!(seen, expected, "{name}: {pieces:?}");
            if !input.starts_with(b"RAW") && name != "raw" {
                let only = LineOnlyReceiver::new(Log::default()).with_delimiter(delimiter);
                assert_eq!(given(only, pieces), expected, "{name}: {pieces:?}");
            }
        });
    }
}

#[test]
fn a_line_of_the_limit_is_a_line_and_one_byte_more_is_not_however_it_is_cut() {
    for delimiter in ["\n", "\r\n", "aab"] {
        let input = [b"12345", delimiter.as_bytes(), b"1234", delimiter.as_bytes()].concat();
        cuts(&input, |pieces| {
            let receiver = LineReceiver::logging().with_max_length(5).with_delimiter(delimiter);
            assert_eq!(given(receiver, pieces), ["12345", "1234"], "{pieces:?}");
        });
        let input = [b"123456", delimiter.as_bytes(), b"7"].concat();
        cuts(&input, |pieces| {
            let receiver = LineReceiver::logging().with_max_length(5).with_delimiter(delimiter);
            let log = given(receiver, pieces);
            assert!(matches!(&log[..], [one] if one.starts_with("too long: 123456")), "{pieces:?}: {log:?}");
        });
    }
}

#[test]
fn a_line_only_receiver_gives_only_the_line_that_is_too_long() {
    let receiver = || LineOnlyReceiver::new(Log::default()).with_max_length(3);
    assert_eq!(given(receiver(), &[b"a\r\n1234\r\nb\r\n"]), ["a", "too long: 1234"]);
    assert_eq!(given(receiver(), &[b"1234"]), ["too long: 1234"]);
    assert_eq!(given(receiver(), &[b"123", b"\r\n12\r\n"]), ["123", "12"]);
}

/// As in Twisted, which looks whether it is closing before each line, and not before it measures what is left.
#[test]
fn a_line_only_receiver_that_closes_gives_no_line_more_but_measures_the_rest() {
    let receiver = || LineOnlyReceiver::new(Log::default()).with_max_length(4);
    assert_eq!(given(receiver(), &[b"LOSE\r\na\r\n12345"]), ["LOSE"]);
    assert_eq!(given(receiver(), &[b"LOSE\r\n12345"]), ["LOSE", "too long: 12345"]);
}

#[test]
fn the_nine_cases_hold_for_both_receivers() {
    let nine: [(&[&[u8]], &[&str], usize); 9] = [
        (&[], &[], 0),
        (&[b"hel"], &[], 3),
        (&[b"hello\r\n"], &["hello"], 0),
        (&[b"hello\r\nwo"], &["hello"], 2),
        (&[b"a\r\nb\r\n"], &["a", "b"], 0),
        (&[b"hello\r", b"\n"], &["hello"], 0),
        (&[b"h", b"e", b"l", b"l", b"o", b"\r", b"\n"], &["hello"], 0),
        (&[b"hello\r\n", b"wo"], &["hello"], 2),
        (&[b"a line past the limit"], &["too long: a line past the limit"], 0),
    ];
    for (pieces, expected, held) in nine {
        let mut one = lines(LineReceiver::logging().with_max_length(9));
        let mut two = testing::connect(LineOnlyReceiver::new(Log::default()).with_max_length(9));
        pieces.iter().for_each(|piece| (one.receive(piece), two.receive(piece)).0);
        assert_eq!(
            (log(&one), one.protocol().buffered()),
            (expected.iter().map(|s| s.to_string()).collect(), held)
        );
        assert_eq!((log(&two), two.protocol().buffered()), (log(&one), held));
        one.end();
        assert_eq!((one.connected(), one.protocol().buffered()), (false, 0));
    }
}

// ---- control from inside --------------------------------------------------------------------------------------------

#[test]
fn a_pause_holds_the_next_line_and_a_resume_gives_it_at_once() {
    let mut t = lines(LineReceiver::logging());
    t.receive(b"a\r\nPAUSE\r\nb\r\nc");
    assert_eq!((log(&t), t.protocol().buffered()), (vec!["a".into(), "PAUSE".into()], 4));
    t.receive(b"d\r\n"); // waits below
    assert_eq!(t.protocol().buffered(), 4);
    t.transport().resume_producing();
    assert_eq!(log(&t), ["a", "PAUSE", "b"]);
    t.receive(b"");
    assert_eq!(log(&t), ["a", "PAUSE", "b", "cd"]);
}

#[test]
fn a_pause_in_raw_mode_holds_what_follows_the_raw_bytes() {
    struct Half;
    impl LineProtocol for Half {
        fn line_received(&mut self, cx: &Context<Self>, line: &[u8]) {
            cx.send_line(line);
        }
        fn raw_data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
            cx.write("raw ");
            cx.set_line_mode(&data[1..]);
            cx.pause_producing();
        }
    }
    let mut t = testing::connect(LineReceiver::new(Half).with_delimiter(","));
    t.context::<Half>().set_raw_mode();
    t.receive(b"xa,b,");
    assert_eq!((t.sent().as_slice(), t.protocol().buffered()), (&b"raw "[..], 4));
    t.transport().resume_producing();
    assert_eq!(t.sent(), b"a,b,");
}

#[test]
fn a_resume_inside_a_call_gives_the_lines_after_it_and_loses_none() {
    let mut t = lines(LineReceiver::logging());
    t.receive(b"PAUSE\r\nLATER\r\nb\r\n");
    t.context().call(|log: &mut Log, cx| {
        cx.resume_producing();
        cx.resume_producing();
        log.0.push("call".into());
        cx.call(|log, _| log.0.push("second call".into()));
    });
    assert_eq!(log(&t), ["PAUSE", "call", "second call", "LATER", "later", "b"]);
}

#[test]
fn a_line_mode_set_inside_a_call_gives_the_rest_after_it() {
    let t = lines(LineReceiver::logging());
    t.context().call(|log: &mut Log, cx| {
        cx.set_line_mode("a\r\nb\r\n");
        log.0.push("call".into());
    });
    assert_eq!(log(&t), ["call", "a", "b"]);
}

#[test]
fn lines_asked_for_in_connection_made_come_after_it() {
    #[derive(Default)]
    struct Early(Vec<String>);
    impl LineProtocol for Early {
        fn connection_made(&mut self, cx: &Context<Self>) {
            cx.set_line_mode("early\r\n");
            self.0.push("made".into());
        }
        fn line_received(&mut self, _cx: &Context<Self>, line: &[u8]) {
            self.0.push(text(line));
        }
    }
    let t = testing::connect(LineReceiver::new(Early::default()));
    assert_eq!(t.peek(|early: &Early| early.0.clone()), ["made", "early"]);
}

#[test]
fn clear_takes_what_is_held_and_nothing_of_it_is_given() {
    let mut t = lines(LineReceiver::logging());
    t.receive(b"CLEAR\r\na\r\nb");
    t.receive(b"c\r\n");
    assert_eq!(log(&t), ["CLEAR", "cleared a\\r\\nb", "c"]);
    t.receive(b"half");
    assert_eq!(t.context::<Log>().clear_line_buffer(), b"half");
    t.receive(b"x\r\n");
    assert_eq!(log(&t).last().unwrap(), "x");
}

#[test]
fn the_limit_and_the_delimiter_may_change_inside_a_line() {
    let mut t = lines(LineReceiver::logging());
    t.receive(b"12,34"); // no CR LF: all of it was scanned
    t.context::<Log>().set_delimiter(",");
    t.receive(b"5,");
    assert_eq!(log(&t), ["12", "345"]);
    t.receive(b"1234");
    t.context::<Log>().set_max_length(2);
    t.receive(b"5");
    assert_eq!(log(&t)[2], "too long: 12345");
}

#[test]
fn an_empty_delimiter_ends_no_line() {
    let mut t = lines(LineReceiver::logging().with_delimiter("").with_max_length(4));
    t.receive(b"abc");
    assert_eq!((log(&t).len(), t.protocol().buffered()), (0, 3));
    t.receive(b"d");
    assert_eq!(log(&t), ["too long: abcd"]);
}

#[test]
fn after_lose_connection_in_a_line_the_rest_is_held_and_not_given() {
    let lost = Rc::new(Lost::default());
    let mut t = testing::accept(&lost).expect("it takes all");
    t.receive(b"LOSE\r\na\r\nb");
    assert_eq!((log(&t), t.protocol().buffered()), (vec!["LOSE".into()], 4));
    t.lose();
    assert_eq!(*lost.0.borrow(), "a\\r\\nb"); // connection_lost could still take it
    assert_eq!(t.protocol().buffered(), 0);
}

#[test]
fn a_failed_connection_gives_no_line_and_no_raw_byte_more() {
    /// Counts, and ends at the second.
    struct Two(Rc<Cell<u32>>, fn(&Context<Two>));
    impl LineProtocol for Two {
        fn line_received(&mut self, cx: &Context<Self>, _line: &[u8]) {
            self.0.set(self.0.get() + 1);
            if self.0.get() == 2 {
                cx.set_raw_mode();
                (self.1)(cx);
            }
        }
        fn raw_data_received(&mut self, _cx: &Context<Self>, _data: &[u8]) {
            self.0.set(100);
        }
    }
    let _quiet = report::hook(|_| ());
    let ends: [fn(&Context<Two>); 3] =
        [|cx| cx.fail(Failure::msg("enough")), |cx| cx.abort_connection(), |_| panic!("on request")];
    for end in ends {
        let count = Rc::new(Cell::new(0));
        let mut t = testing::connect(LineReceiver::new(Two(count.clone(), end)));
        t.receive(b"a\r\nb\r\nc\r\nd");
        assert_eq!((count.get(), t.connected()), (2, false));
    }
}

/// Each of the three acts on a line in the middle of many that came at once.
#[test]
fn what_is_asked_in_the_middle_of_a_row_acts_before_the_next_line() {
    let many = |command: &str| format!("{}{command}\n{}", "a\n".repeat(20), "b\n".repeat(20));
    for (command, after) in [("LATER", "later"), ("PAUSE", ""), ("LOSE", "")] {
        let mut t = lines(LineReceiver::logging().with_delimiter("\n"));
        t.receive(many(command));
        let log = log(&t);
        assert_eq!((log[19].as_str(), log[20].as_str()), ("a", command));
        assert_eq!(log.get(21).map_or("", String::as_str), after);
        assert_eq!((log.len(), t.protocol().buffered()), if after.is_empty() { (21, 40) } else { (42, 0) });
    }
}

#[test]
fn a_queued_call_runs_between_two_lines() {
    assert_eq!(
        given(LineReceiver::logging(), &[b"LATER\r\nLATER\r\na\r\n"]),
        ["LATER", "later", "LATER", "later", "a"]
    );
}

/// A producer whose pause changes the delimiter of the line that is being sent.
#[test]
fn a_producer_that_is_paused_by_a_line_may_use_the_receiver() {
    struct Busy(Context<Log>);
    impl Producer for Busy {
        fn resume_producing(&self) {}
        fn pause_producing(&self) {
            self.0.set_delimiter("\n");
        }
        fn stop_producing(&self) {}
    }
    let mut t = lines(LineReceiver::logging());
    let cx = t.context::<Log>();
    cx.register_producer(Busy(cx.clone()), true).expect("the first");
    cx.send_line(vec![b'x'; 70_000]);
    assert!(t.sent().ends_with(b"x\r\n"));
    cx.send_line("y");
    assert_eq!(t.sent(), b"y\n");
}

// ---- cost -----------------------------------------------------------------------------------------------------------

#[test]
fn an_endless_line_costs_at_most_the_limit_and_one_read() {
    const READ: usize = 65_536;
    let (mut t, mut most) = (lines(LineReceiver::new(Log::default())), 0);
    while !t.disconnecting() {
        t.receive([b'x'; 1000]);
        most = most.max(t.protocol().buffered());
    }
    assert!(most < MAX_LENGTH + 2, "{most}");
    let mut t = lines(LineReceiver::new(Log::default()));
    t.receive([b'x'; READ]);
    assert!(t.disconnecting() && t.protocol().buffered() == 0);
}

#[test]
fn a_stream_of_short_changes_to_raw_and_back_is_given_whole() {
    let input = b"RAW\r\nx!".repeat(10_000);
    let mut t = lines(LineReceiver::logging());
    t.receive(&input);
    assert_eq!(log(&t).len(), 30_000);
}

// ---- in a stack -----------------------------------------------------------------------------------------------------

/// Two layers of a user's own around a receiver, as a policy would be.
struct Counting<L> {
    bytes: Cell<usize>,
    next: L,
}

impl<L: Layer> Layer for Counting<L> {
    fn connection_made(&self, t: &Transport) {
        self.next.connection_made(t);
    }
    fn data_received(&self, t: &Transport, data: &[u8]) {
        self.bytes.set(self.bytes.get() + data.len());
        self.next.data_received(t, data);
    }
    fn connection_lost(&self, t: &Transport, why: Failure) {
        self.next.connection_lost(t, why);
    }
    fn next(&self) -> Option<&dyn Layer> {
        Some(&self.next)
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl<L: Layer> IntoLayer for Counting<L> {
    type Layer = Self;
    fn into_layer(self) -> Self {
        self
    }
}

#[test]
fn a_receiver_in_two_layers_is_found_and_resumed_through_them() {
    let inner = Counting { bytes: Cell::new(0), next: LineReceiver::logging() };
    let mut t = testing::connect(Counting { bytes: Cell::new(0), next: inner });
    t.receive(b"PAUSE\r\na\r\nRAW\r\nb!c\r\n");
    t.transport().resume_producing();
    assert_eq!(log(&t), ["PAUSE", "a", "RAW", "raw b", "line mode", "c"]);
    assert_eq!(t.layer::<Counting<LineReceiver<Log>>>().bytes.get(), 20);
    assert_eq!(t.layer::<Counting<Counting<LineReceiver<Log>>>>().bytes.get(), 20);
    assert_eq!(t.layer::<LineReceiver<Log>>().buffered(), 0);
}

#[test]
fn a_new_delimiter_is_looked_for_in_what_is_held() {
    let mut t = lines(LineReceiver::new(Log::default()));
    t.receive("a,b");
    t.context::<Log>().set_delimiter(",");
    t.receive("c,");
    assert_eq!(log(&t), ["a", "bc"]);
}
