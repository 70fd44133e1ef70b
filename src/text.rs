//! Text that came from elsewhere, made fit to be shown.

use std::collections::HashSet;

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

/// The shortest piece of a secret that is taken for one.
const PIECE: usize = 16;

/// The text without a secret: as it is, as a form sends it, and without any piece of it that is long enough to be known, whatever white
/// space stands in between.
pub fn without(text: &str, secret: Option<&str>) -> String {
    let Some(secret) = secret.filter(|secret| !secret.is_empty()) else { return text.to_owned() };
    let forms = forms(secret);
    let whole = forms.iter().filter(|form| !form.is_empty()).fold(text.to_owned(), |text, form| text.replace(form, "…"));
    without_pieces(&whole, &forms)
}

/// How a secret may be written: as it is, made visible, and encoded.
fn forms(secret: &str) -> [String; 4] {
    let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    // `%7E` and `%7e` are the same.
    let lower = encoded.split('%').enumerate().map(|(at, part)| match part.get(..2).filter(|_| at > 0) {
        Some(digits) => format!("%{}{}", digits.to_ascii_lowercase(), &part[2..]),
        None => part.to_owned(),
    });
    let lower: String = lower.collect();
    [secret.to_owned(), visible(secret), encoded, lower]
}

fn without_pieces(text: &str, forms: &[String]) -> String {
    let drawn = |text: &str| -> Vec<(usize, char)> {
        text.char_indices().filter(|(_, c)| !c.is_whitespace() && !c.is_control() && !is_invisible(*c)).collect()
    };
    let chars = |drawn: &[(usize, char)]| -> Vec<char> { drawn.iter().map(|(_, c)| *c).collect() };
    let secrets: Vec<Vec<char>> = forms.iter().map(|form| chars(&drawn(form))).collect();
    let pieces: HashSet<&[char]> = secrets.iter().flat_map(|secret| secret.windows(PIECE)).collect();
    if pieces.is_empty() {
        return text.to_owned();
    }
    let places = drawn(text);
    let mut ends = 0;
    let (mut kept, mut from) = (String::new(), 0);
    for (at, window) in chars(&places).windows(PIECE).enumerate() {
        if !pieces.contains(window) {
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
            (format!("sent {}", &forms(secret)[2][4..44]), "sent …"),
            ("AbCdEfGhIjKlMnO is too short to be known".to_owned(), "AbCdEfGhIjKlMnO is too short to be known"),
            ("é no piece of it, ü".to_owned(), "é no piece of it, ü"),
        ] {
            assert_eq!(without(&text, Some(secret)), left, "{text}");
        }
        assert_eq!(without("a word", None), "a word");
    }
}
