//! Draws text on a terminal: color, marks and line breaks.

use crate::config::Variables;
use crate::error::sanitize;
use std::ops::RangeInclusive;
use std::path::{MAIN_SEPARATOR, Path};

/// The columns of a terminal whose width is not known, and of a file.
const DEFAULT_COLUMNS: usize = 80;

/// The columns that are used at least and at most, whatever the width of the terminal is.
const COLUMNS: RangeInclusive<usize> = 40..=120;

/// What the terminal can show. Color and Unicode are used only on a terminal that has them. `--plain` is for screen readers and logs: words
/// replace marks, and nothing is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is independent of the others"
)]
pub struct Terminal<'a> {
    has_color: bool,
    has_unicode: bool,
    is_plain: bool,
    is_quiet: bool,
    columns: usize,
    /// The home folder, which is drawn as `~`.
    home: Option<&'a str>,
}

/// The status of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It works.
    Ok,
    /// It may work, but needs attention.
    Warning,
    /// It does not work.
    Failed,
    /// It was not checked.
    Skipped,
}

impl Status {
    /// Returns the word, the Unicode sign, the ASCII sign and the style.
    fn looks(self) -> (&'static str, &'static str, &'static str, Style) {
        match self {
            Self::Ok => ("ok", "✓", "+", Style::Green),
            Self::Warning => ("warning", "!", "!", Style::Yellow),
            Self::Failed => ("failed", "✗", "x", Style::Red),
            Self::Skipped => ("skipped", "–", "-", Style::Dim),
        }
    }

    /// Returns the word that `--plain` and `--json` show.
    pub fn word(self) -> &'static str {
        self.looks().0
    }
}

/// A style of text (ECMA-48, "SGR").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Important text.
    Bold = 1,
    /// Unimportant text.
    Dim = 2,
    /// An error.
    Red = 31,
    /// A success.
    Green = 32,
    /// A warning.
    Yellow = 33,
}

impl<'a> Terminal<'a> {
    /// Determines what stdout can show, by whether it is a terminal and by what `TERM`, `NO_COLOR` (no-color.org) and the locale
    /// (`LC_ALL`, `LC_CTYPE`, `LANG`; locale(7)) say.
    pub fn new(variables: &Variables, is_terminal: bool, is_plain: bool) -> Self {
        let text = |name: &str| {
            let value = variables.get(name).and_then(|value| value.to_str());
            value.filter(|value| !value.is_empty())
        };
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(text);
        let locale = locale.unwrap_or_default().to_ascii_lowercase();
        let is_drawn = is_terminal && !is_plain && text("TERM").is_none_or(|term| term != "dumb");
        Self {
            has_color: is_drawn && text("NO_COLOR").is_none(),
            has_unicode: is_drawn && (locale.contains("utf-8") || locale.contains("utf8")),
            is_plain,
            is_quiet: false,
            columns: if is_terminal {
                columns()
            } else {
                DEFAULT_COLUMNS
            },
            home: None,
        }
    }

    /// Sets whether only failures are shown.
    pub fn with_quiet(self, is_quiet: bool) -> Self {
        Self { is_quiet, ..self }
    }

    /// Returns whether only failures are shown.
    pub fn is_quiet(&self) -> bool {
        self.is_quiet
    }

    /// Sets the home folder, which is drawn as `~`.
    pub fn with_home(self, home: Option<&'a Path>) -> Self {
        let home = home.and_then(Path::to_str);
        let home = home.filter(|home| home.len() > 1);
        Self { home, ..self }
    }

    /// Writes `~` for the home folder at the start of a word, where a shell expands it: not in quotes or within a path.
    pub fn shorten(&self, text: &str) -> String {
        let mut text = format!(" {text}");
        for before in [' ', '`', '('] {
            let home = self
                .home
                .map(|home| format!("{before}{home}{MAIN_SEPARATOR}"));
            let short = format!("{before}~{MAIN_SEPARATOR}");
            text = home.map_or(text.clone(), |home| text.replace(&home, &short));
        }
        text.split_off(1)
    }

    /// Draws a mark.
    pub fn mark(&self, mark: Status) -> String {
        let (word, unicode, ascii, style) = mark.looks();
        if self.is_plain {
            return format!("{word}:");
        }
        self.paint(style, if self.has_unicode { unicode } else { ascii })
    }

