//! Few messages, far apart: the client sleeps between them, and so does the server.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::pattern::Pattern;
use super::{Client, PATIENCE, Pass, wrong};

/// So much longer runs last: else there would be too few messages to count.
const LONGER: u32 = 4;

/// One connection.
pub struct Sparse {
    stream: TcpStream,
    pattern: Pattern,
    /// Bytes sent, and received.
    position: usize,
    pause: Duration,
}

impl Sparse {
    /// Connects; so many messages a second are to come.
    pub fn connect(per_second: usize, server: SocketAddr) -> io::Result<Sparse> {
        let stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let pause = Duration::from_secs(1) / per_second as u32;
        Ok(Sparse { stream, pattern: Pattern::new(0, 64, 1), position: 0, pause })
    }

    /// One message back and forth.
    fn exchange(&mut self) -> io::Result<()> {
        let message = self.pattern.part(self.position, 64);
        self.position += message.len();
        self.stream.write_all(message)?;
        let mut came = [0; 64];
        self.stream.read_exact(&mut came)?;
        if came != message { Err(wrong("the server did not send back what it was sent")) } else { Ok(()) }
    }
}

impl Client for Sparse {
    fn run(&mut self, span: Duration) -> io::Result<Pass> {
        let mut pass = Pass::new();
        let start = Instant::now();
        let mut next = start;
        while next < start + span * LONGER {
            thread::sleep(next.saturating_duration_since(Instant::now()));
            let asked = Instant::now();
            self.exchange()?;
            pass.answered(asked.elapsed());
            next += self.pause;
        }
        pass.wall = start.elapsed();
        Ok(pass)
    }
}
