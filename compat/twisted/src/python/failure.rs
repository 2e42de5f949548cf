//! Twisted's `twisted.python.failure`.

pub use twistor::Failure;
