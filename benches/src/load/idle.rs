//! Connections that stay open: each is used once, then silent.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::pattern::Pattern;
use super::{Client, PATIENCE, Pass, wrong};

/// So many wait to be accepted at once: a queue that is much shorter loses their first packets, and each of those
/// waits a second.
const AT_ONCE: usize = 1000;

/// The connections so far.
pub struct Idle {
    server: SocketAddr,
    count: usize,
    streams: Vec<TcpStream>,
}

impl Idle {
    /// Opens the first one: what a server makes once is made now.
    pub fn connect(count: usize, server: SocketAddr) -> io::Result<Idle> {
        let mut idle = Idle { server, count, streams: Vec::with_capacity(count + 1) };
        idle.open(1)?;
        Ok(idle)
    }

    /// Opens so many more, then uses each.
    fn open(&mut self, count: usize) -> io::Result<()> {
        let first = self.streams.len();
        for _ in 0..count {
            let stream = TcpStream::connect(self.server)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            self.streams.push(stream);
        }
        let new = || self.streams[first..].iter().zip(first..);
        for (mut stream, number) in new() {
            stream.write_all(Pattern::new(number, 64, 1).part(0, 64))?;
        }
        for (mut stream, number) in new() {
            let mut came = [0; 64];
            stream.read_exact(&mut came)?;
            if came != Pattern::new(number, 64, 1).part(0, 64) {
                return Err(wrong("the server did not send back what it was sent"));
            }
        }
        Ok(())
    }
}

impl Client for Idle {
    /// However long that takes: its end is that all are open.
    fn run(&mut self, _span: Duration) -> io::Result<Pass> {
        let mut pass = Pass::new();
        let start = Instant::now();
        while pass.messages < self.count as u64 {
            let some = AT_ONCE.min(self.count - pass.messages as usize);
            self.open(some)?;
            pass.messages += some as u64;
        }
        pass.wall = start.elapsed();
        Ok(pass)
    }

    fn warm_up(&mut self, _span: Duration) -> io::Result<()> {
        Ok(())
    }
}
