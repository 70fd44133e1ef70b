//! Values in the binary form of D-Bus (D-Bus specification, "Marshaling"): the types that the Secret Service needs, no others.
//!
//! Reading never panics and never takes more memory than a small multiple of what was read, whatever the bytes are.

use std::io::{self, Read};
use zeroize::Zeroizing;

/// How much is read from a stream at once.
const CHUNK: usize = 4096;

/// Bytes that may hold a secret: wiped when they are dropped, and where they were when they move because they grow.
#[derive(Default)]
pub(super) struct Bytes(Zeroizing<Vec<u8>>);

impl Bytes {
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn extend(&mut self, more: &[u8]) {
        self.reserve(more.len());
        self.0.extend_from_slice(more);
    }

    /// Appends what a stream has at hand; tells how much that was, zero at its end.
    pub(super) fn read(&mut self, mut stream: impl Read) -> io::Result<usize> {
        let before = self.len();
        self.reserve(CHUNK);
        self.0.resize(before + CHUNK, 0);
        let result = stream.read(&mut self.0[before..]);
        self.0
            .truncate(before + result.as_ref().map_or(0, |count| (*count).min(CHUNK)));
        result
    }

    /// Takes so many bytes from the front, or all that there are.
    pub(super) fn take(&mut self, count: usize) -> Self {
        let count = count.min(self.len());
        let mut taken = Self::default();
        taken.extend(&self.0[..count]);
        self.0.drain(..count);
        taken
    }

    fn reserve(&mut self, more: usize) {
        let wanted = self.len() + more;
        if self.0.capacity() < wanted {
            let mut larger = Zeroizing::new(Vec::with_capacity(wanted.next_power_of_two()));
            larger.extend_from_slice(&self.0);
            self.0 = larger;
        }
    }
}

/// Writes values one after the other, in little-endian order.
#[derive(Default)]
pub(super) struct Writer(Bytes);

impl Writer {
    pub(super) fn finish(self) -> Bytes {
        self.0
    }

    /// Fills up with zeros to a multiple of `alignment`.
    pub(super) fn align(&mut self, alignment: usize) {
        let padding = self.0.len().next_multiple_of(alignment) - self.0.len();
        self.0.extend(&[0; 8][..padding]);
    }

    pub(super) fn byte(&mut self, value: u8) {
        self.0.extend(&[value]);
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.align(4);
        self.0.extend(&value.to_le_bytes());
    }

    /// A string or an object path.
    pub(super) fn string(&mut self, value: &str) {
        self.u32(length(value.len()));
        self.0.extend(value.as_bytes());
        self.byte(0);
    }

    /// A signature of our own, none of which is long.
    pub(super) fn signature(&mut self, value: &str) {
        self.byte(u8::try_from(value.len()).unwrap_or(u8::MAX));
        self.0.extend(value.as_bytes());
        self.byte(0);
    }

    /// An array of bytes.
    pub(super) fn bytes(&mut self, value: &[u8]) {
        self.u32(length(value.len()));
        self.0.extend(value);
    }

    /// An array whose elements, of this alignment, `fill` writes.
    pub(super) fn array(&mut self, alignment: usize, fill: impl FnOnce(&mut Self)) {
        self.u32(0);
        let at = self.0.len() - 4;
        self.align(alignment);
        let start = self.0.len();
        fill(self);
        let size = length(self.0.len() - start);
        self.0.0[at..at + 4].copy_from_slice(&size.to_le_bytes());
    }

    /// A dictionary of strings.
    pub(super) fn strings(&mut self, entries: &[(&str, &str)]) {
        self.array(8, |writer| {
            for (name, value) in entries {
                writer.align(8);
                writer.string(name);
                writer.string(value);
            }
        });
    }

    /// What is finished already, such as the body after its header.
    pub(super) fn append(&mut self, finished: &Bytes) {
        self.0.extend(finished.as_slice());
    }
}

/// A length as D-Bus writes it. What is longer is refused with its message, which is far too long then.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// Reads values one after the other; `None` where the bytes are not what was asked for.
#[derive(Clone)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    big_endian: bool,
}

impl<'a> Reader<'a> {
    /// Of bytes that begin where a message or its body begins.
    pub(super) fn new(bytes: &'a [u8], big_endian: bool) -> Self {
        Self {
            bytes,
            at: 0,
            big_endian,
        }
    }

