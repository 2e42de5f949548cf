//! The floors of the source: a file imports from its own floor or a lower one, and only the upper floors know the world below.
//!
//! The map is in the README. This reads each `crate::` path outside of comments and tests.

use std::{collections::BTreeMap, fs, path::Path};

/// Each room with its floor. A room is a folder or a file of `src`; its files may import each other.
const FLOORS: &[(u8, &[&str])] = &[
    (0, &["trace", "failure", "address", "error", "report", "snapshot", "planted"]),
    (1, &["time"]),
    (2, &["defer"]),
    (3, &["protocol", "names"]),
    (4, &["protocols", "task", "tls"]),
    (5, &["reactor"]),
    (6, &["adopt", "sockets", "tcp", "udp", "unix", "fdset", "process", "utils"]),
    (7, &["ssl", "stream", "systemd", "stdio", "react", "testing", "threads", "manhole", "manual"]),
];

/// The packages that do I/O, wait or run tasks, and the lowest floor that may name them.
const WORLD: &[&str] = &[
    "async_executor",
    "async_io",
    "blocking",
    "polling",
    "rustix",
    "signal_hook",
    "socket2",
    "twistor_spawn",
];
const WORLD_FROM: u8 = 5;

fn floor(room: &str) -> Option<u8> {
    FLOORS.iter().find(|(_, rooms)| rooms.contains(&room)).map(|(floor, _)| *floor)
}

/// The names that `lib.rs` exports at the root, and the room of each.
fn exports(lib: &str) -> BTreeMap<String, String> {
    let code = without_comments(lib);
    let mut names = BTreeMap::new();
    for part in code.split("pub use ").skip(1) {
        let (path, _) = part.split_once(';').expect("a use ends with a semicolon");
        let (room, list) = path.split_once("::").expect("from a room");
        let list = list.trim_matches(|c: char| c == '{' || c == '}' || c.is_whitespace());
        for name in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            names.insert(name.to_string(), room.trim().to_string());
        }
    }
    names
}

/// The code as it was, line for line, but for its comments and the texts in it.
fn without_comments(code: &str) -> String {
    code.lines()
        .map(|line| {
            let trimmed = line.trim_start();
            if trimmed.starts_with("//") || trimmed.starts_with("#[doc") || trimmed.starts_with("#![doc") {
                return "";
            }
            line.split(" //").next().unwrap_or_default()
        })
        .collect::<Vec<_>>()
        .join("\n")
}

/// The code up to its tests, which may know everything. They come last in a file.
fn without_tests(code: &str) -> &str {
    let end = code.find("#[cfg(test)]\nmod ").map(|at| {
        let rest = &code[at..];
        // `mod tests;` is one line, and more may follow; `mod tests {` is the rest of the file.
        if rest.lines().nth(1).is_some_and(|line| line.ends_with(';')) { code.len() } else { at }
    });
    &code[..end.unwrap_or(code.len())]
}

/// The first segments of the path, or of each path of the group, that begins here.
fn heads(path: &str) -> Vec<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(group) = path.strip_prefix('{') else { return vec![word(path)] };
    let (mut heads, mut depth, mut begins) = (vec![], 0, true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => begins = true,
            c if begins && !c.is_whitespace() => {
                heads.push(word(&group[at..]));
                begins = false;
            }
            _ => {}
        }
    }
    heads
}

/// What `file`, in that room, breaks: each with its line and the rule.
fn violations(file: &str, room: &str, code: &str, exports: &BTreeMap<String, String>) -> Vec<String> {
    let Some(own) = floor(room) else { return vec![format!("{file}: the room `{room}` is on no floor")] };
    let code = without_comments(code);
    let code = without_tests(&code);
    let line = |at: usize| code[..at].matches('\n').count() + 1;
    let mut found = vec![];
    for (at, root) in code.match_indices("crate::") {
        for head in heads(&code[at + root.len()..]) {
            let target = exports.get(&head).map_or(head.as_str(), String::as_str);
            match floor(target) {
                None => found.push(format!("{file}:{}: `crate::{head}` is on no floor", line(at))),
                Some(theirs) if theirs > own => found.push(format!(
                    "{file}:{}: `{target}` is on floor {theirs}, above `{room}` on floor {own}: import from the same or a lower floor",
                    line(at)
                )),
                Some(_) => {}
            }
        }
    }
    for package in WORLD.iter().filter(|_| own < WORLD_FROM) {
        for (at, _) in code.match_indices(&format!("{package}::")) {
            found.push(format!(
                "{file}:{}: `{package}` on floor {own}: only floors {WORLD_FROM} and above know the world below",
                line(at)
            ));
        }
    }
    found
}

fn sources(folder: &Path, into: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let tests = path.file_stem().is_some_and(|stem| stem == "tests");
        if path.is_dir() && !tests {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !tests {
            into.push((path.to_string_lossy().into_owned(), fs::read_to_string(&path).expect("text")));
        }
    }
}

#[test]
fn no_file_of_the_source_imports_upwards() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let exports = exports(&fs::read_to_string(src.join("lib.rs")).expect("lib.rs"));
    assert_eq!(exports.get("Failure").map(String::as_str), Some("failure"));
    let mut files = vec![];
    sources(&src, &mut files);
    let mut found = vec![];
    for (file, code) in &files {
        let inside = Path::new(file).strip_prefix(&src).expect("it is in src");
        let room = inside.iter().next().expect("a name").to_string_lossy();
        let room = room.trim_end_matches(".rs");
        if room != "lib" {
            found.extend(violations(&format!("src/{}", inside.display()), room, code, &exports));
        }
    }
    assert!(files.len() > 40, "only {} files were found", files.len());
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn the_core_forbids_unsafe_code() {
    let lib = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/lib.rs")).expect("lib.rs");
    assert!(lib.contains("#![forbid(unsafe_code)]"));
}

#[test]
fn the_checker_finds_what_it_is_to_find() {
    let exports = BTreeMap::from([("Reactor".to_string(), "reactor".to_string())]);
    let check = |room: &str, code: &str| violations("made_up.rs", room, code, &exports);

    // Upward, in each way to write it.
    for upward in [
        "use crate::tcp;",
        "use crate::tcp::TcpListen;",
        "use crate::{\n    time::{Clock, Time},\n    tcp::{TcpListen, TcpConnect},\n};",
        "fn f() {\n    crate::tcp::connect();\n}",
        "use crate::Reactor;",
    ] {
        let found = check("defer", upward);
        assert_eq!(found.len(), 1, "{upward}: {found:?}");
        assert!(found[0].contains("above `defer` on floor 2"), "{found:?}");
    }
    assert!(
        check("defer", "use crate::{\n    time::Time,\n    udp,\n};")[0].starts_with("made_up.rs:1: `udp`")
    );
    // The world, from too low.
    assert!(check("protocol", "\nuse async_io::Async;")[0].starts_with("made_up.rs:2: `async_io`"));
    // A room that nobody has put on a floor.
    assert!(check("defer", "use crate::cellar;")[0].contains("on no floor"));
    assert!(check("cellar", "")[0].contains("on no floor"));

    // What is right, or is no import.
    for fine in [
        "use crate::{failure::Failure, time::Time};",
        "use super::chain;",
        "/// See [`Reactor`](crate::Reactor).",
        "fn f() {} // as crate::tcp does",
        "#[cfg(test)]\nmod tests {\n    use crate::tcp;\n}",
    ] {
        assert_eq!(check("defer", fine), Vec::<String>::new(), "{fine}");
    }
    assert_eq!(check("reactor", "use async_io::Async;"), Vec::<String>::new());
}
