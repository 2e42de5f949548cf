//! The manual: pages to read, and no code to call.
//!
//! | page | for whom |
//! |---|---|
//! | [`coming_from_twisted`] | who knows Twisted: a table of every name, with each difference |
//! | [`coming_from_async`] | who has async code: how it lives beside callbacks |
//! | [`choosing_a_reactor`] | who asks which reactor to take, and where it may run |
//! | [`several_reactors`] | who has more to do than one core does |
//! | [`testing_a_protocol`] | who has written a protocol: from a test of eight lines to a seeded simulation |
//! | [`the_way_of_a_byte`] | who wants to know, or change, how it works: one file a step |
//! | [`live_tree`] | who has a program that hangs or leaks, and wants to see what it waits for |
//! | [`guarantees`] | who builds on it: what may be relied on, and the test that holds it |
//! | [`examples`] | who would rather begin from a program |
//! | [`changelog`] | who comes from another version |

// The first definition of a link wins: here it leads to the documentation, in the page to the repository.
/// [twistor-twisted]: https://docs.rs/twistor-twisted
///
#[doc = include_str!("coming_from_twisted.md")]
pub mod coming_from_twisted {}

#[doc = include_str!("coming_from_async.md")]
pub mod coming_from_async {}

#[doc = include_str!("choosing_a_reactor.md")]
pub mod choosing_a_reactor {}

#[doc = include_str!("several_reactors.md")]
pub mod several_reactors {}

#[doc = include_str!("testing_a_protocol.md")]
pub mod testing_a_protocol {}

#[doc = include_str!("the_way_of_a_byte.md")]
pub mod the_way_of_a_byte {}

#[doc = include_str!("live_tree.md")]
pub mod live_tree {}

#[doc = include_str!("guarantees.md")]
pub mod guarantees {}

#[doc = include_str!("../../examples/README.md")]
pub mod examples {}

#[doc = include_str!("../../CHANGELOG.md")]
pub mod changelog {}
