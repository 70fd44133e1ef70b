//! What was found and done, in words for a person and in JSON for scripts.

use crate::error::{Error, visible};
use crate::terminal::{Mark, Style, Terminal};
use serde::{Serialize, Serializer};
use std::fmt::Write as _;

/// Something worth knowing, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Whether it is as it should be.
    #[serde(rename = "status", serialize_with = "word")]
    pub mark: Mark,
    /// What was found, in one sentence.
    #[serde(rename = "summary")]
    pub text: String,
    /// What to do or to type.
    pub hint: Option<String>,
}

impl Finding {
    /// A finding without anything to do.
    pub(super) fn new(mark: Mark, text: impl Into<String>) -> Self {
        Self {
            mark,
            text: text.into(),
            hint: None,
        }
    }

    /// The same with what to do.
    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// What is wrong with a file.
    pub(super) fn of(error: &Error) -> Self {
        Self {
            mark: Mark::Bad,
            text: error.to_string(),
            hint: error.hint().map(str::to_owned),
        }
    }

    /// Its lines, broken to fit the terminal.
    pub(super) fn draw(&self, terminal: Terminal, indent: usize) -> String {
        let margin = " ".repeat(indent);
        let text = visible(&self.text);
        let mut drawn = format!(
            "{margin}{} {}\n",
            terminal.mark(self.mark),
            terminal.wrap(&text, indent + 2).trim_start()
        );
        if let Some(hint) = &self.hint {
            let _ = writeln!(
                drawn,
                "{}",
                terminal.paint(Style::Dim, &terminal.hint(&visible(hint), indent + 2))
            );
        }
        drawn
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn word<S: Serializer>(mark: &Mark, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(mark.word())
}

/// What became of one file.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FileReport {
    pub(super) path: String,
    /// Who reads it.
    pub(super) clients: &'static str,
    pub(super) is_changed: bool,
    /// The unified diff, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) diff: Option<String>,
    pub(super) findings: Vec<Finding>,
}

/// The whole answer.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    pub(super) is_dry_run: bool,
    pub(super) files: Vec<FileReport>,
    pub(super) findings: Vec<Finding>,
}

impl Report {
    /// The answer for a person.
    pub(super) fn draw(&self, terminal: Terminal) -> String {
        let mut text = String::new();
        if self.is_dry_run {
            text.push_str("Nothing is written; this is what would be done.\n");
        }
        for file in &self.files {
            let path = terminal.paint(Style::Bold, &visible(&file.path));
            let _ = writeln!(text, "{path} ({})", file.clients);
            for finding in &file.findings {
                text.push_str(&finding.draw(terminal, 2));
            }
            for line in file.diff.iter().flat_map(|diff| diff.lines()) {
                let style = match line.as_bytes().first() {
                    Some(b'+') => Style::Green,
                    Some(b'-') => Style::Red,
                    _ => Style::Dim,
                };
                // Tabs are part of what is shown.
                let line: Vec<String> = line.split('\t').map(visible).collect();
                let _ = writeln!(text, "{}", terminal.paint(style, &line.join("\t")));
            }
        }
        for finding in &self.findings {
            text.push_str(&finding.draw(terminal, 0));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_has_the_same_names_in_json_as_a_check_of_doctor() {
        let finding = Finding::new(Mark::Warning, "it rains").hint("take a coat");
        let expected =
            serde_json::json!({"status": "warning", "summary": "it rains", "hint": "take a coat"});
        assert_eq!(serde_json::to_value(finding).unwrap(), expected);
    }
}
