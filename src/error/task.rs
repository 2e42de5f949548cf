//! Of loops and cooperative tasks.

use std::{error::Error, fmt};

plain! {
    /// `start` of a loop that runs, or whose last call has not ended.
    LoopAlreadyRunning: "the loop runs, or its last call has not ended; start it again when the Deferred of start() fires";
    /// `stop` or `reset` of a loop that does not run.
    LoopNotRunning: "the loop does not run; ask running() first, or start() it";
    /// `resume` of a task that is not paused.
    NotPaused: "the task is not paused; resume once for each pause";
}

/// A cooperative task is over: nothing can be asked of it any more. It is also what [`when_done`] fails with, if somebody stopped the task.
///
/// Twisted raises an exception for each of them.
///
/// [`when_done`]: crate::task::CooperativeTask::when_done
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskFinished {
    /// Its iterator has no more items.
    #[doc(alias = "TaskDone")]
    Done,
    /// Its iterator panicked or gave a failure, or a Deferred that failed.
    #[doc(alias = "TaskFailed")]
    Failed,
    /// It was stopped.
    #[doc(alias = "TaskStopped")]
    Stopped,
    /// Its cooperator was stopped.
    SchedulerStopped,
}

impl Error for TaskFinished {}

impl fmt::Display for TaskFinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TaskFinished::Done => "the task is done already; when_done() tells when",
            TaskFinished::Failed => "the task has failed already; when_done() tells with what",
            TaskFinished::Stopped => "the task was stopped; start another one with cooperate()",
            TaskFinished::SchedulerStopped => {
                "the cooperator was stopped and takes no tasks; start() it first"
            }
        })
    }
}
