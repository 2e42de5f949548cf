//! What a random program does next.

use super::*;

impl Model {
    pub(super) fn act(&mut self, acts: &mut Vec<Act>) {
        self.fuel = self.fuel.saturating_sub(1);
        let (handles, promises) = self.table();
        let (handle, promise) = (self.rng().pick(&handles), self.rng().pick(&promises));
        let act = match (self.rng().below(40), handle, promise) {
            (0..8, Some(h), _) => self.random_stage(h, &handles, &promises),
            (8..13, _, Some(p)) => {
                let failed = self.rng().one_in(3);
                Act::Fire(p, if failed { Err(self.failure()) } else { Ok(self.number()) })
            }
            (13, _, Some(p)) => Act::DropPromise(p),
            (14, Some(h), _) => Act::DropHandle(h),
            (15, Some(h), _) if !self.is_paused(h) => Act::DropCancelling(h),
            (16..19, _, _) => {
                let any: Vec<_> =
                    (0..self.handles.len()).filter(|h| self.handles[*h].there == There::Table).collect();
                match self.rng().pick(&any) {
                    Some(h) if self.rng().one_in(4) => Act::IsFired(h),
                    Some(h) => Act::Cancel(h),
                    None => self.make(),
                }
            }
            (19..22, Some(h), _) => Act::Poll(h),
            (22, Some(h), _) => Act::Now(h),
            (23..26, _, _) => self.random_combination(handles),
            (26, Some(h), Some(p)) if self.may_own(h, p) => Act::ChainTo(h, p),
            (27, Some(h), _) => Act::Log(h),
            (28..30, _, _) => {
                let failed = self.rng().one_in(3);
                let made = if failed { At::Fail } else { At::Succeed };
                Act::Fired(
                    self.new_handle(made),
                    if failed { Err(self.failure()) } else { Ok(self.number()) },
                )
            }
            (30, Some(h), _) if !self.is_queued(h) => Act::Pause(h),
            (31..33, _, _) => {
                let paused: Vec<_> = handles.into_iter().filter(|h| self.is_paused(*h)).collect();
                match self.rng().pick(&paused) {
                    Some(h) => Act::Unpause(h),
                    None => self.make(),
                }
            }
            _ => self.make(),
        };
        self.perform(&act, Plan::Random);
        acts.push(act);
    }

    /// It has its result before its turn, and still is listed.
    fn is_queued(&self, h: Handle) -> bool {
        matches!(self.handles[h].of, Of::Chain(c) if self.has_result(h) && self.chains[c].state == State::Firing)
    }

    pub(super) fn make(&mut self) -> Act {
        let owner = self.rng().one_in(3).then(|| self.owner());
        let made = if owner.is_some() { At::Cancellable } else { At::Pending };
        let handle = self.new_handle(made);
        self.promises.push(PromiseState { chain: usize::MAX, of_canceller: false, there: There::Else });
        Act::Make(handle, self.promises.len() - 1, owner)
    }

    pub(super) fn random_stage(&mut self, h: Handle, handles: &[Handle], promises: &[Write]) -> Act {
        let mut captured = Captured::default();
        if self.rng().one_in(4) {
            captured.promise = self.rng().pick(promises).filter(|p| self.may_own(h, *p));
        }
        if self.rng().one_in(6) {
            captured.handle =
                self.rng().pick(handles).filter(|other| *other != h && self.may_own_handle(h, *other));
        }
        let at = self.rng().pick(&At::STAGES).expect("there are some");
        Act::Stage(h, self.owner(), at, captured)
    }

    pub(super) fn random_combination(&mut self, handles: Vec<Handle>) -> Act {
        let mut inputs: Vec<_> = handles.into_iter().filter(|h| !self.is_paused(*h)).collect();
        let rng = self.rng();
        while inputs.len() > 3 || (!inputs.is_empty() && rng.one_in(4)) {
            let at = rng.below(inputs.len());
            inputs.swap_remove(at);
        }
        let consume = rng.one_in(2);
        // The first of none never fires: that one would be pending for ever.
        let some = !inputs.is_empty();
        let (made, how) = match rng.below(3) {
            0 => {
                let (one_callback, one_errback) = (rng.one_in(3) && some, rng.one_in(3));
                (At::List, How::List(Flags { one_callback, one_errback, consume }))
            }
            1 => (At::Gather, How::Gather { consume }),
            _ if some => (At::Race, How::Race),
            _ => (At::Gather, How::Gather { consume }),
        };
        let handle = self.new_handle(made);
        Act::Combine(how, inputs, handle)
    }

    /// Fires inside fires: the program goes on in the innermost, at a depth where fires begin to wait for their turn.
    pub(super) fn ladder(&mut self, acts: &mut Vec<Act>) {
        let rungs = 28 + self.rng().below(5);
        let program = 1 + self.rng().below(8);
        let made: Vec<_> = (0..rungs)
            .map(|_| {
                let (handle, promise) = (self.new_handle(At::Pending), self.promises.len());
                self.promises.push(PromiseState {
                    chain: usize::MAX,
                    of_canceller: false,
                    there: There::Else,
                });
                (handle, promise)
            })
            .collect();
        for (i, (handle, promise)) in made.iter().enumerate() {
            let plan = made.get(i + 1).map_or(Plan::Program(program), |next| Plan::Fire(next.1));
            let make = Act::Make(*handle, *promise, None);
            self.perform(&make, Plan::Random);
            let stage = Act::Stage(*handle, self.owner(), At::Callback, Captured::default());
            self.perform(&stage, plan);
            acts.extend([make, stage]);
        }
        let fire = Act::Fire(made[0].1, Ok(self.number()));
        self.perform(&fire, Plan::Random);
        acts.push(fire);
    }

