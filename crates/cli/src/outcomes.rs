//! What became of several things of which each may fail by itself.

use crate::failure::{Exit, Failure};

/// See the head of the file.
#[derive(Debug)]
pub(crate) struct Outcomes {
    what: &'static str,
    done: usize,
    failures: Vec<Failure>,
}

impl Outcomes {
    /// Nothing yet; `what` is the things' name, for example "topics".
    pub(crate) fn of(what: &'static str) -> Self {
        Self {
            what,
            done: 0,
            failures: Vec::new(),
        }
    }

    /// Notes an outcome. A broker that is gone, or an output that nobody reads, ends it all.
    pub(crate) fn note(&mut self, outcome: Result<(), Failure>) -> Result<(), Failure> {
        match outcome {
            Ok(()) => self.done += 1,
            Err(failure) if matches!(failure.exit, Exit::Unreachable | Exit::OutputClosed) => {
                return Err(failure);
            }
            Err(failure) => self.failures.push(failure),
        }
        Ok(())
    }

    /// The outcome of all; `done` is what was done, for example "deleted".
    pub(crate) fn end(mut self, done: &str) -> Result<(), Failure> {
        let failed = self.failures.len();
        if self.done == 0 && failed == 1 {
            return self.failures.pop().map_or(Ok(()), Err);
        }
        let Some(first) = self.failures.first() else {
            return Ok(());
        };
        let exit = if self.done == 0 {
            first.exit
        } else {
            Exit::PartlyFailed
        };
        for failure in &self.failures {
            eprintln!("{failure}");
        }
        let (all, what) = (self.done + failed, self.what);
        Err(Failure::new(
            exit,
            format!("{failed} of {all} {what} were not {done}"),
        ))
    }
}
