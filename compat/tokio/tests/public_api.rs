//! The bridge stands on twistor's public API alone, as a package of anybody's could.

use std::{fs, path::Path};

fn read(relative: impl AsRef<Path>) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(relative);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All Rust files below a folder of the repository.
fn sources(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).expect("a folder");
    let mut found = vec![];
    for entry in entries {
        let entry = entry.expect("an entry");
        let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            found.extend(sources(&name));
        } else if name.ends_with(".rs") {
            found.push(name);
        }
    }
    found
}

/// The compiler holds it to what is `pub`. Left are the ways around it: a feature, a file of the core's taken in, and what is public but hidden.
#[test]
fn it_uses_the_public_api_of_twistor_alone() {
    let manifest = read("Cargo.toml");
    let twistor: Vec<&str> = manifest.lines().filter(|line| line.starts_with("twistor ")).collect();
    assert_eq!(twistor, ["twistor = { path = \"../..\" }"], "no features of its own");
    let hidden = hidden_names();
    for file in sources("src") {
        let text = read(&file);
        for way in ["#[path", "include!", "unsafe"] {
            assert!(!text.contains(way), "{file} has {way}");
        }
        for name in &hidden {
            let used = text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == name);
            assert!(!used, "{file} uses {name}, which twistor hides");
        }
    }
}

/// What is public in twistor and not in its documentation.
fn hidden_names() -> Vec<String> {
    let mut names = vec![];
    for file in sources("../../src") {
        for hidden in read(&file).split("#[doc(hidden)]").skip(1) {
            let item = hidden.lines().find(|line| line.trim_start().starts_with("pub ")).unwrap_or_default();
            let name = item.trim_start().split([' ', '(', '<', ':', ';', '{']).find(|word| {
                !["pub", "fn", "struct", "mod", "trait", "enum", "use", "const", "static", "type", ""]
                    .contains(word)
            });
            names.extend(name.map(str::to_string));
        }
    }
    names
}
