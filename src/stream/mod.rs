//! The door to async code: a connection as something to read from and write to, and the way back.
//!
//! | file | idea |
//! |---|---|
//! | `whole`, `half` | [`Stream`], a connection as `AsyncRead` and `AsyncWrite`; [`ReadHalf`] and [`WriteHalf`] |
//! | `pipe` | the layer behind a stream: what came and was not read yet |
//! | `made` | a layer that tells somebody when the connection is made |
//! | `serve` | [`serve()`]: an async fn as a factory |
//! | `connect` | connecting to a Deferred |
//! | `incoming` | [`Incoming`]: a listening port as a stream of streams |
//! | `datagrams` | [`Datagrams`]: a UDP port as a stream and a sink |
//! | `process` | [`ProcessStream`]: a child process's standard input and output |
//! | `attach`, `attached` | [`attach()`]: a protocol on any futures I/O |
//!
//! How async code and callbacks live together is in the manual: [coming from async](crate::manual::coming_from_async).

mod attach;
mod attached;
mod connect;
mod datagrams;
mod half;
mod incoming;
mod made;
mod pipe;
mod process;
mod serve;
mod whole;

pub use attach::attach;
pub(crate) use attach::attach_with;
pub use datagrams::Datagrams;
pub use half::{ReadHalf, WriteHalf};
pub use incoming::Incoming;
pub use process::ProcessStream;
pub use serve::{Serve, serve};
pub use whole::Stream;
