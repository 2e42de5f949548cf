//! What the front page and the manual say is so: whatever in them can rot is checked here.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};
use twistor::{Context, Protocol, defer::Deferred, testing};

fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

fn read(relative: &str) -> String {
    fs::read_to_string(path(relative)).unwrap_or_else(|error| panic!("{relative}: {error}"))
}

/// Every file below a folder, relative to the root, that ends like that.
fn files(folder: &str, ending: &str) -> Vec<String> {
    let mut found = vec![];
    for entry in fs::read_dir(path(folder)).expect("a folder") {
        let entry = entry.expect("an entry");
        let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            found.extend(files(&name, ending));
        } else if name.ends_with(ending) {
            found.push(name);
        }
    }
    found
}

/// The rows of the tables of a page, each as its cells.
fn rows(page: &str) -> impl Iterator<Item = Vec<&str>> {
    page.lines().filter(|line| line.starts_with("| ")).map(|line| {
        line.trim_matches('|').split(" | ").map(|cell| cell.trim().trim_matches('|').trim()).collect()
    })
}

/// What stands between backticks.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The names in the sections of Cargo.toml whose title ends in `dependencies`, but for those of development.
fn dependencies() -> BTreeSet<String> {
    let (manifest, mut names, mut inside) = (read("Cargo.toml"), BTreeSet::new(), false);
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]") && line != "[dev-dependencies]";
        } else if let Some((name, _)) = line.split_once(" = ").filter(|_| inside) {
            names.insert(name.to_string());
        }
    }
    names
}

#[test]
fn the_package_table_says_what_is_used_and_where() {
    let readme = read("README.md");
    let (_, table) = readme.split_once("# The packages it stands on").expect("the section");
    let (table, _) = table.split_once("\n# ").expect("another section");
    let named: BTreeMap<&str, Vec<&str>> = rows(table)
        .filter(|row| row[0].starts_with('`'))
        .map(|row| (row[0].trim_matches('`'), code(row[1]).collect()))
        .collect();
    assert_eq!(named.keys().map(|name| name.to_string()).collect::<BTreeSet<_>>(), dependencies());

    let source: String = files("src", ".rs").iter().map(|file| read(file)).collect();
    for (package, places) in named {
        let name = format!("{}::", package.replace('-', "_"));
        for place in &places {
            assert!(read(place).contains(&name), "{package} is not used in {place}");
        }
        let used = source.lines().any(|line| !line.trim_start().starts_with("//") && line.contains(&name));
        assert_eq!(used, !places.is_empty(), "{package}: it is used, or the table says where it is");
    }
}

#[test]
fn the_version_of_rust_is_the_one_of_the_manifest() {
    let manifest = read("Cargo.toml");
    let (_, version) = manifest.split_once("rust-version = \"").expect("it is stated");
    let (version, _) = version.split_once('"').expect("a text");
    assert!(read("README.md").contains(&format!("Rust {version} or newer")));
}

#[test]
fn the_two_commands_are_what_the_checks_run() {
    let readme = read("README.md");
    let (_, commands) = readme.split_once("```text\n").expect("the commands");
    let (commands, _) = commands.split_once("```").expect("their end");
    let checks = read(".ci/run");
    assert_eq!(commands.lines().count(), 2);
    for command in commands.lines() {
        assert!(checks.lines().any(|line| line == command), ".ci/run does not run `{command}`");
    }
}

/// What a page's links lead to, but for those to the web.
fn targets(page: &str) -> Vec<&str> {
    let defined =
        page.lines().filter_map(|line| line.strip_prefix('[')?.split_once("]: ").map(|(_, target)| target));
    let inline = page.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(target, _)| target));
    defined.chain(inline).filter(|target| !target.starts_with("http")).collect()
}

