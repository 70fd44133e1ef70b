//! Secrets that a server may repeat, left out of what is shown.

use super::{is_drawn, visible};
use azure_core::base64::encode;
use secrecy::{ExposeSecret, SecretString};
use std::collections::{BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use url::form_urlencoded::byte_serialize;

/// The shortest piece of a secret that is taken for one, in characters that count.
const PIECE: usize = 16;

/// What is shorter is compared letter by letter: its letters alone may be part of a word.
const SHORTEST: usize = 8;

/// The secrets of a sign-in: what was sent, and what came back that is kept. Clones are the same list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Secrets(Arc<Mutex<Vec<SecretString>>>);

impl Secrets {
    /// Adds a secret, unless it is so short that any word may hold it.
    pub(crate) fn add(&self, secret: &str) {
        let mut secrets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if secret.len() > 2 && secrets.iter().all(|known| known.expose_secret() != secret) {
            secrets.push(secret.into());
        }
    }

    /// A redactor for all that are known by now.
    pub(crate) fn redactor(&self) -> Redactor {
        let secrets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Redactor::new(secrets.iter().map(|secret| secret.expose_secret()))
    }
}

/// Removes secrets that we sent from what is shown: a server may repeat them, and messages end in logs that others read.
pub(crate) struct Redactor {
    forms: Vec<String>,
    /// Hashes of all pieces of every spelling, as [`Letters`] reads them. A long token has some hundred thousand.
    pieces: HashSet<u64>,
    /// How long those pieces are.
    sizes: BTreeSet<usize>,
}

impl Redactor {
    /// One for these secrets, in every form in which they are sent or may be repeated.
    pub(crate) fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let (mut forms, mut pieces, mut sizes) = (Vec::new(), HashSet::new(), BTreeSet::new());
        for secret in secrets.into_iter().filter(|secret| !secret.is_empty()) {
            forms.extend(self::forms(secret));
            for spelling in spellings(secret) {
                let letters = Letters::of(&spelling).bytes;
                let size = letters.len().min(PIECE);
                if size >= SHORTEST {
                    pieces.extend(letters.windows(size).map(hash));
                    sizes.insert(size);
                }
            }
        }
        // A form may be the beginning of another.
        forms.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        forms.dedup();
        Self {
            forms,
            pieces,
            sizes,
        }
    }

    /// The text without a secret, and without any piece of one that is long enough to be known, whatever is between its letters and
    /// whatever their case.
    pub(crate) fn redact(&self, text: &str) -> String {
        let whole = self
            .forms
            .iter()
            .fold(text.to_owned(), |text, form| text.replace(form, "…"));
        self.without_pieces(&whole)
    }

    fn without_pieces(&self, text: &str) -> String {
        let letters = Letters::of(text);
        let mut is_secret = vec![false; letters.bytes.len()];
        for &size in &self.sizes {
            for (at, window) in letters.bytes.windows(size).enumerate() {
                if self.pieces.contains(&hash(window)) {
                    is_secret[at..at + size].fill(true);
                }
            }
        }
        let (mut kept, mut from, mut was_secret) = (String::new(), 0, false);
        for (place, is_secret) in letters.places.iter().zip(is_secret) {
            if is_secret {
                // A piece that goes on from the one before is the same piece; two may have a part of one character each.
                if !was_secret {
                    kept.push_str(&text[from..place.start.max(from)]);
                    kept.push('…');
                }
                from = place.end;
            }
            was_secret = is_secret;
        }
        kept + &text[from..]
    }
}

fn hash(piece: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    piece.hash(&mut hasher);
    hasher.finish()
}

/// What is compared of a text: letters and digits in lower case, escapes decoded, whatever is between them left out.
struct Letters {
    bytes: Vec<u8>,
    /// Where in the text each was.
    places: Vec<Range<usize>>,
}

