//! Who waits for a socket of the test itself, which no reactor looks at.

use super::{Key, NOBODY, Network, Phase};
use rustix::io::Errno;
use std::{
    io,
    net::SocketAddr,
    task::{Context, Poll, Waker},
};

impl Network {
    /// Whether it is ready may have changed.
    pub(super) fn changed(&mut self, key: Key) {
        let owner = self.sockets[key.0].owner;
        if owner == NOBODY {
            self.rouse(key);
        } else {
            self.candidates.entry(owner).or_default().insert(key.0);
        }
    }

    /// Those who wait for it look again.
    pub(super) fn rouse(&mut self, key: Key) {
        if let Some(watchers) = self.watchers.remove(&key.0) {
            self.woken.extend(watchers);
        }
    }

    /// Who waited for something that has changed since the last time.
    pub(in super::super) fn take_woken(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.woken)
    }

    /// Ready when the socket is, in the way that is asked for of readable and writable.
    pub(in super::super) fn poll(
        &mut self,
        key: Key,
        cx: &Context<'_>,
        ask: impl FnOnce((bool, bool)) -> bool,
    ) -> Poll<io::Result<()>> {
        let socket = self.sockets.get(key.0).ok_or(Errno::BADF)?;
        if ask(self.is_ready(socket)) {
            return Poll::Ready(Ok(()));
        }
        let watchers = self.watchers.entry(key.0).or_default();
        if !watchers.iter().any(|watcher| watcher.will_wake(cx.waker())) {
            watchers.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Where the other end is.
    pub(in crate::testing) fn remote_address(&mut self, key: Key) -> io::Result<SocketAddr> {
        let stream = self.stream(key)?;
        if stream.phase == Phase::Open { Ok(stream.remote) } else { Err(Errno::NOTCONN.into()) }
    }
}
