//! Load: many connections, too few descriptors, peers that do not read, much at once.
//!
//! Run with `cargo test --test load`, or with the name of one scenario after `--`. Each has a server in a process of its own (this program
//! again), which is told what to do on its standard input, and answers with figures; the clients are plain sockets in this process.
//! It takes some 20 seconds and prints what was measured.

mod child;
#[path = "../support/heap.rs"]
#[allow(dead_code, reason = "its scenarios run one after another anyway")]
mod heap;
mod scenarios;
mod server;

use std::{env, process::ExitCode, time::Instant};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if let [server, mode] = &arguments[..]
        && server == "server"
    {
        server::run(mode.parse().expect("a mode"));
        return ExitCode::SUCCESS;
    }
    for (name, scenario) in scenarios::ALL {
        if arguments.iter().all(|wanted| name.contains(&wanted[..])) {
            let begin = Instant::now();
            println!("{name}");
            scenario(); // panics if something is wrong
            println!("    ok, {:.1} s", begin.elapsed().as_secs_f64());
        }
    }
    ExitCode::SUCCESS
}