#[test]
fn every_link_leads_somewhere_in_the_repository_and_in_the_documentation() {
    let mut pages =
        ["README.md", "CHANGELOG.md", "examples/README.md", "benches/README.md"].map(str::to_string).to_vec();
    pages.extend(files("src/manual", ".md"));
    for page in &pages {
        let text = read(page);
        let folder = Path::new(page).parent().expect("a folder");
        for target in targets(&text) {
            let file = target.split('#').next().unwrap_or_default();
            assert!(path("").join(folder).join(file).exists(), "{page}: {target} is not there");
        }
    }
    // In the documentation the links of the front page are given other ends, which rustdoc checks.
    let (readme, lib) = (read("README.md"), read("src/lib.rs"));
    for line in readme.lines().filter(|line| line.starts_with('[') && line.contains("]: ")) {
        let (name, _) = line.split_once(": ").expect("a definition");
        assert!(lib.contains(&format!("//! {name}: crate::")), "src/lib.rs gives {name} no end of its own");
    }
    assert!(lib.contains("#![doc = include_str!(\"../README.md\")]"));
}

#[test]
fn every_example_is_in_the_index_and_says_what_it_does() {
    let index = read("examples/README.md");
    let listed: BTreeSet<&str> =
        index.split("--example ").skip(1).filter_map(|rest| rest.split(['`', ' ']).next()).collect();
    let mut found = BTreeSet::new();
    for file in files("examples", ".rs") {
        let text = read(&file);
        assert!(text.starts_with("//! "), "{file} does not say what it does");
        assert!(text.lines().count() <= 150, "{file} is too long for an example");
        let name = file.trim_start_matches("examples/");
        let Some(name) =
            name.strip_suffix("/main.rs").or_else(|| name.strip_suffix(".rs").filter(|n| !n.contains('/')))
        else {
            continue;
        };
        found.insert(name.to_string());
        let run = format!("--example {name}");
        let header: String = text.lines().take_while(|line| line.starts_with("//!")).collect();
        assert!(header.contains("Run with: ") && header.contains(&run), "{file} does not say how to run it");
    }
    assert_eq!(listed, found.iter().map(String::as_str).collect());
}

#[test]
fn every_room_of_the_source_is_on_the_map() {
    let readme = read("README.md");
    let (_, map) = readme.split_once("# Where things are").expect("the section");
    let mapped: BTreeSet<&str> =
        rows(map).filter(|row| row.len() == 3).flat_map(|row| code(row[1]).collect::<Vec<_>>()).collect();
    let rooms: BTreeSet<String> = fs::read_dir(path("src"))
        .expect("a folder")
        .map(|entry| {
            entry.expect("an entry").file_name().to_string_lossy().trim_end_matches(".rs").to_string()
        })
        .collect();
    let mapped: BTreeSet<String> =
        mapped.into_iter().filter(|name| *name != "src").map(str::to_string).collect();
    assert_eq!(mapped, rooms);
}

#[test]
fn every_page_of_the_manual_says_first_for_whom_it_is() {
    for page in files("src/manual", ".md") {
        let text = read(&page);
        let mut lines = text.lines().filter(|line| !line.is_empty());
        assert!(lines.next().is_some_and(|title| title.starts_with("# ")), "{page}");
        assert!(
            lines.next().is_some_and(|line| line.starts_with("For who ")),
            "{page} does not say for whom it is"
        );
    }
}

#[test]
fn every_guarantee_names_a_test_that_is_there() {
    let page = read("src/manual/guarantees.md");
    let mut statements = 0;
    for statement in page.split("\n* ").skip(1) {
        statements += 1;
        let mut holders = code(statement).filter(|code| code.contains(".rs::")).peekable();
        assert!(holders.peek().is_some(), "nothing holds: {statement}");
        for holder in holders {
            let (file, name) = holder.split_once("::").expect("a file and a name");
            let text = read(file);
            let is_test = text.contains("#[test]") && text.contains(&format!("fn {name}() "))
                || text.contains(&format!("on_both!({name});"));
            let example =
                ["fn", "struct", "trait"].iter().any(|kind| text.contains(&format!("pub {kind} {name}")));
            assert!(is_test || example && text.contains("# Examples"), "{holder} is not there");
        }
    }
    assert!(statements > 20);
}

