//! Messages of D-Bus (D-Bus specification, "Message Protocol"): the calls that are sent, and the replies to them.

use super::wire::{Bytes, Reader, Writer};
use keyring_core::{Error, Result};

/// The longest message that is sent or read. Those of the Secret Service that concern us have a few kilobytes.
pub(super) const LONGEST: usize = 1 << 20;

/// The part of a header that tells how long the message is.
pub(super) const PREFIX: usize = 16;

// Message types and header fields, by the tables of the specification.
const METHOD_CALL: u8 = 1;
const METHOD_RETURN: u8 = 2;
const ERROR: u8 = 3;
const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

/// A method to call.
pub(super) struct Call<'a> {
    pub(super) destination: &'a str,
    pub(super) path: &'a str,
    pub(super) interface: &'a str,
    pub(super) member: &'a str,
    /// The types of the arguments.
    pub(super) signature: &'a str,
    /// The arguments.
    pub(super) body: Writer,
}

impl Call<'_> {
    /// The message.
    pub(super) fn encode(self, serial: u32) -> Result<Bytes> {
        let body = self.body.finish();
        let length = u32::try_from(body.len())
            .ok()
            .filter(|_| body.len() <= LONGEST);
        let length = length.ok_or_else(|| {
            Error::TooLong("secret".into(), u32::try_from(LONGEST).unwrap_or(u32::MAX))
        })?;
        let mut message = Writer::default();
        for byte in [b'l', METHOD_CALL, 0, 1] {
            message.byte(byte);
        }
        message.u32(length);
        message.u32(serial);
        let texts = [
            (PATH, "o", self.path),
            (INTERFACE, "s", self.interface),
            (MEMBER, "s", self.member),
            (DESTINATION, "s", self.destination),
        ];
        message.array(8, |fields| {
            for (code, signature, text) in texts {
                field(fields, code, signature);
                fields.string(text);
            }
            field(fields, SIGNATURE, "g");
            fields.signature(self.signature);
        });
        message.align(8);
        message.append(&body);
        Ok(message.finish())
    }
}

/// The beginning of a header field, up to its value.
fn field(writer: &mut Writer, code: u8, signature: &str) {
    writer.align(8);
    writer.byte(code);
    writer.signature(signature);
}

/// How long the message is that begins with these [`PREFIX`] bytes; `None` if it is none of D-Bus, or longer than [`LONGEST`].
pub(super) fn length(prefix: &[u8]) -> Option<usize> {
    let mut reader = reader(prefix)?;
    let (_kind, _flags, version) = (reader.byte()?, reader.byte()?, reader.byte()?);
    let (body, _serial, fields) = (reader.u32()?, reader.u32()?, reader.u32()?);
    let header = usize::try_from(fields)
        .ok()?
        .checked_add(PREFIX)?
        .checked_next_multiple_of(8)?;
    let length = header.checked_add(usize::try_from(body).ok()?)?;
    (version == 1 && length <= LONGEST).then_some(length)
}

/// A reader that has read the byte order.
fn reader(message: &[u8]) -> Option<Reader<'_>> {
    let big_endian = match message.first()? {
        b'l' => false,
        b'B' => true,
        _ => return None,
    };
    let mut reader = Reader::new(message, big_endian);
    reader.byte()?;
    Some(reader)
}

/// What comes from the bus.
pub(super) enum Message {
    Reply(Reply),
    /// A signal, or whatever else there is.
    Other,
}

/// The answer to a call.
pub(super) struct Reply {
    message: Bytes,
    /// Where the body begins.
    body: usize,
    signature: String,
    /// The call that it answers.
    pub(super) to: u32,
    /// The name of the error, if it is one.
    pub(super) error: Option<String>,
}

impl Message {
    /// Reads a whole message; `None` if it is malformed.
    pub(super) fn parse(message: Bytes) -> Option<Self> {
        let mut reader = reader(message.as_slice())?;
        let kind = reader.byte()?;
        let (_flags, _version, _length, _serial) =
            (reader.byte()?, reader.byte()?, reader.u32()?, reader.u32()?);
        let Fields {
            signature,
            to,
            error,
        } = Fields::read(&mut reader)?;
        reader.align(8)?;
        let body = reader.position();
        if !matches!((kind, &error), (METHOD_RETURN, _) | (ERROR, Some(_))) {
            return Some(Self::Other);
        }
        let error = error.filter(|_| kind == ERROR).map(str::to_owned);
        let signature = signature.to_owned();
        Some(to.map_or(Self::Other, |to| {
            Self::Reply(Reply {
                message,
                body,
                signature,
                to,
                error,
            })
        }))
    }
}

