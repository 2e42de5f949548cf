//! Real Twisted, and what was recorded of it.

use std::{
    env, fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

pub(crate) fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

/// The Python that has Twisted: what `TWISTOR_PYTHON` names, else `python3`.
///
/// # Panics
/// If the variable names one that has not.
pub(crate) fn python() -> Option<&'static str> {
    static PYTHON: OnceLock<Option<String>> = OnceLock::new();
    let found = PYTHON.get_or_init(|| {
        let named = env::var("TWISTOR_PYTHON").ok();
        let python = named.clone().unwrap_or_else(|| "python3".to_string());
        let import =
            Command::new(&python).args(["-c", "import twisted.internet"]).stderr(Stdio::null()).status();
        let has_twisted = import.is_ok_and(|status| status.success());
        assert!(has_twisted || named.is_none(), "TWISTOR_PYTHON is {python}, which has no Twisted");
        has_twisted.then_some(python)
    });
    found.as_deref()
}

/// Compares with what real Twisted gave when it was recorded, and with what it gives now, if it is here.
///
/// `TWISTOR_RECORD=1` writes the record anew.
pub(crate) fn same_as_twisted(name: &str, ours: &str, twisted: impl FnOnce(&str) -> String) {
    let record = path(&format!("tests/recorded/{name}.txt"));
    match python().map(twisted) {
        Some(theirs) => {
            if env::var_os("TWISTOR_RECORD").is_some() {
                fs::write(&record, &theirs).expect("the record can be written");
            }
            same(&format!("{name}: Twisted now, and twistor"), &theirs, ours);
        }
        // Past the harness, which keeps what a test that passes prints.
        None => drop(writeln!(
            io::stderr(),
            "{name}: not compared with a running Twisted, for python3 has none here; compared with the record. \
             `pip install twisted`, or set TWISTOR_PYTHON"
        )),
    }
    let recorded =
        fs::read_to_string(&record).unwrap_or_else(|error| panic!("{}: {error}", record.display()));
    same(&format!("{name}: Twisted as recorded, and twistor"), &recorded, ours);
}

fn same(what: &str, theirs: &str, ours: &str) {
    let differing = theirs.lines().zip(ours.lines()).position(|(one, other)| one != other);
    let at = differing.unwrap_or_else(|| theirs.lines().count().min(ours.lines().count()));
    let line = |text: &str| text.lines().nth(at).unwrap_or("the end").to_string();
    assert!(theirs == ours, "{what} differ in line {}:\n  {}\n  {}", at + 1, line(theirs), line(ours));
}
