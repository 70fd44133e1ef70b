//! Text that came from elsewhere, made fit to be shown.

/// Foreign text made fit for a terminal and one line: white space folded, control and bidirectional characters dropped, what looks
/// like a token left out, at most 300 characters.
pub fn printable(text: &str) -> String {
    const LIMIT: usize = 300;
    let visible: String = visible(&text.chars().take(LIMIT * 10).collect::<String>());
    let words: Vec<&str> = visible.split(' ').filter(|word| !word.is_empty()).map(without_token).collect();
    let words = words.join(" ");
    match words.char_indices().nth(LIMIT) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words,
    }
}

/// Any text on one line without control and bidirectional characters.
pub fn visible(text: &str) -> String {
    let spaced = text.chars().map(|c| if c.is_whitespace() { ' ' } else { c });
    spaced.filter(|c| !c.is_control() && !is_invisible(*c)).collect()
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
        assert_eq!(printable(&"x".repeat(5_000)).chars().count(), 301);
        assert_eq!(printable("  many   spaces\t\n"), "many spaces");
        assert_eq!(printable("you sent access_token=eyJhbGciOi.eyJhdWQiOi.c2ln&x"), "you sent …");
    }
}
