//! Builds what is measured first, so that nobody measures an older server.

use std::env;
use std::io;
use std::process::Command;

/// Builds the servers where this program was built.
///
/// # Errors
///
/// Cargo is not there, or a server does not compile.
pub fn servers() -> io::Result<()> {
    build(&["-p", "twistor-bench", "--bins"])?;
    // On its own: an example comes with the features of the development's dependencies, and peers have none of those.
    build(&["-p", "twistor", "--example", "bench_server"])
}

fn build(what: &[&str]) -> io::Result<()> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--release"]).args(what).current_dir(env!("CARGO_MANIFEST_DIR"));
    if command.status()?.success() { Ok(()) } else { Err(io::Error::other("the servers do not compile")) }
}
