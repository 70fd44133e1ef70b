//! One check: what was looked at, how it is, and what to do.

use crate::error::Error;
use crate::terminal::Mark;
use std::fmt::Display;
use std::time::{Duration, Instant};

/// One line of the answer, with what belongs to it.
#[derive(Clone, Debug)]
pub(super) struct Check {
    /// The word for it, the same for ever: scripts read it.
    pub(super) name: &'static str,
    pub(super) mark: Mark,
    /// One sentence.
    pub(super) summary: String,
    /// Further sentences, a line each.
    pub(super) details: Vec<String>,
    /// What to do.
    pub(super) hint: Option<String>,
    /// How long it took, if it took time of its own.
    pub(super) took: Option<Duration>,
    /// Names in its texts that are not shown to strangers.
    pub(super) names: Vec<String>,
}

impl Check {
    pub(super) fn new(name: &'static str, mark: Mark, summary: impl Into<String>) -> Self {
        Self {
            name,
            mark,
            summary: summary.into(),
            details: vec![],
            hint: None,
            took: None,
            names: vec![],
        }
    }

    pub(super) fn good(name: &'static str, summary: impl Into<String>) -> Self {
        Self::new(name, Mark::Good, summary)
    }

    pub(super) fn warning(name: &'static str, summary: impl Into<String>) -> Self {
        Self::new(name, Mark::Warning, summary)
    }

    pub(super) fn bad(name: &'static str, summary: impl Into<String>) -> Self {
        Self::new(name, Mark::Bad, summary)
    }

    /// It is of no use to look, for this reason.
    pub(super) fn skipped(name: &'static str, reason: impl Display) -> Self {
        Self::new(name, Mark::Skipped, format!("not looked at: {reason}"))
    }

    /// The same with names that are not shown to strangers.
    pub(super) fn naming(mut self, names: impl IntoIterator<Item = String>) -> Self {
        self.names.extend(names);
        self
    }

    /// The same with other texts.
    pub(super) fn map(self, change: impl Fn(String) -> String) -> Self {
        Self {
            summary: change(self.summary),
            details: self.details.into_iter().map(&change).collect(),
            hint: self.hint.map(change),
            ..self
        }
    }

    /// A failure of `get`, in its own words.
    pub(super) fn failed(name: &'static str, error: &Error) -> Self {
        Self {
            details: error.details().to_vec(),
            hint: error.hint().map(str::to_owned),
            ..Self::bad(name, error.to_string())
        }
    }

    pub(super) fn with(mut self, details: impl IntoIterator<Item = String>) -> Self {
        self.details.extend(details);
        self
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    pub(super) fn since(self, started: Instant) -> Self {
        Self {
            took: Some(started.elapsed()),
            ..self
        }
    }

    pub(super) fn is_bad(&self) -> bool {
        self.mark == Mark::Bad
    }
}

/// Several things as words of one sentence.
pub(super) fn list<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    items
        .into_iter()
        .map(|item| item.to_string())
        .collect::<Vec<_>>()
        .join(", ")
}
