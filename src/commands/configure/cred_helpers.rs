//! Names this helper in the JSON text of a client's file, and takes the names out again. Every other byte of the text stays.

use super::HELPER;
use super::state::FileRecord;
use jsonc_parser::ast::{Object, ObjectProp, Value};
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};
use std::fmt;
use std::ops::Range;

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
    /// Returns where the helper is named, in words that are kept in the record.
    pub(super) fn pointer(&self) -> String {
        match self {
            Self::AllHosts => CREDS_STORE.into(),
            Self::Host(host) => format!("{CRED_HELPERS}/{host}"),
        }
    }

    /// Returns the target of a pointer, if it is one of a target.
    pub(super) fn at(pointer: &str) -> Option<Self> {
        if pointer == CREDS_STORE {
            return Some(Self::AllHosts);
        }
        let host = pointer.strip_prefix(CRED_HELPERS)?.strip_prefix('/')?;
        Some(Self::Host(host.to_owned()))
    }

    /// Returns the object in which the helper is named.
    fn object<'o>(&self, root: &'o Object<'_>) -> Result<Option<&'o Object<'o>>, String> {
        match self {
            Self::AllHosts => Ok(Some(root)),
            Self::Host(_) => {
                let field = field(root, CRED_HELPERS)?;
                Ok(field.and_then(|(_, property)| property.value.as_object()))
            }
        }
    }

    /// Returns the property of that object that names the helper.
    fn find<'o>(&self, object: &'o Object<'_>) -> Result<Option<Found<'o>>, String> {
        match self {
            Self::AllHosts => field(object, CREDS_STORE),
            Self::Host(host) => find(object, |name| name == host),
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

/// A part of the text, and what replaces it.
type Edit = (Range<usize>, String);

/// A property of an object, and its index.
type Found<'o> = (usize, &'o ObjectProp<'o>);

/// The text of a client's file while it is edited.
#[derive(Debug)]
pub(super) struct Editor {
    pub(super) text: String,
    pub(super) record: FileRecord,
    pub(super) is_changed: bool,
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
    /// When it is not clear which property counts.
    pub(super) fn install(&mut self, target: &Target) -> Result<Change, String> {
        if matches!(target, Target::Host(_)) {
            self.create_cred_helpers()?;
        }
        let root = parse(&self.text)?;
        let object = target.object(&root)?.unwrap_or(&root);
        let found = target.find(object)?;
        let former = found.and_then(|(_, property)| helper_name(&property.value));
        let change = match former {
            Some(HELPER) => return Ok(Change::Unchanged),
            Some(other) => Change::Replaced(other.to_owned()),
            None => Change::Added,
        };
        let previous = found.map(|(_, property)| property.value.text(&self.text).to_owned());
        let edit = match (found, target) {
            (Some((_, property)), _) => (range(&property.value), quoted(HELPER)),
            (None, Target::AllHosts) => {
                insertion(&self.text, &root, object, CREDS_STORE, &quoted(HELPER))
            }
            (None, Target::Host(host)) => {
                insertion(&self.text, &root, object, host, &quoted(HELPER))
            }
        };
        self.record.previous.insert(target.pointer(), previous);
        self.apply(edit);
        Ok(change)
    }

    /// Takes the name of this helper out; a former helper comes back.
    ///
    /// # Errors
    ///
    /// When it is not clear which property counts.
    pub(super) fn remove(&mut self, target: &Target) -> Result<Change, String> {
        let previous = self.record.previous.remove(&target.pointer()).flatten();
        let root = parse(&self.text)?;
        let Some(object) = target.object(&root)? else {
            return Ok(Change::Missing);
        };
        let Some((index, property)) = target.find(object)? else {
            return Ok(Change::Missing);
        };
        match helper_name(&property.value) {
            Some(HELPER) => (),
            Some(other) => return Ok(Change::Foreign(other.to_owned())),
            None => return Ok(Change::Missing),
        }
        let edit = restoration(object, index, previous.as_deref());
        self.apply(edit);
        self.restore_cred_helpers()?;
        let former: Option<String> = previous.and_then(|json| serde_json::from_str(&json).ok());
        let former = former.filter(|name| !name.is_empty());
        Ok(former.map_or(Change::Removed, Change::Restored))
    }

    /// Returns whether the object has no properties.
    pub(super) fn is_empty(&self) -> bool {
        parse(&self.text).is_ok_and(|root| root.properties.is_empty())
    }

    /// Makes `credHelpers` an object if it is none, and notes what it was.
    fn create_cred_helpers(&mut self) -> Result<(), String> {
        let root = parse(&self.text)?;
        let value = field(&root, CRED_HELPERS)?.map(|(_, property)| &property.value);
        let object = value.and_then(Value::as_object);
        if object.is_some_and(|object| !object.properties.is_empty()) {
            return Ok(());
        }
        let previous = value.map(|value| value.text(&self.text).to_owned());
        let edit = match value {
            Some(value) => (range(value), "{}".into()),
            None => insertion(&self.text, &root, &root, CRED_HELPERS, "{}"),
        };
        let records = &mut self.record.previous;
        records.entry(CRED_HELPERS.into()).or_insert(previous);
        self.apply(edit);
        Ok(())
    }

    /// Makes `credHelpers` what it was, if it is empty again.
    fn restore_cred_helpers(&mut self) -> Result<(), String> {
        let root = parse(&self.text)?;
        if let Some((index, property)) = field(&root, CRED_HELPERS)?
            && let Some(object) = property.value.as_object()
            && object.properties.is_empty()
            && let Some(previous) = self.record.previous.remove(CRED_HELPERS)
        {
            let edit = restoration(&root, index, previous.as_deref());
            self.apply(edit);
        }
        Ok(())
    }

    fn apply(&mut self, (range, text): Edit) {
        self.text.replace_range(range, &text);
        self.is_changed = true;
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
    serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(|error| invalid(&error))?;
    let parsed = parse_to_ast(text, &CollectOptions::default(), &ParseOptions::default());
    let Some(Value::Object(root)) = parsed.map_err(|error| invalid(&error))?.value else {
        return Err("it holds something else than a JSON object".into());
    };
    let is_name = |value: &Value<'_>| value.as_string_lit().is_some();
    let unnamed = |field: &str| format!("its `{field}` names no helper in quotes");
    match field(&root, CRED_HELPERS)?.map(|(_, property)| &property.value) {
        None | Some(Value::NullKeyword(_)) => (),
        Some(Value::Object(helpers)) => {
            if !helpers.properties.iter().all(|host| is_name(&host.value)) {
                return Err(unnamed(CRED_HELPERS));
            }
        }
        Some(_) => return Err(format!("its `{CRED_HELPERS}` is no object")),
    }
    match field(&root, CREDS_STORE)?.map(|(_, property)| &property.value) {
        None | Some(Value::NullKeyword(_) | Value::StringLit(_)) => Ok(root),
        Some(_) => Err(unnamed(CREDS_STORE)),
    }
}

/// Returns the property of this name as Go reads it into a structure: in any case of letters.
pub(super) fn field<'o>(object: &'o Object<'_>, name: &str) -> Result<Option<Found<'o>>, String> {
    find(object, |other| other.eq_ignore_ascii_case(name))
}

/// Returns the one property whose name matches. It is an error if there are two: clients do not agree on which of them counts.
fn find<'o>(
    object: &'o Object<'_>,
    is_match: impl Fn(&str) -> bool,
) -> Result<Option<Found<'o>>, String> {
    let properties = object.properties.iter().enumerate();
    let mut matches = properties.filter(|(_, property)| is_match(property.name.as_str()));
    let first = matches.next();
    match matches.next() {
        Some((_, second)) => Err(format!("it names `{}` twice", second.name.as_str())),
        None => Ok(first),
    }
}

/// Returns the name of a helper, if it has one.
pub(super) fn helper_name<'o>(value: &'o Value<'_>) -> Option<&'o str> {
    let name = value.as_string_lit()?.value.as_ref();
    Some(name).filter(|name| !name.is_empty())
}

/// Adds a property at the end of an object, written like the others.
fn insertion(text: &str, root: &Object<'_>, object: &Object<'_>, key: &str, value: &str) -> Edit {
    let key = quoted(key);
    let colon = colon(text, object.properties.last().or(root.properties.last()));
    let Some(last) = object.properties.last() else {
        let (open, close) = padding(text, root, usize::from(object.range != root.range));
        let inside = object.range.start + 1..object.range.end - 1;
        return (inside, format!("{open}{key}{colon}{value}{close}"));
    };
    let start = match object.properties.len() {
        1 => object.range.start + 1,
        count => object.properties[count - 2].range.end,
    };
    let gap = &text[start..last.range.start];
    let gap = gap.split_once(',').map_or(gap, |(_, space)| space);
    let end = last.range.end;
    (end..end, format!(",{gap}{key}{colon}{value}"))
}

/// Returns what to write between a name and its value: the same as this property has.
fn colon<'t>(text: &'t str, example: Option<&ObjectProp<'_>>) -> &'t str {
    let colon = example.map(|property| &text[property.name.end()..property.value.start()]);
    colon.filter(|colon| !colon.contains('\n')).unwrap_or(": ")
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
    (line(depth + 1), line(depth))
}

/// Makes a property what it was: another value, or gone with its comma.
fn restoration(object: &Object<'_>, index: usize, previous: Option<&str>) -> Edit {
    let properties = &object.properties;
    let range = match (previous, index.checked_sub(1), properties.get(index + 1)) {
        (Some(_), ..) => range(&properties[index].value),
        (None, Some(before), _) => properties[before].range.end..properties[index].range.end,
        (None, None, Some(next)) => properties[index].range.start..next.range.start,
        (None, None, None) => object.range.start + 1..object.range.end - 1,
    };
    (range, previous.unwrap_or_default().to_owned())
}

fn range(value: &Value<'_>) -> Range<usize> {
    value.start()..value.end()
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
