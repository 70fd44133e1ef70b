//! The checks that commands for people print: what was found, and what to do.

use crate::error::{Error, ErrorKind, sanitize};
use crate::terminal::{Status, Style, Terminal};
use serde::{Serialize, Serializer};
use serde_json::json;
use std::fmt::Display;
use std::time::{Duration, Instant};

/// The widths of an area's title, a check's name and a time.
const TITLE_WIDTH: usize = 12;
const NAME_WIDTH: usize = 15;
const TIME_WIDTH: usize = 8;

/// The rows of the cause in the short form of a report, and how many of them are details.
const MAX_CAUSE_ROWS: usize = 4;
const MAX_SHORT_DETAILS: usize = 2;

/// How the summary of a check begins that was not made, because another one failed.
pub(super) const NOT_CHECKED: &str = "not checked, because";

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
    /// What to do: text, and commands on lines that begin with two spaces.
    pub(super) hint: Option<String>,
    /// How long it took, if that was measured.
    pub(super) took: Option<Duration>,
    /// The kind of the error, if one was the result.
    pub(super) kind: Option<ErrorKind>,
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
            kind: None,
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
            kind: Some(error.kind()),
            ..Self::bad(name, error.to_string())
        }
    }

    /// Sets the name.
    pub(super) fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
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

    /// Returns whether it needs attention.
    pub(super) fn is_problem(&self) -> bool {
        matches!(self.status, Status::Failed | Status::Warning)
    }

    /// Returns the commands of the hint.
    fn commands(&self) -> impl Iterator<Item = &str> {
        let lines = self.hint.iter().flat_map(|hint| hint.lines());
        lines.filter_map(|line| line.strip_prefix("  "))
    }

    /// Returns the first command of the hint.
    pub(super) fn command(&self) -> Option<&str> {
        self.commands().next()
    }

    /// Returns status, summary and hint as lines that fit the terminal.
    pub(super) fn draw(&self, terminal: Terminal, indent: usize) -> String {
        if !is_shown(self, terminal) {
            return String::new();
        }
        let margin = " ".repeat(indent);
        let sentence = terminal.wrap(&sanitize(&self.summary), indent + 2);
        let mark = terminal.mark(self.status);
        let hint = self.draw_hint(terminal, indent + 2);
        format!("{margin}{mark} {}\n{hint}", sentence.trim_start())
    }

    fn draw_hint(&self, terminal: Terminal, indent: usize) -> String {
        let hint = self.hint.iter().map(|hint| terminal.hint(hint, indent));
        hint.map(|hint| terminal.paint(Style::Dim, &hint) + "\n")
            .collect()
    }

    /// Draws the summary behind a title, which is as wide as its column. The short form is one line.
    fn draw_summary(&self, terminal: Terminal, title: &str, is_short: bool) -> String {
        let (mark, indent) = (terminal.mark(self.status), indent(terminal, title));
        let summary = sanitize(&self.summary);
        let summary = if is_short {
            terminal.cut(&summary, indent)
        } else {
            terminal.wrap(&summary, indent)
        };
        if terminal.is_plain() {
            let title = title.split("  ").next().unwrap_or_default().trim_end();
            return format!("{mark} {title}: {}\n", summary.trim_start());
        }
        format!("{mark} {title}{}\n", summary.trim_start())
    }

    /// Draws the details below a summary: all, or the first of those that fit on a line each.
    fn draw_details(&self, terminal: Terminal, indent: usize, limit: Option<usize>) -> String {
        let details = self.details.iter();
        let details = details.map(|detail| terminal.detail(detail, indent));
        let details = details.filter(|lines| limit.is_none() || !lines.contains('\n'));
        let drawn = details.map(|lines| terminal.paint(Style::Dim, &lines) + "\n");
        drawn.take(limit.unwrap_or(usize::MAX)).collect()
    }
}

/// Returns the column in which the summary begins behind a title, and what is drawn below it.
fn indent(terminal: Terminal, title: &str) -> usize {
    if terminal.is_plain() {
        2
    } else {
        2 + title.len()
    }
}

/// Returns whether a check is drawn: `--quiet` hides all but failures.
fn is_shown(check: &Check, terminal: Terminal) -> bool {
    check.is_bad() || !terminal.is_quiet()
}

