//! Signals by their names.

use crate::{
    failure::Result,
    protocol::{SignalId, Which},
    reactor::Signal,
};

impl From<Signal> for SignalId<'_> {
    fn from(signal: Signal) -> Self {
        SignalId::from(signal.as_raw())
    }
}

impl SignalId<'_> {
    /// The number that the system has for it. A number is passed on as it is.
    pub(super) fn number(self) -> Result<i32> {
        match self.0 {
            Which::Number(number) => Ok(number),
            Which::Name(name) => Ok(name.parse::<Signal>()?.as_raw()),
        }
    }
}
