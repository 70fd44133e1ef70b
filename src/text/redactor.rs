//! Removes secrets from text that is shown, because a server may repeat them.

use super::is_invisible;
use azure_core::base64::encode;
use secrecy::{ExposeSecret, SecretString};
use std::collections::{BTreeSet, HashSet};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use url::form_urlencoded::byte_serialize;

/// The shortest piece of a secret that is recognized, in letters and digits.
const PIECE: usize = 16;

/// A secret with fewer letters and digits is recognized only as a whole: its letters alone may be part of a word.
const MIN_PIECE: usize = 8;

/// The secrets that a sign-in sent or received. Clones share one list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Secrets(Arc<Mutex<Vec<SecretString>>>);

impl Secrets {
    /// Adds a secret, unless it is so short that ordinary words may contain it.
    pub(crate) fn add(&self, secret: &str) {
        let mut secrets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if secret.len() > 2 && secrets.iter().all(|known| known.expose_secret() != secret) {
            secrets.push(secret.into());
        }
    }

    /// Returns a redactor for the secrets so far.
    pub(crate) fn redactor(&self) -> Redactor {
        let secrets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Redactor::new(secrets.iter().map(|secret| secret.expose_secret()))
    }
}

/// Removes secrets from text. A server may repeat them, and messages end in logs that others read.
#[derive(Default)]
pub(crate) struct Redactor {
    /// The decoded bytes of secrets, as they are and as a form sends them.
    secrets: Vec<Vec<u8>>,
    /// Hashes of all pieces of every encoding. A long token has some hundred thousand.
    pieces: HashSet<u64>,
    /// The lengths of these pieces.
    piece_lengths: BTreeSet<usize>,
}

impl Redactor {
    /// Creates a redactor for these secrets, in every form in which they are sent or may be repeated.
    pub(crate) fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut redactor = Self::default();
        for secret in secrets {
            let form: String = byte_serialize(secret.as_bytes()).collect();
            let needles = [secret, &form].map(|text| Decoded::new(text).bytes);
            redactor.secrets.extend(needles);
            for encoding in encodings(secret) {
                let (letters, _) = Decoded::new(&encoding).letters();
                redactor.add_pieces(&letters);
                if letters.len() <= PIECE {
                    // The last digit of an encoding may depend on what follows.
                    redactor.add_pieces(&letters[..letters.len().saturating_sub(1)]);
                }
            }
        }
        // One or two letters are in any word.
        redactor.secrets.retain(|secret| secret.len() > 2);
        redactor
    }

    fn add_pieces(&mut self, letters: &[u8]) {
        let length = letters.len().min(PIECE);
        if length >= MIN_PIECE {
            self.pieces.extend(letters.windows(length).map(hash));
            self.piece_lengths.insert(length);
        }
    }

    /// Returns the text without secrets, and without pieces of them that are long enough to be recognized. The case of letters, and other
    /// characters between them, do not matter.
    pub(crate) fn redact(&self, text: &str) -> String {
        let decoded = Decoded::new(text);
        let is_secret = self.find(&decoded);
        let (mut shown, mut end, mut places) = (String::new(), 0, decoded.places.iter());
        for run in is_secret.chunk_by(|byte, next| byte == next) {
            let places: Vec<_> = places.by_ref().take(run.len()).collect();
            if let (true, [first, ..], [.., last]) = (run[0], &*places, &*places) {
                // Two pieces may share a character.
                shown.push_str(&text[end..first.start.max(end)]);
                shown.push('…');
                end = last.end;
            }
        }
        shown + &text[end..]
    }

    /// Returns for each byte whether it is part of a secret.
    fn find(&self, text: &Decoded) -> Vec<bool> {
        let mut is_secret = vec![false; text.bytes.len()];
        for secret in &self.secrets {
            for (at, window) in text.bytes.windows(secret.len()).enumerate() {
                if window == secret {
                    is_secret[at..at + secret.len()].fill(true);
                }
            }
        }
        let (letters, positions) = text.letters();
        for &length in &self.piece_lengths {
            for (at, window) in letters.windows(length).enumerate() {
                if self.pieces.contains(&hash(window)) {
                    is_secret[positions[at]..=positions[at + length - 1]].fill(true);
                }
            }
        }
        // The padding of base64.
        for at in 1..is_secret.len() {
            is_secret[at] |= is_secret[at - 1] && text.bytes[at] == b'=';
        }
        is_secret
    }
}

