//! The examples do what they say, over loopback; the server of hyper on a virtual reactor too.

#[path = "../examples/fetch.rs"]
#[allow(dead_code, reason = "its main is not called")]
mod fetch;
#[path = "../examples/guest.rs"]
#[allow(dead_code, reason = "its main is not called")]
mod guest;
#[path = "../examples/hyper_server.rs"]
#[allow(dead_code, reason = "its main is not called")]
mod hyper_server;
#[allow(dead_code, reason = "not all of it is for this test")]
mod support;

use futures::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use std::{cell::RefCell, rc::Rc, time::Duration};
use support::run_until;
use twistor::{Address, Reactor, Result, Stream, defer::Deferred, testing::Simulation};

/// Sends lines one by one, and takes one for each.
async fn ask(mut stream: Stream, lines: &[&str]) -> Result<Vec<String>> {
    let mut answers = vec![];
    for line in lines {
        stream.write_all(format!("{line}\r\n").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_line(&mut answer).await?;
        answers.push(answer.trim_end().to_string());
    }
    Ok(answers)
}

#[test]
fn a_protocol_asks_reqwest_from_a_callback() {
    let reactor = Reactor::new().unwrap();
    let (at, page) = fetch::listen(&reactor, 0).unwrap();
    let r = reactor.clone();
    let answers = reactor.spawn(async move {
        let stream = r.connect_stream(&at).await?;
        ask(stream, &[&page, "http://127.0.0.1:1/", &page, "no url"]).await
    });
    let answers = run_until(&reactor, answers).unwrap();
    assert_eq!(answers[0], "200 OK, 6 bytes");
    assert!(answers[1].contains("http://127.0.0.1:1/") && answers[1].contains("refused"), "{answers:?}");
    assert_eq!(answers[2], answers[0]);
    assert!(answers[3].contains("builder error"), "{answers:?}");
}

#[test]
fn a_protocol_asks_reqwest_bare_where_the_reactor_is_tokios_guest() {
    let reactor = Reactor::new().unwrap();
    let (answers, promise) = Deferred::pending();
    let r = reactor.clone();
    let client = move |at: Address, page: String| {
        let stops = r.clone();
        let stream = r.connect_stream(&at);
        r.spawn(async move { ask(stream.await?, &[&page, "http://127.0.0.1:1/"]).await })
            .add_timeout(support::PATIENCE, &stops.clone())
            .add_both(move |result| {
                promise.fire(result);
                Ok(stops.stop()?)
            })
            .or_log("the client");
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let program = guest::program(reactor, 0, client);
    tokio::task::LocalSet::new().block_on(&runtime, program).unwrap();
    let answers = answers.now().unwrap().unwrap();
    assert_eq!(answers[0], "204 No Content");
    assert!(answers[1].contains("refused"), "{answers:?}");
}

// ---- hyper ------------------------------------------------------------------------------------------------------

/// Sends a request and takes the answer: its first line, and its body.
async fn visit(stream: &mut BufReader<Stream>, path: &str) -> Result<(String, String)> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let (mut first, mut length) = (String::new(), 0);
    stream.read_line(&mut first).await?;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        if let Some(text) = line.strip_prefix("content-length: ") {
            length = text.trim().parse()?;
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok((first.trim_end().to_string(), String::from_utf8(body)?))
}

/// Two connections of one site, each with two requests.
async fn visits(reactor: Reactor, at: Address) -> Result<Vec<String>> {
    let mut bodies = vec![];
    for _ in 0..2 {
        let mut stream = BufReader::new(reactor.connect_stream(&at).await?);
        for path in ["/", "/again"] {
            let (first, body) = visit(&mut stream, path).await?;
            assert_eq!(first, "HTTP/1.1 200 OK");
            bodies.push(body);
        }
    }
    Ok(bodies)
}

const BODIES: [&str; 4] = ["visit 1 to /\n", "visit 2 to /again\n", "visit 3 to /\n", "visit 4 to /again\n"];

#[test]
fn hyper_serves_on_the_reactor_with_state_in_an_rc() {
    let reactor = Reactor::new().unwrap();
    let at = hyper_server::listen(&reactor, 0).unwrap();
    let bodies = reactor.spawn(visits(reactor.clone(), at));
    assert_eq!(run_until(&reactor, bodies).unwrap(), BODIES);
}

#[test]
fn hyper_serves_on_a_virtual_reactor() {
    let sim = Simulation::new();
    let reactor = sim.reactor();
    let at = hyper_server::listen(&reactor, 80).unwrap();
    let bodies = reactor.spawn(visits(reactor.clone(), at));
    assert_eq!(sim.wait_for(bodies).unwrap(), BODIES);
    assert_eq!(sim.now(), Duration::from_millis(4), "four timers of the handler");
}

#[test]
fn the_timeout_of_hyper_is_on_the_clock_of_the_reactor() {
    let sim = Simulation::new();
    let reactor = sim.reactor();
    let lost = Rc::new(RefCell::new(vec![]));
    let seen = lost.clone();
    let _hook = twistor::report::hook(move |report| seen.borrow_mut().push(report.failure.message()));
    hyper_server::listen(&reactor, 80).unwrap();
    let peer = sim.connect(([127, 0, 0, 1], 80)).unwrap();
    sim.pump();
    peer.send("GET / HTTP/1.1\r\nHost: loc").unwrap();
    sim.advance(hyper_server::PATIENCE - Duration::from_millis(1));
    assert!(!peer.is_at_end());
    sim.advance(Duration::from_millis(1));
    assert!(peer.is_at_end());
    assert_eq!(lost.borrow().len(), 1, "{lost:?}");
    assert!(lost.borrow()[0].contains("timeout"), "{lost:?}");
    // Who was in time leaves no timer behind, but for the one of the next request.
    let peer = sim.connect(([127, 0, 0, 1], 80)).unwrap();
    peer.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    sim.advance(Duration::from_secs(1));
    assert!(peer.received().ends_with(b"visit 1 to /\n"));
    drop(peer);
    sim.pump();
    assert!(reactor.get_delayed_calls().is_empty());
}
