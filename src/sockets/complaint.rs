//! [`Complaint`]: what goes wrong at every event is logged now and then.

use std::{cell::Cell, time::Duration};

/// So often at most the log is told.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// When the log was last told of it, in the reactor's time.
#[derive(Default)]
pub(super) struct Complaint(Cell<Option<Duration>>);

impl Complaint {
    /// Whether the log is to be told again. Then it counts as told.
    pub(super) fn is_due(&self, now: Duration) -> bool {
        let due = self.0.get().is_none_or(|told| now.saturating_sub(told) >= TELL_EVERY);
        if due {
            self.0.set(Some(now));
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_once_a_second_however_often_there_is_reason() {
        let complaint = Complaint::default();
        let made = (0..30).filter(|tenth| complaint.is_due(Duration::from_millis(100 * tenth))).count();
        assert_eq!(made, 3);
    }
}
