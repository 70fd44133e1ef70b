//! `--report`: a file for an issue, which can be published as it is.
//!
//! It has the names, statuses and times of the checks, the kinds of errors, and of texts only the words that are in the helper's own messages
//! (`words.txt`), numbers of up to four digits, and Entra's error codes. So no name of a person, company, host or file is in it.

use crate::commands::report::{Check, Report, list};
use crate::error::{Error, ErrorKind as Kind, sanitize};
use crate::files::private_file;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::Path;

/// The words that are shown. A new message whose words are missing here is shown with gaps.
const WORDS: &str = include_str!("words.txt");

/// What opens and closes text that may be a name.
const QUOTES: [(char, char); 4] = [('`', '`'), ('"', '"'), ('\'', '\''), ('(', ')')];

/// Creates the file, which its owner alone can read.
///
/// # Errors
///
/// It exists, or cannot be created.
pub(super) fn create(path: &Path) -> Result<File, Error> {
    private_file().create_new(true).open(path).map_err(|error| {
        let file = path.display();
        let problem = match error.kind() {
            ErrorKind::AlreadyExists => "the file exists already",
            ErrorKind::NotFound => "there is no such folder",
            ErrorKind::PermissionDenied => "you may not write to this folder",
            _ => &error.to_string(),
        };
        Error::input(format!("could not create the report {file}: {problem}"))
            .with_hint("name another file")
    })
}

/// Writes the report.
///
/// # Errors
///
/// The file cannot be written.
pub(super) fn write(
    path: &Path,
    mut file: File,
    report: &Report,
    versions: &[(&str, String)],
) -> Result<(), Error> {
    let versions = versions.iter();
    let versions = list(versions.map(|(name, version)| format!("{name} {version}")));
    let checks: String = report.checks.iter().map(to_text).collect();
    let text = format!(
        "{versions}\n\nWords that are not the helper's own are left out.\n\n```text\n{checks}```\n"
    );
    file.write_all(text.as_bytes()).map_err(|error| {
        let problem = format!("could not write the report {}: {error}", path.display());
        Error::input(problem)
    })
}

fn to_text(check: &Check) -> String {
    let took = check.took.map(|took| format!(" ({} ms)", took.as_millis()));
    let kind = check.kind.map(|kind| format!(" {kind:?}"));
    let (took, kind) = (took.unwrap_or_default(), kind.unwrap_or_default());
    let (status, name) = (check.status.word(), check.name);
    let details = check.details.iter();
    let details = details.map(|detail| match check.kind {
        Some(Kind::SignIn) => codes(detail),
        _ => known(detail),
    });
    let details = details.map(|text| format!("- {text}"));
    let hint = check.hint.iter().flat_map(|hint| hint.lines());
    let texts = details.chain(hint.map(known));
    let summary = match check.kind.and_then(|kind| quoted(kind, &check.summary)) {
        Some((own, quoted)) => format!("{} {}", known(own), codes(quoted)),
        None => known(&check.summary),
    };
    let first = format!("{status}: {name}{took}{kind}: {summary}\n");
    texts.fold(first, |text, line| text + "  " + &line + "\n")
}

/// Splits the message of an error before what a server or another program reported.
fn quoted(kind: Kind, message: &str) -> Option<(&str, &str)> {
    let marker = match kind {
        Kind::UnexpectedResponse => " with ",
        Kind::SignIn | Kind::Denied { .. } | Kind::InvalidToken => ": ",
        _ => return None,
    };
    let end = message.find(marker)? + marker.len();
    Some(message.split_at(end))
}

/// Returns Entra's error codes in a text from elsewhere, and the HTTP status at its start.
fn codes(text: &str) -> String {
    let is_status = |(at, word): (usize, &str)| {
        let word = word.trim_end_matches([',', ':']);
        at == 0 && word.len() == 3 && is_number(word, 3)
    };
    let words = text.split_whitespace().enumerate();
    let words = words.map(|(at, word)| (is_code(word) || is_status((at, word))).then_some(word));
    join(words)
}

/// Returns a text with a gap for each run of words that are not known. Text in quotes or parentheses may be a name, whatever words it is, unless
/// it is one word in backticks. Of several numbers in a row the first is shown.
pub(super) fn known(text: &str) -> String {
    let text = sanitize(text);
    let (mut closing, mut is_after_number) = (None, false);
    let words = text.split_whitespace().map(|word| {
        let is_quoted = follow_quotes(word, &mut closing);
        let is_number = is_number(trim(word), 4);
        let is_shown = !is_quoted && is_known(word) && !(is_number && is_after_number);
        is_after_number = is_number;
        is_shown.then_some(word)
    });
    join(words)
}

/// Follows quotes through a word, and returns whether it may be part of a name. An apostrophe inside a word is no quote.
fn follow_quotes(word: &str, closing: &mut Option<char>) -> bool {
    let mut is_quoted = closing.is_some();
    let mut before = ' ';
    let mut chars = word.chars().peekable();
    while let Some(c) = chars.next() {
        let is_inside_word = c == '\'' && chars.peek().is_some_and(|next| next.is_alphanumeric());
        match *closing {
            Some(end) if c == end && !is_inside_word => *closing = None,
            None if c != '\'' || !before.is_alphanumeric() => {
                let quote = QUOTES.iter().find(|(open, _)| *open == c);
                *closing = quote.map(|(_, close)| *close);
                is_quoted |= quote.is_some_and(|(open, _)| *open != '`');
            }
            _ => (),
        }
        before = c;
    }
    is_quoted || closing.is_some()
}

