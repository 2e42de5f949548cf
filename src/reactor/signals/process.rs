//! What the process does with a signal: who takes it, and what it does when nobody does.
//!
//! A handler stays for good once there is one, so what the signal did before is kept up by hand.

use super::signal::{Signal, SignalError};
use signal_hook::{SigId, flag, low_level};
use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs, io,
    os::unix::net::UnixStream,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// What a reactor takes a signal for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taking {
    /// The program hears it. No number of them ends the process.
    Hear,
    /// It stops the run; the next one ends the process.
    Stop,
}

/// A signal that somebody has taken once.
struct Taken {
    /// Whether the next one does what it does by default. Its handler, registered first, is called first.
    ends: Arc<AtomicBool>,
    /// What `ends` is while nobody takes it: what was ignored, or had another handler, is left to that.
    by_default: bool,
    hearing: usize,
    stopping: usize,
}

/// Locked while an `ends` follows it, else one thread's last might overtake another one's first.
static TAKEN: Mutex<BTreeMap<Signal, Taken>> = Mutex::new(BTreeMap::new());

fn lock() -> MutexGuard<'static, BTreeMap<Signal, Taken>> {
    // Nothing that can panic runs under the lock.
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Taken {
    fn new(by_default: bool) -> Taken {
        Taken { ends: Arc::new(AtomicBool::new(by_default)), by_default, hearing: 0, stopping: 0 }
    }

    fn count(&mut self, taking: Taking) -> &mut usize {
        match taking {
            Taking::Hear => &mut self.hearing,
            Taking::Stop => &mut self.stopping,
        }
    }

    fn more(&mut self, taking: Taking) {
        *self.count(taking) += 1;
        // Who begins to hear it does not call off an end that another one's stop has begun.
        if taking == Taking::Stop || self.stopping == 0 {
            self.ends.store(false, Ordering::SeqCst);
        }
    }

    fn less(&mut self, taking: Taking) {
        *self.count(taking) -= 1;
        if self.stopping == 0 {
            self.ends.store(self.hearing == 0 && self.by_default, Ordering::SeqCst);
        }
    }
}

/// A reactor takes the signal, until this is dropped.
pub(crate) struct Lease {
    signal: Signal,
    taking: Taking,
    ends: Arc<AtomicBool>,
}

impl Lease {
    pub(super) fn new(signal: Signal, taking: Taking) -> Result<Lease, SignalError> {
        let mut all = lock();
        let taken = match all.entry(signal) {
            Entry::Occupied(taken) => taken.into_mut(),
            Entry::Vacant(place) => {
                place.insert(first_of(signal).map_err(|cause| SignalError::System { signal, cause })?)
            }
        };
        taken.more(taking);
        Ok(Lease { signal, taking, ends: taken.ends.clone() })
    }

    /// From now on the signal does nothing where nobody hears it.
    pub(crate) fn for_good(signal: Signal) -> Result<(), SignalError> {
        std::mem::forget(Lease::new(signal, Taking::Hear)?);
        Ok(())
    }

    /// Whether the next signal does what it does by default.
    pub(super) fn ends(&self) -> &Arc<AtomicBool> {
        &self.ends
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(taken) = lock().get_mut(&self.signal) {
            taken.less(self.taking);
        }
    }
}

/// Whether somebody takes the next one, so that it does not do what it does by default.
pub(super) fn is_taken(signal: Signal) -> bool {
    lock()
        .get(&signal)
        .is_some_and(|taken| taken.hearing + taken.stopping > 0 && !taken.ends.load(Ordering::SeqCst))
}

/// Keeps up what the signal does by default, if it does that now.
fn first_of(signal: Signal) -> io::Result<Taken> {
    let taken = Taken::new(has_its_default(signal));
    let (number, ends) = (signal.as_raw(), taken.ends.clone());
    if signal.name().is_some() {
        flag::register_conditional_default(number, ends)?;
    } else {
        // A real-time signal ends the process. What a shell says of one that was ended so.
        flag::register_conditional_shutdown(number, 128 + number, ends)?;
    }
    Ok(taken)
}

/// Whether it is neither ignored nor has a handler. The process may have been started so: `nohup` has it ignore SIGHUP.
fn has_its_default(signal: Signal) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let is_in = |set: &str| {
        let mask = status.lines().find_map(|line| line.strip_prefix(set)).unwrap_or_default();
        u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask >> (signal.as_raw() - 1) & 1 == 1)
    };
    !is_in("SigIgn:") && !is_in("SigCgt:")
}

/// The handlers of a reactor for one signal; taken off when dropped.
pub(super) struct Handlers(Vec<SigId>);

impl Handlers {
    /// Each of these is set by the handler, not by the loop, which may be stuck in a callback. Then one byte goes to whoever is at the other end of `outbox`.
    pub(super) fn register(
        signal: Signal,
        flags: impl IntoIterator<Item = Arc<AtomicBool>>,
        outbox: &UnixStream,
    ) -> io::Result<Handlers> {
        let mut handlers = Handlers(vec![]);
        for set in flags {
            handlers.0.push(flag::register(signal.as_raw(), set)?);
        }
        handlers.0.push(low_level::pipe::register(signal.as_raw(), outbox.try_clone()?)?);
        Ok(handlers)
    }
}

impl Drop for Handlers {
    fn drop(&mut self) {
        for handler in self.0.drain(..) {
            low_level::unregister(handler);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// While anybody takes the signals, the next one does not end the process, whatever others do meanwhile.
    #[test]
    fn reactors_of_several_threads_come_and_go() {
        let taken = Mutex::new(Taken::new(true));
        std::thread::scope(|scope| {
            for taking in [Taking::Stop, Taking::Hear, Taking::Stop, Taking::Hear] {
                let taken = &taken;
                scope.spawn(move || {
                    for _ in 0..20_000 {
                        taken.lock().unwrap().more(taking);
                        assert!(!taken.lock().unwrap().ends.load(Ordering::SeqCst));
                        taken.lock().unwrap().less(taking);
                    }
                });
            }
        });
        assert!(taken.lock().unwrap().ends.load(Ordering::SeqCst));
    }

    /// A signal has stopped a run: the next one ends the process, though another reactor begins to hear it; and when that run is over, it does not.
    #[test]
    fn an_end_that_a_stop_has_begun_lasts_as_long_as_the_stop() {
        let mut taken = Taken::new(true);
        taken.more(Taking::Stop);
        taken.ends.store(true, Ordering::SeqCst);
        taken.more(Taking::Hear);
        assert!(taken.ends.load(Ordering::SeqCst));
        taken.less(Taking::Stop);
        assert!(!taken.ends.load(Ordering::SeqCst));
        taken.less(Taking::Hear);
        assert!(taken.ends.load(Ordering::SeqCst));
    }

    #[test]
    fn what_was_ignored_is_ignored_again() {
        let mut taken = Taken::new(false);
        taken.more(Taking::Hear);
        taken.less(Taking::Hear);
        assert!(!taken.ends.load(Ordering::SeqCst));
    }
}
