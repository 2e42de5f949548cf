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
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args([
            "build",
            "--release",
            "-p",
            "twistor-bench",
            "-p",
            "twistor",
            "--bins",
            "--example",
            "bench_server",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other("the servers do not compile")) }
}
