//! What goes through a shared chain: values of any type, which each stage takes as the one it was written for.

use std::{
    any::{Any, type_name},
    error::Error,
    fmt,
};
use twistor::{Result, trace::Place};

/// A value whose type is known when it is taken out.
pub(super) struct Value {
    value: Box<dyn Any>,
    type_name: &'static str,
}

impl Value {
    pub(super) fn of<T: 'static>(value: T) -> Value {
        Value { value: Box::new(value), type_name: type_name::<T>() }
    }

    /// What a stage leaves that gives nothing, or whose value was taken: Python's None.
    pub(super) fn none() -> Value {
        Value::of(())
    }

    /// The value, for who was written at `at` for a `T`.
    pub(super) fn take<T: 'static>(self, at: Place) -> Result<T> {
        match self.value.downcast() {
            Ok(value) => Ok(*value),
            Err(value) => Err(Value { value, ..self }.wrong::<T>(at).into()),
        }
    }

    /// A copy of the value.
    pub(super) fn copy<T: Clone + 'static>(&self, at: Place) -> Result<T> {
        self.value.downcast_ref().cloned().ok_or_else(|| self.wrong::<T>(at).into())
    }

    fn wrong<T>(&self, at: Place) -> WrongType {
        WrongType { expected: type_name::<T>(), found: self.type_name, at }
    }
}

/// A stage, or an await, was written for another type than the chain's value has: Python's `TypeError`.
///
/// A stage that changes the type gives a handle of the new one. A stage added to an older handle still expects the former type,
/// and fails with this.
///
/// # Examples
/// ```
/// use twisted::internet::defer::{Deferred, WrongType};
///
/// let d = Deferred::<&str>::new();
/// d.add_callback(|text| Ok(text.len()));              // the value is a usize from here on
/// let wrong = d.add_callback(|text| Ok(text.len()));  // `d` is still a handle of texts
/// d.callback("four")?;
/// let failure = wrong.result().expect("it has fired").unwrap_err();
/// assert!(failure.check::<WrongType>());
/// # Ok::<(), twistor::Failure>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WrongType {
    /// The type that was expected.
    pub expected: &'static str,
    /// The type that the value has.
    pub found: &'static str,
    /// Where the stage was added, or the value asked for.
    pub at: Place,
}

impl Error for WrongType {}

impl fmt::Display for WrongType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let WrongType { expected, found, at } = self;
        write!(
            f,
            "the value of this chain is a `{found}`, and `{expected}` is expected at {}:{}; ",
            at.file(),
            at.line()
        )?;
        match *found {
            "()" => f.write_str(
                "a stage before gave nothing, or an await, a list or another chain took the value",
            ),
            _ => f.write_str("use the handle that the stage before gave, which has the new type"),
        }
    }
}