/// A check without a name has no details and no time, in JSON either.
impl Serialize for Check {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = json!({
            "status": self.status.word(),
            "summary": self.summary,
            "hint": self.hint,
            "command": self.command(),
            "commands": self.commands().collect::<Vec<_>>(),
        });
        if !self.name.is_empty() {
            fields["name"] = json!(self.name);
            fields["details"] = json!(self.details);
            fields["milliseconds"] = json!(self.took.map(|took| took.as_millis()));
        }
        fields.serialize(serializer)
    }
}

/// A title, and the names of its checks with spaces between them. A check comes before those that fail because of it.
pub(super) type Area = (&'static str, &'static str);

/// Several checks, in the order of their areas.
#[derive(Debug)]
pub(super) struct Report {
    areas: &'static [Area],
    pub(super) checks: Vec<Check>,
}

impl Report {
    /// Sorts the checks.
    pub(super) fn new(areas: &'static [Area], mut checks: Vec<Check>) -> Self {
        let names = || areas.iter().flat_map(|(_, names)| names.split(' '));
        checks.sort_by_key(|check| names().position(|name| name == check.name));
        Self { areas, checks }
    }

    /// Returns the first check that failed, which explains later failures, else the first warning.
    pub(super) fn cause(&self) -> Option<&Check> {
        self.first(Status::Failed)
            .or_else(|| self.first(Status::Warning))
    }

    fn first(&self, status: Status) -> Option<&Check> {
        self.checks.iter().find(|check| check.status == status)
    }

    /// Returns whether no check failed.
    pub(super) fn is_ok(&self) -> bool {
        self.first(Status::Failed).is_none()
    }

    /// Draws one line for each area in which all is well, and its problems for each other. The hint of the cause is left to the verdict.
    pub(super) fn draw_areas(&self, terminal: Terminal) -> String {
        let areas = self.areas.iter();
        areas.map(|area| self.draw_area(terminal, area)).collect()
    }

    fn draw_area(&self, terminal: Terminal, (title, names): &Area) -> String {
        let title = format!("{title:<TITLE_WIDTH$}");
        let checks = self.checks.iter();
        let checks = checks.filter(|check| names.split(' ').any(|name| name == check.name));
        let checks: Vec<&Check> = checks.filter(|it| is_shown(it, terminal)).collect();
        let mut shown: Vec<&Check> = checks.clone();
        shown.retain(|check| check.is_problem());
        if shown.is_empty() {
            // The last check needed those before it.
            let skipped = checks.iter().find(|check| check.status == Status::Skipped);
            shown.extend(skipped.or(checks.last()));
        }
        // What depends on the cause says nothing new.
        shown.retain(|check| !check.summary.starts_with(NOT_CHECKED));
        let cause = self.cause();
        let indent = indent(terminal, &title);
        let rows = shown.into_iter().map(|check| {
            let summary = check.draw_summary(terminal, &title, !check.is_problem());
            let below = match cause.filter(|_| check.is_problem()) {
                Some(cause) if cause.name == check.name => {
                    let rest = MAX_CAUSE_ROWS.saturating_sub(summary.lines().count());
                    check.draw_details(terminal, indent, Some(rest.min(MAX_SHORT_DETAILS)))
                }
                // The verdict has the hint of the cause.
                Some(cause) if cause.hint != check.hint => check.draw_hint(terminal, indent),
                _ => String::new(),
            };
            summary + &below
        });
        rows.collect()
    }

    /// Draws every check with its time, details and hint.
    pub(super) fn draw_checks(&self, terminal: Terminal) -> String {
        let checks = self.checks.iter().filter(|it| is_shown(it, terminal));
        let checks = checks.map(|check| {
            let took = check.took.map(|took| format!("{} ms", took.as_millis()));
            let (name, took) = (check.name, took.unwrap_or_default());
            let title = format!("{name:<NAME_WIDTH$}{took:>TIME_WIDTH$}  ");
            let indent = indent(terminal, &title);
            let details = check.draw_details(terminal, indent, None);
            let hint = check.draw_hint(terminal, indent);
            check.draw_summary(terminal, &title, false) + &details + &hint
        });
        checks.collect()
    }