    /// How many bytes were read.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    pub(super) fn align(&mut self, alignment: usize) -> Option<()> {
        let padding = self.at.next_multiple_of(alignment) - self.at;
        self.raw(padding).map(drop)
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.raw(1).map(|bytes| bytes[0])
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.align(4)?;
        let bytes = self.raw(4)?.try_into().ok()?;
        Some(if self.big_endian {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        })
    }

    pub(super) fn boolean(&mut self) -> Option<bool> {
        match self.u32()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    pub(super) fn string(&mut self) -> Option<&'a str> {
        let length = self.u32()?;
        self.text(length)
    }

    /// An object path, whose form is checked: it is sent back to the bus, which does not take another.
    pub(super) fn path(&mut self) -> Option<&'a str> {
        self.string().filter(|path| is_path(path))
    }

    pub(super) fn signature(&mut self) -> Option<&'a str> {
        let length = self.byte()?;
        self.text(length.into())
    }

    /// An array of bytes.
    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.u32()?;
        self.raw(usize::try_from(length).ok()?)
    }

    /// An array whose elements, of this alignment, `element` reads.
    pub(super) fn array<T>(
        &mut self,
        alignment: usize,
        mut element: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let end = self.end_of_array(alignment)?;
        let mut inner = Self {
            bytes: self.bytes.get(..end)?,
            ..self.clone()
        };
        let mut elements = Vec::new();
        while inner.at < end {
            let before = inner.at;
            elements.push(element(&mut inner)?);
            if inner.at == before {
                return None;
            }
        }
        self.at = end;
        Some(elements)
    }

    /// A dictionary of strings.
    pub(super) fn strings(&mut self) -> Option<Vec<(&'a str, &'a str)>> {
        self.array(8, |reader| {
            reader.align(8)?;
            Some((reader.string()?, reader.string()?))
        })
    }

    /// Goes past a value of a basic type, or an array of any.
    pub(super) fn skip(&mut self, signature: &str) -> Option<()> {
        match signature.as_bytes() {
            [b's' | b'o'] => self.string().map(drop),
            [b'g'] => self.signature().map(drop),
            [b'a', element, ..] => {
                self.at = self.end_of_array(alignment(*element)?)?;
                Some(())
            }
            [basic] if b"ynqbiuhxtd".contains(basic) => {
                let size = alignment(*basic)?;
                self.align(size)?;
                self.raw(size).map(drop)
            }
            _ => None,
        }
    }

    /// Reads the length of an array, goes to its first element and tells where it ends.
    fn end_of_array(&mut self, alignment: usize) -> Option<usize> {
        let length = usize::try_from(self.u32()?).ok()?;
        self.align(alignment)?;
        self.at
            .checked_add(length)
            .filter(|end| *end <= self.bytes.len())
    }

    fn text(&mut self, length: u32) -> Option<&'a str> {
        let text = self.raw(usize::try_from(length).ok()?)?;
        let zero = self.byte()?;
        (zero == 0 && !text.contains(&0)).then(|| std::str::from_utf8(text).ok())?
    }

    fn raw(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count)?;
        let bytes = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(bytes)
    }
}

/// The alignment of a type by the first character of its signature, which is the size of the basic types of fixed size.
fn alignment(kind: u8) -> Option<usize> {
    match kind {
        b'y' | b'g' | b'v' => Some(1),
        b'n' | b'q' => Some(2),
        b'b' | b'i' | b'u' | b'h' | b's' | b'o' | b'a' => Some(4),
        b'x' | b't' | b'd' | b'(' | b'{' => Some(8),
        _ => None,
    }
}

