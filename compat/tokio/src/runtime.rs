//! A tokio runtime on threads of its own, and its end.

use std::{
    convert::Infallible,
    io,
    sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender},
    thread,
    time::Duration,
};
use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::oneshot,
};

/// Linux shows 15 bytes of it.
pub(crate) const NAME: &str = "twistor-tokio";

/// How long the end of a reactor waits for what blocks a thread of the runtime.
const PATIENCE: Duration = Duration::from_secs(1);

/// A runtime, which belongs to a thread that keeps it. To drop this stops it, and waits for nothing.
///
/// Only that thread drops the runtime: tokio panics where one is dropped inside of another.
pub(crate) struct Kept {
    handle: Handle,
    /// The keeper waits for the other end to go.
    stop: oneshot::Sender<Infallible>,
    /// Its other end goes with the keeper.
    ended: Receiver<Infallible>,
}

impl Kept {
    /// With one worker the keeper is it.
    pub(crate) fn start(workers: usize) -> io::Result<Kept> {
        let (ready, made) = mpsc::sync_channel(1);
        let (stop, stopped) = oneshot::channel();
        let (alive, ended) = mpsc::sync_channel(0);
        thread::Builder::new().name(NAME.into()).spawn(move || {
            let _alive: SyncSender<Infallible> = alive;
            keep(workers, ready, stopped);
        })?;
        let gone = || io::Error::other("the thread of the tokio runtime has ended before it began");
        let handle = made.recv().map_err(|_| gone())??;
        Ok(Kept { handle, stop, ended })
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Stops it and waits until its tasks are dropped, but not for ever.
    pub(crate) fn stop(self) {
        let Kept { stop, ended, .. } = self;
        drop(stop);
        // Longer than the keeper itself waits for its workers.
        if ended.recv_timeout(2 * PATIENCE) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("a task blocks the thread of the tokio runtime, which therefore does not end");
        }
    }
}

/// The life of the keeper.
fn keep(workers: usize, ready: SyncSender<io::Result<Handle>>, stopped: oneshot::Receiver<Infallible>) {
    let runtime = match build(workers) {
        Ok(runtime) => runtime,
        Err(error) => return drop(ready.send(Err(error))),
    };
    // Who made this thread waits for it, and for nothing else.
    let _ = ready.send(Ok(runtime.handle().clone()));
    let _ = runtime.block_on(stopped);
    match workers {
        // Its tasks are dropped here and now; what blocks is left alone.
        1 => runtime.shutdown_background(),
        // Its workers drop them.
        _ => runtime.shutdown_timeout(PATIENCE),
    }
}

fn build(workers: usize) -> io::Result<Runtime> {
    let mut builder = match workers {
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    if workers > 1 {
        builder.worker_threads(workers);
    }
    builder.enable_all().thread_name(NAME).build()
}