/// Every name of the manual's way that is a file is one.
#[test]
fn the_way_of_a_byte_goes_through_files_that_are_there() {
    let page = read("src/manual/the_way_of_a_byte.md");
    let steps: Vec<&str> = code(&page).filter(|code| code.starts_with("src/")).collect();
    assert!(steps.len() > 10);
    for step in steps {
        assert!(path(step).exists(), "{step} is not there");
    }
}

/// The words of Twisted's side of the table.
fn named_of_twisted(page: &str) -> BTreeSet<&str> {
    rows(page)
        .flat_map(|row| code(row[0]).collect::<Vec<_>>())
        .flat_map(|name| name.split(|c: char| !c.is_alphanumeric() && c != '_'))
        .collect()
}

/// Every interface of Twisted's reactor, as it was recorded, and everything in it.
#[test]
fn every_interface_of_twisted_s_reactor_stands_in_the_table_with_all_that_is_in_it() {
    let (page, recorded) =
        (read("src/manual/coming_from_twisted.md"), read("tests/data/interfaces_of_twisted.txt"));
    let named = named_of_twisted(&page);
    let interfaces: Vec<(&str, &str)> = recorded
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_once(':').expect("an interface and its names"))
        .collect();
    assert!(interfaces.len() > 50);
    for (interface, names) in interfaces {
        let missing: Vec<&str> = std::iter::once(interface)
            .chain(names.split_whitespace())
            .filter(|name| !named.contains(name))
            .collect();
        assert!(missing.is_empty(), "no row for {missing:?} of {interface}");
    }
}

/// What the search of the documentation finds under Twisted's name, the table of names has a row for.
#[test]
fn every_name_of_twisted_that_is_an_alias_stands_in_the_table() {
    // The names that others have for `add_callback` and `add_errback`: they are no names of Twisted's.
    const NOT_TWISTED: &[&str] = &["then", "catch"];
    let page = read("src/manual/coming_from_twisted.md");
    let named = named_of_twisted(&page);
    let mut missing = BTreeSet::new();
    for file in files("src", ".rs") {
        for alias in read(&file).split("alias = \"").skip(1) {
            let (alias, _) = alias.split_once('"').expect("a text");
            // Of `defer.Deferred` the name is the last part.
            let name = alias.rsplit('.').next().unwrap_or(alias);
            if !named.contains(name) && !NOT_TWISTED.contains(&alias) {
                missing.insert(format!("{alias} of {file}"));
            }
        }
    }
    assert!(missing.is_empty(), "no row for {missing:#?}");
}

/// The first row of the page for those who come from Twisted, and its other half.
#[test]
fn a_bound_stage_waits_for_the_running_method_and_a_closure_does_not() {
    struct Asking;
    impl Protocol for Asking {
        fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
            let (answer, promise) = Deferred::pending();
            let transport = cx.transport();
            match data {
                b"bound" => answer.add_callback(cx.bind(Self::got_answer)),
                _ => answer.map(move |()| transport.write("got ")),
            }
            .or_log("the answer");
            cx.write("before ");
            promise.callback(());
            cx.write("after ");
        }
    }
    impl Asking {
        fn got_answer(&mut self, cx: &Context<Self>, _: ()) {
            cx.write("got ");
        }
    }
    let mut t = testing::connect(Asking);
    t.receive("bound");
    assert_eq!(t.sent(), b"before after got ");
    t.receive("closure");
    assert_eq!(t.sent(), b"before got after ");
    // No method runs: the bound one is called at once.
    let (answer, promise) = Deferred::pending();
    answer.add_callback(t.context::<Asking>().bind(Asking::got_answer)).or_log("the answer");
    promise.callback(());
    assert_eq!(t.sent(), b"got ");
}
