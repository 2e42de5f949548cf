//! This crate is made of twistor's public API alone, and has what it says it has.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The text of every Rust file below a folder, comments left out.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = vec![];
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let code: Vec<String> = read(&path)
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .map(str::to_string)
                .collect();
            found.push((path, code.join("\n")));
        }
    }
    found
}

/// The names of what `#[doc(hidden)]` stands before.
fn hidden(code: &str) -> impl Iterator<Item = String> {
    code.split("#[doc(hidden)]").skip(1).filter_map(|rest| {
        let words = rest.split(|c: char| !c.is_alphanumeric() && c != '_');
        let mut after = words
            .skip_while(|word| !matches!(*word, "fn" | "struct" | "enum" | "trait" | "mod" | "macro_rules"));
        after.next();
        after.find(|word| !word.is_empty()).map(str::to_string)
    })
}

#[test]
fn it_uses_the_public_api_of_twistor_alone() {
    let hidden: BTreeSet<String> = sources(&root().join("../../src"))
        .iter()
        .flat_map(|(_, code)| hidden(code).collect::<Vec<_>>())
        .collect();
    assert!(hidden.contains("find_factory"), "what is hidden is not found any more: {hidden:?}");
    let mut files = sources(&root().join("src"));
    files.extend(sources(&root().join("examples")));
    assert!(files.len() > 15, "only {} files were found", files.len());
    for (path, code) in files {
        for word in code.split(|c: char| !c.is_alphanumeric() && c != '_') {
            assert!(!hidden.contains(word), "{}: `{word}` is hidden in twistor", path.display());
        }
        for way_in in ["#[path", "include!(", "../../src", "../../../src"] {
            assert!(!code.contains(way_in), "{}: {way_in}", path.display());
        }
    }
}

#[test]
fn it_asks_for_no_feature_of_twistor() {
    let manifest = read(&root().join("Cargo.toml"));
    let twistor = manifest.lines().find(|line| line.starts_with("twistor = ")).expect("it depends on it");
    assert!(!twistor.contains("feature"), "{twistor}");
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
