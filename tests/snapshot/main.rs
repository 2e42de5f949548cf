//! What is pending, shown: each thing under the right parent with the right place.

mod lints;
mod moments;
mod program;
mod text;

/// The line of this file's code that has the mark `// @name` at its end.
#[macro_export]
macro_rules! at {
    ($name:literal) => {
        $crate::marked(file!(), include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/", file!())), $name)
    };
}

fn marked(file: &str, text: &str, name: &str) -> String {
    let mark = format!(" // @{name}");
    let line =
        text.lines().position(|line| line.ends_with(&mark)).unwrap_or_else(|| panic!("no line has{mark}"));
    format!("{file}:{}", line + 1)
}
