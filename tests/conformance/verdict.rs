//! Whether two traces are the same.

use crate::{
    case::Case,
    divergences::{self, Excuse},
    world::{Manner, Ran},
};
use serde_json::Value;

/// What is to be said of a case.
pub(crate) enum Verdict {
    Passed,
    /// It differs, for these reasons.
    Diverged(Vec<Excuse>),
    Failed(String),
    /// It is of this part, which is not built yet.
    Skipped(String),
}

/// Judges a case by what comes of it when it is `run`.
pub(crate) fn of(case: &Case, run: impl FnMut(Manner) -> Result<Ran, String>) -> Verdict {
    match judge(case, run) {
        Ok(excuses) if excuses.is_empty() => Verdict::Passed,
        Ok(excuses) => Verdict::Diverged(excuses),
        Err(why) => Verdict::Failed(why),
    }
}

fn judge(case: &Case, mut run: impl FnMut(Manner) -> Result<Ran, String>) -> Result<Vec<Excuse>, String> {
    let mut run = |manner| run(manner).and_then(Ran::without_leaks);
    let ran = run(Manner::Own)?;
    match difference(&case.expect, &ran.trace) {
        None => Ok(vec![]),
        Some(_) => divergences::excuse(case, ran, || run(Manner::Twisteds)),
    }
}

/// The first event that differs.
pub(crate) fn difference(recorded: &[Value], got: &[Value]) -> Option<String> {
    let at = (0..recorded.len().max(got.len())).find(|&at| match (recorded.get(at), got.get(at)) {
        (Some(one), Some(other)) => !same(one, other),
        _ => true,
    })?;
    let show = |trace: &[Value]| trace.get(at).map_or("the end".into(), Value::to_string);
    Some(format!("event {at}: recorded {}, got {}", show(recorded), show(got)))
}

/// How far two delays may be apart that both sides have multiplied, in parts of their size.
const TOLERANCE: f64 = 1e-9;

pub(crate) fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Number(_), Value::Number(_)) => same_number(one, other),
        _ => one == other,
    }
}

/// Integers are exact; a time may be written `2` or `2.0`.
fn same_number(one: &Value, other: &Value) -> bool {
    if let (Some(one), Some(other)) = (one.as_i64(), other.as_i64()) {
        return one == other;
    }
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => (one - other).abs() <= TOLERANCE * one.abs().max(other.abs()),
        _ => false,
    }
}
