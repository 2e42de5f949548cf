//! The reactor on the system: signals, threads, descriptors. The loop itself is tested in `src/reactor/tests`.

#[path = "support/child.rs"]
mod child;
#[path = "reactor/descriptors.rs"]
mod descriptors;
#[path = "reactor/forked.rs"]
mod forked;
#[path = "reactor/remote.rs"]
mod remote;
#[path = "reactor/signals.rs"]
mod signals;
