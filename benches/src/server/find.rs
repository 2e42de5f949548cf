//! From a row of the table, or a word of the command line, to a program that can be started.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use twistor_bench::python;

use super::{Program, SERVERS, Server};
use crate::work::Work;

/// A server that is there.
pub struct Found {
    /// Its name in the tables.
    pub name: String,
    /// The package it shows, and its version where that is known without Cargo.
    pub package: Option<(&'static str, Option<String>)>,
    /// The program and what precedes `MODE`.
    command: Vec<PathBuf>,
    flags: Vec<String>,
    mode: Option<&'static str>,
    works: Vec<&'static str>,
}

impl Found {
    /// Whether it has a row in the table of that workload.
    pub fn takes(&self, work: Work) -> bool {
        self.works.iter().any(|name| *name == work.kind.name() || *name == work.to_string())
    }

    /// The command that starts it for that workload.
    pub fn command(&self, work: Work) -> Command {
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]);
        command.args([self.mode.unwrap_or(work.kind.mode()), "0"]).args(&self.flags);
        // Whoever debugs has it set; a server that keeps the stack of each error would be measured with that.
        command.env("RUST_BACKTRACE", "0");
        command
    }

    /// It takes part in everything of the kinds its row names: somebody asked for it.
    fn in_all_of_its_kinds(mut self) -> Found {
        for work in &mut self.works {
            *work = work.trim_end_matches(|c: char| c.is_ascii_digit());
        }
        self
    }
}

/// The servers of that choice (`NAME` or `NAME=COMMAND`), or all, and why others are left out.
///
/// # Errors
///
/// A name that no row has; a chosen server that is not there.
pub fn choose(chosen: &[String]) -> Result<(Vec<Found>, Vec<String>), String> {
    if chosen.is_empty() {
        let mut absent = Vec::new();
        let found = SERVERS.iter().filter_map(|server| find(server).map_err(|why| absent.push(why)).ok());
        let found = found.collect();
        return Ok((found, absent));
    }
    let found = chosen.iter().map(|choice| match choice.split_once('=') {
        Some((name, command)) => Ok(own(name, command)),
        None => {
            let server = SERVERS.iter().find(|server| server.name == choice);
            let names = || SERVERS.iter().map(|server| server.name).collect::<Vec<_>>().join(", ");
            let server =
                server.ok_or_else(|| format!("no server is named {choice}; there are {}", names()))?;
            find(server).map(Found::in_all_of_its_kinds)
        }
    });
    Ok((found.collect::<Result<_, _>>()?, Vec::new()))
}

/// A program of the user's, that is said to do everything.
fn own(name: &str, command: &str) -> Found {
    let mut words = command.split_whitespace();
    Found {
        name: name.to_owned(),
        package: None,
        command: vec![words.next().unwrap_or_default().into()],
        flags: words.map(str::to_owned).collect(),
        mode: None,
        works: super::ALL.to_vec(),
    }
}

fn find(server: &Server) -> Result<Found, String> {
    let (command, version) = match server.program {
        Program::Peer(file) => (vec![built(Path::new(file), server)?], None),
        Program::Example(file) => (vec![built(&Path::new("examples").join(file), server)?], None),
        Program::Script(file) => {
            let (python, version) = python(server.package).ok_or_else(|| {
                format!("{}: no Python here has it (TWISTOR_PYTHON names one)", server.name)
            })?;
            (vec![python, Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(file)], Some(version))
        }
    };
    Ok(Found {
        name: server.name.to_owned(),
        package: Some((server.package, version)),
        command,
        flags: server.flags.split_whitespace().map(str::to_owned).collect(),
        mode: server.mode,
        works: server.works.to_vec(),
    })
}

/// What Cargo has put beside this program.
fn built(file: &Path, server: &Server) -> Result<PathBuf, String> {
    let path = env::current_exe().map_err(|e| e.to_string())?.with_file_name(file);
    if path.exists() { Ok(path) } else { Err(format!("{}: {} is not built", server.name, file.display())) }
}

#[cfg(test)]
mod tests {
    use super::{SERVERS, choose, own};
    use crate::work::{Kind, Work};

    fn is_a_word(word: &str) -> bool {
        word.parse::<Work>().is_ok() || Kind::ALL.iter().any(|kind| kind.name() == word)
    }

    #[test]
    fn the_table_names_kinds_and_workloads_only_and_no_server_twice() {
        for (n, server) in SERVERS.iter().enumerate() {
            assert!(SERVERS[..n].iter().all(|other| other.name != server.name), "{}", server.name);
            assert!(server.works.iter().all(|word| is_a_word(word)), "{}", server.name);
        }
    }

    #[test]
    fn a_command_of_the_users_takes_mode_and_port_before_its_flags() {
        let command = own("mine", "/bin/mine --spin 20").command("line50".parse().expect("a workload"));
        assert_eq!(format!("{command:?}"), r#"RUST_BACKTRACE="0" "/bin/mine" "line" "0" "--spin" "20""#);
    }

    #[test]
    fn an_unknown_name_is_an_error_that_names_the_known() {
        let error = choose(&["tokyo".to_owned()]).err().expect("there is none");
        assert!(error.contains("tokyo") && error.contains("tokio"), "{error}");
    }
}
