//! Names this helper in the JSON text of a client's file, and takes the names out again. Every other byte of the text stays.

use super::HELPER;
use super::state::FileRecord;
use jsonc_parser::ast::{Object, ObjectProp, Value};
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};
use std::fmt;

/// The field for helpers of single hosts (docker's `config.json`, containers-auth.json(5)).
pub(super) const CRED_HELPERS: &str = "credHelpers";

/// The field for the helper of all other hosts.
pub(super) const CREDS_STORE: &str = "credsStore";

/// Whom a helper is named for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Target {
    AllHosts,
    Host(String),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AllHosts => "every host",
            Self::Host(host) => host,
        })
    }
}

impl Target {
    /// Returns the keys that lead to the name of the helper.
    fn path(&self) -> Vec<&str> {
        match self {
            Self::AllHosts => vec![CREDS_STORE],
            Self::Host(host) => vec![CRED_HELPERS, host],
        }
    }

    /// Returns the target of a key of [`FileRecord::previous`], if it is one of a target.
    pub(super) fn from_key(key: &str) -> Option<Self> {
        match key.split_once('/') {
            Some((CRED_HELPERS, host)) => Some(Self::Host(host.to_owned())),
            None if key == CREDS_STORE => Some(Self::AllHosts),
            _ => None,
        }
    }
}

/// What an edit changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// This helper was named already.
    Unchanged,
    /// This helper is named where none was.
    Added,
    /// This helper is named in place of another.
    Replaced(String),
    /// This helper is no longer named.
    Removed,
    /// The former helper is named again.
    Restored(String),
    /// Another program has named another helper since, which was left.
    Foreign(String),
    /// No helper was named.
    Missing,
}

/// The text of a client's file while it is edited.
#[derive(Debug)]
pub(super) struct Editor {
    text: String,
    pub(super) record: FileRecord,
    is_changed: bool,
}

impl Editor {
    /// # Errors
    ///
    /// With what is wrong with the text.
    pub(super) fn new(text: &str, record: FileRecord) -> Result<Self, String> {
        let is_blank = text.trim_ascii().is_empty();
        let text = if is_blank { "{}\n" } else { text }.to_owned();
        parse(&text)?;
        Ok(Self {
            text,
            record,
            is_changed: false,
        })
    }

    /// Names this helper.
    ///
    /// # Errors
    ///
    /// When two properties have the same name, as in all methods.
    pub(super) fn install(&mut self, target: &Target) -> Result<Change, String> {
        let former = self.helper(target)?;
        if former.as_deref() == Some(HELPER) {
            return Ok(Change::Unchanged);
        }
        if matches!(target, Target::Host(_)) && self.has_no_cred_helpers()? {
            let previous = self.set(&[CRED_HELPERS], Some("{}"))?;
            let former = self.record.previous.entry(CRED_HELPERS.into());
            former.or_insert(previous);
        }
        let previous = self.set(&target.path(), Some(&quoted(HELPER)))?;
        let key = target.path().join("/");
        self.record.previous.insert(key, previous);
        Ok(former.map_or(Change::Added, Change::Replaced))
    }

    /// Takes the name of this helper out; a former helper comes back.
    ///
    /// # Errors
    ///
    /// As [`Self::install`].
    pub(super) fn remove(&mut self, target: &Target) -> Result<Change, String> {
        let key = target.path().join("/");
        let previous = self.record.previous.remove(&key).flatten();
        match self.helper(target)? {
            None => return Ok(Change::Missing),
            Some(other) if other != HELPER => return Ok(Change::Foreign(other)),
            Some(_) => self.set(&target.path(), previous.as_deref())?,
        };
        if self.has_no_cred_helpers()?
            && let Some(previous) = self.record.previous.remove(CRED_HELPERS)
        {
            self.set(&[CRED_HELPERS], previous.as_deref())?;
        }
        let former: Option<String> = previous.and_then(|json| serde_json::from_str(&json).ok());
        let former = former.filter(|name| !name.is_empty());
        Ok(former.map_or(Change::Removed, Change::Restored))
    }

    /// Returns the edited text; none if nothing was changed.
    pub(super) fn into_changed_text(self) -> Option<String> {
        self.is_changed.then_some(self.text)
    }

    /// Returns whether the file holds nothing.
    pub(super) fn is_empty(&self) -> bool {
        parse(&self.text).is_ok_and(|root| root.properties.is_empty())
    }

    fn has_no_cred_helpers(&self) -> Result<bool, String> {
        let root = parse(&self.text)?;
        let helpers = find(&root, &[CRED_HELPERS])?.1;
        let object = helpers.and_then(|(_, property)| property.value.as_object());
        Ok(object.is_none_or(|object| object.properties.is_empty()))
    }

