//! Prints the first cause, then every check in order.

use crate::commands::report::Check;
use crate::error::visible;
use crate::registry::Registry;
use crate::terminal::{Status, Style, Terminal};
use serde::Serialize;

/// The columns of a check's name and of its time.
const NAME_WIDTH: usize = 15;
const TIME_WIDTH: usize = 8;

/// The column in which sentences begin: after mark, name and time.
const INDENT: usize = 2 + NAME_WIDTH + TIME_WIDTH + 2;

/// All checks, in order.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) registry: Option<Registry>,
    pub(super) checks: Vec<Check>,
}

/// The report in JSON.
#[derive(Serialize)]
pub(super) struct JsonReport<'a> {
    registry: Option<&'a str>,
    /// `ok`, `warning` or `failed`.
    verdict: &'static str,
    /// The name of the check that is the first cause; null if all is well.
    cause: Option<&'static str>,
    checks: &'a [Check],
}

impl Report {
    /// Returns the first check that failed, which explains later failures, else the first warning.
    fn cause(&self) -> Option<&Check> {
        let first = |mark| self.checks.iter().find(move |check| check.status == mark);
        first(Status::Failed).or_else(|| first(Status::Warning))
    }

    /// Returns whether no check failed.
    pub(super) fn is_ok(&self) -> bool {
        !self.checks.iter().any(Check::is_bad)
    }

    pub(super) fn json(&self) -> JsonReport<'_> {
        let cause = self.cause();
        JsonReport {
            registry: self.registry.as_ref().map(Registry::host),
            verdict: cause.map_or(Status::Ok, |check| check.status).word(),
            cause: cause.map(|check| check.name),
            checks: &self.checks,
        }
    }

    /// Returns the verdict, a blank line, and every check.
    pub(super) fn draw(&self, terminal: Terminal) -> String {
        let checks = self.checks.iter().map(|check| draw_check(terminal, check));
        format!("{}\n{}", self.verdict(terminal), checks.collect::<String>())
    }

    fn verdict(&self, terminal: Terminal) -> String {
        let subject = self
            .registry
            .as_ref()
            .map_or("this machine", Registry::host);
        let Some(cause) = self.cause() else {
            let verdict = match self.registry {
                Some(_) => "nothing stands in the way",
                None => "nothing is wrong with its set-up",
            };
            return format!("{} {subject}: {verdict}\n", terminal.mark(Status::Ok));
        };
        let works = match cause.status {
            Status::Failed => String::new(),
            _ => format!("{subject} works, but "),
        };
        let summary = format!("{works}{}: {}", cause.name, visible(&cause.summary));
        let summary = terminal.sentence(cause.status, &summary);
        // After wrapping, since bold text has a length but no width.
        let name = terminal.paint(Style::Bold, cause.name);
        let summary = summary.replacen(cause.name, &name, 1);
        format!("{summary}\n{}", draw_hint(terminal, cause, 2))
    }
}

fn draw_check(terminal: Terminal, check: &Check) -> String {
    let (mark, name) = (terminal.mark(check.status), check.name);
    let took = check.took.map(|took| format!("{} ms", took.as_millis()));
    let summary = visible(&check.summary);
    let (first_line, indent) = if terminal.is_plain() {
        let took = took.map(|took| format!(" ({took})")).unwrap_or_default();
        (format!("{mark} {name}: {summary}{took}\n"), 2)
    } else {
        let took = took.unwrap_or_default();
        let summary = terminal.wrap(&summary, INDENT);
        let summary = summary.trim_start();
        let line = format!("{mark} {name:<NAME_WIDTH$}{took:>TIME_WIDTH$}  {summary}\n");
        (line, INDENT)
    };
    let details = check.details.iter().map(|detail| {
        let detail = terminal.wrap(&visible(detail), indent);
        terminal.paint(Style::Dim, &detail) + "\n"
    });
    first_line + &details.collect::<String>() + &draw_hint(terminal, check, indent)
}

fn draw_hint(terminal: Terminal, check: &Check, indent: usize) -> String {
    let hint = check.hint.as_ref();
    let hint = hint.map(|hint| terminal.hint(hint, indent) + "\n");
    hint.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_is_the_cause_and_a_warning_only_without_one() {
        let report = |checks: Vec<Check>| Report {
            registry: None,
            checks,
        };
        let warning = || Check::warning("clock", "it is late");
        let two = report(vec![
            warning(),
            Check::bad("exchange", "refused"),
            Check::bad("docker", "absent"),
        ]);
        assert_eq!(two.cause().unwrap().name, "exchange");
        assert!(!two.is_ok());
        let one = report(vec![
            Check::good("dns", "found"),
            warning(),
            Check::skipped("keyring", "none"),
        ]);
        assert_eq!((one.cause().unwrap().name, one.is_ok()), ("clock", true));
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
    fn plain_text_is_not_wrapped() {
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
