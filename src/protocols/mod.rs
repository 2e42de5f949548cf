//! Framers: from bytes to lines, and back.
//!
//! | file | idea |
//! |---|---|
//! | `basic` | what a user of Twisted's `protocols.basic` finds there, by name |
//! | `lines` | how a stream is cut into lines |
//! | `framed` | the layer that cuts, whatever the way |
//! | `buffer` | the bytes that it holds |
//! | `search` | where a byte comes first |

pub mod basic;
mod buffer;
mod framed;
mod lines;
mod search;
