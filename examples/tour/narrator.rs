//! Prints who did what, and when.

use std::{cell::Cell, time::Instant};

thread_local! {
    static BEGAN: Instant = Instant::now();
    /// When the chapter began.
    static CHAPTER: Cell<Option<Instant>> = const { Cell::new(None) };
}

pub(crate) fn chapter(title: &str, what: &str) {
    CHAPTER.set(Some(Instant::now()));
    println!("\n{title}\n   {what}\n");
}

/// One line: the milliseconds since the chapter began, who, and what.
pub(crate) fn say(who: &str, what: impl AsRef<str>) {
    let since = CHAPTER.get().unwrap_or_else(|| BEGAN.with(|began| *began));
    let at = since.elapsed().as_secs_f64() * 1000.0;
    println!("   {at:7.2} ms   {who:<16} {}", what.as_ref());
}

/// Bytes as text in quotes, with their ends of line to be seen.
pub(crate) fn quoted(bytes: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(bytes))
}
