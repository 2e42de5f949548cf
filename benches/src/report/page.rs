//! The part of a page that the harness writes: what stands between two markers.

use std::fs;
use std::io;
use std::path::Path;

/// Puts a text between `<!-- measured: NAME -->` and the next `<!-- end -->` of a page.
///
/// # Errors
///
/// The page cannot be read or written, or has no such markers.
pub fn write(page: &Path, name: &str, text: &str) -> io::Result<()> {
    let old = fs::read_to_string(page)?;
    let new = replace(&old, name, text)
        .ok_or_else(|| io::Error::other(format!("{} has no place for {name}", page.display())))?;
    fs::write(page, new)
}

fn replace(page: &str, name: &str, text: &str) -> Option<String> {
    let begin = format!("<!-- measured: {name} -->\n");
    let (before, rest) = page.split_once(&begin)?;
    let (_, after) = rest.split_once("<!-- end -->")?;
    Some(format!("{before}{begin}\n{}\n\n<!-- end -->{after}", text.trim()))
}

#[cfg(test)]
mod tests {
    use super::replace;

    #[test]
    fn only_what_is_between_the_markers_changes_and_twice_is_the_same() {
        let page =
            "a\n<!-- measured: one -->\nold\n<!-- end -->\nb\n<!-- measured: two -->\nkept\n<!-- end -->\n";
        let new = replace(page, "one", "|x|\n").expect("the markers are there");
        assert_eq!(
            new,
            "a\n<!-- measured: one -->\n\n|x|\n\n<!-- end -->\nb\n<!-- measured: two -->\nkept\n<!-- end -->\n"
        );
        assert_eq!(replace(&new, "one", "|x|").as_deref(), Some(&*new));
        assert_eq!(replace(page, "three", ""), None);
    }
}
