//! Reads and sets helpers in the JSON text of a client's file. Every other byte of the text stays.

use jsonc_parser::ast::{Object, ObjectProp, Value};
use jsonc_parser::common::Ranged;
use jsonc_parser::cst::{CstObjectProp, CstRootNode};
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};
use std::fmt;

/// The field for helpers of single hosts (docker's `config.json`, containers-auth.json(5)).
pub(super) const CRED_HELPERS: &str = "credHelpers";

/// The field for the helper of all other hosts.
pub(super) const CREDS_STORE: &str = "credsStore";

/// The target that stands for [`CREDS_STORE`]. Every other target is a host.
pub(super) const ALL_HOSTS: &str = "every host";

/// Returns the helper of a target.
///
/// # Errors
///
/// With what is wrong with the text, as in all functions here.
pub(super) fn helper(text: &str, target: &str) -> Result<Option<String>, String> {
    let root = parse(text)?;
    let found = match (target, helpers(&root)?) {
        (ALL_HOSTS, _) => find(&root, CREDS_STORE)?,
        (host, Some(helpers)) => find(helpers, host)?,
        (_, None) => None,
    };
    let name = found.and_then(|(_, property)| property.value.as_string_lit());
    let name = name.map(|name| name.value.to_string());
    Ok(name.filter(|name| !name.is_empty()))
}

/// Sets the helper of a target to this JSON text, or removes it. Returns the JSON text of the former value.
pub(super) fn set_helper(
    text: &mut String,
    target: &str,
    value: Option<&str>,
) -> Result<Option<String>, String> {
    if target == ALL_HOSTS {
        return set(text, CREDS_STORE, value);
    }
    if has_no_helpers(text)? {
        set(text, CRED_HELPERS, Some("{}"))?;
    }
    let previous = set(text, target, value)?;
    if has_no_helpers(text)? {
        set(text, CRED_HELPERS, None)?;
    }
    Ok(previous)
}

/// Removes these keys of `auths`, as they are spelled there.
pub(super) fn remove_logins(text: &str, keys: &[&str]) -> Result<String, String> {
    parse(text)?;
    let root = CstRootNode::parse(text, &ParseOptions::default())
        .map_err(|error| format!("it is no valid JSON: {error}"))?;
    let object = root.object_value_or_set();
    if let Some(auths) = object.object_value("auths") {
        for key in keys {
            auths.get(key).into_iter().for_each(CstObjectProp::remove);
        }
    }
    Ok(root.to_string())
}

/// Returns whether the text holds nothing.
pub(super) fn is_empty(text: &str) -> bool {
    parse(text).is_ok_and(|root| root.properties.is_empty())
}

fn has_no_helpers(text: &str) -> Result<bool, String> {
    let root = parse(text)?;
    Ok(helpers(&root)?.is_none_or(|helpers| helpers.properties.is_empty()))
}

/// Sets a field or a host of `credHelpers` to this JSON text, or removes it. Returns the JSON text of its former value.
fn set(text: &mut String, key: &str, value: Option<&str>) -> Result<Option<String>, String> {
    if is_blank(text) {
        "{}\n".clone_into(text);
    }
    let root = parse(text)?;
    let (object, depth) = match key {
        CRED_HELPERS | CREDS_STORE => (&root, 1),
        _ => (helpers(&root)?.unwrap_or(&root), 2),
    };
    let found = find(object, key)?;
    let previous = found.map(|(_, property)| property.value.text(text).to_owned());
    let (start, end, edit) = match (value, found) {
        (Some(value), Some((_, property))) => {
            let range = property.value.range();
            (range.start, range.end, value.to_owned())
        }
        (Some(value), None) => insertion(text, &root, object, &quoted(key), value, depth),
        (None, Some((index, _))) => removal(object, index),
        (None, None) => return Ok(None),
    };
    text.replace_range(start..end, &edit);
    Ok(previous)
}

fn is_blank(text: &str) -> bool {
    text.trim_ascii().is_empty()
}

/// Parses strict JSON (RFC 8259), as clients read it. The helpers in it are strings. A blank file is an empty object.
pub(super) fn parse(text: &str) -> Result<Object<'_>, String> {
    let text = if is_blank(text) { "{}" } else { text };
    let invalid = |error: &dyn fmt::Display| format!("it is no valid JSON: {error}");
    if text.starts_with('\u{feff}') {
        return Err("it begins with a byte order mark, which no client reads".into());
    }
    // The other parser, which knows positions, accepts more than JSON.
    serde_json::from_str::<serde_json::Value>(text).map_err(|error| invalid(&error))?;
    let parsed = parse_to_ast(text, &CollectOptions::default(), &ParseOptions::default());
    let Some(Value::Object(root)) = parsed.map_err(|error| invalid(&error))?.value else {
        return Err("it holds something else than a JSON object".into());
    };
    for field in [CRED_HELPERS, CREDS_STORE] {
        let value = find(&root, field)?.map(|(_, property)| &property.value);
        let is_valid = match value {
            None | Some(Value::NullKeyword(_)) => true,
            Some(Value::StringLit(_)) => field == CREDS_STORE,
            Some(Value::Object(helpers)) if field == CRED_HELPERS => {
                let mut helpers = helpers.properties.iter();
                helpers.all(|property| property.value.as_string_lit().is_some())
            }
            Some(_) => false,
        };
        if !is_valid {
            return Err(format!("its `{field}` names no helper in quotes"));
        }
    }
    Ok(root)
}

