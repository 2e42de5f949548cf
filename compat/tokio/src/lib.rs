#![doc = include_str!("../README.md")]

mod bridge;
mod enter;
pub mod error;
mod http;
mod io;
mod runtime;

pub use bridge::Tokio;
pub use http::OnReactor;
pub use io::StreamExt;