impl Letters {
    fn of(text: &str) -> Self {
        let mut units: Vec<(u8, Range<usize>)> = Vec::with_capacity(text.len());
        for (at, c) in text
            .char_indices()
            .filter(|(_, c)| c.is_ascii() || c.is_alphanumeric() && is_drawn(*c))
        {
            units.extend(
                c.encode_utf8(&mut [0; 4])
                    .bytes()
                    .map(|byte| (byte, at..at + c.len_utf8())),
            );
        }
        // An escape may be escaped itself.
        let units = decoded(&decoded(&units))
            .into_iter()
            .filter(|(byte, _)| byte.is_ascii_alphanumeric() || !byte.is_ascii());
        let (bytes, places) = units
            .map(|(byte, place)| (byte.to_ascii_lowercase(), place))
            .unzip();
        Self { bytes, places }
    }
}

/// Bytes with their places, escapes as the characters that they mean.
fn decoded(units: &[(u8, Range<usize>)]) -> Vec<(u8, Range<usize>)> {
    let bytes: Vec<u8> = units.iter().map(|(byte, _)| *byte).collect();
    let (mut decoded, mut at) = (Vec::with_capacity(units.len()), 0);
    while at < units.len() {
        if let Some((len, meant)) = escape(&bytes[at..]) {
            let place = units[at].1.start..units[at + len - 1].1.end;
            decoded.extend(meant.into_iter().map(|byte| (byte, place.clone())));
            at += len;
        } else {
            decoded.push(units[at].clone());
            at += 1;
        }
    }
    decoded
}

/// The length of the escape with which a text begins, and the bytes that it means: `%XX`, `\xXX`, `\uXXXX`, `&#N;`, `&#xN;`. What means
/// white space, such as `\n` and `&nbsp;`, and the `0x` of a byte mean nothing.
fn escape(text: &[u8]) -> Option<(usize, Vec<u8>)> {
    let number = |digits: &[u8], radix: u32| {
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()
    };
    let character = |code: u32| char::from_u32(code).map(|c| c.to_string().into_bytes());
    let hex = |from: usize, to: usize| {
        let digits = text
            .get(from..to)
            .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
        number(digits, 16)
    };
    match text {
        [b'%', ..] => Some((3, vec![u8::try_from(hex(1, 3)?).ok()?])),
        [b'\\', b'x', ..] => Some((4, vec![u8::try_from(hex(2, 4)?).ok()?])),
        [b'\\', b'u', ..] => Some((6, character(hex(2, 6)?)?)),
        [b'\\', b'n' | b'r' | b't' | b'0', ..] => Some((2, vec![])),
        [b'0', b'x' | b'X', ..] => hex(2, 4).map(|_| (2, vec![])),
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

/// A secret as it is and backwards, in hexadecimal, in base32 and base64 at any place of an encoded text, and in base64 twice; the first of
/// them in UTF-16, too. Case and what stands between letters do not matter.
fn spellings(secret: &str) -> Vec<String> {
    let base64 =
        |bytes: &[u8], before| own_digits(&encode([&[0; 2][..before], bytes].concat()), before, 6);
    let base32 = |bytes: &[u8], before| {
        own_digits(&in_base32(&[&[0; 4][..before], bytes].concat()), before, 5)
    };
    let wide: Vec<u8> = secret.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let once = encode(secret);
    let once_for_urls = once.replace('+', "-").replace('/', "_");
    let mut all = vec![
        secret.to_owned(),
        secret.chars().rev().collect(),
        in_hex(secret.as_bytes()),
        in_hex(&wide),
    ];
    for bytes in [
        secret.as_bytes(),
        &wide,
        once.as_bytes(),
        once_for_urls.as_bytes(),
    ] {
        all.extend((0..3).map(|before| base64(bytes, before)));
    }
    all.extend((0..5).map(|before| base32(secret.as_bytes(), before)));
    all
}

/// The digits of an encoded text without those that depend on the bytes before, of so many bits each. The last one may depend on what follows.
fn own_digits(encoded: &str, before: usize, bits: usize) -> String {
    let own = encoded[(before * 8).div_ceil(bits)..].trim_end_matches('=');
    own[..own.len().saturating_sub(1)].to_owned()
}

fn in_hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// RFC 4648, section 6, without padding.
fn in_base32(bytes: &[u8]) -> String {
    let digit = |five: &[u8]| {
        five.iter()
            .fold(0, |digit, bit| digit << 1 | usize::from(*bit))
            << (5 - five.len())
    };
    let bits: Vec<u8> = bytes
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1))
        .collect();
    bits.chunks(5)
        .map(|five| char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[digit(five)]))
        .collect()
}

