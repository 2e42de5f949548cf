//! What does not compile, and what a newcomer reads then: each `tests/ui/*.stderr` is such a message.
//!
//! One toolchain is meant, for its words change. `TRYBUILD=overwrite cargo test --test compile_fail` writes them anew.

#[test]
fn mistakes_do_not_compile_and_their_messages_tell_the_way_out() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
