//! The server's process, seen from the clients'.

use std::{
    collections::HashMap,
    env,
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    process::{Child, ChildStdout, Command, Stdio},
};

pub(crate) struct Server {
    child: Child,
    answers: BufReader<ChildStdout>,
    pub(crate) at: SocketAddr,
}

/// What the server counts, by name.
pub(crate) struct Figures(HashMap<String, String>);

impl Figures {
    pub(crate) fn number(&self, name: &str) -> i64 {
        self.text(name).parse().expect("a number")
    }

    pub(crate) fn text(&self, name: &str) -> &str {
        self.0.get(name).unwrap_or_else(|| panic!("the server does not count {name}"))
    }
}

impl Server {
    pub(crate) fn start(mode: &str) -> Server {
        let mut child = Command::new(env::current_exe().expect("this program"))
            .args(["server", mode])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process");
        let stdout = child.stdout.take().expect("piped");
        let mut server =
            Server { child, answers: BufReader::new(stdout), at: SocketAddr::from(([0, 0, 0, 0], 0)) };
        server.at = server.answer().parse().expect("its address");
        server
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        let length = self.answers.read_line(&mut line).expect("an answer");
        assert!(length > 0, "the server has gone");
        line.trim().into()
    }

    fn ask(&mut self, command: &str) -> String {
        writeln!(self.child.stdin.as_mut().expect("piped"), "{command}").expect("it listens");
        self.answer()
    }

    /// Returns when so many connections are open.
    pub(crate) fn until_open(&mut self, count: usize) {
        self.ask(&format!("until {count}"));
    }

    pub(crate) fn figures(&mut self) -> Figures {
        let answer = self.ask("report");
        let pairs = answer.split(' ').filter_map(|pair| pair.split_once('='));
        Figures(pairs.map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// At the end of its input the server stops.
impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
