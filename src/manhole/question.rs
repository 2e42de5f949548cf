//! What may be asked, and the answer.

use crate::{
    reactor::Read,
    snapshot::{Limits, Snapshot},
};
use std::time::Duration;

/// What somebody wants to be told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Question {
    Tree,
    Json,
    Lints(Limits),
}

/// No question is longer.
pub(super) const LONGEST: usize = 64;

impl Question {
    /// Of a line. An empty one is the tree.
    ///
    /// # Errors
    /// What to say to who asks something else.
    pub(super) fn parse(line: &[u8]) -> Result<Question, String> {
        let text = String::from_utf8_lossy(line);
        let mut words = text.split_whitespace();
        let question = match (words.next(), words.next(), words.next()) {
            (None | Some("tree"), None, _) => Some(Question::Tree),
            (Some("json"), None, _) => Some(Question::Json),
            (Some("lints"), None, _) => Some(Question::Lints(Limits::default())),
            (Some("lints"), Some(seconds), None) => seconds.parse().ok().map(|seconds| {
                let limit = Duration::from_secs(seconds);
                Question::Lints(Limits { pending: limit, paused: limit })
            }),
            _ => None,
        };
        question.ok_or_else(|| {
            format!("unknown question {:?}: send tree, json, lints or lints SECONDS\n", text.trim_end())
        })
    }

    /// Sorts what was read, and writes it down. For another thread: of a large table it takes a while.
    pub(super) fn answer(self, read: Read) -> String {
        let snapshot: Snapshot = read.snapshot();
        match self {
            Question::Tree => snapshot.to_string(),
            Question::Json => snapshot.to_json(),
            Question::Lints(limits) => {
                snapshot.lints(limits).iter().map(|lint| format!("{lint}\n")).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_question_or_an_advice() {
        for (line, question) in [
            (&b""[..], Question::Tree),
            (b"\n", Question::Tree),
            (b"tree\r\n", Question::Tree),
            (b" json\n", Question::Json),
            (b"lints\n", Question::Lints(Limits::default())),
        ] {
            assert_eq!(Question::parse(line), Ok(question));
        }
        let limit = Duration::from_secs(3);
        assert_eq!(
            Question::parse(b"lints 3\n"),
            Ok(Question::Lints(Limits { pending: limit, paused: limit }))
        );
        for line in [&b"GET / HTTP/1.1\n"[..], b"tree json\n", b"lints x\n", b"lints 1 2\n", b"\xff\n"] {
            let advice = Question::parse(line).expect_err("it is unknown");
            assert!(advice.ends_with("send tree, json, lints or lints SECONDS\n"), "{advice}");
        }
    }
}
