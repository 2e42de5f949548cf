//! The bridge stands on twistor's public API alone.

#[path = "../../../tests/support/public_api.rs"]
mod public_api;

use std::path::Path;

#[test]
fn it_uses_the_public_api_of_twistor_alone() {
    public_api::assert_used_alone(Path::new(env!("CARGO_MANIFEST_DIR")), &["src"]);
}
