//! TLS: in memory, over TCP on both drivers, in mid-stream, in TLS, and against peers that are not ours.

mod certificates;
mod closing;
#[path = "../support/counterpart.rs"]
mod counterpart;
mod memory;
mod names;
mod peers;
mod recording;
mod starttls;
mod tcp;
#[cfg(target_os = "linux")]
mod unix;
