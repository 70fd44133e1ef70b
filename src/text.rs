//! Text that came from elsewhere, made fit to be shown.

use azure_core::base64::encode;
use std::collections::HashSet;
use url::form_urlencoded::byte_serialize;

/// Foreign text made fit for a terminal and one line: white space folded, control and bidirectional characters dropped, what looks
/// like a token left out, at most 400 characters. What is longer ends with its last whole word.
pub fn printable(text: &str) -> String {
    // Longer than all that Entra and registries were seen to say.
    const LIMIT: usize = 400;
    let visible: String = visible(&text.chars().take(LIMIT * 10).collect::<String>());
    let words: Vec<&str> = visible.split(' ').filter(|word| !word.is_empty()).map(without_token).collect();
    let words = words.join(" ");
    match words.char_indices().nth(LIMIT) {
        // What was cut already stays as it is.
        Some((end, _)) if &words[end..] != "…" => {
            let is_whole = words[end..].starts_with(' ');
            let whole = if is_whole { end } else { words[..end].rfind(' ').unwrap_or(end) };
            format!("{}…", &words[..whole])
        }
        _ => words,
    }
}

/// Any text on one line without control and bidirectional characters.
pub fn visible(text: &str) -> String {
    let spaced = text.chars().map(|c| if c.is_whitespace() { ' ' } else { c });
    spaced.filter(|c| !c.is_control() && !is_invisible(*c)).collect()
}

/// A text as one word of a POSIX shell, in quotes.
pub(crate) fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A text as one word of a POSIX shell, in quotes if it needs them.
pub(crate) fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+@%:,=".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) { text.to_owned() } else { shell_quoted(text) }
}

/// Whether a host is this domain or below it, by whole labels.
pub(crate) fn is_within(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// The shortest piece of a secret that is taken for one.
const PIECE: usize = 16;

/// Removes secrets that we sent from what is shown: a server may repeat them, and messages end in logs that others read.
pub(crate) struct Redactor {
    forms: Vec<String>,
    pieces: HashSet<[char; PIECE]>,
}

impl Redactor {
    /// One for these secrets, in every form in which they are sent or may be repeated.
    pub(crate) fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut forms: Vec<String> = secrets.into_iter().flat_map(forms).filter(|form| !form.is_empty()).collect();
        // A form may be the beginning of another.
        forms.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        forms.dedup();
        let drawn = forms.iter().map(|form| form.chars().filter(|c| is_drawn(*c)).collect::<Vec<char>>());
        let pieces = drawn.flat_map(|form| form.windows(PIECE).filter_map(|piece| piece.try_into().ok()).collect::<Vec<_>>());
        Self { pieces: pieces.collect(), forms }
    }

    /// The text without a secret, and without any piece of one that is long enough to be known, whatever white space is in between.
    pub(crate) fn redact(&self, text: &str) -> String {
        let whole = self.forms.iter().fold(text.to_owned(), |text, form| text.replace(form, "…"));
        self.without_pieces(&whole)
    }

    fn without_pieces(&self, text: &str) -> String {
        let places: Vec<(usize, char)> = text.char_indices().filter(|(_, c)| is_drawn(*c)).collect();
        let chars: Vec<char> = places.iter().map(|(_, c)| *c).collect();
        let mut ends = 0;
        let (mut kept, mut from) = (String::new(), 0);
        for (at, window) in chars.windows(PIECE).enumerate() {
            if !self.pieces.contains(window) {
                continue;
            }
            // A piece that goes on from the one before is the same piece.
            if at >= ends {
                kept.push_str(&text[from..places[at].0]);
                kept.push('…');
            }
            ends = at + PIECE;
            let (last, c) = places[ends - 1];
            from = last + c.len_utf8();
        }
        kept + &text[from..]
    }
}

/// How a secret may be written: as it is, made visible, in hexadecimal, and in base64, alone or behind a user name and a colon; each as it is,
/// as a form sends it, and as JSON escapes it. Of a short one only what a form sends: other forms of it may be parts of words.
fn forms(secret: &str) -> Vec<String> {
    let mut plain = vec![secret.to_owned(), visible(secret)];
    if secret.len() >= PIECE / 2 {
        let hex = secret.bytes().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        plain.extend([hex.to_uppercase(), hex]);
        plain.extend((0..3).flat_map(|before| in_base64(secret, before)));
    }
    let written = |form: String| {
        let encoded: String = byte_serialize(form.as_bytes()).collect();
        let json = serde_json::Value::from(form.as_str()).to_string();
        let json = json[1..json.len() - 1].to_owned();
        [lower_escapes(&encoded), encoded, json.replace('/', r"\/"), json, form]
    };
    plain.into_iter().flat_map(written).collect()
}

/// Base64 of a secret behind so many other bytes, without the characters that depend on other bytes; in the alphabet of URLs, too. The last
/// character may depend on bytes behind the secret, too, so that it comes with it and without it.
fn in_base64(secret: &str, before: usize) -> [String; 6] {
    let encoded = encode([vec![0; before], secret.as_bytes().to_vec()].concat());
    let own = &encoded[(before * 8).div_ceil(6)..];
    let bare = own.trim_end_matches('=');
    let sure = if bare.len() < own.len() { &bare[..bare.len() - 1] } else { bare };
    let of_urls = |form: &str| form.replace('+', "-").replace('/', "_");
    [own.to_owned(), bare.to_owned(), sure.to_owned(), of_urls(own), of_urls(bare), of_urls(sure)]
}

