//! Reads ASN.1: DER, and the BER in which PKCS#12 files may come, with indefinite lengths and strings in pieces (ITU-T X.690, 8.1.3.6
//! and 8.7). Bouncy Castle and NSS write such files.
//!
//! Nothing is said about what is wrong: `None` is what does not have the form that was asked for.

use zeroize::Zeroizing;

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OID: u8 = 0x06;
pub(crate) const SEQUENCE: u8 = 0x30;
/// `[0]` around another element, or as the implicit tag of a string in pieces.
pub(crate) const CONTEXT_0: u8 = 0xa0;
/// `[0]` as the implicit tag of a string in one piece.
pub(crate) const CONTEXT_0_PRIMITIVE: u8 = 0x80;

const CONSTRUCTED: u8 = 0x20;

/// How deep elements of indefinite length may be nested; PKCS#12 needs about ten.
const DEEPEST: usize = 32;

/// One element: its tag and content.
#[derive(Clone, Copy)]
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    pub(crate) content: &'a [u8],
    /// With tag and length.
    pub(crate) whole: &'a [u8],
}

/// Elements that follow each other.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The elements within the one `SEQUENCE` that the bytes are.
    pub(crate) fn sequence(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Self(bytes);
        let content = reader.enter(SEQUENCE)?;
        reader.is_at_end().then_some(content)
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    /// The next element, whatever it is.
    pub(crate) fn element(&mut self) -> Option<Element<'a>> {
        let (element, rest) = split(self.0, DEEPEST)?;
        self.0 = rest;
        Some(element)
    }

    /// The next element if it has this tag; otherwise it is left where it is.
    pub(crate) fn optional(&mut self, tag: u8) -> Option<Element<'a>> {
        (self.0.first() == Some(&tag))
            .then(|| self.element())
            .flatten()
    }

    /// The next element, which must have this tag.
    pub(crate) fn expect(&mut self, tag: u8) -> Option<Element<'a>> {
        self.element().filter(|element| element.tag == tag)
    }

    /// The elements within the next one, which must have this tag.
    pub(crate) fn enter(&mut self, tag: u8) -> Option<Self> {
        self.expect(tag).map(|element| Self(element.content))
    }

    /// The bytes of the next element, an `OID`.
    pub(crate) fn oid(&mut self) -> Option<&'a [u8]> {
        self.expect(OID).map(|element| element.content)
    }

    /// The next element, a number that is not negative.
    pub(crate) fn number(&mut self) -> Option<u32> {
        let content = self.expect(INTEGER)?.content;
        let is_negative = content.first()? & 0x80 != 0;
        let digits = unsigned(content);
        (!is_negative && digits.len() <= 4).then(|| big_endian(digits))
    }

    /// The bytes of the next element, a number of any length, without leading zeros.
    pub(crate) fn big_number(&mut self) -> Option<&'a [u8]> {
        self.expect(INTEGER)
            .map(|element| unsigned(element.content))
    }

    /// The bytes of the next element, a `BIT STRING` of whole bytes.
    pub(crate) fn bits(&mut self) -> Option<&'a [u8]> {
        self.expect(BIT_STRING)?.content.strip_prefix(&[0])
    }

    /// The bytes of the next element, an `OCTET STRING`.
    pub(crate) fn octets(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        self.element()?.octets(OCTET_STRING)
    }
}

impl Element<'_> {
    /// The bytes of a string with this primitive tag, put together if it came in pieces. They may be those of a key.
    pub(crate) fn octets(&self, tag: u8) -> Option<Zeroizing<Vec<u8>>> {
        if self.tag == tag {
            return Some(Zeroizing::new(self.content.to_vec()));
        }
        if self.tag != tag | CONSTRUCTED {
            return None;
        }
        // As long as it can get, so that no copy is left behind by growing.
        let mut whole = Zeroizing::new(Vec::with_capacity(self.content.len()));
        let mut pieces = Reader(self.content);
        while !pieces.is_at_end() {
            whole.extend_from_slice(pieces.expect(OCTET_STRING)?.content);
        }
        Some(whole)
    }
}

/// The first element and what follows it.
fn split(bytes: &[u8], deepest: usize) -> Option<(Element<'_>, &[u8])> {
    let (tag, length, start) = header(bytes)?;
    let content = bytes.get(start..)?;
    let (end, mark) = length.map_or_else(
        || Some((before_end(content, deepest)?, 2)),
        |length| Some((length, 0)),
    )?;
    let (content, rest) = content.split_at_checked(end)?;
    let rest = rest.get(mark..)?;
    Some((
        Element {
            tag,
            content,
            whole: &bytes[..bytes.len() - rest.len()],
        },
        rest,
    ))
}

