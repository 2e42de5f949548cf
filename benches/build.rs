//! Tells the programs which compiler made them: a count of instructions is one of that compiler's.

use std::{env, process::Command};

fn main() {
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let told = Command::new(rustc).arg("--version").output().expect("the compiler tells its version");
    println!("cargo:rustc-env=RUSTC_VERSION={}", String::from_utf8_lossy(&told.stdout).trim());
    println!("cargo:rerun-if-changed=build.rs");
}