/// `%7E` and `%7e` are the same.
fn lower_escapes(encoded: &str) -> String {
    let parts = encoded.split('%').enumerate().map(|(at, part)| match part.get(..2).filter(|_| at > 0) {
        Some(digits) => format!("%{}{}", digits.to_ascii_lowercase(), &part[2..]),
        None => part.to_owned(),
    });
    parts.collect()
}

fn is_drawn(c: char) -> bool {
    !c.is_whitespace() && !c.is_control() && !is_invisible(c)
}

/// A JWT begins with the base64 of `{"`. A server may repeat what it was sent.
fn without_token(word: &str) -> &str {
    if word.contains("eyJ") && word.len() > 20 { "…" } else { word }
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
        for (text, word) in
            [("", "''"), ("<token>", "'<token>'"), ("x';reboot;'", r"'x'\'';reboot;'\'''"), (r"$(a) `b` \", r"'$(a) `b` \'")]
        {
            assert_eq!((shell_quoted(text).as_str(), shell_word(text).as_str()), (word, word));
        }
        assert_eq!(shell_word("/home/me/a-b.toml"), "/home/me/a-b.toml");
    }

    fn hex(text: &str) -> String {
        text.bytes().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }

    #[test]
    fn foreign_text_cannot_drive_a_terminal() {
        assert_eq!(printable("a\x1b[31mb\r\nc\u{202e}d\u{200b}e\0\u{9b}f"), "a[31mb cdef");
        assert_eq!(printable(&"x".repeat(5_000)).chars().count(), 401);
        assert_eq!(printable(&"word ".repeat(100)), format!("{}word…", "word ".repeat(79)));
        let cut = format!("{}word…", "word ".repeat(79));
        assert_eq!(printable(&cut), cut);
        let exactly = format!("a{}…", "word ".repeat(80).trim_end());
        assert_eq!((exactly.chars().count(), printable(&exactly)), (401, exactly.clone()));
        assert_eq!(printable(&format!("{} end", "x".repeat(396))), format!("{} end", "x".repeat(396)));
        assert_eq!(printable(&format!("{} end.", "x".repeat(396))), format!("{}…", "x".repeat(396)));
        assert_eq!(printable(&format!("{}é and so on", "x".repeat(399))), format!("{}é…", "x".repeat(399)));
        assert_eq!(printable("  many   spaces\t\n"), "many spaces");
        assert_eq!(printable("heyJude, don't"), "heyJude, don't");
        assert_eq!(printable("you sent access_token=eyJhbGciOi.eyJhdWQiOi.c2ln&x"), "you sent …");
    }
    #[test]
    fn a_secret_in_pieces_is_left_out_as_one_that_is_whole() {
        let secret = "0.AbCdEfGhIjKlMnOpQrStUvWxYz/0123456789~abcdefghijklmnopqrstuvwxyz";
        let lines = |size: usize| secret.as_bytes().chunks(size).map(|it| std::str::from_utf8(it).unwrap()).collect::<Vec<_>>();
        for (text, left) in [
            (format!("you sent {secret}, no"), "you sent …, no"),
            (format!("you sent x={}", &secret[5..40]), "you sent x=…"),
            (format!("sent\n{}\nno", lines(20).join("\n")), "sent\n…\nno"),
            (format!("sent {} no", lines(1).join(" ")), "sent … no"),
            (format!("sent {} no", lines(3).join("\u{200b}")), "sent … no"),
            (format!("sent {}", &byte_serialize(secret.as_bytes()).collect::<String>()[4..44]), "sent …"),
            (format!("Basic {}", encode(format!("<token>:{secret}"))), "Basic PHRva2VuPjo…"),
            (format!("Basic {}", encode(format!("a:{secret}")).trim_end_matches('=')), "Basic YTo…"),
            (format!("sent {}", encode(secret)), "sent …"),
            (format!("sent {} to", encode(format!("ab:{secret}:z")).replace('+', "-").replace('/', "_")), "sent YWI6…Ono= to"),
            (format!("sent {}", encode(secret).replace('=', "%3D")), "sent …"),
            (format!("sent {}", hex(secret)), "sent …"),
            (format!("sent {}", hex(secret).to_uppercase()), "sent …"),
            (format!("sent {}", secret.replace('/', "\\/")), "sent …"),
            ("AbCdEfGhIjKlMnO is too short to be known".to_owned(), "AbCdEfGhIjKlMnO is too short to be known"),
            ("é no piece of it, ü".to_owned(), "é no piece of it, ü"),
        ] {
            assert_eq!(Redactor::new([secret]).redact(&text), left, "{text}");
        }
        assert_eq!(Redactor::new([]).redact("a word"), "a word");
        assert_eq!(Redactor::new(["", "a+b"]).redact("612b62 YSti a%2Bb"), "612b62 YSti …");
    }
}