impl Reply {
    /// The values that were returned, if they are of these types.
    pub(super) fn body(&self, signature: &str) -> Option<Reader<'_>> {
        let big_endian = self.message.as_slice().first() == Some(&b'B');
        let body = self.message.as_slice().get(self.body..)?;
        (self.error.is_none() && self.signature == signature).then(|| Reader::new(body, big_endian))
    }

    /// What an error says.
    pub(super) fn text(&self) -> &str {
        let body = self.message.as_slice().get(self.body..).unwrap_or_default();
        let big_endian = self.message.as_slice().first() == Some(&b'B');
        let is_text = self.error.is_some() && self.signature.starts_with('s');
        is_text
            .then(|| Reader::new(body, big_endian).string())
            .flatten()
            .unwrap_or_default()
    }
}

/// The fields of a header that matter in a reply.
#[derive(Default)]
struct Fields<'a> {
    signature: &'a str,
    to: Option<u32>,
    error: Option<&'a str>,
}

impl<'a> Fields<'a> {
    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        let mut found = Self::default();
        reader.array(8, |field| {
            field.align(8)?;
            match (field.byte()?, field.signature()?) {
                (REPLY_SERIAL, "u") => found.to = Some(field.u32()?),
                (ERROR_NAME, "s") => found.error = Some(field.string()?),
                (SIGNATURE, "g") => found.signature = field.signature()?,
                (_, other) => field.skip(other)?,
            }
            Some(())
        })?;
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The greeting, as dbus-daemon 1.14 takes it.
    const HELLO: &[u8] = b"l\x01\0\x01\0\0\0\0\x01\0\0\0\x76\0\0\0\
        \x01\x01o\0\x15\0\0\0/org/freedesktop/DBus\0\0\0\
        \x02\x01s\0\x14\0\0\0org.freedesktop.DBus\0\0\0\0\
        \x03\x01s\0\x05\0\0\0Hello\0\0\0\
        \x06\x01s\0\x14\0\0\0org.freedesktop.DBus\0\0\0\0\
        \x08\x01g\0\0\0\0\0";

    /// What gnome-keyring 42 answered to `SearchItems`.
    const FOUND: &[u8] = b"l\x02\x01\x01\x38\0\0\0\x10\0\0\0\x35\0\0\0\
        \x06\x01s\0\x04\0\0\0:1.3\0\0\0\0\
        \x08\x01g\0\x04aoao\0\0\0\0\0\0\0\
        \x05\x01u\0\x03\0\0\0\
        \x07\x01s\0\x04\0\0\0:1.0\0\0\0\0\
        \x30\0\0\0\x2b\0\0\0/org/freedesktop/secrets/collection/login/1\0\0\0\0\0";

    /// And to `GetSecret`.
    const SECRET: &[u8] = b"l\x02\x01\x01\x57\0\0\0\x11\0\0\0\x35\0\0\0\
        \x06\x01s\0\x04\0\0\0:1.3\0\0\0\0\
        \x08\x01g\0\x08(oayays)\0\0\0\
        \x05\x01u\0\x04\0\0\0\
        \x07\x01s\0\x04\0\0\0:1.0\0\0\0\0\
        \x23\0\0\0/org/freedesktop/secrets/session/s2\0\0\0\0\0\
        \x17\0\0\0{\"renew\":0,\"token\":\"t\"}\0\
        \x0a\0\0\0text/plain\0";

    /// An error in the other byte order, made after the specification.
    const REFUSED: &[u8] = b"B\x03\x01\x01\0\0\0\x0c\0\0\0\x07\0\0\0\x2d\
        \x04\x01s\0\0\0\0\x0barea.Locked\0\0\0\0\0\
        \x05\x01u\0\0\0\0\x02\
        \x08\x01g\0\x01s\0\0\
        \x0b\x01y\0\x01\0\0\0\
        \0\0\0\x07canary!\0";

    fn parse(message: &[u8]) -> Option<Message> {
        let mut bytes = Bytes::default();
        bytes.extend(message);
        Message::parse(bytes)
    }

    fn reply(message: &[u8]) -> Reply {
        assert_eq!(length(&message[..PREFIX]), Some(message.len()));
        let Some(Message::Reply(reply)) = parse(message) else {
            panic!("no reply")
        };
        reply
    }