    pub(super) fn drop_something(&mut self, acts: &mut Vec<Act>) -> Option<()> {
        let (handles, promises) = self.table();
        let at = match handles.len() + promises.len() {
            0 => return None,
            n => self.rng().below(n),
        };
        let act = match handles.get(at) {
            Some(h) => Act::DropHandle(*h),
            None => Act::DropPromise(promises[at - handles.len()]),
        };
        self.perform(&act, Plan::Random);
        acts.push(act);
        Some(())
    }

    pub(super) fn owner(&mut self) -> Owner {
        self.owners += 1;
        self.owners
    }

    pub(super) fn number(&mut self) -> u32 {
        self.numbers += 1;
        self.numbers
    }

    pub(super) fn new_handle(&mut self, made: At) -> Handle {
        let of = Of::Ready(Ok(V::Number(0)));
        self.handles.push(HandleState { of, made, there: There::Else, busy: false });
        self.handles.len() - 1
    }

    /// Whether a stage of this Deferred may own the promise: not if the promise's own chain leads to that stage.
    pub(super) fn may_own(&self, h: Handle, p: Write) -> bool {
        match self.handles[h].of {
            Of::Chain(c) => !self.reaches(self.promises[p].chain, c),
            Of::Ready(_) => true,
        }
    }

    /// The same for a handle: while it is owned, nobody can end its pause.
    fn may_own_handle(&self, h: Handle, other: Handle) -> bool {
        match (&self.handles[h].of, self.paused_chain(other)) {
            (Of::Chain(c), Some(paused)) => !self.reaches(paused, *c),
            _ => true,
        }
    }

    /// Whether firing `from` is what `to` needs to be fired, or to go on.
    pub(super) fn reaches(&self, from: usize, to: usize) -> bool {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(c) = next.pop() {
            if c == to {
                return true;
            }
            if !seen.insert(c) {
                continue;
            }
            next.extend(self.chains[c].outer);
            self.chains[c].stages.iter().for_each(|stage| self.lets_go(stage, &mut next));
        }
        false
    }

    /// The chains that go on when the stage has run: those whose promises it owns, or whose pause it ends.
    fn lets_go(&self, stage: &Stage, chains: &mut Vec<usize>) {
        match stage {
            Stage::User { captured, plan, .. } => {
                let next = match plan {
                    Plan::Fire(p) => Some(*p),
                    _ => captured.promise,
                };
                chains.extend(next.map(|p| self.promises[p].chain));
                chains.extend(captured.handle.and_then(|h| self.paused_chain(h)));
            }
            Stage::Input(combined, _) => chains.push(self.combined[*combined].whole),
            Stage::ChainTo(p) => chains.push(self.promises[*p].chain),
            Stage::Log | Stage::Unwrap => (),
        }
    }

    fn paused_chain(&self, h: Handle) -> Option<usize> {
        match self.handles[h].of {
            Of::Chain(c) if self.is_paused(h) => Some(c),
            _ => None,
        }
    }

    pub(super) fn inside(&mut self, plan: Plan) -> Vec<Act> {
        let mut acts = vec![];
        let count = match plan {
            Plan::Random if self.fuel > 0 && self.rng().one_in(4) => 1 + self.rng().below(3),
            Plan::Random => 0,
            Plan::Program(count) => count,
            Plan::Fire(p) => {
                let fire = Act::Fire(p, Ok(self.number()));
                self.perform(&fire, Plan::Random);
                acts.push(fire);
                0
            }
        };
        (0..count).for_each(|_| self.act(&mut acts));
        acts
    }

    pub(super) fn choose_end(&mut self, own: Option<usize>, input: &R, may_wait: bool) -> End {
        match self.rng().below(16) {
            0 => End::Fail(self.failure()),
            1 => End::Panic(self.failure()),
            2..5 if input.is_err() => End::Pass,
            5..16 if may_wait => self.choose_inner(own).map_or_else(|| End::Value(self.number()), End::Wait),
            _ => End::Value(self.number()),
        }
    }

    /// Mostly one that is pending, and then mostly one that waits itself.
    fn choose_inner(&mut self, own: Option<usize>) -> Option<Handle> {
        let handles: Vec<_> = self.table().0.into_iter().filter(|h| self.may_wait(own, *h)).collect();
        let state = |h: &Handle| match self.handles[*h].of {
            Of::Ready(_) => State::Over,
            Of::Chain(c) => self.chains[c].state,
        };
        let is_own = |h: &Handle| matches!(self.handles[*h].of, Of::Chain(c) if Some(c) == own);
        let own: Vec<_> = handles.iter().copied().filter(is_own).collect();
        let pending: Vec<_> =
            handles.iter().copied().filter(|h| state(h) != State::Over && !is_own(h)).collect();
        let waiting: Vec<_> =
            handles.iter().copied().filter(|h| matches!(state(h), State::Waiting(_))).collect();
        let from = match self.rng().below(12) {
            0 => own,
            1..6 if !waiting.is_empty() => waiting,
            1..10 if !pending.is_empty() => pending,
            _ => handles,
        };
        self.rng().pick(&from)
    }

    /// Not if what the Deferred needs to be fired is what this chain does next.
    ///
    /// And not if it is paused, for then nobody could end the pause.
    pub(super) fn may_wait(&self, own: Option<usize>, h: Handle) -> bool {
        if self.is_paused(h) {
            return false;
        }
        match (own, &self.handles[h].of) {
            (Some(own), Of::Chain(inner)) => own == *inner || !self.reaches(own, *inner),
            _ => true,
        }
    }
}
