//! The servers: each sends back what it gets, on one thread, and says that it ends when the client has.

use std::{io, net::Ipv4Addr, path::Path, sync::Arc};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring::default_provider,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        server::NoServerSessionStorage,
    },
    server::TlsStream,
};
use twistor::{
    Context, Protocol, Reactor, factory,
    tcp::TcpListen,
    tls::{CertificateOptions, PrivateCertificate},
};
use twistor_bench::BUFFER;

pub fn run(kind: &str, chain: &Path, key: &Path) -> io::Result<()> {
    match kind {
        "twistor" => by_twistor(chain, key).map_err(io::Error::other),
        "tokio" => by_tokio(chain, key),
        _ => Err(io::Error::other("servers are: twistor, tokio")),
    }
}

struct Echo;

impl Protocol for Echo {
    fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        cx.write(data);
    }
}

fn by_twistor(chain: &Path, key: &Path) -> twistor::Result<()> {
    let tls = CertificateOptions::new(PrivateCertificate::from_files(chain, key)?).build()?;
    let reactor = Reactor::new()?;
    let at = TcpListen::port(0).interface("127.0.0.1").no_delay(true);
    let port = reactor.listen_ssl(at, tls, factory(|_| Echo))?;
    println!("listening {}", port.get_host()?);
    reactor.run()
}

/// The options that twistor has: no tickets, no sessions.
fn config(chain: &Path, key: &Path) -> io::Result<ServerConfig> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(chain).map_err(io::Error::other)?.collect();
    let key = PrivateKeyDer::from_pem_file(key).map_err(io::Error::other)?;
    let mut config = ServerConfig::builder_with_provider(default_provider().into())
        .with_safe_default_protocol_versions()
        .and_then(|versions| {
            versions.with_no_client_auth().with_single_cert(chain.map_err(|_| no_certificate())?, key)
        })
        .map_err(io::Error::other)?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

fn no_certificate() -> tokio_rustls::rustls::Error {
    tokio_rustls::rustls::Error::NoCertificatesPresented
}

fn by_tokio(chain: &Path, key: &Path) -> io::Result<()> {
    let acceptor = TlsAcceptor::from(Arc::new(config(chain, key)?));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        println!("listening {}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                stream.set_nodelay(true)?;
                echo(acceptor.accept(stream).await?).await
            });
        }
    })
}

async fn echo(mut stream: TlsStream<tokio::net::TcpStream>) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            return stream.shutdown().await;
        }
        stream.write_all(&buffer[..length]).await?;
        stream.flush().await?;
    }
}