    fn changed(message: &[u8], at: usize, byte: u8) -> Vec<u8> {
        let mut message = message.to_vec();
        message[at] = byte;
        message
    }

    #[test]
    fn a_call_is_what_the_bus_takes() {
        let call = Call {
            destination: "org.freedesktop.DBus",
            path: "/org/freedesktop/DBus",
            interface: "org.freedesktop.DBus",
            member: "Hello",
            signature: "",
            body: Writer::default(),
        };
        assert_eq!(call.encode(1).unwrap().as_slice(), HELLO);
    }

    #[test]
    fn a_call_that_is_too_long_is_not_made() {
        let mut body = Writer::default();
        body.bytes(&vec![0; LONGEST]);
        let call = Call {
            destination: "a.b",
            path: "/",
            interface: "a.b",
            member: "c",
            signature: "ay",
            body,
        };
        assert!(matches!(call.encode(1), Err(Error::TooLong(..))));
    }

    #[test]
    fn replies_are_read() {
        let found = reply(FOUND);
        assert_eq!((found.to, found.error.as_deref()), (3, None));
        let mut body = found.body("aoao").unwrap();
        let mut paths = || body.array(4, |body| body.path());
        assert_eq!(
            paths().unwrap(),
            ["/org/freedesktop/secrets/collection/login/1"]
        );
        assert_eq!((paths().unwrap().len(), paths()), (0, None));
        let secret = reply(SECRET);
        let mut body = secret.body("(oayays)").unwrap();
        assert_eq!(body.path(), Some("/org/freedesktop/secrets/session/s2"));
        assert_eq!(body.bytes(), Some(&b""[..]));
        assert_eq!(body.bytes(), Some(&br#"{"renew":0,"token":"t"}"#[..]));
        assert!(secret.body("aoao").is_none());
    }

    #[test]
    fn an_error_is_no_answer_but_has_a_name_and_a_text() {
        let refused = reply(REFUSED);
        assert_eq!(
            (refused.to, refused.error.as_deref(), refused.text()),
            (2, Some("area.Locked"), "canary!")
        );
        assert!(refused.body("s").is_none());
        assert_eq!(reply(FOUND).text(), "");
    }

    #[test]
    fn what_is_no_reply_is_passed_over() {
        const CALL: u8 = 1;
        const SIGNAL: u8 = 4;
        const INVENTED: u8 = 9;
        for kind in [CALL, SIGNAL, INVENTED] {
            assert!(
                matches!(parse(&changed(FOUND, 1, kind)), Some(Message::Other)),
                "{kind}"
            );
        }
        assert!(matches!(parse(HELLO), Some(Message::Other)));
    }

    #[test]
    fn what_is_no_message_or_too_long_is_refused() {
        let prefix = |at, byte| length(&changed(FOUND, at, byte)[..PREFIX]);
        assert_eq!(prefix(0, b'x'), None, "byte order");
        assert_eq!(prefix(3, 2), None, "version");
        assert_eq!(prefix(6, 0x10), None, "a body above 1 MiB");
        assert_eq!(prefix(7, 0xff), None, "a body of gigabytes");
        assert_eq!(prefix(15, 0xff), None, "a header of gigabytes");
        assert!(prefix(6, 0x0f).is_some());
        assert!(length(b"").is_none() && parse(b"").is_none() && parse(&FOUND[..40]).is_none());
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = (length(&bytes), parse(&bytes).is_some());
        }

        #[test]
        fn a_garbled_reply_is_parsed_without_a_panic(
            message in prop::sample::select(vec![FOUND, SECRET, REFUSED]),
            changes: Vec<(prop::sample::Index, u8)>,
            end: prop::sample::Index,
        ) {
            let mut bytes = message.to_vec();
            for (at, byte) in changes {
                bytes[at.index(message.len())] = byte;
            }
            for bytes in [&bytes[..], &bytes[..end.index(message.len())]] {
                let _ = length(bytes);
                let Some(Message::Reply(reply)) = parse(bytes) else { continue };
                let _ = reply.text();
                if let Some(mut body) = reply.body("aoao") {
                    let _ = (body.array(4, |body| body.path()), body.array(4, |body| body.path()));
                }
                if let Some(mut body) = reply.body("(oayays)") {
                    let _ = (body.path(), body.bytes(), body.bytes(), body.string());
                }
            }
        }
    }
}
