//! A client that waits for each answer.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::Arc,
};
use twistor::tls::rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    client::Resumption,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};

type Connected = StreamOwned<ClientConnection, TcpStream>;

pub struct Client {
    config: Arc<ClientConfig>,
}

impl Client {
    pub fn new(root: &Path) -> io::Result<Client> {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(root).map_err(io::Error::other)?)
            .map_err(io::Error::other)?;
        let mut config = ClientConfig::builder_with_provider(default_provider().into())
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        Ok(Client { config: config.into() })
    }

    fn connect(&self, to: SocketAddr) -> io::Result<Connected> {
        let stream = TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let connection = ClientConnection::new(self.config.clone(), name).map_err(io::Error::other)?;
        let mut connected = StreamOwned::new(connection, stream);
        while connected.conn.is_handshaking() {
            connected.conn.complete_io(&mut connected.sock)?;
        }
        Ok(connected)
    }

    fn end(mut connected: Connected) -> io::Result<()> {
        connected.conn.send_close_notify();
        connected.flush()?;
        let left = connected.read(&mut [0; 64])?;
        if left == 0 { Ok(()) } else { Err(io::Error::other("more than was asked for")) }
    }

    /// So many bytes on one connection, in pieces.
    pub fn there_and_back(&self, to: SocketAddr, piece: usize, bytes: usize) -> io::Result<()> {
        let mut connected = self.connect(to)?;
        let (sent, mut back) = (vec![7; piece], vec![0; piece]);
        for _ in 0..bytes / piece {
            connected.write_all(&sent)?;
            connected.read_exact(&mut back)?;
        }
        if back != sent {
            return Err(io::Error::other("something else came back"));
        }
        Client::end(connected)
    }

    /// So many connections, one after another.
    pub fn handshakes(&self, to: SocketAddr, count: usize) -> io::Result<()> {
        (0..count).try_for_each(|_| Client::end(self.connect(to)?))
    }
}
