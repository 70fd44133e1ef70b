//! Makes text from elsewhere fit to be shown.

mod redactor;

pub(crate) use redactor::{Redactor, Secrets};

use ring::digest::{SHA256, digest};

/// Makes foreign text fit for one line of a terminal. White space is folded, and control and bidirectional characters are dropped. `…`
/// replaces what looks like a token, and words of more than 100 characters. Text of more than 400 characters ends with its last whole word.
pub fn sanitize_line(text: &str) -> String {
    // Longer than every recorded message of Entra and registries.
    const LIMIT: usize = 400;
    let visible = sanitize(&text.chars().take(LIMIT * 10).collect::<String>());
    let words = visible.split(' ').filter(|word| !word.is_empty());
    let words = words.map(without_token).collect::<Vec<_>>().join(" ");
    let Some((end, _)) = words.char_indices().nth(LIMIT) else {
        return words;
    };
    let (head, rest) = words.split_at(end);
    match rest {
        // A text that was already cut stays as it is.
        "…" => words,
        _ if rest.starts_with(' ') => format!("{head}…"),
        _ => format!("{}…", &head[..head.rfind(' ').unwrap_or(end)]),
    }
}

/// Returns any text on one line without control and bidirectional characters.
pub fn sanitize(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|c| !c.is_control() && !is_invisible(*c))
        .collect()
}

/// Returns the first sentence of a message: clients show this line next to stderr, which has the whole message. A full stop between backticks
/// belongs to a name.
pub(crate) fn first_sentence(message: &str) -> &str {
    let is_quoted = |at: usize| message[..at].matches('`').count() % 2 == 1;
    let end = message.match_indices(". ").find(|(at, _)| !is_quoted(*at));
    end.map_or(message, |(at, _)| &message[..at]).trim()
}

/// Quotes a text as one word of a POSIX shell.
pub(crate) fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Returns a text as one visible word of a POSIX shell, in quotes if it needs them. Control characters are escaped (`$'…'`, POSIX.1-2024), so
/// that no line break begins a command of its own.
pub(crate) fn shell_word(text: &str) -> String {
    let is_hidden = |c: char| c.is_control() || is_invisible(c);
    if text.contains(is_hidden) {
        let mut word = "$'".to_owned();
        for c in text.chars() {
            match c {
                '\'' | '\\' => word.extend(['\\', c]),
                _ if is_hidden(c) => {
                    for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                        word += &format!("\\{byte:03o}");
                    }
                }
                _ => word.push(c),
            }
        }
        return word + "'";
    }
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+@%:,=".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        shell_quoted(text)
    }
}

/// Returns whether a host is this domain or below it, by whole labels.
pub(crate) fn is_within(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Returns the first 16 bytes of the SHA-256 digest in hexadecimal: a name that shows nothing of the bytes.
pub(crate) fn digest16(bytes: &[u8]) -> String {
    hex::encode(&digest(&SHA256, bytes).as_ref()[..16])
}

/// Replaces a word that may be a token, because a server may repeat what it was sent. A JWT begins with the base64 of `{"`. No recorded
/// answer of Entra or a registry has a word as long as a token.
fn without_token(word: &str) -> &str {
    const MAX_WORD: usize = 100;
    let is_token = word.contains("eyJ") && word.len() > 20;
    // A text that was cut before ends with `…`.
    let uncut = word.strip_suffix('…').unwrap_or(word);
    if is_token || uncut.chars().count() > MAX_WORD {
        "…"
    } else {
        word
    }
}

/// Returns whether a character draws nothing or changes the direction of the text (Unicode Cf, variation selectors and blank fillers;
/// CVE-2021-42574).
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180b}'..='\u{180e}' | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_text_is_always_one_word() {
        for (text, word) in [
            ("", "''"),
            ("<token>", "'<token>'"),
            ("x';reboot;'", r"'x'\'';reboot;'\'''"),
            (r"$(a) `b` \", r"'$(a) `b` \'"),
        ] {
            assert_eq!(
                (shell_quoted(text).as_str(), shell_word(text).as_str()),
                (word, word)
            );
        }
        assert_eq!(shell_word("/home/me/a-b.toml"), "/home/me/a-b.toml");
        for (text, word) in [
            ("/a\n  reboot", r"$'/a\012  reboot'"),
            ("it's\u{1b}[m\\", r"$'it\'s\033[m\\'"),
            ("a\u{200b}b", r"$'a\342\200\213b'"),
        ] {
            assert_eq!(shell_word(text), word);
        }
    }

    #[test]
    fn a_text_that_was_cut_stays_as_it_is() {
        let last_word = "x".repeat(100);
        let whole = format!("{}{last_word} rest", "wor ".repeat(75));
        let cut = sanitize_line(&whole);
        assert!(cut.ends_with("x…"), "{cut}");
        assert_eq!(sanitize_line(&cut), cut);
    }

    #[test]
    fn foreign_text_cannot_control_a_terminal() {
        assert_eq!(
            sanitize_line("a\x1b[31mb\r\nc\u{202e}d\u{200b}e\0\u{9b}f"),
            "a[31mb cdef"
        );
        assert_eq!(
            sanitize_line(&format!("sent {} no", "x".repeat(100))),
            format!("sent {} no", "x".repeat(100))
        );
        assert_eq!(
            sanitize_line(&format!("sent {} no", "é".repeat(101))),
            "sent … no"
        );
        assert_eq!(
            sanitize_line(&"word ".repeat(100)),
            format!("{}word…", "word ".repeat(79))
        );
        let cut = format!("{}word…", "word ".repeat(79));
        assert_eq!(sanitize_line(&cut), cut);
        let exactly = format!("a{}…", "word ".repeat(80).trim_end());
        assert_eq!(
            (exactly.chars().count(), sanitize_line(&exactly)),
            (401, exactly.clone())
        );
        let nearly = "word ".repeat(79) + "x";
        assert_eq!(
            sanitize_line(&format!("{nearly} end")),
            format!("{nearly} end")
        );
        assert_eq!(
            sanitize_line(&format!("{nearly} end.")),
            format!("{nearly}…")
        );
        assert_eq!(sanitize_line("  many   spaces\t\n"), "many spaces");
        assert_eq!(sanitize_line("heyJude, don't"), "heyJude, don't");
        assert_eq!(
            sanitize_line("you sent access_token=eyJhbGciOi.eyJhdWQiOi.c2ln&x"),
            "you sent …"
        );
    }

    #[test]
    fn the_line_for_a_client_is_the_first_sentence() {
        let entra = "x gave no access token: AADSTS7000215: Invalid client secret provided. Ensure the secret being sent is the value.";
        for (message, line) in [
            (
                entra,
                "x gave no access token: AADSTS7000215: Invalid client secret provided",
            ),
            ("`a. b` is not a registry. Why", "`a. b` is not a registry"),
            (
                "the name R.example was not found",
                "the name R.example was not found",
            ),
            (crate::error::NOT_FOUND, crate::error::NOT_FOUND),
        ] {
            assert_eq!(first_sentence(message), line);
        }
    }
}
