//! UNIX sockets: streams, their files and locks, the descriptors that go with bytes, datagrams.
//!
//! | file | idea |
//! |---|---|
//! | `files` | what is in the file system: modes, what others left, locks, the end |
//! | `streams` | connecting: names, refusals, a full backlog, who the peer is |
//! | `descriptors` | descriptors among the bytes |
//! | `datagrams` | sockets of datagrams |
//! | `counterparts` | Python and socat at the other end |
#![cfg(target_os = "linux")]

#[path = "../loopback/mod.rs"]
mod loopback;

mod counterparts;
mod datagrams;
mod descriptors;
mod files;
mod folder;
mod streams;
