//! Text that came from elsewhere, made fit to be shown.

mod redactor;

pub(crate) use redactor::{Redactor, Secrets};

/// Foreign text made fit for a terminal and one line: white space folded, control and bidirectional characters dropped, what looks
/// like a token and words of more than 100 characters left out, at most 400 characters. What is longer ends with its last whole word.
pub fn printable(text: &str) -> String {
    // Longer than all that Entra and registries were seen to say.
    const LIMIT: usize = 400;
    let visible: String = visible(&text.chars().take(LIMIT * 10).collect::<String>());
    let words: Vec<&str> = visible
        .split(' ')
        .filter(|word| !word.is_empty())
        .map(without_token)
        .collect();
    let words = words.join(" ");
    match words.char_indices().nth(LIMIT) {
        // What was cut already stays as it is.
        Some((end, _)) if &words[end..] != "…" => {
            let is_whole = words[end..].starts_with(' ');
            let whole = if is_whole {
                end
            } else {
                words[..end].rfind(' ').unwrap_or(end)
            };
            format!("{}…", &words[..whole])
        }
        _ => words,
    }
}

/// Any text on one line without control and bidirectional characters.
pub fn visible(text: &str) -> String {
    let spaced = text
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c });
    spaced
        .filter(|c| !c.is_control() && !is_invisible(*c))
        .collect()
}

/// A text as one word of a POSIX shell, in quotes.
pub(crate) fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A text as one word of a POSIX shell, in quotes if it needs them.
pub(crate) fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+@%:,=".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        shell_quoted(text)
    }
}

/// Whether a host is this domain or below it, by whole labels.
pub(crate) fn is_within(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Returns the first 16 bytes of the SHA-256 digest of a text, in hex.
pub(crate) fn digest16(text: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    let first = digest.as_ref().first_chunk().copied();
    format!("{:032x}", u128::from_be_bytes(first.unwrap_or_default()))
}

fn is_drawn(c: char) -> bool {
    !c.is_whitespace() && !c.is_control() && !is_invisible(c)
}

/// A JWT begins with the base64 of `{"`. A server may repeat what it was sent. No answer of Entra or a registry that was recorded has a word
/// as long as any token.
fn without_token(word: &str) -> &str {
    const LONGEST_WORD: usize = 100;
    let is_token = word.contains("eyJ") && word.len() > 20;
    if is_token || word.chars().count() > LONGEST_WORD {
        "…"
    } else {
        word
    }
}

/// Characters that draw nothing or turn the direction of what follows (Unicode Cf, variation selectors and blank fillers;
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
    fn a_quoted_text_is_one_word_whatever_is_in_it() {
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
    }

    #[test]
    fn foreign_text_cannot_drive_a_terminal() {
        assert_eq!(
            printable("a\x1b[31mb\r\nc\u{202e}d\u{200b}e\0\u{9b}f"),
            "a[31mb cdef"
        );
        assert_eq!(
            printable(&format!("sent {} no", "x".repeat(100))),
            format!("sent {} no", "x".repeat(100))
        );
        assert_eq!(
            printable(&format!("sent {} no", "é".repeat(101))),
            "sent … no"
        );
        assert_eq!(
            printable(&"word ".repeat(100)),
            format!("{}word…", "word ".repeat(79))
        );
        let cut = format!("{}word…", "word ".repeat(79));
        assert_eq!(printable(&cut), cut);
        let exactly = format!("a{}…", "word ".repeat(80).trim_end());
        assert_eq!(
            (exactly.chars().count(), printable(&exactly)),
            (401, exactly.clone())
        );
        let nearly = "word ".repeat(79) + "x";
        assert_eq!(printable(&format!("{nearly} end")), format!("{nearly} end"));
        assert_eq!(printable(&format!("{nearly} end.")), format!("{nearly}…"));
        assert_eq!(printable("  many   spaces\t\n"), "many spaces");
        assert_eq!(printable("heyJude, don't"), "heyJude, don't");
        assert_eq!(
            printable("you sent access_token=eyJhbGciOi.eyJhdWQiOi.c2ln&x"),
            "you sent …"
        );
    }
}
