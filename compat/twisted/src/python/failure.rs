//! Twisted's `twisted.python.failure`.

#[doc(inline)]
pub use twistor::Failure;
