//! Tests without a socket, an await or a sleep.
//!
//! | file | idea |
//! |---|---|
//! | `connected` | the string transport: [`connect`] puts a protocol on a connection that exists in memory alone |
//!
//! The test says what comes in, and looks at what went out and at the state in the middle.

mod connected;

pub use connected::{Connected, accept, connect};
