//! This crate is made of twistor's public API alone, and has what it says it has.

#[path = "../../../tests/support/public_api.rs"]
mod public_api;

use public_api::read;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

#[test]
fn it_uses_the_public_api_of_twistor_alone() {
    public_api::assert_used_alone(&root(), &["src", "examples"]);
}

/// What the table of the README says is Twisted's, is there under that path.
#[test]
fn every_path_of_the_table_is_there() {
    let readme = read(&root().join("README.md"));
    let paths: BTreeSet<&str> = readme
        .split('`')
        .filter(|code| code.starts_with("twisted::") && !code.contains(['{', '(']))
        .collect();
    assert!(paths.len() > 8, "{paths:?}");
    for path in paths {
        let mut file = root().join("src");
        let segments: Vec<&str> = path.split("::").skip(1).collect();
        let modules = segments.iter().take_while(|segment| segment.starts_with(char::is_lowercase));
        modules.for_each(|module| file.push(module));
        let found = [file.with_extension("rs"), file.join("mod.rs")].into_iter().find(|file| file.exists());
        assert!(found.is_some(), "`{path}` is not there");
    }
}
