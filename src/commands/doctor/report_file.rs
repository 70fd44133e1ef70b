//! `--report`: a file for an issue, which can be published as it is.
//!
//! It has the names, statuses and times of the checks, the kinds of errors, and of texts only the words that are in the helper's own messages
//! (`words.txt`), numbers of up to four digits, and Entra's error codes. So no name of a person, company, host or file is in it.

use crate::commands::report::{Check, Report, list};
use crate::error::{Error, sanitize};
use crate::files::private_file;
use std::fs::File;
use std::io::Write;
use std::path::Path;

/// The words that are shown. A new message whose words are missing here is shown with gaps.
const WORDS: &str = include_str!("words.txt");

const QUOTES: [char; 2] = ['`', '"'];

/// Creates the file, which its owner alone can read.
///
/// # Errors
///
/// It exists, or cannot be created.
pub(super) fn create(path: &Path) -> Result<File, Error> {
    let file = private_file().create_new(true).open(path);
    file.map_err(|error| {
        let problem = format!("could not create the report {}: {error}", path.display());
        Error::input(problem).with_hint("remove the file, or name another one")
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
    let details = details.map(|text| format!("  - {}\n", known(text)));
    let hint = check.hint.iter().flat_map(|hint| hint.lines());
    let hint = hint.map(|text| format!("  {}\n", known(text)));
    let texts: String = details.chain(hint).collect();
    format!(
        "{status}: {name}{took}{kind}: {}\n{texts}",
        known(&check.summary)
    )
}

/// Returns a text with a gap for each run of words that are not known. Several words in quotes may be a name, whatever words they are.
pub(super) fn known(text: &str) -> String {
    let text = sanitize(text);
    let mut shown: Vec<&str> = Vec::new();
    let mut open_quote = None;
    for word in text.split_whitespace() {
        let is_quoted = open_quote.is_some();
        for quote in word.chars().filter(|c| QUOTES.contains(c)) {
            match open_quote {
                None => open_quote = Some(quote),
                Some(open) if open == quote => open_quote = None,
                Some(_) => (),
            }
        }
        let is_shown = !is_quoted && open_quote.is_none() && is_known(word);
        let word = if is_shown { word } else { "…" };
        if (word, shown.last()) != ("…", Some(&"…")) {
            shown.push(word);
        }
    }
    shown.join(" ")
}

fn is_known(word: &str) -> bool {
    let word = word.trim_matches(|c: char| !c.is_alphanumeric());
    let is_number = |text: &str, digits| {
        (1..=digits).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let code = word.strip_prefix("AADSTS");
    word.is_empty()
        || is_number(word, 4)
        || code.is_some_and(|code| is_number(code, 7))
        || WORDS.split_whitespace().any(|known| known == word)
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn the_known_words_are_no_names() {
        for word in WORDS.split_whitespace() {
            let is_plain = word
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_'".contains(c));
            assert!(is_plain && word.parse::<u64>().is_err(), "{word}");
        }
        for name in ["contoso", "fabrikam", "alice", "Shell", "Bank"] {
            assert!(!is_known(name), "{name}");
        }
    }
}
