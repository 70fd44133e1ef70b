//! One check of `configure` or `doctor`: its status, what was found, and what to do.

use crate::error::{Error, visible};
use crate::terminal::{Status, Style, Terminal};
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::fmt::Display;
use std::time::{Duration, Instant};

/// The result of one check.
#[derive(Clone, Debug)]
pub(super) struct Check {
    /// A stable name for scripts. Empty in the output of `configure`, where the position identifies the check.
    pub(super) name: &'static str,
    pub(super) status: Status,
    /// One sentence.
    pub(super) summary: String,
    /// Further sentences, a line each.
    pub(super) details: Vec<String>,
    /// What to do.
    pub(super) hint: Option<String>,
    /// How long it took, if that was measured.
    pub(super) took: Option<Duration>,
    /// Names in its texts that a report leaves out.
    pub(super) names: Vec<String>,
}

impl Check {
    pub(super) fn new(name: &'static str, status: Status, summary: impl Into<String>) -> Self {
        Self {
            name,
            status,
            summary: summary.into(),
            details: vec![],
            hint: None,
            took: None,
            names: vec![],
        }
    }

    /// Returns a check without a name.
    pub(super) fn unnamed(status: Status, summary: impl Into<String>) -> Self {
        Self::new("", status, summary)
    }

    pub(super) fn good(name: &'static str, summary: impl Into<String>) -> Self {
        Self::new(name, Status::Ok, summary)
    }

    pub(super) fn warning(name: &'static str, summary: impl Into<String>) -> Self {
        Self::new(name, Status::Warning, summary)
    }

    pub(super) fn bad(name: &'static str, summary: impl Into<String>) -> Self {
        Self::new(name, Status::Failed, summary)
    }

    /// Returns a check that was not made, for this reason.
    pub(super) fn skipped(name: &'static str, reason: impl Into<String>) -> Self {
        Self::new(name, Status::Skipped, reason)
    }

    /// Returns a failed check with the message, the details and the hint of an error.
    pub(super) fn failed(name: &'static str, error: &Error) -> Self {
        Self {
            details: error.details().to_vec(),
            hint: error.hint().map(str::to_owned),
            ..Self::bad(name, error.to_string())
        }
    }

    /// Adds names that a report leaves out.
    pub(super) fn naming(mut self, names: impl IntoIterator<Item = String>) -> Self {
        self.names.extend(names);
        self
    }

    /// Changes every text.
    pub(super) fn map(self, change: impl Fn(String) -> String) -> Self {
        Self {
            summary: change(self.summary),
            details: self.details.into_iter().map(&change).collect(),
            hint: self.hint.map(change),
            ..self
        }
    }

    /// Adds details.
    pub(super) fn with(mut self, details: impl IntoIterator<Item = String>) -> Self {
        self.details.extend(details);
        self
    }

    /// Sets what to do.
    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// Sets the time that the check took.
    pub(super) fn since(self, started: Instant) -> Self {
        Self {
            took: Some(started.elapsed()),
            ..self
        }
    }

    pub(super) fn is_bad(&self) -> bool {
        self.status == Status::Failed
    }

    /// Returns status, summary and hint as lines that fit the terminal.
    pub(super) fn draw(&self, terminal: Terminal, indent: usize) -> String {
        let margin = " ".repeat(indent);
        let sentence = terminal.wrap(&visible(&self.summary), indent + 2);
        let mark = terminal.mark(self.status);
        let mut text = format!("{margin}{mark} {}\n", sentence.trim_start());
        if let Some(hint) = &self.hint {
            let hint = terminal.hint(hint, indent + 2);
            text.push_str(&terminal.paint(Style::Dim, &hint));
            text.push('\n');
        }
        text
    }
}

/// A check without a name has no details and no time, in JSON either.
impl Serialize for Check {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_map(None)?;
        let is_named = !self.name.is_empty();
        if is_named {
            fields.serialize_entry("name", self.name)?;
        }
        fields.serialize_entry("status", self.status.word())?;
        fields.serialize_entry("summary", &self.summary)?;
        if is_named {
            fields.serialize_entry("details", &self.details)?;
        }
        fields.serialize_entry("hint", &self.hint)?;
        if is_named {
            let milliseconds = self.took.map(|took| took.as_millis());
            fields.serialize_entry("milliseconds", &milliseconds)?;
        }
        fields.end()
    }
}

/// Makes a check and sets the time that it took.
pub(super) async fn timed(check: impl Future<Output = Check>) -> Check {
    let started = Instant::now();
    check.await.since(started)
}

/// Joins several items with commas.
pub(super) fn list<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    items
        .into_iter()
        .map(|item| item.to_string())
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{json, to_value};

    #[test]
    fn details_and_time_are_in_json_only_if_the_check_has_a_name() {
        let check = Check::unnamed(Status::Warning, "it rains").hint("take a coat");
        assert_eq!(
            to_value(&check).unwrap(),
            json!({"status": "warning", "summary": "it rains", "hint": "take a coat"})
        );
        let named = Check {
            name: "weather",
            took: Some(Duration::from_millis(7)),
            ..check
        };
        assert_eq!(
            to_value(named).unwrap(),
            json!({
                "name": "weather", "status": "warning", "summary": "it rains", "details": [],
                "hint": "take a coat", "milliseconds": 7
            })
        );
    }
}
