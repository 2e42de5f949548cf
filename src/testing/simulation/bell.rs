//! What wakes the reactors of a world from other threads.

use crate::reactor::driver::Alarm;
use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::Waker,
    time::Duration,
};

/// The bells of all reactors of a world. One sleep waits for all of them, since who is rung may be what the sleeper waits for.
#[derive(Default)]
pub(super) struct Bells {
    each: Mutex<Vec<State>>,
    rings: Condvar,
}

/// The bell of one reactor.
#[derive(Default)]
struct State {
    rung: bool,
    /// Who sleeps as a guest.
    waker: Option<Waker>,
}

/// Rings one of them.
struct Bell {
    bells: Arc<Bells>,
    number: usize,
}

impl Alarm for Bell {
    fn ring(&self) {
        let mut each = self.bells.lock();
        each[self.number].rung = true;
        self.bells.rings.notify_all();
        let wakers: Vec<Waker> = each.iter_mut().filter_map(|state| state.waker.take()).collect();
        drop(each);
        // Foreign code, which may ring.
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Bells {
    fn lock(&self) -> MutexGuard<'_, Vec<State>> {
        // Nothing that can panic runs under the lock.
        self.each.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One bell more; its number is how many there were.
    pub(super) fn add(&self) {
        self.lock().push(State::default());
    }

    pub(super) fn alarm(self: &Arc<Self>, number: usize) -> Arc<dyn Alarm> {
        Arc::new(Bell { bells: self.clone(), number })
    }

    pub(super) fn is_rung(&self, number: usize) -> bool {
        self.lock()[number].rung
    }

    /// Whether it was rung since the last time.
    pub(super) fn hush(&self, number: usize) -> bool {
        std::mem::take(&mut self.lock()[number].rung)
    }

    /// Has the guest woken by the next ring of any of them. False if its own was rung already: then nobody is woken.
    pub(super) fn wake_by_ring(&self, number: usize, waker: &Waker) -> bool {
        let mut each = self.lock();
        if each[number].rung {
            return false;
        }
        let former = each[number].waker.replace(waker.clone());
        drop(each);
        drop(former);
        true
    }

    /// Those who sleep as a guest.
    pub(super) fn guests(&self) -> Vec<usize> {
        let each = self.lock();
        let asleep = each.iter().enumerate().filter(|(_, state)| state.waker.is_some());
        asleep.map(|(number, _)| number).collect()
    }

    /// Wakes a guest, who then looks for what there is.
    pub(super) fn wake(&self, number: usize) {
        let waker = self.lock()[number].waker.take();
        waker.into_iter().for_each(Waker::wake);
    }

    pub(super) fn forget_waker(&self, number: usize) {
        let former = self.lock()[number].waker.take();
        drop(former);
    }

    /// Sleeps, really, until one of these is rung or `at_most` is over. Whether one was.
    pub(super) fn listen(&self, to: &[usize], at_most: Duration) -> bool {
        let is_silent = |each: &mut Vec<State>| !to.iter().any(|number| each[*number].rung);
        let waited = self.rings.wait_timeout_while(self.lock(), at_most, is_silent);
        let (each, result) = waited.unwrap_or_else(PoisonError::into_inner);
        drop(each);
        !result.timed_out()
    }
}