/// "Valid Object Paths" of the specification.
fn is_path(text: &str) -> bool {
    let is_element = |element: &str| {
        !element.is_empty()
            && element
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    text == "/"
        || text
            .strip_prefix('/')
            .is_some_and(|rest| rest.split('/').all(is_element))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(fill: impl FnOnce(&mut Writer)) -> Vec<u8> {
        let mut writer = Writer::default();
        fill(&mut writer);
        writer.finish().as_slice().to_vec()
    }

    #[test]
    fn values_are_written_as_the_specification_shows() {
        type Fill = fn(&mut Writer);
        let tests: [(&[u8], Fill); 7] = [
            (b"\x03\0\0\0foo\0\x01\0\0\0+\0", |w| {
                w.string("foo");
                w.string("+");
            }),
            (b"\x05a{ss}\0", |w| w.signature("a{ss}")),
            (b"\x07\0\0\0\x01\0\0\0", |w| (w.byte(7), w.u32(1)).1),
            (b"\x02\0\0\0\xff\0", |w| w.bytes(b"\xff\0")),
            (b"\0\0\0\0\0\0\0\0", |w| w.strings(&[])),
            (b"\x0e\0\0\0\0\0\0\0\x01\0\0\0a\0\0\0\x01\0\0\0b\0", |w| {
                w.strings(&[("a", "b")]);
            }),
            // "Marshaling", of an array of one INT64 that follows a byte: neither the padding counts as its length.
            (b"\x01\0\0\0\x02\0\0\0\x08\x09", |w| {
                w.byte(1);
                w.array(1, |w| (w.byte(8), w.byte(9)).1);
            }),
        ];
        for (bytes, fill) in tests {
            assert_eq!(written(fill), bytes);
        }
    }

    #[test]
    fn both_byte_orders_are_read() {
        assert_eq!(Reader::new(b"\x01\0\0\0", false).u32(), Some(1));
        assert_eq!(Reader::new(b"\0\0\0\x01", true).u32(), Some(1));
        assert_eq!(Reader::new(b"\0\0\0\x01a\0", true).string(), Some("a"));
    }

    #[test]
    fn what_breaks_the_rules_is_not_read() {
        for text in [
            &b"\x02\0\0\0a\0\0"[..],
            b"\x01\0\0\0ab",
            b"\x01\0\0\0\xff\0",
            b"\xff\xff\xff\xffa\0",
            b"\x01\0\0\0a",
            b"\x01\0",
        ] {
            assert_eq!(Reader::new(text, false).string(), None, "{text:?}");
        }
        for array in [
            &b"\x01\0\0\0"[..],
            b"\xff\xff\xff\xff",
            b"\x03\0\0\0\0\0\0",
            b"\x05\0\0\0\0\0\0\0\0",
        ] {
            assert_eq!(
                Reader::new(array, false).array(4, |reader| reader.u32()),
                None,
                "{array:?}"
            );
        }
        assert_eq!(
            Reader::new(b"\x01\0\0\0\0", false).array(1, |_| Some(())),
            None,
            "an element of no size ends nowhere"
        );
        assert_eq!(Reader::new(b"\x02\0\0\0", false).boolean(), None);
    }

    #[test]
    fn only_paths_of_the_valid_form_are_read() {
        for (path, is_valid) in [
            ("/", true),
            ("/a/B_9", true),
            ("", false),
            ("a", false),
            ("/a/", false),
            ("//", false),
            ("/a//b", false),
            ("/a-b", false),
            ("/é", false),
            ("/a\n", false),
        ] {
            let bytes = written(|writer| writer.string(path));
            assert_eq!(
                Reader::new(&bytes, false).path().is_some(),
                is_valid,
                "{path:?}"
            );
        }
    }

    #[test]
    fn basic_values_and_arrays_are_passed_over() {
        for (signature, bytes) in [
            ("s", &b"\x01\0\0\0a\0"[..]),
            ("g", b"\x01a\0"),
            ("y", b"\x01"),
            ("q", b"\x01\0"),
            ("b", b"\x01\0\0\0"),
            ("t", b"\x01\0\0\0\0\0\0\0"),
            ("ay", b"\x01\0\0\0\xff"),
            ("a{sv}", b"\0\0\0\0\0\0\0\0"),
            ("a(ss)", b"\x01\0\0\0\0\0\0\0\xff"),
        ] {
            let mut reader = Reader::new(bytes, false);
            assert_eq!(
                (reader.skip(signature), reader.position()),
                (Some(()), bytes.len()),
                "{signature}"
            );
        }
        for signature in ["", "a", "v", "(ss)", "ss", "m", "az", "é"] {
            assert_eq!(
                Reader::new(&[0; 64], false).skip(signature),
                None,
                "{signature}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(
            bytes in prop::collection::vec(prop_oneof![2 => 0..9_u8, 1 => any::<u8>()], 0..64),
            steps in prop::collection::vec(0..12_u8, 1..8),
            big_endian: bool,
        ) {
            let mut reader = Reader::new(&bytes, big_endian);
            for step in steps {
                let _ = match step {
                    0 => reader.byte().map(drop),
                    1 => reader.u32().map(drop),
                    2 => reader.boolean().map(drop),
                    3 => reader.string().map(drop),
                    4 => reader.path().map(drop),
                    5 => reader.bytes().map(drop),
                    6 => reader.strings().map(drop),
                    7 => reader.array(4, |reader| reader.path()).map(drop),
                    8 => reader.align(8),
                    9 => reader.skip("ay"),
                    10 => reader.skip("a{sv}"),
                    _ => reader.signature().and_then(|signature| reader.skip(signature)),
                };
                prop_assert!(reader.position() <= bytes.len());
            }
        }

        #[test]
        fn what_was_written_is_read(text in "[^\0]{0,20}", bytes: Vec<u8>, entries: Vec<(u32, u32)>, number: u32) {
            let entries: Vec<_> = entries.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect();
            let entries: Vec<_> = entries.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
            let written = written(|writer| {
                writer.byte(1);
                writer.string(&text);
                writer.strings(&entries);
                writer.bytes(&bytes);
                writer.u32(number);
            });
            let mut reader = Reader::new(&written, false);
            prop_assert_eq!(reader.byte(), Some(1));
            prop_assert_eq!(reader.string(), Some(text.as_str()));
            prop_assert_eq!(reader.strings(), Some(entries));
            prop_assert_eq!(reader.bytes(), Some(bytes.as_slice()));
            prop_assert_eq!(reader.u32(), Some(number));
        }
    }
}
