//! What needs no socket: programs of their own, which print their tables and targets.

use std::env;
use std::io;
use std::process::{Command, Stdio};

/// What each measures, and Cargo's arguments for it. The timers come last: their peers need another build of tokio, which then lies
/// where the server was.
const PARTS: &[(&str, &[&str])] = &[
    ("Deferreds", &["run", "--release", "-p", "twistor-bench", "--bin", "deferred"]),
    ("Two reactors on two cores", &["run", "--release", "-p", "twistor-bench", "--bin", "several"]),
    ("A million timers", &["bench", "-p", "twistor-bench", "--bench", "million"]),
];

/// Runs all of them and prints what they print; that text, and whether none failed.
pub fn measure() -> (String, bool) {
    let (mut text, mut whole) = (String::new(), true);
    for (title, arguments) in PARTS {
        match output(arguments) {
            Ok(told) => {
                let part = format!("### {title}\n\n{}\n\n", told.trim());
                print!("{part}");
                text += &part;
            }
            Err(error) => {
                eprintln!("{title}: {error}");
                whole = false;
            }
        }
    }
    (text, whole)
}

fn output(arguments: &[&str]) -> io::Result<String> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).stderr(Stdio::inherit());
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() { Ok(text) } else { Err(io::Error::other(output.status.to_string())) }
}