fn hash(piece: &[u8]) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(piece)
}

/// The bytes of a text, escapes decoded, without characters outside of ASCII that are no letters.
struct Decoded {
    bytes: Vec<u8>,
    /// Where in the text each was.
    places: Vec<Range<usize>>,
}

impl Decoded {
    fn new(text: &str) -> Self {
        let (mut bytes, mut places) = (Vec::new(), Vec::new());
        for (at, c) in text.char_indices() {
            // Messages have a space for every white space.
            let c = if c.is_ascii_whitespace() { ' ' } else { c };
            if c.is_ascii() || c.is_alphanumeric() && !is_invisible(c) {
                bytes.extend(c.to_string().bytes());
                places.resize(bytes.len(), at..at + c.len_utf8());
            }
        }
        // An escape may be escaped itself.
        Self { bytes, places }.decoded().decoded()
    }

    fn decoded(&self) -> Self {
        let (mut bytes, mut places, mut at) = (Vec::new(), Vec::new(), 0);
        while at < self.bytes.len() {
            let (length, meant) =
                escape(&self.bytes[at..]).unwrap_or_else(|| (1, vec![self.bytes[at]]));
            let place = self.places[at].start..self.places[at + length - 1].end;
            places.extend(meant.iter().map(|_| place.clone()));
            bytes.extend(meant);
            at += length;
        }
        Self { bytes, places }
    }

    /// Returns letters and digits in lower case, each with its index.
    fn letters(&self) -> (Vec<u8>, Vec<usize>) {
        let bytes = self.bytes.iter().enumerate();
        bytes
            .filter(|(_, byte)| byte.is_ascii_alphanumeric() || !byte.is_ascii())
            .map(|(at, byte)| (byte.to_ascii_lowercase(), at))
            .unzip()
    }
}

/// Returns the length of the escape with which a text begins, and the bytes that it means. Escapes are `%XX`, `\xXX`, `\uXXXX`, `&#N;`,
/// `&#xN;`, and the escaped marks of JSON. White space, such as `\n` and `&nbsp;`, and the `0x` of a byte have no bytes.
fn escape(text: &[u8]) -> Option<(usize, Vec<u8>)> {
    let number = |digits: &[u8], radix: u32| {
        let is_number = digits.iter().all(u8::is_ascii_alphanumeric);
        let digits = std::str::from_utf8(digits).ok().filter(|_| is_number)?;
        u32::from_str_radix(digits, radix).ok()
    };
    let hex = |digits: Range<usize>| number(text.get(digits)?, 16);
    let byte = |digits| Some(vec![u8::try_from(hex(digits)?).ok()?]);
    let character = |code: u32| Some(char::from_u32(code)?.to_string().into_bytes());
    match text {
        [b'%', ..] => Some((3, byte(1..3)?)),
        [b'\\', b'x', ..] => Some((4, byte(2..4)?)),
        [b'\\', b'u', ..] => Some((6, character(hex(2..6)?)?)),
        [b'\\', b'n' | b'r' | b't' | b'0', ..] => Some((2, vec![])),
        [b'\\', mark @ (b'"' | b'/' | b'\\'), ..] => Some((2, vec![*mark])),
        [b'0', b'x' | b'X', ..] => hex(2..4).map(|_| (2, vec![])),
        [b'&', rest @ ..] => {
            let end = rest.iter().take(10).position(|byte| *byte == b';')?;
            let meant = match &rest[..end] {
                [b'#', b'x' | b'X', digits @ ..] => character(number(digits, 16)?)?,
                [b'#', digits @ ..] => character(number(digits, 10)?)?,
                name if name.iter().all(u8::is_ascii_alphabetic) => vec![],
                _ => return None,
            };
            Some((end + 2, meant))
        }
        _ => None,
    }
}

