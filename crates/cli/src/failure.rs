//! How the command line says that something went wrong: what, why, fix, and the exit code.

use std::fmt;

/// Exit codes; the same in every command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Nobody reads our output any more: a quiet end.
    OutputClosed = 0,
    /// Something failed.
    Error = 1,
    /// The words of the command are off.
    Usage = 2,
    /// A topic, partition or file that was named does not exist.
    NotFound = 3,
    /// The broker does not let this user do it.
    Denied = 4,
    /// The broker does not answer.
    Unreachable = 5,
    /// Some of it was done, some was not.
    PartlyFailed = 6,
    /// A condition that was asked for does not hold.
    NotMet = 7,
    /// The configuration or the data directory cannot be used.
    Configuration = 78,
}

/// One failure, ready to be printed.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) exit: Exit,
    what: String,
    code: Option<String>,
    why: Option<String>,
    fix: Option<String>,
}

impl Failure {
    /// States the fact.
    pub(crate) fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self {
            exit,
            what: what.into(),
            code: None,
            why: None,
            fix: None,
        }
    }

    /// Replaces the exit code.
    #[must_use]
    pub(crate) fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// Adds Kafka's or gRPC's name of the error.
    #[must_use]
    pub(crate) fn code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// Adds the cause.
    #[must_use]
    pub(crate) fn why(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }

    /// Adds what to do, as a command where there is one.
    #[must_use]
    pub(crate) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.what)?;
        if let Some(code) = &self.code {
            write!(f, "  [{code}]")?;
        }
        if let Some(why) = &self.why {
            write!(f, "\n  why: {why}")?;
        }
        if let Some(fix) = &self.fix {
            write!(f, "\n  fix: {fix}")?;
        }
        Ok(())
    }
}
