//! What a runtime costs while it is there: one thread, and at most 1 MiB.
//!
//! In a process of its own, where no other test has threads or memory.

#[path = "../../../tests/support/child.rs"]
#[allow(dead_code, reason = "nobody waits for the end of this child")]
mod child;
#[allow(dead_code, reason = "not all of it is for this test")]
mod support;

use std::{fs, thread, time::Instant};
use support::{PATIENCE, run_until};
use twistor::Reactor;
use twistor_tokio::Tokio;

/// What of the process is in memory, in KiB. Counted page by page: the figure in `status` may be late by some hundred.
fn resident() -> u64 {
    let maps = fs::read_to_string("/proc/self/smaps_rollup").expect("Linux");
    let line = maps.lines().find_map(|line| line.strip_prefix("Rss:")).expect("Linux has it");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// The names of this process's threads.
fn threads() -> Vec<String> {
    let tasks = fs::read_dir("/proc/self/task").expect("Linux");
    // One that ends meanwhile has no name.
    let name = |task: std::io::Result<fs::DirEntry>| fs::read_to_string(task.ok()?.path().join("comm")).ok();
    tasks.filter_map(name).map(|name| name.trim().to_string()).collect()
}

/// Waits until something is so.
fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        thread::yield_now();
    }
}

/// Runs a reactor with tasks and timers before and with the runtime, and tells what has been added.
fn measure() {
    let reactor = Reactor::new().unwrap();
    run_until(&reactor, reactor.spawn(async { Ok(()) })).unwrap();
    let (threads_before, before) = (threads(), resident());

    let tokio = Tokio::new(&reactor).unwrap();
    for _ in 0..1000 {
        let hop = tokio.run(async {
            tokio::task::yield_now().await;
            Ok(())
        });
        run_until(&reactor, hop).unwrap();
    }
    let added = resident().saturating_sub(before); // pages from before may have gone meanwhile
    let mut new = threads();
    new.retain(|name| !threads_before.contains(name));
    child::tell(format!("{added} {} {}", threads().len() - threads_before.len(), new.join(",")));

    drop(tokio);
    wait_until("its thread ends", || threads().len() == threads_before.len());
    child::tell("gone");
}

#[test]
fn a_runtime_is_one_thread_and_at_most_a_mebibyte() {
    if child::role().is_some() {
        return measure();
    }
    let child = child::start("a_runtime_is_one_thread_and_at_most_a_mebibyte", "with tokio");
    let told = child.told().expect("it measures");
    let words: Vec<&str> = told.split(' ').collect();
    let [kib, threads, names] = words[..] else { panic!("it told {told:?}") };
    println!("a tokio runtime of one worker: {threads} thread, {kib} KiB");
    assert_eq!((threads, names), ("1", "twistor-tokio"));
    assert!(kib.parse::<u64>().unwrap() <= 1024, "{kib} KiB");
    assert_eq!(child.told().as_deref(), Some("gone"));
}
