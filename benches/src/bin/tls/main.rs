//! TLS beside tokio-rustls, with the same provider of cryptography: the CPU time of a server for each byte and for each handshake.
//!
//! Each server is a process of its own on one thread, and sends back what it gets. The client is blocking rustls in this process. Rounds are interleaved; what is
//! printed is the median of each, and of the ratios within a round.

mod client;
mod servers;
#[path = "../../server/usage.rs"]
#[allow(dead_code, reason = "the benchmark of servers uses the rest")]
mod usage;

use std::{
    env, fs,
    io::{self, BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};
use twistor_bench::{Limit, figure, median};

/// What a byte, or a handshake, may cost of what it costs tokio-rustls.
const LIMIT: Limit = Limit::AtMost(1.05);
const ROUNDS: usize = 9;
/// Bytes that go there and back in a round.
const BYTES: usize = 64 << 20;
const HANDSHAKES: usize = 400;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => compare(),
        ["server", kind, chain, key] => servers::run(kind, chain.as_ref(), key.as_ref()),
        _ => Err(io::Error::other("usage: tls, without arguments")),
    }
}

/// A server that runs; dropping it kills it.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(kind: &str, files: &Files) -> io::Result<Server> {
        let mut command = Command::new(env::current_exe()?);
        command.args(["server", kind]).arg(&files.chain).arg(&files.key);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().expect("it is piped")).read_line(&mut line)?;
        let address = line.trim_end().strip_prefix("listening ").and_then(|address| address.parse().ok());
        Ok(Server { child, address: address.ok_or_else(|| io::Error::other("it does not listen"))? })
    }

    /// What the server's CPU time is for this.
    fn cost(&self, work: impl FnOnce(SocketAddr) -> io::Result<()>) -> io::Result<Duration> {
        usage::wait_for_sleep(self.child.id())?;
        let before = usage::Usage::of(self.child.id())?;
        work(self.address)?;
        usage::wait_for_sleep(self.child.id())?;
        Ok(usage::Usage::of(self.child.id())?.since(before).ran)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A certificate that is its own root, and its key; removed at the end.
struct Files {
    folder: PathBuf,
    chain: PathBuf,
    key: PathBuf,
}

impl Files {
    fn make() -> io::Result<Files> {
        let folder = env::temp_dir().join(format!("twistor-bench-tls-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).map_err(io::Error::other)?;
        let put = |name: &str, text: String| {
            let path = folder.join(name);
            fs::write(&path, text).map(|()| path)
        };
        let (chain, key) =
            (put("chain.pem", own.cert.pem())?, put("key.pem", own.signing_key.serialize_pem())?);
        Ok(Files { folder, chain, key })
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The figures of one work, a round each.
#[derive(Default)]
struct Figures {
    twistor: Vec<f64>,
    tokio: Vec<f64>,
}

impl Figures {
    fn round(
        &mut self,
        [twistor, tokio]: &[Server; 2],
        unit: f64,
        work: impl Fn(SocketAddr) -> io::Result<()>,
    ) -> io::Result<()> {
        let cost = |server: &Server| Ok::<_, io::Error>(server.cost(&work)?.as_secs_f64() * 1e9 / unit);
        self.twistor.push(cost(twistor)?);
        self.tokio.push(cost(tokio)?);
        Ok(())
    }

    fn row(&self, what: &str, unit: &str) -> String {
        let middle = |values: &[f64]| median(values.iter().copied()).expect("there are rounds");
        let ratios: Vec<f64> =
            self.twistor.iter().zip(&self.tokio).map(|(ours, theirs)| ours / theirs).collect();
        let (ours, theirs, ratio) = (middle(&self.twistor), middle(&self.tokio), middle(&ratios));
        let verdict = LIMIT.verdict(ratio);
        format!("|{what}|{} {unit}|{} {unit}|{ratio:.2}|{LIMIT}|{verdict}|", figure(ours), figure(theirs))
    }
}

fn compare() -> io::Result<()> {
    let files = Files::make()?;
    let servers = [Server::start("twistor", &files)?, Server::start("tokio", &files)?];
    let client = client::Client::new(Path::new(&files.chain))?;
    let (mut bytes, mut small, mut handshakes) = (Figures::default(), Figures::default(), Figures::default());
    for _ in 0..ROUNDS {
        bytes.round(&servers, BYTES as f64 / 1024.0, |to| client.there_and_back(to, 256 << 10, BYTES))?;
        small.round(&servers, 20_000.0, |to| client.there_and_back(to, 64, 20_000 * 64))?;
        handshakes.round(&servers, HANDSHAKES as f64 * 1000.0, |to| client.handshakes(to, HANDSHAKES))?;
    }
    println!("|CPU time of the server|twistor|tokio-rustls|ratio|limit||\n|-|-|-|-|-|-|");
    println!("{}", bytes.row("a KiB there and back", "ns"));
    println!("{}", small.row("a message of 64 B there and back", "ns"));
    println!("{}", handshakes.row("a handshake and an end", "us"));
    Ok(())
}
