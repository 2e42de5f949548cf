//! What sockets of every family of addresses have in common: TCP, UDP and UNIX are ways to open them.
//!
//! | file | idea |
//! |---|---|
//! | `connection` | bytes between a socket and a transport |
//! | `descriptors` | the same with descriptors among the bytes |
//! | `port` | [`ListeningPort`](crate::tcp::ListeningPort): accepting, stopping, draining |
//! | `client` | connecting |
//! | `datagrams` | datagrams between a socket and a protocol |
//! | `complaint` | how often the log is told of what goes on going wrong |
//! | `race` | which address of a host is tried when |

pub(crate) mod client;
mod complaint;
pub(crate) mod connection;
pub(crate) mod datagrams;
pub(crate) mod descriptors;
pub(crate) mod port;
mod race;
