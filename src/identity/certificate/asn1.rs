//! Reads ASN.1: DER, and the BER in which Bouncy Castle and NSS write PKCS#12 files, with indefinite lengths and strings in pieces
//! (ITU-T X.690, 8.1.3.6 and 8.7).
//!
//! The error is always the same: such a file is damaged.

use super::CertificateError::Malformed;
use super::{Result, SecretBytes};

pub(crate) const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(crate) const OID: u8 = 0x06;
pub(crate) const SEQUENCE: u8 = 0x30;
/// `[0]` around another element, or as the implicit tag of a string in pieces.
pub(super) const CONTEXT_0: u8 = 0xa0;
/// `[0]` as the implicit tag of a string in one piece.
pub(super) const CONTEXT_0_PRIMITIVE: u8 = 0x80;

const CONSTRUCTED: u8 = 0x20;

/// How deep elements of indefinite length may be nested; PKCS#12 needs about ten.
const MAX_DEPTH: usize = 32;

/// A tag and its content.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    pub(crate) content: &'a [u8],
}

/// Reads elements that follow each other.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Returns a reader of the elements in the one `SEQUENCE` that the bytes are.
    pub(super) fn sequence(bytes: &'a [u8]) -> Result<Self> {
        let mut reader = Self(bytes);
        let content = reader.enter(SEQUENCE)?;
        reader.is_at_end().then_some(content).ok_or(Malformed)
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads the next element, whatever its tag.
    pub(crate) fn element(&mut self) -> Result<Element<'a>> {
        read(&mut self.0, MAX_DEPTH).ok_or(Malformed)
    }

    /// Reads the next element if it has this tag.
    pub(super) fn optional(&mut self, tag: u8) -> Result<Option<Element<'a>>> {
        let is_next = self.0.first() == Some(&tag);
        is_next.then(|| self.element()).transpose()
    }

    /// Reads the next element, which must have this tag.
    pub(crate) fn expect(&mut self, tag: u8) -> Result<Element<'a>> {
        let element = self.element()?;
        (element.tag == tag).then_some(element).ok_or(Malformed)
    }

    /// Returns a reader of the elements in the next one, which must have this tag.
    pub(crate) fn enter(&mut self, tag: u8) -> Result<Self> {
        Ok(Self(self.expect(tag)?.content))
    }

    /// Reads the bytes of an object identifier.
    pub(super) fn oid(&mut self) -> Result<&'a [u8]> {
        Ok(self.expect(OID)?.content)
    }

    /// Reads a number that is not negative.
    pub(super) fn number(&mut self) -> Result<u32> {
        let content = self.expect(INTEGER)?.content;
        let zeros = content.iter().take_while(|&&digit| digit == 0).count();
        let digits = &content[zeros..];
        match content.first() {
            Some(0..=0x7f) if digits.len() <= 4 => Ok(big_endian(digits)),
            _ => Err(Malformed),
        }
    }

    /// Reads a `BIT STRING` of whole bytes.
    pub(super) fn bits(&mut self) -> Result<&'a [u8]> {
        let content = self.expect(BIT_STRING)?.content;
        content.strip_prefix(&[0]).ok_or(Malformed)
    }

    /// Reads an `OCTET STRING`.
    pub(super) fn octets(&mut self) -> Result<SecretBytes> {
        self.element()?.octets(OCTET_STRING)
    }
}

impl Element<'_> {
    /// Returns the bytes of a string with this primitive tag, joined if it came in pieces. They may be those of a key.
    pub(super) fn octets(&self, tag: u8) -> Result<SecretBytes> {
        if self.tag == tag {
            return Ok(SecretBytes::new(self.content.to_vec()));
        }
        if self.tag != tag | CONSTRUCTED {
            return Err(Malformed);
        }
        // At full length, because growing would leave copies behind.
        let mut joined = SecretBytes::new(Vec::with_capacity(self.content.len()));
        let mut pieces = Reader(self.content);
        while !pieces.is_at_end() {
            joined.extend_from_slice(pieces.expect(OCTET_STRING)?.content);
        }
        Ok(joined)
    }
}

/// Splits off the first element. `depth` is how deep elements of indefinite length may still be nested.
pub(super) fn read<'a>(bytes: &mut &'a [u8], depth: usize) -> Option<Element<'a>> {
    let (tag, first) = (*bytes.split_off_first()?, *bytes.split_off_first()?);
    let has_long_tag = tag & 0x1f == 0x1f;
    let content = match first {
        _ if has_long_tag => return None,
        0..=0x7f => bytes.split_off(..usize::from(first))?,
        // An indefinite length: two zeros mark the end.
        0x80 if tag & CONSTRUCTED != 0 => {
            let start = *bytes;
            while !bytes.starts_with(&[0, 0]) {
                read(bytes, depth.checked_sub(1)?)?;
            }
            let length = start.len() - bytes.len();
            bytes.split_off(..2)?;
            &start[..length]
        }
        0x81..=0x84 => {
            let length = bytes.split_off(..usize::from(first & 0x7f))?;
            bytes.split_off(..usize::try_from(big_endian(length)).ok()?)?
        }
        _ => return None,
    };
    Some(Element { tag, content })
}

/// Returns the number in at most four bytes.
fn big_endian(digits: &[u8]) -> u32 {
    let digits = digits.iter();
    digits.fold(0, |number, digit| number << 8 | u32::from(*digit))
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
            assert_eq!(reader.enter(SEQUENCE).unwrap().number(), Ok(7));
            assert_eq!(*reader.octets().unwrap(), [9]);
            assert!(reader.is_at_end());
        }
    }

    #[test]
    fn truncated_or_foreign_bytes_are_malformed() {
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
            assert!(Reader::sequence(bytes).is_err(), "{bytes:?}");
        }
        assert!(
            Reader::new(&[0x04, 0x80, 0, 0]).element().is_err(),
            "only constructed elements may have an indefinite length"
        );
        let nested = [0x30, 0x80].repeat(10_000);
        assert!(Reader::sequence(&nested).is_err());
    }

    #[test]
    fn a_number_is_neither_negative_nor_too_long() {
        for (bytes, number) in [
            (&[0x02, 0x01, 0x00][..], Ok(0)),
            (&[0x02, 0x02, 0x08, 0x00], Ok(2048)),
            (&[0x02, 0x05, 0x00, 0xff, 0xff, 0xff, 0xff], Ok(u32::MAX)),
            (&[0x02, 0x01, 0x80], Err(Malformed)),
            (&[0x02, 0x00], Err(Malformed)),
            (&[0x02, 0x05, 0x01, 0x00, 0x00, 0x00, 0x00], Err(Malformed)),
            (&[0x04, 0x01, 0x00], Err(Malformed)),
        ] {
            assert_eq!(Reader::new(bytes).number(), number, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn reading_any_bytes_ends_without_a_panic(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(0x30), Just(0x80), Just(0)], 0..200)) {
            let mut reader = Reader::new(&bytes);
            while let Ok(element) = reader.element() {
                prop_assert!(element.content.len() + 2 <= bytes.len());
                drop(element.octets(OCTET_STRING));
            }
        }
    }
}