    /// Returns the title of a check's area.
    pub(super) fn title(&self, check: &Check) -> &'static str {
        let mut areas = self.areas.iter();
        let area = areas.find(|(_, names)| names.split(' ').any(|name| name == check.name));
        area.map_or(check.name, |(title, _)| title)
    }

    /// Draws how many problems there are, and how to fix the first.
    pub(super) fn draw_verdict(&self, terminal: Terminal) -> String {
        let Some(cause) = self.cause() else {
            return format!("{} No problems found.\n", terminal.mark(Status::Ok));
        };
        let area = self.title(cause);
        let counts = [(Status::Failed, "problem"), (Status::Warning, "warning")];
        let counts = counts.map(|(status, word)| self.count(status, word));
        let counts = list(counts.into_iter().flatten());
        let mut lines = cause.hint.iter().flat_map(|hint| hint.lines()).peekable();
        let fix = match lines.next_if(|line| !line.starts_with("  ")) {
            Some(text) => format!("To fix {area}: {text}"),
            None if lines.peek().is_some() => format!("To fix {area}, run:"),
            None => format!("Fix {area} first."),
        };
        let mut drawn = terminal.wrap(&format!("{counts}. {}", sanitize(&fix)), 0) + "\n";
        if lines.peek().is_some() {
            drawn.push('\n');
        }
        for line in lines.map(sanitize) {
            let line = if line.starts_with("  ") {
                terminal.paint(Style::Bold, &terminal.shorten(&line))
            } else {
                terminal.wrap(&line, 0)
            };
            drawn.extend([&*line, "\n"]);
        }
        drawn
    }

    /// Returns how many checks have a status, as in `2 warnings`, if any has.
    fn count(&self, status: Status, word: &str) -> Option<String> {
        let checks = self.checks.iter();
        let number = checks.filter(|check| check.status == status).count();
        let plural = if number == 1 { "" } else { "s" };
        (number > 0).then(|| format!("{number} {word}{plural}"))
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
    use serde_json::to_value;

    const AREAS: [Area; 2] = [("Network", "dns tcp"), ("Docker", "docker")];

    fn plain() -> Terminal<'static> {
        Terminal::new(&std::collections::HashMap::new(), true, true)
    }

    #[test]
    fn details_and_time_are_in_json_only_if_the_check_has_a_name() {
        let check = Check::unnamed(Status::Warning, "it rains").hint("take a coat\n  wear coat");
        assert_eq!(
            to_value(&check).unwrap(),
            json!({
                "status": "warning", "summary": "it rains", "hint": "take a coat\n  wear coat",
                "command": "wear coat", "commands": ["wear coat"]
            })
        );
        let named = Check {
            took: Some(Duration::from_millis(7)),
            ..check.named("weather").hint("stay")
        };
        assert_eq!(
            to_value(named).unwrap(),
            json!({
                "name": "weather", "status": "warning", "summary": "it rains", "details": [],
                "hint": "stay", "command": null, "commands": [], "milliseconds": 7
            })
        );
    }

    #[test]
    fn the_first_failure_is_the_cause_and_a_warning_only_without_one() {
        let report = |checks| Report::new(&AREAS, checks);
        let two = report(vec![
            Check::bad("docker", "absent"),
            Check::bad("tcp", "refused"),
            Check::warning("dns", "slow"),
        ]);
        assert_eq!(two.cause().unwrap().name, "tcp");
        assert!(!two.is_ok());
        let one = report(vec![
            Check::warning("docker", "old"),
            Check::good("dns", "found"),
        ]);
        assert_eq!((one.cause().unwrap().name, one.is_ok()), ("docker", true));
        assert!(
            report(vec![Check::skipped("dns", "none")])
                .cause()
                .is_none()
        );
    }

    #[test]
    fn an_area_shows_its_problems_and_the_verdict_how_to_fix_the_first() {
        let mut failed = Check::bad("docker", "asks no helper").hint("  configure");
        failed.details = (1..8).map(|number| number.to_string()).collect();
        let checks = vec![
            Check::good("dns", "found"),
            Check::good("tcp", "connected"),
            failed,
        ];
        let report = Report::new(&AREAS, checks);
        assert_eq!(
            report.draw_areas(plain()),
            "ok: Network: connected\nfailed: Docker: asks no helper\n  - 1\n  - 2\n"
        );
        assert_eq!(
            report.draw_verdict(plain()),
            "1 problem. To fix Docker, run:\n\n  configure\n"
        );
    }

    #[test]
    fn plain_text_is_not_wrapped() {
        let long = "word ".repeat(40).trim_end().to_owned();
        let check = Check::bad("tcp", long.clone()).hint(long.clone());
        let report = Report::new(&AREAS, vec![check]);
        assert_eq!(
            report.draw_checks(plain()),
            format!("failed: tcp: {long}\n  hint: {long}\n")
        );
    }
}
