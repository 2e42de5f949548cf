//! TLS in mid-stream, both sides: a server of lines that changes to TLS when it is asked, and a client that asks.
//!
//! Run with: `cargo run --example starttls -- --port 8025 --cert cert.pem --key key.pem`, and then
//! `cargo run --example starttls -- --port 8025 --ask cert.pem`, where the certificate is one for `localhost` that is its own root, such as that of
//! `openssl req -x509 -newkey ed25519 -nodes -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem`.
//!
//! You will see what the server answers in clear and what it answers inside TLS. Ctrl-C ends it.

mod support;

use std::fs;
use twistor::{
    Context, Failure, Reactor, Result,
    defer::{Deferred, Promise},
    factory,
    protocols::basic::{LineControl, LineProtocol, LineReceiver},
    tls::{CertificateOptions, ClientTls, PrivateCertificate, ServerTls, TrustRoots, options_for_client_tls},
};

struct Server {
    tls: ServerTls,
}

impl LineProtocol for Server {
    fn line_received(&mut self, cx: &Context<Self>, line: &[u8]) {
        match line {
            b"STARTTLS" => {
                cx.send_line("220 go ahead"); // the last that leaves in clear
                cx.start_tls(&self.tls);
            }
            b"WHO AM I" if cx.negotiated().is_some() => cx.send_line("250 somebody whom nobody overhears"),
            b"WHO AM I" => cx.send_line("530 not in clear: STARTTLS first"),
            b"QUIT" => cx.lose_connection(),
            _ => cx.send_line("500 what?"),
        }
    }

    fn connection_lost(&mut self, cx: &Context<Self>, why: Failure) {
        println!("{}: {why}", cx.get_peer());
    }
}

/// Asks in clear, then in TLS.
struct Client {
    tls: ClientTls,
    over: Option<Promise<()>>,
}

impl LineProtocol for Client {
    fn connection_made(&mut self, cx: &Context<Self>) {
        cx.send_line("WHO AM I");
    }

    fn line_received(&mut self, cx: &Context<Self>, line: &[u8]) {
        println!("{}", line.escape_ascii());
        match line.get(..3).unwrap_or(line) {
            b"530" => cx.send_line("STARTTLS"),
            // Who waits for a Deferred may; it fires after `handshake_completed`.
            b"220" => drop(cx.start_tls(&self.tls)),
            _ => cx.send_line("QUIT"),
        }
    }

    fn handshake_completed(&mut self, cx: &Context<Self>) {
        cx.send_line("WHO AM I");
    }

    fn connection_lost(&mut self, _cx: &Context<Self>, why: Failure) {
        if let Some(over) = self.over.take() {
            let _ = match why.check::<twistor::error::ConnectionDone>() {
                true => over.callback(()),
                false => over.errback(why),
            };
        }
    }
}

fn main() -> Result<()> {
    let (reactor, port) = (Reactor::new()?, support::port(8025)?);
    match support::option::<String>("--ask")? {
        Some(root) => ask(&reactor, port, &root),
        None => serve(&reactor, port),
    }
}

fn serve(reactor: &Reactor, port: u16) -> Result<()> {
    let named = |option| {
        support::option::<String>(option)?.ok_or_else(|| {
            Failure::msg(format!("{option} FILE is needed: a PEM, as the top of this example's file shows"))
        })
    };
    let own = PrivateCertificate::from_files(named("--cert")?, named("--key")?)?;
    let tls = CertificateOptions::new(own).build()?;
    let lines = factory(move |_peer| LineReceiver::new(Server { tls: tls.clone() }));
    let port = reactor.listen_tcp(("127.0.0.1", port), lines)?;
    println!("listening on {}", port.get_host()?);
    reactor.run()
}

fn ask(reactor: &Reactor, port: u16, root: &str) -> Result<()> {
    let roots = TrustRoots::from_pem(fs::read(root)?)?;
    let tls = options_for_client_tls("localhost").trust_roots(roots).build()?;
    let (over, promise) = Deferred::pending();
    let client = LineReceiver::new(Client { tls, over: Some(promise) });
    let r = reactor.clone();
    let asked = reactor.spawn(async move {
        r.connect_protocol(("127.0.0.1", port), client).await?;
        over.await
    });
    let asked = asked.add_both(|result| {
        Reactor::current().stop()?;
        result
    });
    reactor.run()?;
    asked.now().unwrap_or(Ok(()))
}
