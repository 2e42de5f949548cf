//! [`Builder`]: a reactor with options.

use super::{Reactor, core::Core, driver::epoll::EpollDriver};
use crate::failure::Result;
use std::{rc::Rc, time::Duration};

/// How a reactor is made; from [`Reactor::builder`]. Without options it makes what [`Reactor::new`] makes.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use twistor::Reactor;
/// let reactor = Reactor::builder().spin(Duration::from_micros(20)).build()?;
/// # let _ = reactor;
/// # Ok::<(), twistor::Failure>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "it makes nothing until it is built"]
pub struct Builder {
    spin: Duration,
}

impl Builder {
    /// Before it sleeps, the reactor looks again and again for so long whether something has come. Zero, which is off, if not set.
    ///
    /// To be put to sleep and woken takes the system longer than a short message takes the reactor. Where the next message comes within microseconds of
    /// the last answer, on one machine or in one rack, looking for it gives twice as many messages a second or more, in less than half the time each.
    ///
    /// It looks only where that has paid lately: after a few times in vain it sleeps at once, and tries it with every 64th sleep. So connections that have
    /// little to say, and a reactor that is idle, sleep as before. Whatever else ends a sleep, a timer, a thread's call, a task that is woken, ends this too.
    ///
    /// # The price
    /// While traffic flows one core is busy, also in the gaps, and whatever else runs there has to wait: have one core for each reactor that spins, and one for
    /// the rest. A message costs up to a third more CPU. With many connections at once there is nothing to gain, for the next message is there already,
    /// and little to lose.
    ///
    /// 20 µs are a good time: about what a sleep and a wake take. It is a property of [`run`](Reactor::run) and [`iterate`](Reactor::iterate), but for the
    /// times when `run` sleeps in async-io because futures of async-io keep waking it: as a [guest](Reactor::drive) a reactor sleeps as its host does, and a
    /// [virtual](Reactor::is_virtual) one takes no time to wait.
    pub fn spin(mut self, time: Duration) -> Builder {
        self.spin = time;
        self
    }

    /// Makes the reactor, on the system's sockets and clock.
    ///
    /// # Errors
    /// The system's, when it is out of descriptors.
    pub fn build(self) -> Result<Reactor> {
        Ok(Reactor::of(Core::new(Rc::new(EpollDriver::new(self.spin)?))))
    }
}
