//! For the packages beside twistor: that they use its public API alone, as a package of anybody's could.
//!
//! The compiler holds them to what is `pub`. Left are the ways around it: a feature, a file of the core's taken in, and what is public but hidden.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

pub(crate) fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Asserts it of the package below `root`, two folders below twistor's.
pub(crate) fn assert_used_alone(root: &Path, folders: &[&str]) {
    let hidden: BTreeSet<String> =
        sources(&root.join("../../src")).iter().flat_map(|(_, code)| hidden(code)).collect();
    assert!(hidden.contains("find_factory"), "what is hidden is not found any more: {hidden:?}");
    for folder in folders {
        let files = sources(&root.join(folder));
        assert!(!files.is_empty(), "{folder} has no files");
        files.iter().for_each(|(path, code)| assert_public(path, code, &hidden));
    }
    assert_no_feature(root);
}

fn assert_public(path: &Path, code: &str, hidden: &BTreeSet<String>) {
    for word in words(code) {
        assert!(!hidden.contains(word), "{}: `{word}` is hidden in twistor", path.display());
    }
    for way_in in ["#[path", "include!(", "../../src"] {
        assert!(!code.contains(way_in), "{}: {way_in}", path.display());
    }
}

fn assert_no_feature(root: &Path) {
    let manifest = read(&root.join("Cargo.toml"));
    let twistor: Vec<&str> = manifest.lines().filter(|line| line.starts_with("twistor ")).collect();
    assert!(twistor.len() == 1 && !twistor[0].contains("feature"), "{twistor:?}");
}

/// The text of every Rust file below a folder, comments left out.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = vec![];
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = read(&path);
            let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
            found.push((path, code.join("\n")));
        }
    }
    found
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// The names of what `#[doc(hidden)]` stands before.
fn hidden(code: &str) -> Vec<String> {
    let name = |rest| {
        let kinds = ["fn", "struct", "enum", "trait", "mod", "type", "const", "static", "macro_rules"];
        let mut from_kind = words(rest).skip_while(|word| !kinds.contains(word));
        from_kind.find(|word| !kinds.contains(word)).map(str::to_string)
    };
    code.split("#[doc(hidden)]").skip(1).filter_map(name).collect()
}