/// How a secret may be written: as it is, made visible, in hexadecimal, and in base64, alone or behind a user name and a colon; each as it is,
/// as a form sends it, and as JSON escapes it. Of a short one only what a form sends: other forms of it may be parts of words.
fn forms(secret: &str) -> Vec<String> {
    let mut plain = vec![secret.to_owned(), visible(secret)];
    if secret.len() >= SHORTEST {
        let hex = in_hex(secret.as_bytes());
        plain.extend([hex.to_uppercase(), hex]);
        plain.extend((0..3).flat_map(|before| in_base64(secret, before)));
    }
    let written = |form: String| {
        let encoded: String = byte_serialize(form.as_bytes()).collect();
        let json = serde_json::Value::from(form.as_str()).to_string();
        let json = json[1..json.len() - 1].to_owned();
        [
            lower_escapes(&encoded),
            encoded,
            json.replace('/', r"\/"),
            json,
            form,
        ]
    };
    plain.into_iter().flat_map(written).collect()
}

/// Base64 of a secret behind so many other bytes, without the characters that depend on other bytes; in the alphabet of URLs, too. The last
/// character may depend on bytes behind the secret, too, so that it comes with it and without it.
fn in_base64(secret: &str, before: usize) -> [String; 6] {
    let encoded = encode([vec![0; before], secret.as_bytes().to_vec()].concat());
    let own = &encoded[(before * 8).div_ceil(6)..];
    let bare = own.trim_end_matches('=');
    let sure = if bare.len() < own.len() {
        &bare[..bare.len() - 1]
    } else {
        bare
    };
    let of_urls = |form: &str| form.replace('+', "-").replace('/', "_");
    [
        own.to_owned(),
        bare.to_owned(),
        sure.to_owned(),
        of_urls(own),
        of_urls(bare),
        of_urls(sure),
    ]
}

/// `%7E` and `%7e` are the same.
fn lower_escapes(encoded: &str) -> String {
    let parts =
        encoded
            .split('%')
            .enumerate()
            .map(|(at, part)| match part.get(..2).filter(|_| at > 0) {
                Some(digits) => format!("%{}{}", digits.to_ascii_lowercase(), &part[2..]),
                None => part.to_owned(),
            });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> String {
        in_hex(text.as_bytes())
    }

    #[test]
    fn a_secret_in_pieces_is_left_out_as_one_that_is_whole() {
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
            (format!("sent {}", hex(secret)), "sent …"),
            (format!("sent {}", hex(secret).to_uppercase()), "sent …"),
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
    fn a_secret_in_another_spelling_is_left_out() {
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
                hex(secret)
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
                in_base32(secret.as_bytes()),
                in_base32(format!("ab{secret}").as_bytes()).to_lowercase(),
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
            let letters = |text: &str| Letters::of(text).bytes;
            let redactor = Redactor::new([&*secret]);
            let shown = redactor.redact(&format!("{text} {secret} {text}"));
            let (shown, secret) = (letters(&shown), letters(&secret));
            let is_shown = |piece: &[u8]| shown.windows(piece.len()).any(|window| window == piece);
            assert!(secret.len() < PIECE || !is_shown(&secret), "{shown:?}");
        }
    }
}
