//! A case, and the files of them.

use serde_json::Value;
use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

/// A program, and the trace that Twisted gave for it.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) suite: String,
    pub(crate) name: String,
    /// What in it looks like an accident of Twisted's, if anything does.
    pub(crate) quirks: Vec<String>,
    pub(crate) program: Vec<Value>,
    pub(crate) expect: Vec<Value>,
}

impl Case {
    fn parse(line: &str) -> Case {
        let mut case: Value = serde_json::from_str(line).expect("a case is a line of JSON");
        Case {
            suite: text(&case["suite"]),
            name: text(&case["name"]),
            quirks: case["quirk"].as_str().map_or(vec![], |all| all.split("; ").map(String::from).collect()),
            program: list(case["program"].take()),
            expect: list(case["expect"].take()),
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a case has a suite and a name").into()
}

fn list(value: Value) -> Vec<Value> {
    match value {
        Value::Array(list) => list,
        other => panic!("a program or a trace is a list, not {other}"),
    }
}

/// The cases of a file, read as they are asked for: some files are larger than what one would keep in memory.
///
/// A last line without its end is left out, so that a file can be run while it is being written.
pub(crate) fn read(file: &Path) -> impl Iterator<Item = Case> + use<> {
    let open = File::open(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut reader = BufReader::new(open);
    std::iter::from_fn(move || {
        let mut line = String::new();
        reader.read_line(&mut line).expect("cases are text");
        line.ends_with('\n').then(|| Case::parse(&line))
    })
}

/// The files of the project: what the suites' authors wrote, then random programs.
pub(crate) fn built_in() -> Vec<PathBuf> {
    let written = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/conformance");
    [written.clone(), written.join("random")].iter().flat_map(|folder| files_of(folder)).collect()
}

fn files_of(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder of cases is there");
    let paths = entries.map(|entry| entry.expect("a folder can be read").path());
    let mut files: Vec<_> = paths.filter(|path| path.extension().is_some_and(|e| e == "jsonl")).collect();
    files.sort();
    files
}