    /// Returns the helper of a target.
    fn helper(&self, target: &Target) -> Result<Option<String>, String> {
        let root = parse(&self.text)?;
        let found = find(&root, &target.path())?.1;
        let name = found.and_then(|(_, property)| property.value.as_string_lit());
        let name = name.map(|name| name.value.to_string());
        Ok(name.filter(|name| !name.is_empty()))
    }

    /// Sets the property at a path to this JSON text, or removes it, and returns the JSON text of its former value.
    fn set(&mut self, path: &[&str], value: Option<&str>) -> Result<Option<String>, String> {
        let root = parse(&self.text)?;
        let (object, found) = find(&root, path)?;
        let previous = found.map(|(_, property)| property.value.text(&self.text).to_owned());
        let (start, end, text) = match (value, found) {
            (Some(value), Some((_, property))) => {
                let (start, end) = (property.value.start(), property.value.end());
                (start, end, value.to_owned())
            }
            (Some(value), None) => insertion(&self.text, &root, object, path, value),
            (None, Some((index, _))) => removal(object, index),
            (None, None) => return Ok(None),
        };
        self.text.replace_range(start..end, &text);
        self.is_changed = true;
        Ok(previous)
    }
}

/// Parses strict JSON (RFC 8259), as clients read it, of which helpers can be read.
///
/// # Errors
///
/// With what is wrong with the text.
pub(super) fn parse(text: &str) -> Result<Object<'_>, String> {
    let invalid = |error: &dyn fmt::Display| format!("it is no valid JSON: {error}");
    if text.starts_with('\u{feff}') {
        return Err("it begins with a byte order mark, which no client reads".into());
    }
    // The other parser, which knows positions, takes more than JSON.
    serde_json::from_str::<serde_json::Value>(text).map_err(|error| invalid(&error))?;
    let parsed = parse_to_ast(text, &CollectOptions::default(), &ParseOptions::default());
    let Some(Value::Object(root)) = parsed.map_err(|error| invalid(&error))?.value else {
        return Err("it holds something else than a JSON object".into());
    };
    let unnamed = |field: &str| Err(format!("its `{field}` names no helper in quotes"));
    let value =
        |name| Ok::<_, String>(find(&root, &[name])?.1.map(|(_, property)| &property.value));
    match value(CRED_HELPERS)? {
        None | Some(Value::NullKeyword(_)) => (),
        Some(Value::Object(helpers)) => {
            let mut values = helpers.properties.iter().map(|property| &property.value);
            if values.any(|value| value.as_string_lit().is_none()) {
                return unnamed(CRED_HELPERS);
            }
        }
        Some(_) => return Err(format!("its `{CRED_HELPERS}` is no object")),
    }
    match value(CREDS_STORE)? {
        None | Some(Value::NullKeyword(_) | Value::StringLit(_)) => Ok(root),
        Some(_) => unnamed(CREDS_STORE),
    }
}

/// A property of an object, and its index.
type Found<'o> = Option<(usize, &'o ObjectProp<'o>)>;