/// The tag, the length unless it is indefinite, and how many bytes tell them.
fn header(bytes: &[u8]) -> Option<(u8, Option<usize>, usize)> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let has_long_tag = tag & 0x1f == 0x1f;
    match first {
        _ if has_long_tag => None,
        0..=0x7f => Some((tag, Some(first.into()), 2)),
        0x80 => (tag & CONSTRUCTED != 0).then_some((tag, None, 2)),
        0x81..=0x84 => {
            let count = usize::from(first & 0x7f);
            let length = big_endian(rest.get(..count)?);
            Some((tag, Some(usize::try_from(length).ok()?), 2 + count))
        }
        _ => None,
    }
}

/// How many bytes come before the end mark of an element of indefinite length.
fn before_end(content: &[u8], deepest: usize) -> Option<usize> {
    let deepest = deepest.checked_sub(1)?;
    let mut rest = content;
    while !rest.starts_with(&[0, 0]) {
        (_, rest) = split(rest, deepest)?;
    }
    Some(content.len() - rest.len())
}

fn unsigned(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().take_while(|&&digit| digit == 0).count();
    &digits[zeros..]
}

/// The number that at most four bytes tell.
fn big_endian(digits: &[u8]) -> u32 {
    digits
        .iter()
        .fold(0, |number, digit| number << 8 | u32::from(*digit))
}

/// An object identifier as people write it, `1.2.840.113549`.
pub(crate) fn dotted(oid: &[u8]) -> String {
    let mut arcs = Vec::new();
    let mut arc = 0_u64;
    // Longer ones are in no standard.
    for byte in oid.iter().take(32) {
        arc = arc << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            arcs.push(std::mem::take(&mut arc));
        }
    }
    let first = arcs.first().copied().unwrap_or_default();
    let root = (first / 40).min(2);
    let rest = arcs.iter().skip(1).map(|arc| format!(".{arc}"));
    format!("{root}.{}", first - root * 40) + &rest.collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_element_of_indefinite_length_reads_as_one_of_definite_length() {
        let definite: &[u8] = &[0x30, 0x08, 0x30, 0x03, 0x02, 0x01, 0x07, 0x04, 0x01, 0x09];
        let indefinite: &[u8] = &[
            0x30, 0x80, 0x30, 0x80, 0x02, 0x01, 0x07, 0, 0, 0x24, 0x80, 0x04, 0, 0x04, 0x01, 0x09,
            0, 0, 0, 0,
        ];
        for bytes in [definite, indefinite] {
            let mut reader = Reader::sequence(bytes).unwrap();
            assert_eq!(reader.enter(SEQUENCE).unwrap().number(), Some(7));
            assert_eq!(*reader.octets().unwrap(), [9]);
            assert!(reader.is_at_end());
        }
    }

    #[test]
    fn what_is_cut_short_or_in_no_form_of_ours_is_nothing() {
        for bytes in [
            &[][..],
            &[0x30],
            &[0x30, 0x02, 0x02],
            &[0x30, 0x00, 0x00],
            &[0x30, 0x85, 0, 0, 0, 0, 0],
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
            &[0x30, 0x80, 0x02, 0x01, 0x07],
            &[0x3f, 0x01, 0x00],
        ] {
            assert!(Reader::sequence(bytes).is_none(), "{bytes:?}");
        }
        assert!(
            Reader::new(&[0x04, 0x80, 0, 0]).element().is_none(),
            "only what is constructed may be of indefinite length"
        );
        let nested = [0x30, 0x80].repeat(10_000);
        assert!(Reader::sequence(&nested).is_none());
    }

    #[test]
    fn a_number_is_neither_negative_nor_too_long() {
        for (bytes, number) in [
            (&[0x02, 0x01, 0x00][..], Some(0)),
            (&[0x02, 0x02, 0x08, 0x00], Some(2048)),
            (&[0x02, 0x05, 0x00, 0xff, 0xff, 0xff, 0xff], Some(u32::MAX)),
            (&[0x02, 0x01, 0x80], None),
            (&[0x02, 0x00], None),
            (&[0x02, 0x05, 0x01, 0x00, 0x00, 0x00, 0x00], None),
            (&[0x04, 0x01, 0x00], None),
        ] {
            assert_eq!(Reader::new(bytes).number(), number, "{bytes:?}");
        }
    }

    #[test]
    fn an_object_identifier_is_written_in_dots() {
        assert_eq!(
            dotted(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d]),
            "1.2.840.113549.1.5.13"
        );
        assert_eq!(dotted(&[0x88, 0x37, 0x03]), "2.999.3");
        assert_eq!(dotted(&[]), "0.0");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_an_end(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(0x30), Just(0x80), Just(0)], 0..200)) {
            let mut reader = Reader::new(&bytes);
            while let Some(element) = reader.element() {
                prop_assert!(element.whole.len() >= 2 && element.content.len() <= element.whole.len() - 2);
                element.octets(OCTET_STRING);
            }
            dotted(&bytes);
        }
    }
}
