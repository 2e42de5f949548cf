//! The model: what each step does, in plain words.

mod choose;
mod combined;

use crate::{
    Act, At, Captured, End, Ev, F, Flags, Handle, How, Lcg, Listing, Owner, Script, Whole, Write, covered,
};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use twistor::defer::Fired;

#[derive(Clone, Debug)]
enum V {
    Number(u32),
    Whole(Whole),
}

type R = Result<V, F>;

fn told(result: &R) -> Result<u32, F> {
    match result {
        Ok(V::Number(n)) => Ok(*n),
        Ok(V::Whole(whole)) => unreachable!("{whole:?} is mapped first"),
        Err(failure) => Err(failure.clone()),
    }
}

#[derive(Default)]
pub(crate) struct Model {
    rng: Option<Lcg>,
    chains: Vec<Chain>,
    handles: Vec<HandleState>,
    promises: Vec<PromiseState>,
    combined: Vec<Combined>,
    owners: usize,
    numbers: u32,
    fates: BTreeMap<u32, Vec<Fate>>,
    depth: usize,
    later: VecDeque<usize>,
    /// How many acts are left before all is dropped.
    fuel: usize,
    pub(crate) scripts: HashMap<Owner, Script>,
    pub(crate) trace: Vec<Ev<Listing>>,
}

struct Chain {
    state: State,
    made: At,
    /// Where it waits, while it does.
    at: Option<At>,
    stages: VecDeque<Stage>,
    /// The result, when it is over; of a chain that is queued to fire, what it is fired with.
    slot: Option<R>,
    handle: Option<Handle>,
    /// The chain whose stage returned this one.
    outer: Option<usize>,
    /// The chain of the combinator that took it.
    input_of: Option<usize>,
    awaiter: Option<Handle>,
    life: Life,
    canceller: Canceller,
    pauses: usize,
    /// It would go on if it were not paused.
    held: bool,
    /// Its result came during the pause: nobody is told of a failure then until the pause ends.
    silent: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Unfired,
    /// Its callbacks run, or are queued to run in the outermost fire.
    Firing,
    Waiting(usize),
    Over,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    Pending,
    Cancelling,
    Swallowing,
    Done,
}

#[derive(Clone, Copy, Default)]
enum Canceller {
    #[default]
    None,
    User(Owner),
    /// The combinator of this number.
    Each(usize),
    Once(usize),
}

enum Stage {
    User { id: Owner, at: At, captured: Captured, plan: Plan },
    Input(usize, usize),
    ChainTo(Write),
    Log,
    Unwrap,
}

/// What a stage's script is to be.
#[derive(Clone, Copy)]
enum Plan {
    Random,
    /// Fires the next promise of a ladder of fires inside fires.
    Fire(Write),
    /// The program goes on inside, for so many steps.
    Program(usize),
}

struct HandleState {
    of: Of,
    made: At,
    there: There,
    /// It is being cancelled: nobody can have it for themselves.
    busy: bool,
}

#[derive(Clone)]
enum Of {
    Ready(R),
    Chain(usize),
}

/// Where a handle or a promise is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum There {
    /// In reach of every step.
    Table,
    /// In a closure, in use, or gone.
    Else,
}

struct PromiseState {
    chain: usize,
    of_canceller: bool,
    there: There,
}

struct Combined {
    how: How,
    whole: usize,
    children: Vec<Option<usize>>,
    results: Vec<Option<R>>,
    left: usize,
    won: bool,
    promise: bool,
}

/// What becomes of a failure that carries a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Handled,
    Taken,
    Swallowed,
    /// It is in what a combinator gives, or a combinator that has fired let it go.
    Combined,
    Reported,
}

enum Fed {
    Done(R),
    Waits(usize),
}

