//! Echo over TLS, whose certificate is renewed without a restart.
//!
//! Run with: `cargo run --example tls_echo -- --port 8443 --cert cert.pem --key key.pem`, then `openssl s_client -connect 127.0.0.1:8443` and type. For a
//! certificate to try with: `openssl req -x509 -newkey ed25519 -nodes -subj /CN=localhost -keyout key.pem -out cert.pem`.
//!
//! Your lines come back. `kill -HUP` has it read the two files again: who connects then sees the new certificate, and who is connected stays. Ctrl-C ends it.

mod support;

use twistor::{
    Context, Failure, Protocol, Reactor, Result, factory,
    reactor::Signal,
    tls::{CertificateOptions, PrivateCertificate, TlsError},
};

struct Echo;

impl Protocol for Echo {
    fn handshake_completed(&mut self, cx: &Context<Self>) {
        if let Some(agreed) = cx.negotiated() {
            println!("{}: {:?}, {}", cx.get_peer(), agreed.version, agreed.cipher);
        }
    }

    fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        cx.write(data);
    }

    fn connection_lost(&mut self, cx: &Context<Self>, why: Failure) {
        // A handshake that fails comes here too, by name.
        if let Some(error) = why.value::<TlsError>() {
            println!("{}: {error}", cx.get_peer());
        }
    }
}

fn main() -> Result<()> {
    let named = |option| {
        support::option::<String>(option)?.ok_or_else(|| {
            Failure::msg(format!("{option} FILE is needed: a PEM, as the top of this example's file shows"))
        })
    };
    let (cert, key) = (named("--cert")?, named("--key")?);
    let read = move || PrivateCertificate::from_files(&cert, &key).map(CertificateOptions::new);

    let tls = read()?.build()?;
    let reactor = Reactor::new()?;
    let port = reactor.listen_ssl(("127.0.0.1", support::port(8443)?), &tls, factory(|_peer| Echo))?;
    let _reload =
        reactor.on_signal(Signal::HUP, move || match read().and_then(|options| tls.replace(options)) {
            Ok(()) => println!("read again"),
            Err(error) => println!("all stays as it was: {error}"),
        })?;
    println!("listening on {}", port.get_host()?);
    reactor.run()
}
