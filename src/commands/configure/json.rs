//! JSON as text with positions: what is edited stays as it was written, to the byte.

use serde_json::Value;
use std::ops::Range;

/// A JSON object in a text.
#[derive(Debug)]
pub(super) struct Object {
    /// What lies between its braces.
    pub(super) inside: Range<usize>,
    pub(super) members: Vec<Member>,
}

/// A member of an object, and where it stands.
#[derive(Debug)]
pub(super) struct Member {
    /// The name without quotes and escapes.
    pub(super) name: String,
    /// The name with its quotes.
    pub(super) key: Range<usize>,
    pub(super) value: Range<usize>,
}

impl Object {
    /// The object that a text consists of. Errors with what is wrong when the text is anything but strict JSON (RFC 8259), as clients
    /// read it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with('\u{feff}') {
            return Err("it begins with a byte order mark, which no client reads".into());
        }
        match serde_json::from_str(text) {
            Ok(Value::Object(_)) => Ok(Self::at(text, text.find('{').unwrap_or_default())),
            Ok(_) => Err("it holds something else than a JSON object".into()),
            Err(error) => Err(format!("it is no valid JSON: {error}")),
        }
    }

    /// The object whose brace stands at this byte of a valid text.
    fn at(text: &str, brace: usize) -> Self {
        let bytes = text.as_bytes();
        let mut members = Vec::new();
        let mut at = skip_space(bytes, brace + 1);
        while bytes.get(at).is_some_and(|byte| *byte == b'"') {
            let key = at..string_end(bytes, at);
            let colon = skip_space(bytes, key.end);
            let start = skip_space(bytes, colon + 1);
            let value = start..value_end(bytes, start);
            at = skip_space(bytes, value.end);
            if bytes.get(at) == Some(&b',') {
                at = skip_space(bytes, at + 1);
            }
            // It was parsed before as part of the whole.
            let name = serde_json::from_str(&text[key.clone()]).unwrap_or_default();
            members.push(Member { name, key, value });
        }
        Self {
            inside: brace + 1..at,
            members,
        }
    }

    /// The one member whose name `fits`. Errors when there are two: clients do not agree on which of them counts.
    pub(super) fn find(
        &self,
        fits: impl Fn(&str) -> bool,
    ) -> Result<Option<(usize, &Member)>, String> {
        let mut fitting = self
            .members
            .iter()
            .enumerate()
            .filter(|(_, member)| fits(&member.name));
        let first = fitting.next();
        match fitting.next() {
            Some((_, second)) => Err(format!("it names `{}` twice", second.name)),
            None => Ok(first),
        }
    }

    /// The member of this name as Go reads it into a structure: in any case of letters.
    pub(super) fn field(&self, name: &str) -> Result<Option<(usize, &Member)>, String> {
        self.find(|other| other.eq_ignore_ascii_case(name))
    }
}

impl Member {
    /// The value, understood.
    pub(super) fn value(&self, text: &str) -> Value {
        // It was parsed before as part of the whole.
        serde_json::from_str(&text[self.value.clone()]).unwrap_or_default()
    }

    /// The value as an object, if it is one.
    pub(super) fn object(&self, text: &str) -> Option<Object> {
        text[self.value.clone()]
            .starts_with('{')
            .then(|| Object::at(text, self.value.start))
    }
}

fn skip_space(bytes: &[u8], from: usize) -> usize {
    bytes
        .iter()
        .skip(from)
        .position(|byte| !b" \t\r\n".contains(byte))
        .map_or(bytes.len(), |length| from + length)
}

fn string_end(bytes: &[u8], quote: usize) -> usize {
    let mut at = quote + 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

fn value_end(bytes: &[u8], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = start;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                at = string_end(bytes, at);
                if depth == 0 {
                    return at;
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth <= 1 => return if depth == 1 { at + 1 } else { at },
            b'}' | b']' => depth -= 1,
            b',' | b' ' | b'\t' | b'\r' | b'\n' if depth == 0 => return at,
            _ => (),
        }
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_where_they_stand() {
        let text =
            "\n{ \"a\\u0062\" :[1,{\"}\":\"]\\\"\"}] ,\"n\":-1e3,\r\n\"s\":\"\\\\\",\"o\" : { }}\n";
        let object = Object::parse(text).unwrap();
        let found: Vec<(&str, &str)> = object
            .members
            .iter()
            .map(|member| (member.name.as_str(), &text[member.value.clone()]))
            .collect();
        assert_eq!(
            found,
            [
                ("ab", "[1,{\"}\":\"]\\\"\"}]"),
                ("n", "-1e3"),
                ("s", "\"\\\\\""),
                ("o", "{ }")
            ]
        );
        assert_eq!(&text[object.members[3].object(text).unwrap().inside], " ");
        assert_eq!(object.inside, 2..text.len() - 2);
    }

    #[test]
    fn what_clients_refuse_is_refused() {
        for (text, problem) in [
            (
                "",
                "it is no valid JSON: EOF while parsing a value at line 1 column 0",
            ),
            (
                "{\"a\":1,}",
                "it is no valid JSON: trailing comma at line 1 column 8",
            ),
            (
                "{\"a\":1} // no",
                "it is no valid JSON: trailing characters at line 1 column 9",
            ),
            (
                "{'a':1}",
                "it is no valid JSON: key must be a string at line 1 column 2",
            ),
            ("[]", "it holds something else than a JSON object"),
            (
                "\u{feff}{}",
                "it begins with a byte order mark, which no client reads",
            ),
        ] {
            assert_eq!(Object::parse(text).unwrap_err(), problem);
        }
        let twice = Object::parse("{\"auths\":{},\"Auths\":{}}").unwrap();
        assert_eq!(twice.field("auths").unwrap_err(), "it names `Auths` twice");
    }
}
