//! The answer: the first cause on top, then every check in order.

use crate::commands::report::Check;
use crate::error::visible;
use crate::terminal::{Mark, Style, Terminal};
use azure_core::time::OffsetDateTime;
use serde::Serialize;
use std::fmt::Write;
use std::time::SystemTime;

/// Names of checks are written this wide.
const NAMES: usize = 15;

/// Times are written this wide.
const TIMES: usize = 8;

/// The column in which sentences begin: after mark, name and time.
const INDENT: usize = 2 + NAMES + TIMES + 2;

/// What was found.
#[derive(Debug)]
pub(super) struct Report {
    /// The registry, if there is one.
    pub(super) registry: Option<String>,
    pub(super) checks: Vec<Check>,
}

/// The whole in JSON.
#[derive(Serialize)]
pub(super) struct Json<'a> {
    registry: Option<&'a str>,
    /// `ok`, `warning` or `failed`.
    verdict: &'static str,
    /// The name of the check that is the first cause; null when all is well.
    cause: Option<&'static str>,
    checks: &'a [Check],
}

impl Report {
    /// The check that explains the others: the first that failed, since what depends on another comes after it, else the first that
    /// somebody should know of.
    pub(super) fn cause(&self) -> Option<&Check> {
        let first = |mark| self.checks.iter().find(move |check| check.status == mark);
        first(Mark::Bad).or_else(|| first(Mark::Warning))
    }

    /// Whether nothing has failed.
    pub(super) fn is_well(&self) -> bool {
        self.checks.iter().all(|check| !check.is_bad())
    }

    pub(super) fn json(&self) -> Json<'_> {
        let cause = self.cause();
        Json {
            registry: self.registry.as_deref(),
            verdict: cause.map_or(Mark::Good, |check| check.status).word(),
            cause: cause.map(|check| check.name),
            checks: &self.checks,
        }
    }

    /// The verdict, a blank line, and every check.
    pub(super) fn draw(&self, terminal: Terminal) -> String {
        let mut text = self.verdict(terminal);
        text.push('\n');
        for check in &self.checks {
            let mark = terminal.mark(check.status);
            let took = check
                .took
                .map(|took| format!("{} ms", took.as_millis()))
                .unwrap_or_default();
            if terminal.is_plain() {
                let took = if took.is_empty() {
                    took
                } else {
                    format!(" ({took})")
                };
                let _ = writeln!(
                    text,
                    "{mark} {}: {}{took}",
                    check.name,
                    visible(&check.summary)
                );
            } else {
                // The mark may hold colour, which has no width.
                let sentence = terminal.wrap(&visible(&check.summary), INDENT);
                let sentence = sentence.get(INDENT..).unwrap_or_default();
                let _ = writeln!(
                    text,
                    "{mark} {:<NAMES$}{took:>TIMES$}  {sentence}",
                    check.name
                );
            }
            for detail in &check.details {
                let _ = writeln!(
                    text,
                    "{}",
                    terminal.paint(Style::Dim, &below(terminal, detail))
                );
            }
            if let Some(hint) = &check.hint {
                let _ = writeln!(text, "{}", advice(terminal, hint, INDENT));
            }
        }
        text
    }

    fn verdict(&self, terminal: Terminal) -> String {
        let whom = self.registry.as_deref().unwrap_or("this machine");
        let Some(cause) = self.cause() else {
            let good = if self.registry.is_some() {
                "nothing stands in the way"
            } else {
                "nothing is wrong with its set-up"
            };
            return format!("{} {whom}: {good}\n", terminal.mark(Mark::Good));
        };
        let (mark, name) = (
            terminal.mark(cause.status),
            terminal.paint(Style::Bold, cause.name),
        );
        let but = if cause.is_bad() {
            String::new()
        } else {
            format!("{whom} works, but ")
        };
        let summary = format!("{but}{}: {}", cause.name, visible(&cause.summary));
        let summary = terminal.wrap(&summary, 2);
        let summary = summary.trim_start().replacen(cause.name, &name, 1);
        let hint = cause
            .hint
            .as_ref()
            .map(|hint| advice(terminal, hint, 2) + "\n")
            .unwrap_or_default();
        format!("{mark} {summary}\n{hint}")
    }
}

fn below(terminal: Terminal, text: &str) -> String {
    let text = visible(text);
    terminal.wrap(&text, if terminal.is_plain() { 2 } else { INDENT })
}

/// What to do.
fn advice(terminal: Terminal, hint: &str, indent: usize) -> String {
    let hint = visible(hint);
    terminal.hint(&hint, if terminal.is_plain() { 2 } else { indent })
}

/// The day of a moment, in UTC.
pub(super) fn day(time: SystemTime) -> String {
    OffsetDateTime::from(time).date().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_is_the_cause_and_a_warning_only_without_one() {
        let report = |checks: Vec<Check>| Report {
            registry: Some("contoso.azurecr.io".into()),
            checks,
        };
        let warning = || Check::warning("clock", "it is late");
        let two = report(vec![
            warning(),
            Check::bad("exchange", "refused"),
            Check::bad("docker", "absent"),
        ]);
        assert_eq!(two.cause().unwrap().name, "exchange");
        assert!(!two.is_well());
        let one = report(vec![
            Check::good("dns", "found"),
            warning(),
            Check::skipped("keyring", "none"),
        ]);
        assert_eq!((one.cause().unwrap().name, one.is_well()), ("clock", true));
        assert!(
            report(vec![
                Check::good("dns", "found"),
                Check::skipped("keyring", "none")
            ])
            .cause()
            .is_none()
        );
    }

    #[test]
    fn nothing_is_broken_into_lines_where_nothing_is_drawn() {
        let long = "word ".repeat(40).trim_end().to_owned();
        let report = Report {
            registry: None,
            checks: vec![Check::bad("exchange", long.clone()).hint(long.clone())],
        };
        let text = report.draw(Terminal::new(&std::collections::HashMap::new(), true, true));
        let expected = format!("failed: exchange: {long}\n  hint: {long}\n");
        assert_eq!(text, format!("{expected}\n{expected}"));
    }
}
