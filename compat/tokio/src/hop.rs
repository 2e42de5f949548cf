//! The way back from a thread of tokio's to the reactor's.

use std::{
    sync::Arc,
    task::{Wake, Waker},
};
use twistor::reactor::Remote;

/// Wakes a task of the reactor in the reactor's own thread.
///
/// The task's waker would do as well. But a loop that such wakes keep ending takes them for those of async-io's futures, and goes to sleep in
/// async-io: that is for who has sockets there, and costs three times as much.
struct Hop {
    remote: Remote,
    task: Waker,
}

pub(crate) fn waker(remote: &Remote, task: &Waker) -> Waker {
    Arc::new(Hop { remote: remote.clone(), task: task.clone() }).into()
}

impl Wake for Hop {
    fn wake(self: Arc<Self>) {
        let hop = self.clone();
        // If the reactor has ended there is no task any more.
        let _ = self.remote.call_from_thread(move |_| hop.task.wake_by_ref());
    }
}