impl Model {
    pub(crate) fn new(seed: u64) -> Model {
        let mut rng = Lcg(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        rng.below(2);
        let fuel = 5 + rng.below(60);
        Model { rng: Some(rng), fuel, ..Model::default() }
    }

    fn rng(&mut self) -> &mut Lcg {
        self.rng.as_mut().expect("set by new")
    }

    /// The next step of the program, already taken here; None when everything is dropped.
    pub(crate) fn step(&mut self) -> Option<Vec<Act>> {
        let mut acts = vec![];
        if self.fuel > 0 && self.rng().one_in(50) {
            self.ladder(&mut acts);
        } else if self.fuel > 0 {
            self.act(&mut acts);
        } else {
            self.drop_something(&mut acts)?;
        }
        assert!(self.depth == 0 && self.later.is_empty());
        Some(acts)
    }

    fn table(&self) -> (Vec<Handle>, Vec<Write>) {
        let handles = (0..self.handles.len())
            .filter(|h| self.handles[*h].there == There::Table && !self.handles[*h].busy)
            .collect();
        let promises = (0..self.promises.len()).filter(|p| self.promises[*p].there == There::Table).collect();
        (handles, promises)
    }

    // -- what it does --

    fn perform(&mut self, act: &Act, plan: Plan) {
        match act {
            Act::Make(h, p, owner) => {
                let chain = self.new_chain(*h, State::Unfired);
                self.chains[chain].canceller = owner.map_or(Canceller::None, Canceller::User);
                self.promises[*p] = PromiseState { chain, of_canceller: false, there: There::Table };
                self.handles[*h].there = There::Table;
            }
            Act::Fired(h, result) => {
                let result = result.map(V::Number).map_err(F::Number);
                (self.handles[*h].of, self.handles[*h].there) = (Of::Ready(result), There::Table);
            }
            Act::Stage(h, id, at, captured) => {
                captured.promise.into_iter().for_each(|p| self.promises[p].there = There::Else);
                captured.handle.into_iter().for_each(|h| self.handles[h].there = There::Else);
                self.add_stage(*h, Stage::User { id: *id, at: *at, captured: *captured, plan });
                self.handles[*h].there = There::Table;
            }
            Act::ChainTo(h, p) => {
                self.promises[*p].there = There::Else;
                self.add_stage(*h, Stage::ChainTo(*p));
                self.drop_handle(*h);
            }
            Act::Log(h) => {
                self.add_stage(*h, Stage::Log);
                self.drop_handle(*h);
            }
            Act::Fire(p, result) => {
                self.promises[*p].there = There::Else;
                let fired = self.fire(self.promises[*p].chain, result.map(V::Number).map_err(F::Number));
                self.trace.push(Ev::Told(fired));
            }
            Act::DropPromise(p) => self.drop_promise(*p),
            Act::DropHandle(h) => self.drop_handle(*h),
            Act::DropCancelling(h) => self.drop_cancelling(*h),
            Act::Cancel(h) => {
                let busy = std::mem::replace(&mut self.handles[*h].busy, true);
                self.cancel(*h);
                self.handles[*h].busy = busy;
            }
            Act::Pause(h) => self.pause(*h),
            Act::Unpause(h) => {
                let busy = std::mem::replace(&mut self.handles[*h].busy, true);
                self.unpause(*h);
                self.handles[*h].busy = busy;
            }
            Act::Poll(h) | Act::Now(h) => {
                let result = self.take(*h);
                self.trace.push(Ev::Took(*h, result.as_ref().map(told)));
                match result {
                    Some(result) => {
                        self.fate(&result, Fate::Taken);
                        self.drop_handle(*h);
                    }
                    None => {
                        if let (Act::Poll(_), Of::Chain(c)) = (act, &self.handles[*h].of) {
                            self.chains[*c].awaiter = Some(*h);
                        }
                    }
                }
            }
            Act::IsFired(h) => self.trace.push(Ev::IsFired(*h, self.has_result(*h))),
            Act::Combine(how, inputs, h) => self.combine(*how, inputs, *h),
        }
    }

    fn new_chain(&mut self, h: Handle, state: State) -> usize {
        let chain = self.chains.len();
        self.chains.push(Chain {
            state,
            made: self.handles[h].made,
            at: None,
            stages: VecDeque::new(),
            slot: None,
            handle: Some(h),
            outer: None,
            input_of: None,
            awaiter: None,
            life: Life::Pending,
            canceller: Canceller::None,
            pauses: 0,
            held: false,
            silent: false,
        });
        self.handles[h].of = Of::Chain(chain);
        chain
    }

    /// A chain has its result for its handle when it is over, and when it is queued to fire and has no stage; not while
    /// it is paused.
    fn has_result(&self, h: Handle) -> bool {
        match self.handles[h].of {
            Of::Ready(_) => true,
            Of::Chain(c) => {
                let chain = &self.chains[c];
                chain.slot.is_some() && chain.stages.is_empty() && chain.pauses == 0
            }
        }
    }

    /// The result, if it is there; the handle has none any more then.
    fn take(&mut self, h: Handle) -> Option<R> {
        if !self.has_result(h) {
            return None;
        }
        match std::mem::replace(&mut self.handles[h].of, Of::Ready(Ok(V::Number(0)))) {
            Of::Ready(result) => Some(result),
            Of::Chain(c) => {
                if self.chains[c].state == State::Firing {
                    covered("a result is taken before its turn");
                }
                self.chains[c].handle = None;
                self.chains[c].slot.take()
            }
        }
    }

    /// A stage is added to a handle that is taken from the table.
    fn add_stage(&mut self, h: Handle, stage: Stage) {
        self.handles[h].there = There::Else;
        if let Some(result) = self.take(h) {
            let at = match stage {
                Stage::User { at, .. } => Some(at),
                _ => None,
            };
            match self.feed(None, stage, result) {
                Fed::Done(result) => self.handles[h].of = Of::Ready(result),
                Fed::Waits(inner) => {
                    covered("a stage of a fired Deferred waits");
                    let chain = self.new_chain(h, State::Unfired);
                    self.wait(chain, inner, at);
                }
            }
            return;
        }
        if let Of::Chain(c) = self.handles[h].of {
            self.chains[c].stages.push_back(stage);
            self.chains[c].awaiter = None;
        }
    }

    fn wait(&mut self, chain: usize, inner: usize, at: Option<At>) {
        covered("a stage waits");
        if let State::Waiting(_) = self.chains[inner].state {
            covered("a chain waits for one that waits");
        }
        self.chains[chain].state = State::Waiting(inner);
        self.chains[chain].at = at;
        self.chains[inner].outer = Some(chain);
        self.chains[inner].awaiter = None;
    }

    fn fire(&mut self, c: usize, result: R) -> Fired {
        match self.chains[c].life {
            Life::Pending | Life::Cancelling => {
                self.chains[c].life = Life::Done;
                self.go(c, result);
                return Fired::Delivered;
            }
            _ => {
                covered("a fire comes too late");
                self.fate(&result, Fate::Swallowed);
            }
        }
        match self.chains[c].life {
            Life::Swallowing => Fired::Swallowed,
            _ => Fired::AlreadyCalled,
        }
    }

    fn drop_promise(&mut self, p: Write) {
        self.promises[p].there = There::Else;
        let PromiseState { chain, of_canceller, .. } = self.promises[p];
        self.abandon(chain, of_canceller);
    }

    fn abandon(&mut self, c: usize, of_canceller: bool) {
        let (waits, failure) = match of_canceller {
            true => (Life::Cancelling, F::Cancelled),
            false => (Life::Pending, F::Abandoned),
        };
        if self.chains[c].life == waits {
            self.chains[c].life = Life::Done;
            self.go(c, Err(failure));
        }
    }

    /// From here on no cancel reaches the chain.
    fn go(&mut self, c: usize, result: R) {
        self.chains[c].state = State::Firing;
        if let Canceller::User(owner) = std::mem::take(&mut self.chains[c].canceller) {
            self.see_drop(owner);
        }
        if self.chains[c].pauses > 0 {
            covered("a fire is held back by a pause");
            return self.hold(c, result);
        }
        self.chains[c].slot = Some(result);
        self.start(c);
    }

    /// Fires inside fires have a depth. From 32 on they are left to the outermost.
    fn start(&mut self, c: usize) {
        if self.depth >= 32 {
            covered("a fire waits for its turn");
            return self.later.push_back(c);
        }
        self.depth += 1;
        self.drive(c);
        if self.depth == 1 {
            while let Some(c) = self.later.pop_front() {
                self.drive(c);
            }
        }
        self.depth -= 1;
    }

    /// Only the handle can end a pause. Without it the chain is over, and lets all go, its result unreported.
    fn hold(&mut self, c: usize, result: R) {
        if self.chains[c].handle.is_some() {
            self.chains[c].slot = Some(result);
            (self.chains[c].held, self.chains[c].silent) = (true, true);
            return;
        }
        self.chains[c].state = State::Over;
        self.fate(&result, Fate::Swallowed);
        self.drop_stages(c);
    }

    fn drop_stages(&mut self, c: usize) {
        while let Some(stage) = self.chains[c].stages.pop_front() {
            match stage {
                Stage::User { id, captured, .. } => self.drop_captured(id, captured),
                Stage::ChainTo(p) => self.drop_promise(p),
                Stage::Log | Stage::Unwrap => (),
                Stage::Input(..) => unreachable!("what is paused is not given to a combinator"),
            }
        }
    }

    fn is_paused(&self, h: Handle) -> bool {
        matches!(self.handles[h].of, Of::Chain(c) if self.chains[c].pauses > 0)
    }

    fn pause(&mut self, h: Handle) {
        if let Some(result) = self.take(h) {
            covered("a result is paused");
            let chain = self.new_chain(h, State::Firing);
            self.chains[chain].slot = Some(result);
            (self.chains[chain].held, self.chains[chain].pauses) = (true, 1);
            return;
        }
        if let Of::Chain(c) = self.handles[h].of {
            self.chains[c].pauses += 1;
        }
    }

    fn unpause(&mut self, h: Handle) {
        let Of::Chain(c) = self.handles[h].of else { return };
        let chain = &mut self.chains[c];
        chain.pauses = chain.pauses.saturating_sub(1);
        if chain.pauses == 0 && std::mem::take(&mut chain.held) {
            covered("the end of a pause lets a chain run");
            self.start(c);
        }
    }

    /// Runs the stages of the chain, and then those of the chain that waits for it.
    fn drive(&mut self, mut c: usize) {
        loop {
            if let Some(stage) = self.chains[c].stages.pop_front() {
                let Some(result) = self.chains[c].slot.take() else {
                    unreachable!("it has a result for its stage")
                };
                let at = match stage {
                    Stage::User { at, .. } => Some(at),
                    _ => None,
                };
                match self.feed(Some(c), stage, result) {
                    Fed::Done(result) => self.chains[c].slot = Some(result),
                    Fed::Waits(inner) => return self.wait(c, inner, at),
                }
                continue;
            }
            if self.chains[c].pauses > 0 && self.chains[c].handle.is_some() {
                covered("the end of a chain is held back by a pause");
                (self.chains[c].held, self.chains[c].silent) = (true, false);
                return;
            }
            self.chains[c].state = State::Over;
            let Some(outer) = self.chains[c].outer.take() else { break };
            let Some(result) = self.chains[c].slot.take() else { unreachable!("it is over") };
            self.chains[outer].state = State::Firing;
            if self.chains[outer].pauses > 0 {
                covered("a chain that waited is held back by a pause");
                return self.hold(outer, result);
            }
            self.chains[outer].slot = Some(result);
            c = outer;
        }
        if self.chains[c].handle.is_none()
            && let Some(result) = self.chains[c].slot.take()
        {
            self.unhandled("Deferred", &result);
        }
        if let Some(h) = self.chains[c].awaiter.take() {
            self.trace.push(Ev::Woken(h));
        }
    }

    /// Gives the result to the stage, of this chain or of none.
    fn feed(&mut self, own: Option<usize>, stage: Stage, result: R) -> Fed {
        match stage {
            Stage::User { id, at, captured, plan } if at.takes(&result) => {
                self.call(own, id, at, captured, plan, result)
            }
            Stage::User { id, captured, .. } => {
                self.drop_captured(id, captured);
                Fed::Done(result)
            }
            Stage::Input(combined, index) => Fed::Done(self.input(combined, index, result)),
            Stage::ChainTo(p) => {
                self.fire(self.promises[p].chain, result);
                Fed::Done(Ok(V::Number(0)))
            }
            Stage::Log => {
                self.unhandled("a log", &result);
                Fed::Done(Ok(V::Number(0)))
            }
            Stage::Unwrap => Fed::Done(result.map(|value| match value {
                V::Whole(whole) => {
                    self.trace.push(Ev::Whole(whole));
                    V::Number(0)
                }
                number => number,
            })),
        }
    }

    fn call(
        &mut self,
        own: Option<usize>,
        id: Owner,
        at: At,
        captured: Captured,
        plan: Plan,
        input: R,
    ) -> Fed {
        self.see(|snap| Ev::Called(id, told(&input), snap));
        let drops_first = self.rng().one_in(2);
        if drops_first {
            self.drop_captured(id, captured);
        }
        let acts = self.inside(plan);
        // What is dropped after a Deferred was chosen could make that one wait for this stage.
        let may_wait = drops_first && at.may_wait(&input);
        let end = match plan {
            Plan::Random => self.choose_end(own, &input, may_wait),
            _ => End::Value(self.number()),
        };
        if !drops_first {
            if let End::Panic(_) = end {
                covered("a panic drops what is captured");
            }
            self.drop_captured(id, captured);
        }
        self.scripts.insert(id, Script { drops_first, acts, end });
        if !matches!(end, End::Pass) {
            self.fate(&input, Fate::Handled);
        }
        match end {
            End::Value(n) => Fed::Done(Ok(V::Number(n))),
            End::Fail(n) => Fed::Done(Err(F::Number(n))),
            End::Panic(n) => Fed::Done(Err(F::Panic(n))),
            End::Wait(h) => self.returned(own, h),
            _ => Fed::Done(input),
        }
    }

    /// A stage has returned this Deferred.
    fn returned(&mut self, own: Option<usize>, h: Handle) -> Fed {
        self.handles[h].there = There::Else;
        if let Of::Chain(c) = self.handles[h].of
            && own == Some(c)
        {
            covered("a stage gives its own Deferred");
            self.chains[c].handle = None;
            return Fed::Done(Err(F::Itself));
        }
        if let Some(result) = self.take(h) {
            return Fed::Done(result);
        }
        match self.handles[h].of {
            Of::Ready(_) => unreachable!("it would have been taken"),
            Of::Chain(inner) => {
                self.chains[inner].handle = None;
                Fed::Waits(inner)
            }
        }
    }

    fn drop_captured(&mut self, id: Owner, captured: Captured) {
        self.see_drop(id);
        captured.promise.into_iter().for_each(|p| self.drop_promise(p));
        captured.handle.into_iter().for_each(|h| self.drop_handle(h));
    }

    fn drop_handle(&mut self, h: Handle) {
        self.handles[h].there = There::Else;
        match self.take(h) {
            Some(result) => self.unhandled("Deferred", &result),
            None => {
                if let Of::Chain(c) = self.handles[h].of {
                    self.chains[c].handle = None;
                    self.chains[c].awaiter = None;
                    if std::mem::take(&mut self.chains[c].held) {
                        covered("what is held back is dropped");
                        self.chains[c].state = State::Over;
                        let result = self.chains[c].slot.take();
                        match (result, self.chains[c].silent) {
                            (Some(result), false) => self.unhandled("Deferred", &result),
                            (Some(result), true) => self.fate(&result, Fate::Swallowed),
                            (None, _) => (),
                        }
                        self.drop_stages(c);
                    }
                }
            }
        }
    }

    /// To be cancelled is what was asked for then, so that is not reported.
    fn drop_cancelling(&mut self, h: Handle) {
        self.handles[h].there = There::Else;
        if !self.has_result(h) {
            self.cancel(h);
            match self.take(h) {
                None | Some(Err(F::Cancelled)) => (),
                Some(result) => self.unhandled("Deferred", &result),
            }
        }
        self.drop_handle(h);
    }

    fn cancel(&mut self, h: Handle) {
        if let Of::Chain(c) = self.handles[h].of {
            self.cancel_chain(c);
        }
    }

    fn cancel_chain(&mut self, mut c: usize) {
        while let State::Waiting(inner) = self.chains[c].state {
            covered("a cancel goes down");
            c = inner;
        }
        match self.chains[c].state {
            State::Unfired => (),
            State::Firing => return covered("a cancel comes after the fire"),
            _ => return,
        }
        match std::mem::take(&mut self.chains[c].canceller) {
            Canceller::None => {
                let unasked = self.chains[c].life == Life::Pending;
                self.chains[c].life = if unasked { Life::Swallowing } else { Life::Done };
                self.go(c, Err(F::Cancelled));
            }
            Canceller::User(owner) => {
                self.chains[c].life = Life::Cancelling;
                self.call_canceller(c, owner);
            }
            Canceller::Each(combined) => {
                covered("a cancel is asked of a combinator");
                self.chains[c].canceller = Canceller::Each(combined);
                self.cancel_all_but(combined, None);
            }
            Canceller::Once(combined) => {
                covered("a cancel is asked of a combinator");
                self.chains[c].life = Life::Cancelling;
                self.cancel_all_but(combined, None);
                self.abandon(c, true);
            }
        }
    }

    fn call_canceller(&mut self, c: usize, owner: Owner) {
        self.see(|snap| Ev::Canceller(owner, snap));
        let acts = self.inside(Plan::Random);
        let end = match self.rng().below(6) {
            0 => End::Value(self.number()),
            1 => End::Fail(self.failure()),
            2 => End::Panic(self.failure()),
            3 => {
                self.promises.push(PromiseState { chain: c, of_canceller: true, there: There::Table });
                End::Keep(self.promises.len() - 1)
            }
            _ => End::Drop,
        };
        self.scripts.insert(owner, Script { drops_first: false, acts, end });
        let fired = match end {
            End::Value(n) => Some(self.fire(c, Ok(V::Number(n)))),
            End::Fail(n) => Some(self.fire(c, Err(F::Number(n)))),
            End::Keep(_) => None,
            _ => {
                self.abandon(c, true);
                None
            }
        };
        self.trace.extend(fired.map(Ev::Told));
        self.see_drop(owner);
        if let End::Panic(n) = end {
            self.unhandled("a canceller", &Err(F::Panic(n)));
        }
    }

    // -- what is seen --

    pub(crate) fn snapshot(&self) -> Listing {
        let listed = self.chains.iter().enumerate().filter(|(_, chain)| chain.state != State::Over);
        listed
            .map(|(number, chain)| {
                let at = chain.at.filter(|_| matches!(chain.state, State::Waiting(_)));
                let whole = chain.input_of.filter(|whole| self.chains[*whole].state == State::Unfired);
                (number, chain.made, at, chain.outer.or(whole))
            })
            .collect()
    }

    fn see(&mut self, event: impl FnOnce(Listing) -> Ev<Listing>) {
        let snap = self.snapshot();
        self.trace.push(event(snap));
    }

    fn see_drop(&mut self, owner: Owner) {
        self.see(|snap| Ev::Dropped(owner, snap));
    }

    fn unhandled(&mut self, origin: &'static str, result: &R) {
        if let Err(failure) = result {
            self.fate(result, Fate::Reported);
            self.see(|snap| Ev::Reported(origin, failure.clone(), snap));
        }
    }

    // -- what becomes of failures --

    /// The number of a new failure.
    fn failure(&mut self) -> u32 {
        let number = self.number();
        self.fates.insert(number, vec![]);
        number
    }

    fn fate(&mut self, result: &R, fate: Fate) {
        if let Err(F::Number(n) | F::Panic(n)) = result {
            self.fates.get_mut(n).expect("it was made").push(fate);
        }
    }

    /// Each failure that was made has come to one end, and only one that is in a list is reported besides.
    pub(crate) fn account(&self, reported: &[u32]) {
        for (number, fates) in &self.fates {
            let alone = fates.len() == 1;
            assert!(alone || fates[..] == [Fate::Combined, Fate::Reported], "failure {number}: {fates:?}");
            let expected = fates.iter().filter(|fate| **fate == Fate::Reported).count();
            assert_eq!(
                reported.iter().filter(|n| *n == number).count(),
                expected,
                "reports of {number}: {fates:?}"
            );
        }
    }
}
