//! The values and the errors of programs.

use serde_json::{Value, json};
use std::{error::Error, fmt};
use twistor::{
    Failure, Result,
    error::{
        Abandoned, CancelledError, FailureGroup, FirstError, LoopAlreadyRunning, LoopNotRunning, NoConnector,
        NoTokens, NotAcquired, NotActive, NotPaused, QueueOverflow, QueueUnderflow, TaskFinished,
        TimeoutError,
    },
};

/// What flows through the Deferreds of a program.
#[derive(Clone, Debug)]
pub(crate) enum Val {
    /// An object that a program cannot look into.
    Null,
    Int(i64),
    Bool(bool),
    List(Vec<Val>),
    /// A failure in the place of a value: only in what a list gives.
    Failed(Failure),
}

impl Val {
    pub(crate) fn of(value: &Value) -> Val {
        match value {
            Value::Null => Val::Null,
            value => Val::Int(value.as_i64().unwrap_or_else(|| panic!("{value} is no value of a program"))),
        }
    }

    pub(crate) fn plus(self, more: i64) -> Val {
        match self {
            Val::Int(n) => Val::Int(n + more),
            other => panic!("{other:?} is no integer to add to"),
        }
    }

    pub(crate) fn json(&self) -> Value {
        match self {
            Val::Null => Value::Null,
            Val::Int(n) => json!(n),
            Val::Bool(b) => json!(b),
            Val::List(list) => list.iter().map(Val::json).collect(),
            Val::Failed(failure) => error(failure),
        }
    }
}

pub(crate) fn result(result: &Result<Val>) -> Value {
    match result {
        Ok(value) => value.json(),
        Err(failure) => error(failure),
    }
}

macro_rules! kinds {
    ($($kind:ident)*) => {
        $(
            #[derive(Debug)]
            struct $kind(i64);

            impl Error for $kind {}

            impl fmt::Display for $kind {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    write!(f, "{} {}", stringify!($kind), self.0)
                }
            }
        )*

        /// The failure that a program names.
        pub(crate) fn failure(named: &Value) -> Failure {
            match (named[0].as_str(), named[1].as_i64()) {
                $((Some(stringify!($kind)), Some(n)) => $kind(n).into(),)*
                _ => panic!("{named} is no error of a program"),
            }
        }

        fn of_a_kind(failure: &Failure) -> Option<Value> {
            $(if let Some($kind(n)) = failure.value() { return Some(json!([stringify!($kind), n])); })*
            None
        }

        /// Traps one kind of error; any other comes back.
        pub(crate) fn trap(failure: &Failure, kind: &Value) -> Result<()> {
            match kind.as_str() {
                $(Some(stringify!($kind)) => failure.trap::<$kind>().map(drop),)*
                Some("Cancelled") => failure.trap::<CancelledError>().map(drop),
                Some("Timeout") => failure.trap::<TimeoutError>().map(drop),
                _ => panic!("{kind} is no kind of error"),
            }
        }
    };
}

kinds! { E1 E2 E3 E4 }

/// A failure as traces write it.
pub(crate) fn error(failure: &Failure) -> Value {
    if let Some(value) = of_a_kind(failure) {
        return value;
    }
    if let Some(first) = failure.value::<FirstError>() {
        return json!(["FirstError", first.index, error(&first.failure)]);
    }
    if let Some(group) = failure.value::<FailureGroup>() {
        return json!(["FailureGroup", group.failures.iter().map(error).collect::<Vec<_>>()]);
    }
    json!([library(failure).map_or_else(|| failure.to_string(), String::from)])
}

/// Twisted's name for an error of the library's.
fn library(failure: &Failure) -> Option<&'static str> {
    let named = [
        ("Cancelled", failure.check::<CancelledError>()),
        ("Timeout", failure.check::<TimeoutError>()),
        ("AssertionError", failure.check::<NotAcquired>()),
        ("AssertionError", failure.check::<LoopAlreadyRunning>() || failure.check::<LoopNotRunning>()),
        ("NotPaused", failure.check::<NotPaused>()),
        ("TaskDone", failure.value() == Some(&TaskFinished::Done)),
        ("TaskFailed", failure.value() == Some(&TaskFinished::Failed)),
        ("TaskStopped", failure.value() == Some(&TaskFinished::Stopped)),
        ("SchedulerStopped", failure.value() == Some(&TaskFinished::SchedulerStopped)),
        ("ValueError", failure.check::<NoTokens>() || failure.check::<NoConnector>()),
        ("QueueOverflow", failure.check::<QueueOverflow>()),
        ("QueueUnderflow", failure.check::<QueueUnderflow>()),
        ("AlreadyCalled", failure.value() == Some(&NotActive::AlreadyCalled)),
        ("AlreadyCancelled", failure.value() == Some(&NotActive::AlreadyCancelled)),
    ];
    named.iter().find(|(_, is)| *is).map(|(name, _)| *name)
}

/// Whether it comes of a promise that was dropped unfired, of which Twisted has no notion.
///
/// A lock's function that is abandoned releases, perhaps once too often: so much is a consequence too.
pub(crate) fn is_of_the_end(failure: &Failure) -> bool {
    let first = failure.value::<FirstError>().is_some_and(|first| is_of_the_end(&first.failure));
    let group = failure.value::<FailureGroup>().is_some_and(|group| group.failures.iter().any(is_of_the_end));
    first || group || failure.check::<Abandoned>() || failure.check::<NotAcquired>()
}