/// A property of an object, and its index.
type Found<'o> = Option<(usize, &'o ObjectProp<'o>)>;

/// Returns the object of `credHelpers`.
fn helpers<'o>(root: &'o Object<'o>) -> Result<Option<&'o Object<'o>>, String> {
    let found = find(root, CRED_HELPERS)?;
    Ok(found.and_then(|(_, property)| property.value.as_object()))
}

/// Returns the property of a key. Go reads field names in any case of letters, but not hosts. Two properties of that name are an error,
/// because clients do not agree on which of them counts.
fn find<'o>(object: &'o Object<'o>, key: &str) -> Result<Found<'o>, String> {
    let is_field = [CRED_HELPERS, CREDS_STORE].contains(&key);
    let properties = object.properties.iter().enumerate();
    let mut matches = properties.filter(|(_, property)| {
        let name = property.name.as_str();
        name == key || is_field && name.eq_ignore_ascii_case(key)
    });
    let found = matches.next();
    match matches.next() {
        Some((_, second)) => Err(format!("it names `{}` twice", second.name.as_str())),
        None => Ok(found),
    }
}

/// The start and end of a part of the text, and what replaces it.
type Edit = (usize, usize, String);

/// Adds a key at the end of an object, written like the other properties.
fn insertion(
    text: &str,
    root: &Object<'_>,
    object: &Object<'_>,
    key: &str,
    value: &str,
    depth: usize,
) -> Edit {
    let example = object.properties.last().or(root.properties.last());
    let colon = example.map(|property| &text[property.name.end()..property.value.start()]);
    let colon = colon.filter(|colon| !colon.contains('\n')).unwrap_or(": ");
    if let Some(last) = object.properties.last() {
        let gap = space_before(text, last);
        let end = last.range.end;
        return (end, end, format!(",{gap}{key}{colon}{value}"));
    }
    let (open, close) = padding(text, root, depth);
    let property = format!("{open}{key}{colon}{value}{close}");
    (object.range.start + 1, object.range.end - 1, property)
}

/// Returns the space around the only property of an object: as in the root, or line breaks and tabs, as docker and podman write them.
fn padding(text: &str, root: &Object<'_>, depth: usize) -> (String, String) {
    let first = root.properties.first();
    let gap = first.map_or("\n\t", |first| space_before(text, first));
    let Some((_, indent)) = gap.rsplit_once('\n') else {
        return (gap.to_owned(), gap.to_owned());
    };
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let line = |depth| newline.to_owned() + &indent.repeat(depth);
    (line(depth), line(depth - 1))
}

fn space_before<'t>(text: &'t str, property: &ObjectProp<'_>) -> &'t str {
    let before = &text[..property.range.start];
    &before[before.trim_end().len()..]
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

/// Returns a text as a JSON string.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_text_is_refused_or_edited(text in "[\\[\\]{}:,\"\\\\ \r\n\tae1é-]{0,40}") {
            if parse(&text).is_ok() {
                let mut edited = text.clone();
                for target in ["contoso.azurecr.io", ALL_HOSTS] {
                    prop_assert_eq!(set_helper(&mut edited, target, Some("\"acrscoped\"")).unwrap(), None);
                    prop_assert_eq!(helper(&edited, target).unwrap(), Some("acrscoped".to_owned()));
                }
                for target in ["contoso.azurecr.io", ALL_HOSTS] {
                    set_helper(&mut edited, target, None).unwrap();
                }
                let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
                let empty = || value("{}");
                prop_assert_eq!(value(&edited), value(&text).or_else(empty));
            }
        }
    }

    /// Names this helper for all hosts, takes it out again, and returns both texts.
    fn edit_and_undo(text: &str) -> (String, String) {
        let mut undone = text.to_owned();
        set_helper(&mut undone, ALL_HOSTS, Some("\"acrscoped\"")).unwrap();
        let edited = undone.clone();
        set_helper(&mut undone, ALL_HOSTS, None).unwrap();
        (edited, undone)
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
            assert_eq!(parse(text).unwrap_err(), problem);
        }
    }
}