/// Returns the secret and its encodings: reversed, hexadecimal, base32, base64, and base64 of base64. Base32 and base64 may begin at any place
/// of an encoded text. Hexadecimal and base64 are also of UTF-16.
fn encodings(secret: &str) -> Vec<String> {
    let bytes = secret.as_bytes();
    let utf16: Vec<u8> = secret.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let once = encode(secret);
    let once_for_urls = once.replace('+', "-").replace('/', "_");
    let backwards = secret.chars().rev().collect();
    let mut all = vec![
        secret.to_owned(),
        backwards,
        hex::encode(bytes),
        hex::encode(&utf16),
    ];
    for bytes in [bytes, &utf16, once.as_bytes(), once_for_urls.as_bytes()] {
        all.extend((0..3).map(|before| encode_behind(before, bytes, 6, |it| encode(it))));
    }
    all.extend((0..5).map(|before| encode_behind(before, bytes, 5, base32)));
    all
}

/// Encodes bytes behind so many others, in digits of so many bits each, and leaves out the digits that depend on the bytes before.
fn encode_behind(before: usize, bytes: &[u8], bits: usize, encode: fn(&[u8]) -> String) -> String {
    let encoded = encode(&[&[0; 4][..before], bytes].concat());
    let own = &encoded[(before * 8).div_ceil(bits)..];
    own.trim_end_matches('=').to_owned()
}