/// Returns the object that holds the last key of a path, and the property of that key. Go reads the names of fields in any case of letters,
/// but not hosts. It is an error if there are two: clients do not agree on which of them counts.
fn find<'o>(root: &'o Object<'o>, path: &[&str]) -> Result<(&'o Object<'o>, Found<'o>), String> {
    let (mut object, mut found) = (root, None);
    for (depth, key) in path.iter().enumerate() {
        if depth > 0 {
            let value = found.map(|(_, property): (_, &ObjectProp<'_>)| &property.value);
            let Some(inner) = value.and_then(Value::as_object) else {
                return Ok((object, None));
            };
            object = inner;
        }
        let properties = object.properties.iter().enumerate();
        let mut matches = properties.filter(|(_, property)| {
            let name = property.name.as_str();
            name == *key || depth == 0 && name.eq_ignore_ascii_case(key)
        });
        found = matches.next();
        if let Some((_, second)) = matches.next() {
            return Err(format!("it names `{}` twice", second.name.as_str()));
        }
    }
    Ok((object, found))
}

/// The start and end of a part of the text, and what replaces it.
type Edit = (usize, usize, String);

/// Adds the last key of a path at the end of its object, written like the other properties.
fn insertion(
    text: &str,
    root: &Object<'_>,
    object: &Object<'_>,
    path: &[&str],
    value: &str,
) -> Edit {
    let key = quoted(path.last().copied().unwrap_or_default());
    let example = object.properties.last().or(root.properties.last());
    let colon = example.map(|property| &text[property.name.end()..property.value.start()]);
    let colon = colon.filter(|colon| !colon.contains('\n')).unwrap_or(": ");
    let Some(last) = object.properties.last() else {
        let (open, close) = padding(text, root, path.len());
        let property = format!("{open}{key}{colon}{value}{close}");
        return (object.range.start + 1, object.range.end - 1, property);
    };
    let start = match object.properties.len() {
        1 => object.range.start + 1,
        count => object.properties[count - 2].range.end,
    };
    let gap = &text[start..last.range.start];
    let gap = gap.split_once(',').map_or(gap, |(_, space)| space);
    let end = last.range.end;
    (end, end, format!(",{gap}{key}{colon}{value}"))
}

/// Returns the space around the only property of an object: as in the root, or line breaks and tabs, as docker and podman write them.
fn padding(text: &str, root: &Object<'_>, depth: usize) -> (String, String) {
    let first = root.properties.first();
    let gap = first.map(|first| &text[root.range.start + 1..first.range.start]);
    let indent = match gap.map(|gap| gap.rsplit_once('\n').ok_or(gap)) {
        Some(Err(space)) => return (space.to_owned(), space.to_owned()),
        Some(Ok((_, indent))) => indent,
        None => "\t",
    };
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let line = |depth| format!("{newline}{}", indent.repeat(depth));
    (line(depth), line(depth - 1))
}

/// Removes a property with its comma.
fn removal(object: &Object<'_>, index: usize) -> Edit {
    let properties = &object.properties;
    let (start, end) = match (index.checked_sub(1), properties.get(index + 1)) {
        (Some(before), _) => (properties[before].range.end, properties[index].range.end),
        (None, Some(next)) => (properties[index].range.start, next.range.start),
        (None, None) => (object.range.start + 1, object.range.end - 1),
    };
    (start, end, String::new())
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_text_is_too_odd_to_be_refused_or_edited(text in "[\\[\\]{}:,\"\\\\ \r\n\tae1é-]{0,40}") {
            if let Ok(mut editor) = Editor::new(&text, FileRecord::default()) {
                let host = Target::Host("contoso.azurecr.io".into());
                for target in [&host, &Target::AllHosts] {
                    prop_assert_eq!(editor.install(target).unwrap(), Change::Added);
                    parse(&editor.text).unwrap();
                }
                for target in [&host, &Target::AllHosts] {
                    prop_assert_eq!(editor.remove(target).unwrap(), Change::Removed);
                }
                let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
                let empty = || value("{}");
                prop_assert_eq!(value(&editor.text), value(&text).or_else(empty));
                prop_assert!(editor.record.is_empty());
            }
        }
    }

    /// Names this helper for all hosts, takes it out again, and returns both texts.
    fn edit_and_undo(text: &str) -> (String, String) {
        let mut editor = Editor::new(text, FileRecord::default()).unwrap();
        editor.install(&Target::AllHosts).unwrap();
        let edited = editor.text.clone();
        editor.remove(&Target::AllHosts).unwrap();
        (edited, editor.text)
    }

    #[test]
    fn a_property_is_written_like_those_beside_it() {
        for (text, edited) in [
            ("{}", "{\n\t\"credsStore\": \"acrscoped\"\n}"),
            (
                "{ \r\n}\r\n",
                "{\r\n\t\"credsStore\": \"acrscoped\"\r\n}\r\n",
            ),
            ("{\"a\":1}", "{\"a\":1,\"credsStore\":\"acrscoped\"}"),
            (
                "{ \"a\": 1 }",
                "{ \"a\": 1, \"credsStore\": \"acrscoped\" }",
            ),
            (
                "{\n  \"a\": 1\n}",
                "{\n  \"a\": 1,\n  \"credsStore\": \"acrscoped\"\n}",
            ),
            (
                "{\r\n    \"a\" : {}\r\n}",
                "{\r\n    \"a\" : {},\r\n    \"credsStore\" : \"acrscoped\"\r\n}",
            ),
            (
                "{\n\t\"a\":\n\t\t1\n}",
                "{\n\t\"a\":\n\t\t1,\n\t\"credsStore\": \"acrscoped\"\n}",
            ),
            (
                "{ \"a\": 1\n, \"b\": 2\n}",
                "{ \"a\": 1\n, \"b\": 2, \"credsStore\": \"acrscoped\"\n}",
            ),
        ] {
            let (text_with_ours, undone) = edit_and_undo(text);
            assert_eq!(text_with_ours, edited);
            let is_empty = parse(text).unwrap().properties.is_empty();
            assert!(is_empty || undone == text, "{undone}");
        }
    }

    #[test]
    fn what_clients_refuse_is_refused() {
        for (text, problem) in [
            ("[]", "it holds something else than a JSON object"),
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
            (
                "\u{feff}{}",
                "it begins with a byte order mark, which no client reads",
            ),
            (
                "{\"credHelpers\":{},\"CredHelpers\":{}}",
                "it names `CredHelpers` twice",
            ),
            (
                "{\"credHelpers\":{\"a\":1}}",
                "its `credHelpers` names no helper in quotes",
            ),
        ] {
            assert_eq!(
                Editor::new(text, FileRecord::default()).unwrap_err(),
                problem
            );
        }
    }
}
