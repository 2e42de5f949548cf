//! Five programs in the manner of Twisted's guides, each in Python and in Rust, line by line. Nothing to call: to read.
//!
//! The texts are those of the very files that run: `cargo run -p twistor-twisted --example guide_finger -- 1079`, and `python guide_finger.py 1079` with Twisted installed.
//! A test has the same conversation with both, and the bytes on the wire are the same.

macro_rules! program {
    ($(#[$about:meta])* $name:ident) => {
        $(#[$about])*
        ///
        /// ```python
        #[doc = include_str!(concat!("../examples/guide_", stringify!($name), ".py"))]
        /// ```
        /// ```rust,ignore
        #[doc = include_str!(concat!("../examples/guide_", stringify!($name), ".rs"))]
        /// ```
        pub mod $name {}
    };
}

program! {
    /// The smallest server. A class is a struct with a trait, `self.transport` is the context.
    qotd
}

program! {
    /// State that connections share, in their factory. `self.factory` is `cx.factory::<F>()`, and what changes in it is in cells.
    counted_echo
}

program! {
    /// A chain of callbacks that waits for another Deferred, and traps one error. The handle `d` is shared: stages are added in place, and who fires it has a clone.
    finger
}

program! {
    /// Lines, and raw bytes between them. What Python calls on `self` is called on the context.
    store
}

program! {
    /// Datagrams. What `transport.write` raises in Python is given here.
    udp_echo
}
