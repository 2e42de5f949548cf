//! The model's combinators.

use super::*;

impl Model {
    pub(super) fn cancel_all_but(&mut self, combined: usize, winner: Option<usize>) {
        for index in 0..self.combined[combined].children.len() {
            if let Some(child) = self.combined[combined].children[index]
                && winner != Some(index)
            {
                self.cancel_chain(child);
            }
        }
    }

    pub(super) fn combine(&mut self, how: How, inputs: &[Handle], h: Handle) {
        inputs.iter().for_each(|input| self.handles[*input].there = There::Else);
        let children: Vec<_> = inputs
            .iter()
            .map(|input| match self.handles[*input].of {
                Of::Ready(_) => None,
                Of::Chain(c) => Some(c),
            })
            .collect();
        let (whole, combined) = (self.new_chain(h, State::Unfired), self.combined.len());
        let results = inputs.iter().map(|_| None).collect();
        self.combined.push(Combined {
            how,
            whole,
            children: children.clone(),
            results,
            left: inputs.len(),
            won: false,
            promise: true,
        });
        self.chains[whole].canceller = match how {
            How::Race => Canceller::Once(combined),
            _ => Canceller::Each(combined),
        };
        if inputs.is_empty() {
            self.all(combined);
        }
        for (index, input) in inputs.iter().enumerate() {
            self.add_stage(*input, Stage::Input(combined, index));
            self.drop_handle(*input);
            if let Some(child) = children[index] {
                self.chains[child].input_of = Some(whole);
            }
        }
        self.add_stage(h, Stage::Unwrap);
        self.handles[h].there = There::Table;
    }

    /// One of the inputs has its result. Gives what its own chain ends with.
    pub(super) fn input(&mut self, combined: usize, index: usize, result: R) -> R {
        self.fate(&result, Fate::Combined);
        let flags = match self.combined[combined].how {
            How::Race => return self.raced(combined, index, result),
            How::Gather { consume } => Flags { one_callback: false, one_errback: true, consume },
            How::List(flags) => flags,
        };
        let unhandled = match &result {
            Err(failure) if !flags.consume => Err(failure.clone()),
            _ => Ok(V::Number(0)),
        };
        self.combined[combined].left -= 1;
        match result {
            Ok(V::Number(n)) if flags.one_callback => {
                self.settle(combined, Ok(V::Whole(Whole::First(n, index))))
            }
            Err(failure) if flags.one_errback => {
                self.settle(combined, Err(F::First(Box::new(failure), index)))
            }
            result => {
                self.combined[combined].results[index] = Some(result);
                if self.combined[combined].left == 0 {
                    self.all(combined);
                }
            }
        }
        unhandled
    }

    pub(super) fn all(&mut self, combined: usize) {
        let results = self.combined[combined].results.iter().flatten().map(told);
        let whole = match self.combined[combined].how {
            How::Gather { .. } => Whole::Gathered(results.flatten().collect()),
            _ => Whole::All(results.collect()),
        };
        self.settle(combined, Ok(V::Whole(whole)));
    }

    pub(super) fn raced(&mut self, combined: usize, index: usize, result: R) -> R {
        match result {
            Ok(_) if self.combined[combined].won => (),
            Ok(value) => {
                self.combined[combined].won = true;
                self.cancel_all_but(combined, Some(index));
                let Ok(n) = told(&Ok(value)) else { unreachable!("it is a value") };
                self.settle(combined, Ok(V::Whole(Whole::Won(index, n))));
            }
            Err(failure) => {
                self.combined[combined].results[index] = Some(Err(failure));
                self.combined[combined].left -= 1;
                if self.combined[combined].left == 0 {
                    let all = self.combined[combined].results.iter().flatten();
                    let all = all.filter_map(|result| told(result).err()).collect();
                    self.settle(combined, Err(F::Group(all)));
                }
            }
        }
        Ok(V::Number(0))
    }

    pub(super) fn settle(&mut self, combined: usize, result: R) {
        if std::mem::take(&mut self.combined[combined].promise) {
            self.fire(self.combined[combined].whole, result);
        }
    }
}