/// Encodes in base32 (RFC 4648, section 6) without padding.
fn base32(bytes: &[u8]) -> String {
    let bits = bytes
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
    let bits: Vec<u8> = bits.collect();
    let digit = |five: &[u8]| (0..5).fold(0, |digit, at| digit << 1 | five.get(at).unwrap_or(&0));
    bits.chunks(5)
        .map(|five| char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[usize::from(digit(five))]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_of_a_secret_is_redacted() {
        let secret = "0.AbCdEfGhIjKlMnOpQrStUvWxYz/0123456789~abcdefghijklmnopqrstuvwxyz";
        let lines = |size: usize| {
            secret
                .as_bytes()
                .chunks(size)
                .map(|it| std::str::from_utf8(it).unwrap())
                .collect::<Vec<_>>()
        };
        for (text, left) in [
            (format!("you sent {secret}, no"), "you sent …, no"),
            (format!("you sent x={}", &secret[5..40]), "you sent x=…~"),
            (format!("sent\n{}\nno", lines(20).join("\n")), "sent\n…\nno"),
            (format!("sent {} no", lines(1).join(" ")), "sent … no"),
            (
                format!("sent {} no", lines(3).join("\u{200b}")),
                "sent … no",
            ),
            (
                format!(
                    "sent {}",
                    &byte_serialize(secret.as_bytes()).collect::<String>()[4..41]
                ),
                "sent …",
            ),
            (
                format!("Basic {}", encode(format!("<token>:{secret}"))),
                "Basic PHRva2VuPjo…",
            ),
            (
                format!(
                    "Basic {}",
                    encode(format!("a:{secret}")).trim_end_matches('=')
                ),
                "Basic YTo…",
            ),
            (format!("sent {}", encode(secret)), "sent …"),
            (
                format!(
                    "sent {} to",
                    encode(format!("ab:{secret}:z"))
                        .replace('+', "-")
                        .replace('/', "_")
                ),
                "sent YWI6…Ono= to",
            ),
            (
                format!("sent {}", encode(secret).replace('=', "%3D")),
                "sent …",
            ),
            (format!("sent {}", hex::encode(secret.as_bytes())), "sent …"),
            (
                format!("sent {}", hex::encode(secret.as_bytes()).to_uppercase()),
                "sent …",
            ),
            (format!("sent {}", secret.replace('/', "\\/")), "sent …"),
            (
                "AbCdEfGhIjKlMnO is too short to be known".to_owned(),
                "AbCdEfGhIjKlMnO is too short to be known",
            ),
            ("é no piece of it, ü".to_owned(), "é no piece of it, ü"),
        ] {
            assert_eq!(Redactor::new([secret]).redact(&text), left, "{text}");
        }
        assert_eq!(Redactor::new([]).redact("a word"), "a word");
        assert_eq!(
            Redactor::new(["", "a+b"]).redact("612b62 YSti a%2Bb"),
            "612b62 YSti …"
        );
    }

    /// Every second byte of text in the encoding of Windows is zero.
    fn in_utf16(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    fn each(text: &str, written: impl Fn(u8) -> String) -> String {
        text.bytes().map(written).collect()
    }

    fn joined(text: &str, size: usize, separator: &str) -> String {
        let pieces = text
            .as_bytes()
            .chunks(size)
            .map(|it| std::str::from_utf8(it).unwrap());
        pieces.collect::<Vec<_>>().join(separator)
    }

    #[test]
    fn a_secret_in_another_encoding_is_redacted() {
        for secret in [
            "0.AbCdEfGhIjKlMnOpQrStUvWxYz/0123456789~abcdefghij-klmnopqrst.uvwxyz+Q",
            "hunter2-Sesame~oPen",
        ] {
            let redactor = Redactor::new([secret]);
            for spelt in [
                each(secret, |byte| format!("%{byte:02x}")),
                each(secret, |byte| format!("%25{byte:02X}")),
                each(secret, |byte| format!(r"\u{byte:04X}")),
                each(secret, |byte| format!(r"\x{byte:02x}")),
                each(secret, |byte| format!("&#{byte};")),
                each(secret, |byte| format!("&#x{byte:x};")),
                each(secret, |byte| format!("&#{byte:04};")),
                each(secret, |byte| format!("{byte:02x}:")),
                each(secret, |byte| format!("{byte:02X}-")),
                each(secret, |byte| format!("0x{byte:02x}, ")),
                each(secret, |byte| format!(r"{}\0", char::from(byte))),
                each(secret, |byte| format!("{}%00", char::from(byte))),
                hex::encode(secret.as_bytes())
                    .char_indices()
                    .map(|(at, c)| {
                        if at % 2 == 0 {
                            c.to_ascii_uppercase()
                        } else {
                            c
                        }
                    })
                    .collect(),
                secret.chars().rev().collect(),
                secret.to_lowercase(),
                secret.to_uppercase(),
                joined(secret, 15, "-"),
                joined(secret, 2, r"\n"),
                joined(secret, 1, "&nbsp;"),
                encode(encode(secret)),
                encode(
                    encode(secret)
                        .replace('+', "-")
                        .replace('/', "_")
                        .trim_end_matches('='),
                ),
                joined(&encode(encode(secret)), 7, " "),
                base32(secret.as_bytes()),
                base32(format!("ab{secret}").as_bytes()).to_lowercase(),
                encode(in_utf16(secret)),
                encode([&[0][..], &in_utf16(secret)].concat()),
            ] {
                let shown = redactor.redact(&format!("sent {spelt} no"));
                let rest = shown
                    .strip_prefix("sent ")
                    .and_then(|shown| shown.strip_suffix(" no"))
                    .unwrap();
                assert!(
                    rest.contains('…') && rest.chars().filter(|c| c.is_alphanumeric()).count() < 6,
                    "{spelt}: {shown}"
                );
            }
        }
        let text =
            "the words of 0.AbCdEf and AbCd-EfGh/IjKl.MnO stay, as do %41, &amp; and \\u0041";
        assert_eq!(
            Redactor::new(["0.AbCdEfGhIjKlMnOpQrStUvWxYz"]).redact(text),
            text
        );
    }

    #[test]
    fn a_piece_may_end_and_another_begin_within_one_character() {
        let (before, after) = ("abcdefghijklmno", "pqrstuvwxyz0123");
        // Both characters begin with E0 and end with B9.
        let redactor = Redactor::new([&*format!("{before}\u{939}{after}")]);
        assert_eq!(
            redactor.redact(&format!("{before}\u{979}{after} no")),
            "…… no"
        );
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config { failure_persistence: None, ..Default::default() })]
        #[test]
        fn no_text_and_no_secret_break_the_redactor(
            secret in r"(\PC|%|&#|;|\\u|0x|[0-9a-f]{4}){0,40}",
            text in r"(\PC|%|&#|;|\\u|0x|[0-9a-f]{4}){0,80}",
        ) {
            let letters = |text: &str| Decoded::new(text).letters().0;
            let redactor = Redactor::new([&*secret]);
            let shown = redactor.redact(&format!("{text} {secret} {text}"));
            let (shown, secret) = (letters(&shown), letters(&secret));
            let is_shown = |piece: &[u8]| shown.windows(piece.len()).any(|window| window == piece);
            assert!(secret.len() < PIECE || !is_shown(&secret), "{shown:?}");
        }
    }
}
