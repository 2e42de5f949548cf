//! What a transport can do with TLS.

use super::{ClientTls, Negotiated, ServerTls, TlsError, session::Session};
use crate::{
    defer::{Deferred, record::Role},
    error::ProtocolGone,
    failure::{Failure, Result},
    protocol::{Asked, Transport},
};
use rustls::{ClientConnection, Connection, ServerConnection};
use std::time::Duration;

/// The first byte of a record that belongs to a handshake (RFC 8446, 5.1).
const HANDSHAKE: u8 = 22;

/// Which side of TLS: the server, or a client.
#[derive(Clone, Debug)]
pub enum Tls {
    /// The side that has a certificate.
    Server(ServerTls),
    /// The side that verifies it.
    Client(ClientTls),
}

impl From<ServerTls> for Tls {
    fn from(server: ServerTls) -> Tls {
        Tls::Server(server)
    }
}

impl From<&ServerTls> for Tls {
    fn from(server: &ServerTls) -> Tls {
        Tls::Server(server.clone())
    }
}

impl From<ClientTls> for Tls {
    fn from(client: ClientTls) -> Tls {
        Tls::Client(client)
    }
}

impl From<&ClientTls> for Tls {
    fn from(client: &ClientTls) -> Tls {
        Tls::Client(client.clone())
    }
}

impl Tls {
    /// How the other side is named in errors.
    fn peer(&self, transport: &Transport) -> String {
        match self {
            Tls::Server(_) => format!("the client {}", transport.get_peer()),
            Tls::Client(client) => {
                format!("the server {} at {}", client.name.to_str(), transport.get_peer())
            }
        }
    }

    /// A session, and how long its handshake and the wait at its end may take.
    fn session(&self, peer: String) -> Result<(Session, Duration, Duration), TlsError> {
        let unusable = |error| TlsError::of(&peer, error);
        let (connection, handshake, close) = match self {
            Tls::Server(server) => {
                let current = server.current();
                let connection = ServerConnection::new(current.config.clone()).map_err(unusable)?;
                (Connection::Server(connection), current.handshake_timeout, current.close_timeout)
            }
            Tls::Client(client) => {
                let (config, name) = (client.config.clone(), client.name.clone());
                let connection = ClientConnection::new(config, name).map_err(unusable)?;
                (Connection::Client(connection), client.handshake_timeout, client.close_timeout)
            }
        };
        Ok((Session::new(connection, peer), handshake, close))
    }
}

/// Twisted's `ITLSTransport` and `ISSLTransport`.
impl Transport {
    /// Begins TLS in mid-stream, as the side that `tls` is of.
    ///
    /// What was written before goes out in clear first; what is written from here on leaves when the peer is verified. A producer stays. Then the protocol is told
    /// [`handshake_completed`](crate::Protocol::handshake_completed), and the Deferred fires. Over a connection that has TLS it is TLS in TLS.
    ///
    /// # Errors
    /// The connection fails, and the Deferred with it, with a [`TlsError`]: by the handshake; with [`TlsErrorKind::Injected`](super::TlsErrorKind::Injected) if a framer holds bytes, or came
    /// to hold some by the read that brought the line before. They were sent in clear, perhaps by somebody in between, and would be taken for the peer's
    /// own (STARTTLS injection). Only to a server they may be what its client says first in TLS. A protocol without a framer has to look itself at what it was given.
    ///
    /// The failure is not reported if nobody handles it, for `connection_lost` tells it too.
    ///
    /// # Examples
    /// ```
    /// use twistor::{Context, testing, tls::{ServerTls, TlsError, TlsErrorKind}, protocols::basic::*};
    /// struct Server(ServerTls);
    /// impl LineProtocol for Server {
    ///     fn line_received(&mut self, cx: &Context<Self>, line: &[u8]) {
    ///         if line == b"STARTTLS" {
    ///             cx.send_line("220 go ahead"); // leaves in clear
    ///             cx.start_tls(&self.0);
    ///         }
    ///     }
    ///     fn connection_lost(&mut self, _cx: &Context<Self>, why: twistor::Failure) {
    ///         assert_eq!(why.value::<TlsError>().unwrap().kind(), TlsErrorKind::Injected);
    ///     }
    /// }
    /// # let pair = rcgen::generate_simple_self_signed(["localhost".to_string()])?;
    /// # let own = twistor::tls::PrivateCertificate::from_pem(pair.cert.pem(), pair.signing_key.serialize_pem())?;
    /// # let tls = twistor::tls::CertificateOptions::new(own).build()?;
    /// let mut t = testing::connect(LineReceiver::new(Server(tls)));
    /// t.receive("STARTTLS\r\nMAIL FROM:<attacker@example.org>\r\n"); // the second line is not from inside TLS
    /// assert!(!t.connected());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "startTLS")]
    #[track_caller]
    pub fn start_tls(&self, tls: impl Into<Tls>) -> Deferred<()> {
        let (deferred, promise) = Deferred::pending();
        let wire = self.wire();
        if !wire.is_open() {
            promise.errback(Failure::quiet(ProtocolGone::default()));
            return deferred;
        }
        self.begin_tls(&tls.into());
        match (wire.failing(), wire.filters()) {
            (None, Some(filters)) => {
                deferred.describe(Role::Chain, wire.serial);
                filters.wait(promise);
            }
            (why, _) => {
                let why = why.unwrap_or_else(|| Failure::new(ProtocolGone::default()));
                promise.errback(why.hushed());
            }
        }
        deferred
    }

    /// What the two sides agreed on, and who the peer is. None without TLS, before the handshake is over, and in `connection_lost`. With TLS in TLS it is the inner one's.
    #[doc(alias = "getPeerCertificate")]
    #[doc(alias = "negotiatedProtocol")]
    pub fn negotiated(&self) -> Option<Negotiated> {
        self.wire().filters()?.find(Session::negotiated)?
    }

    pub(super) fn begin_tls(&self, tls: &Tls) {
        let wire = self.wire();
        if let Err(why) = self.try_tls(tls) {
            wire.fail(Failure::new(why));
        }
        self.touch();
    }

    fn try_tls(&self, tls: &Tls) -> Result<(), TlsError> {
        let (wire, peer) = (self.wire(), tls.peer(self));
        let held = self.link.layer().held(Asked) + wire.filters().map_or(0, |filters| filters.held());
        let hello = if held > 0 { self.take_hello(tls, held) } else { Vec::new() };
        if hello.len() < held {
            return Err(TlsError::injected(&peer, held));
        }
        if !wire.is_writing() || wire.has_read_end() {
            return Err(TlsError::options("a direction of this connection has ended: begin TLS before that"));
        }
        if wire.has_passing() {
            return Err(TlsError::options("descriptors wait to be sent in clear: begin TLS when they are"));
        }
        let (session, limit, patience) = tls.session(peer)?;
        wire.push_filter(&self.link, Box::new(session), limit, patience);
        if let Some(filters) = wire.filters()
            && let Err(why) = filters.open(&hello)
        {
            wire.refuse(&filters, why);
        }
        Ok(())
    }

    /// What a client says first may come with the line that made this side its server: that is TLS, whoever sent it, and no bytes of the protocol's.
    fn take_hello(&self, tls: &Tls, held: usize) -> Vec<u8> {
        match tls {
            Tls::Server(_) => {
                let taken = self.link.layer().take_held(Asked);
                if taken.len() == held && taken.first() == Some(&HANDSHAKE) { taken } else { Vec::new() }
            }
            Tls::Client(_) => Vec::new(),
        }
    }
}