    /// Returns an arrow.
    pub fn arrow(&self) -> &'static str {
        if self.has_unicode { "→" } else { "->" }
    }

    /// Returns the mark of a step that is running.
    pub fn ellipsis(&self) -> &'static str {
        if self.has_unicode { "…" } else { "..." }
    }

    /// Returns whether words replace marks, and nothing is drawn.
    pub fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// Draws a text in a style, where there is color.
    pub fn paint(&self, style: Style, text: &str) -> String {
        if self.has_color {
            format!("\x1b[{}m{text}\x1b[0m", style as u8)
        } else {
            text.to_owned()
        }
    }

    /// Breaks a text at spaces into lines that begin with `indent` spaces and fit the terminal. Text between backticks and longer words
    /// stay whole, so that they can be copied. With `--plain` the whole text is one line.
    pub fn wrap(&self, text: &str, indent: usize) -> String {
        let (margin, text) = (" ".repeat(indent), self.shorten(text));
        if self.is_plain {
            return format!("{margin}{text}");
        }
        let mut lines: Vec<String> = Vec::new();
        for piece in pieces(&text) {
            match lines.last_mut() {
                Some(line) if line.chars().count() + 1 + piece.chars().count() <= self.columns => {
                    line.extend([" ", &piece]);
                }
                _ => lines.push(format!("{margin}{piece}")),
            }
        }
        lines.join("\n")
    }

    /// Draws a text as one line that fits the terminal. With `--plain` nothing is cut.
    pub fn cut(&self, text: &str, indent: usize) -> String {
        let whole = self.wrap(text, indent);
        if !whole.contains('\n') {
            return whole;
        }
        let mark = self.ellipsis();
        let short = self.wrap(text, indent + 1 + mark.chars().count());
        let first = short.lines().next().unwrap_or_default();
        format!("{}{} {mark}", " ".repeat(indent), first.trim_start())
    }

    /// Draws a mark and a sentence, and indents the lines after the first.
    pub fn sentence(&self, mark: Status, text: &str) -> String {
        format!("{} {}", self.mark(mark), self.wrap(text, 2).trim_start())
    }

    /// Draws a detail behind a dash, because a server may have written it: it must not look like a command.
    pub fn detail(&self, detail: &str, indent: usize) -> String {
        let detail = self.wrap(&sanitize(detail), indent + 2);
        format!("{}- {}", " ".repeat(indent), detail.trim_start())
    }

    /// Draws a hint as lines that begin with `indent` spaces. A line of the hint that begins with two spaces is a command to paste: it stays on
    /// one line.
    pub fn hint(&self, hint: &str, indent: usize) -> String {
        let separator = if hint.starts_with("  ") { "\n" } else { " " };
        let text = ["hint:", separator, hint].concat();
        let lines = text.lines().map(sanitize).map(|line| {
            if line.starts_with("  ") {
                " ".repeat(indent) + &self.shorten(&line)
            } else {
                self.wrap(&line, indent)
            }
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// Returns the columns of the terminal that are used.
fn columns() -> usize {
    let width = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    width.map_or(DEFAULT_COLUMNS, |width| {
        width.clamp(*COLUMNS.start(), *COLUMNS.end())
    })
}

/// Splits a text into words. Text between backticks is one word.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    let mut is_open = false;
    for word in text.split_whitespace() {
        match pieces.last_mut() {
            Some(piece) if is_open => piece.extend([" ", word]),
            _ => pieces.push(word.to_owned()),
        }
        is_open ^= word.matches('`').count() % 2 == 1;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terminal(rows: &[(&str, &str)], is_terminal: bool, is_plain: bool) -> Terminal<'static> {
        let variables = rows
            .iter()
            .map(|(name, value)| ((*name).into(), value.into()))
            .collect();
        Terminal::new(&variables, is_terminal, is_plain)
    }

    #[test]
    fn color_and_unicode_are_for_terminals_that_have_them() {
        let drawn = |rows: &[(&str, &str)], is_terminal, is_plain| {
            terminal(rows, is_terminal, is_plain).mark(Status::Ok)
        };
        let utf = ("LANG", "en_GB.UTF-8");
        assert_eq!(drawn(&[utf], true, false), "\x1b[32m✓\x1b[0m");
        assert_eq!(drawn(&[utf, ("NO_COLOR", "1")], true, false), "✓");
        assert_eq!(
            drawn(&[utf, ("NO_COLOR", "")], true, false),
            "\x1b[32m✓\x1b[0m"
        );
        assert_eq!(
            drawn(&[utf, ("LC_ALL", "C")], true, false),
            "\x1b[32m+\x1b[0m"
        );
        assert_eq!(drawn(&[utf, ("TERM", "dumb")], true, false), "+");
        assert_eq!(drawn(&[utf], false, false), "+");
        assert_eq!(drawn(&[utf], true, true), "ok:");
    }

    #[test]
    fn lines_are_as_wide_as_the_terminal() {
        let terminal = Terminal {
            columns: 60,
            ..terminal(&[], false, false)
        };
        let wrapped = terminal.wrap(&"word ".repeat(40), 4);
        let longest = wrapped.lines().map(str::len).max();
        assert_eq!(longest, Some(58), "{wrapped}");
    }

    #[test]
    fn the_home_folder_is_drawn_where_a_shell_expands_it() {
        let terminal = terminal(&[], false, true).with_home(Some(Path::new("/home/alice")));
        for (text, shortened) in [
            ("/home/alice/f", "~/f"),
            ("`/home/alice/f` and /home/alice/g", "`~/f` and ~/g"),
            (
                "rm '/home/alice/a b' --file=/home/alice/f",
                "rm '/home/alice/a b' --file=/home/alice/f",
            ),
            (
                "/home/alice2/f /mnt/home/alice/f",
                "/home/alice2/f /mnt/home/alice/f",
            ),
        ] {
            assert_eq!(terminal.wrap(text, 0), shortened);
            assert_eq!(
                terminal.hint(&format!("  {text}"), 0),
                format!("hint:\n  {shortened}")
            );
        }
    }

    #[test]
    fn lines_end_before_the_last_column_and_words_stay_whole() {
        let terminal = terminal(&[], false, false);
        let wrapped = terminal.wrap(&"word ".repeat(40), 4);
        assert!(
            wrapped
                .lines()
                .all(|line| line.len() <= 80 && line.starts_with("    word")),
            "{wrapped}"
        );
        let command = format!("`{}`", "az ".repeat(30).trim_end());
        assert_eq!(
            terminal.wrap(&format!("type {command} now"), 2),
            format!("  type\n  {command}\n  now")
        );
        let command = format!("  {}", "az ".repeat(30));
        assert_eq!(
            terminal.hint(&format!("sign in\n{command}"), 2),
            format!("  hint: sign in\n  {command}")
        );
        let plain = self::terminal(&[], true, true);
        assert_eq!(
            plain.wrap(&"word ".repeat(40), 2),
            format!("  {}", "word ".repeat(40))
        );
        let long = "x".repeat(100);
        assert_eq!(
            terminal.wrap(&format!("a {long} b"), 2),
            format!("  a\n  {long}\n  b")
        );
    }
}