/// Joins words, with one gap for each run of those that are not shown.
fn join<'a>(words: impl Iterator<Item = Option<&'a str>>) -> String {
    let mut shown: Vec<&str> = words.map(|word| word.unwrap_or("…")).collect();
    shown.dedup_by(|word, before| (*word, *before) == ("…", "…"));
    shown.join(" ")
}

fn trim(word: &str) -> &str {
    word.trim_matches(|c: char| !c.is_alphanumeric())
}

fn is_number(word: &str, max_digits: usize) -> bool {
    (1..=max_digits).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_code(word: &str) -> bool {
    let code = trim(word).strip_prefix("AADSTS");
    code.is_some_and(|code| is_number(code, 7))
}

fn is_known(word: &str) -> bool {
    let own = trim(word);
    own.is_empty()
        || is_number(own, 4)
        || is_code(word)
        || WORDS.split_whitespace().any(|known| known == own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn only_words_of_our_own_messages_numbers_and_error_codes_are_shown() {
        for (text, expected) in [
            (
                "the registry refused the access token: 401",
                "the registry refused the access token: 401",
            ),
            (
                "the name contoso.azurecr.io was not found",
                "the name … was not found",
            ),
            (
                "AADSTS700016: Application 'Zz Registry' Zz Bank, Inc.",
                "AADSTS700016: …",
            ),
            (
                "`client_id` is 5b8d3e17-64c2-4f0a-9d15-7a2e8c40b6f1 by `AZURE_CLIENT_ID`",
                "`client_id` is … by `AZURE_CLIENT_ID`",
            ),
            (
                "the directory 'Windows Pipelines' of root (Secret Service), room 4711 5512 9921",
                "the directory … of root … 4711 …",
            ),
            (
                "the 'Secret's Service' of the application's owner",
                "the … of the application's owner",
            ),
            ("no connection to 10.1.2.3:443", "no connection to …"),
            (
                "/home/alice is the-folder of alice@contoso.example",
                "… is … of …",
            ),
        ] {
            assert_eq!(known(text), expected);
        }
    }

    #[test]
    fn of_what_a_server_or_program_reports_only_codes_are_shown() {
        for (kind, message, expected) in [
            (
                Kind::SignIn,
                "could not get an access token from the Azure CLI: 401, Application 'Secret Service' of root, room 4711 503",
                "could not get an access token from the Azure CLI: 401, …",
            ),
            (
                Kind::SignIn,
                "could not get an access token from the Azure CLI: ERROR: (AADSTS50076) in the directory of root",
                "could not get an access token from the Azure CLI: … (AADSTS50076) …",
            ),
            (
                Kind::UnexpectedResponse,
                "contoso.azurecr.io answered the exchange with 500, the root directory",
                "… answered the exchange with 500, …",
            ),
        ] {
            let check = Check {
                kind: Some(kind),
                ..Check::bad("x", message)
            };
            let shown = to_text(&check.with(["the registry of root".to_owned()]));
            let detail = match kind {
                Kind::SignIn => "…",
                _ => "the registry of root",
            };
            assert_eq!(
                shown,
                format!("failed: x {kind:?}: {expected}\n  - {detail}\n")
            );
        }
    }

    /// Returns the words of messages: lower-case words of literals with spaces, without what is inserted into them.
    fn own_words(source: &str) -> Vec<String> {
        let code = source.split("#[cfg(test)]").next().unwrap_or_default();
        let lines = code.lines();
        let lines = lines.filter(|line| !line.trim_start().starts_with("//"));
        let code = lines.collect::<Vec<_>>().join("\n").replace("'\"'", "");
        let code = code.replace(r#"\""#, "'").replace(r"\n", " ");
        let literals = code.split('"').skip(1).step_by(2);
        let words = literals.filter(|text| text.contains(' ')).flat_map(|text| {
            let parts: Vec<&str> = text.split(['{', '}']).step_by(2).collect();
            let parts = parts.join("\0");
            parts
                .split_whitespace()
                .map(|word| trim(word).to_owned())
                .collect::<Vec<_>>()
        });
        words.collect()
    }

    #[test]
    fn the_words_of_our_own_messages_are_known() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let (mut folders, mut missing) = (vec![root], BTreeSet::new());
        let is_word = |word: &String| {
            word.chars()
                .all(|c| c.is_ascii_lowercase() || "-'".contains(c))
        };
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|it| it == "rs")
                    && !path.to_str().unwrap().contains("test")
                {
                    let words = own_words(&std::fs::read_to_string(path).unwrap());
                    missing.extend(
                        words
                            .into_iter()
                            .filter(|word| is_word(word) && !is_known(word)),
                    );
                }
            }
        }
        assert!(missing.is_empty(), "add to words.txt: {}", list(missing));
    }

    #[test]
    fn the_known_words_are_no_names() {
        for word in WORDS.split_whitespace() {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_'".contains(c);
            let is_plain = word.chars().all(is_plain);
            assert!(is_plain && word.parse::<u64>().is_err(), "{word}");
        }
        for name in ["contoso", "fabrikam", "alice", "Shell", "Bank"] {
            assert!(!is_known(name), "{name}");
        }
    }
}
