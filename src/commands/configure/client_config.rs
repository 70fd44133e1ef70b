//! Reads and edits the helpers and logins in one client file. Everything else in its text stays.

use super::file::{FileEdit, FileSnapshot, unusable};
use crate::config::{Settings, ZERO_GUID};
use crate::error::Error;
use crate::registry::Registry;
use crate::text::shell_word;
use azure_core::base64;
use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstInputValue, CstObject, CstObjectProp, CstRootNode};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// The field for helpers of single hosts (docker's `config.json`, containers-auth.json(5)).
const CRED_HELPERS: &str = "credHelpers";

/// The field for the helper of all other hosts.
const CREDS_STORE: &str = "credsStore";

const AUTHS: &str = "auths";

/// The target that stands for [`CREDS_STORE`]. Every other target is a host.
pub(super) const DEFAULT_STORE: &str = "default credential store";

/// The content of one client file.
#[derive(Debug)]
pub(super) struct ClientConfig {
    /// Its path.
    pub(super) file: String,
    pub(super) text: String,
    content: Value,
}

impl ClientConfig {
    /// Reads a file as these edits will leave it. One that does not exist is empty.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or clients could not parse it.
    pub(super) fn planned(path: &Path, edits: &[FileEdit]) -> Result<Self, Error> {
        let snapshot = FileSnapshot::read(path)?;
        let edit = edits.iter().find(|edit| edit.before.real == snapshot.real);
        let text = edit.map_or(snapshot.text, |edit| edit.after.clone());
        Self::parse(path, text.unwrap_or_default())
    }

    /// Parses strict JSON (RFC 8259), as clients read it. A blank file is an empty object.
    ///
    /// # Errors
    ///
    /// When clients could not parse it, or would not agree on what it says.
    pub(super) fn parse(path: &Path, text: String) -> Result<Self, Error> {
        let content = content(&text).map_err(|problem| {
            let file = shell_word(&path.display().to_string());
            unusable(path, format!("cannot be used: it {problem}")).with_hint(format!(
                "correct the file, or move it away and start with a new one\n  mv {file} {file}.broken"
            ))
        })?;
        Ok(Self {
            file: path.display().to_string(),
            text,
            content,
        })
    }

    /// Returns whether it holds nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.content
            .as_object()
            .is_none_or(serde_json::Map::is_empty)
    }

    /// Returns the default credential store.
    pub(super) fn store(&self) -> Option<&str> {
        let store = self.field(CREDS_STORE)?.as_str();
        store.filter(|store| !store.is_empty())
    }

    /// Returns the hosts that have a helper of their own, with its name.
    pub(super) fn helpers(&self) -> impl Iterator<Item = (&str, &str)> {
        let helpers = self.properties(CRED_HELPERS);
        helpers.filter_map(|(host, helper)| Some((host, helper.as_str()?)))
    }

    /// Returns the helper of one host.
    pub(super) fn helper(&self, host: &str) -> Option<&str> {
        let mut helpers = self.helpers();
        Some(helpers.find(|(name, _)| *name == host)?.1)
    }

    /// Returns the helper of a target.
    pub(super) fn target(&self, target: &str) -> Option<&str> {
        match target {
            DEFAULT_STORE => self.store(),
            host => self.helper(host),
        }
    }

    /// Returns the hosts with an entry, whether that is a helper or a login.
    pub(super) fn hosts(&self) -> impl Iterator<Item = &str> {
        let fields = [AUTHS, CRED_HELPERS].into_iter();
        fields.flat_map(|field| self.properties(field).map(|(host, _)| host))
    }

    /// Returns the logins of a registry, as they are spelled.
    pub(super) fn logins(&self, registry: &Registry) -> Vec<&str> {
        self.secrets().filter(|key| means(key, registry)).collect()
    }

    /// Returns the logins of all hosts that are not Azure's.
    pub(super) fn foreign_logins(&self, settings: &Settings) -> Vec<&str> {
        self.secrets()
            .filter(|key| Registry::parse(key, settings.clouds()).is_none())
            .collect()
    }

    /// Returns whether a login was written by `az acr login`: its user is the zero GUID.
    pub(super) fn is_of_azure_cli(&self, key: &str) -> bool {
        let mut logins = self.properties(AUTHS);
        let login = logins.find(|(name, _)| *name == key);
        let auth = login.and_then(|(_, login)| login.get("auth")?.as_str());
        // 36 letters are 48 in base64, without padding.
        auth.is_some_and(|auth| auth.starts_with(&base64::encode(ZERO_GUID)))
    }

    /// Returns the keys of `credHelpers` that mean a registry, but are spelled so that no client finds them.
    pub(super) fn misspelled(&self, registry: &Registry) -> impl Iterator<Item = &str> {
        let keys = self.helpers().map(|(key, _)| key);
        keys.filter(|key| key.contains('/') && means(key, registry))
    }

    /// Returns the keys of `auths` with a password or token.
    fn secrets(&self) -> impl Iterator<Item = &str> {
        const FIELDS: [&str; 4] = ["auth", "identitytoken", "registrytoken", "password"];
        let is_set = |value: Option<&Value>| {
            let text = value.and_then(Value::as_str);
            text.is_some_and(|text| !text.is_empty())
        };
        self.properties(AUTHS)
            .filter(move |(_, login)| FIELDS.iter().any(|field| is_set(login.get(field))))
            .map(|(key, _)| key)
    }

    fn properties(&self, name: &str) -> impl Iterator<Item = (&str, &Value)> {
        let object = self.field(name).and_then(Value::as_object);
        let properties = object.into_iter().flatten();
        properties.map(|(key, value)| (key.as_str(), value))
    }

    /// Returns a field. Its name may be in any case of letters, because Go reads it so.
    fn field(&self, name: &str) -> Option<&Value> {
        let mut fields = self.content.as_object()?.iter();
        Some(fields.find(|(key, _)| key.eq_ignore_ascii_case(name))?.1)
    }
}

/// Editing the text.
impl ClientConfig {
    /// Sets the helper of a target, or removes it.
    pub(super) fn set_target(&mut self, target: &str, helper: Option<&str>) {
        self.edit(|root| {
            if target == DEFAULT_STORE {
                return set(root, find(root, CREDS_STORE), CREDS_STORE, helper);
            }
            let field = find(root, CRED_HELPERS)
                .unwrap_or_else(|| root.append(CRED_HELPERS, CstInputValue::Object(vec![])));
            // A null becomes an object.
            let helpers = field.object_value_or_set();
            set(&helpers, helpers.get(target), target, helper);
            if helpers.properties().is_empty() {
                field.remove();
            }
        });
    }

    /// Removes the logins of a registry by `az acr login`. Returns their keys.
    pub(super) fn remove_logins_of_azure_cli(&mut self, registry: &Registry) -> Vec<String> {
        let keys = self.logins(registry).into_iter();
        let keys = keys.filter(|key| self.is_of_azure_cli(key));
        let keys: Vec<String> = keys.map(str::to_owned).collect();
        if !keys.is_empty() {
            self.edit(|root| {
                let auths = find(root, AUTHS).and_then(|field| field.object_value());
                let logins = keys.iter().filter_map(|key| auths.as_ref()?.get(key));
                logins.for_each(CstObjectProp::remove);
            });
        }
        keys
    }

    fn edit(&mut self, change: impl FnOnce(&CstObject)) {
        let text = if is_blank(&self.text) {
            "{}\n"
        } else {
            &self.text
        };
        // It was parsed before.
        if let Ok(root) = CstRootNode::parse(text, &ParseOptions::default()) {
            change(&root.object_value_or_set());
            self.text = root.to_string();
            self.content = content(&self.text).unwrap_or_default();
        }
    }
}

fn set(object: &CstObject, found: Option<CstObjectProp>, key: &str, value: Option<&str>) {
    match (found, value) {
        (Some(property), Some(value)) => property.set_value(value.into()),
        (Some(property), None) => property.remove(),
        (None, Some(value)) => drop(object.append(key, value.into())),
        (None, None) => (),
    }
}

/// Returns the property for a field, in any case of letters.
fn find(object: &CstObject, field: &str) -> Option<CstObjectProp> {
    let mut properties = object.properties().into_iter();
    properties.find(|property| {
        let name = property.decoded_name();
        name.is_some_and(|name| name.eq_ignore_ascii_case(field))
    })
}

fn is_blank(text: &str) -> bool {
    text.trim_ascii().is_empty()
}

/// Parses a text, or returns what is wrong with it.
fn content(text: &str) -> Result<Value, String> {
    if is_blank(text) {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    if text.starts_with('\u{feff}') {
        return Err("begins with a byte order mark, which no client reads".into());
    }
    // The parser for edits accepts more than JSON, so that this one decides.
    let content: Value =
        serde_json::from_str(text).map_err(|error| format!("is not valid JSON ({error})"))?;
    let Some(fields) = content.as_object() else {
        return Err("is not a JSON object".into());
    };
    for (name, value) in fields {
        let is_valid = match name.to_ascii_lowercase().as_str() {
            "credsstore" => value.is_null() || value.is_string(),
            "credhelpers" => {
                let helpers = value.as_object();
                value.is_null() || helpers.is_some_and(|it| it.values().all(Value::is_string))
            }
            _ => true,
        };
        if !is_valid {
            return Err(format!("has a `{name}` that names no helper in quotes"));
        }
    }
    let root = CstRootNode::parse(text, &ParseOptions::default());
    let root = root.map_err(|error| format!("is not valid JSON ({error})"))?;
    let root = root.object_value_or_set();
    let helpers = find(&root, CRED_HELPERS).and_then(|field| field.object_value());
    // Go reads the names of fields in any case of letters, but not hosts.
    let field = repeated(names(&root).map(|name| name.to_ascii_lowercase()));
    let repeated = field.or_else(|| repeated(names(&helpers?)));
    repeated.map_or(Ok(content), |name| Err(format!("has `{name}` twice")))
}

fn names(object: &CstObject) -> impl Iterator<Item = String> + use<> {
    let properties = object.properties().into_iter();
    properties.filter_map(|property| property.decoded_name())
}

/// Returns a name that is there twice: clients do not agree on which of the two counts.
fn repeated(mut names: impl Iterator<Item = String>) -> Option<String> {
    let mut seen = BTreeSet::new();
    names.find(|name| !seen.insert(name.clone()))
}

fn means(key: &str, registry: &Registry) -> bool {
    let clouds = [registry.cloud().clone()];
    Registry::parse(key, &clouds).is_some_and(|other| other.host() == registry.host())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<ClientConfig, Error> {
        ClientConfig::parse(Path::new("/f"), text.to_owned())
    }

    fn value(text: &str) -> Option<Value> {
        serde_json::from_str(text).ok()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_text_is_refused_or_edited(text in "[\\[\\]{}:,\"\\\\ \r\n\tae1é-]{0,40}") {
            if let Ok(mut config) = parse(&text) {
                for target in ["contoso.azurecr.io", DEFAULT_STORE] {
                    config.set_target(target, Some("acrscoped"));
                    prop_assert_eq!(config.target(target), Some("acrscoped"));
                    prop_assert!(value(&config.text).is_some());
                }
                for target in ["contoso.azurecr.io", DEFAULT_STORE] {
                    config.set_target(target, None);
                }
                let empty = || value("{}");
                prop_assert_eq!(value(&config.text), value(&text).or_else(empty));
            }
        }
    }

    #[test]
    fn an_entry_is_added_to_the_text_and_the_rest_stays() {
        for (text, edited) in [
            ("", "{\n  \"credsStore\": \"acrscoped\"\n}\n"),
            ("{}", "{\n  \"credsStore\": \"acrscoped\"\n}"),
            (
                "{\"a\":1e1}",
                "{\n  \"a\":1e1,\n  \"credsStore\": \"acrscoped\"\n}",
            ),
            (
                "{\n\t\"a\" : 1\n}",
                "{\n\t\"a\" : 1,\n\t\"credsStore\": \"acrscoped\"\n}",
            ),
            (
                "{\r\n    \"a\": {\"\\u00e9\":1}\r\n}",
                "{\r\n    \"a\": {\"\\u00e9\":1},\r\n    \"credsStore\": \"acrscoped\"\r\n}",
            ),
            ("{\"CredsStore\": null}", "{\"CredsStore\": \"acrscoped\"}"),
        ] {
            let mut config = parse(text).unwrap();
            config.set_target(DEFAULT_STORE, Some("acrscoped"));
            assert_eq!(config.text, edited);
        }
    }

    #[test]
    fn the_logins_of_the_azure_cli_are_removed() {
        let registry = Registry::parse("contoso.azurecr.io", &[]).unwrap();
        let azure_cli = base64::encode(format!("{ZERO_GUID}:"));
        let rest =
            r#"{"Auths":{"ghcr.io":{"auth":"YTpi"},"https://contoso.azurecr.io":{"auth":"YTpi"}}}"#;
        let login = format!(r#""Auths":{{"contoso.azurecr.io":{{"auth":"{azure_cli}"}},"#);
        let mut config = parse(&rest.replace(r#""Auths":{"#, &login)).unwrap();
        let removed = config.remove_logins_of_azure_cli(&registry);
        assert_eq!(removed, ["contoso.azurecr.io"]);
        assert_eq!(value(&config.text), value(rest));
    }

    #[test]
    fn what_clients_refuse_is_refused() {
        for (text, problem) in [
            ("[]", "is not a JSON object"),
            (
                "{\"a\":1,}",
                "is not valid JSON (trailing comma at line 1 column 8)",
            ),
            (
                "{\"a\":1} // no",
                "is not valid JSON (trailing characters at line 1 column 9)",
            ),
            (
                "{'a':1}",
                "is not valid JSON (key must be a string at line 1 column 2)",
            ),
            (
                "\u{feff}{}",
                "begins with a byte order mark, which no client reads",
            ),
            (
                "{\"credHelpers\":{},\"CredHelpers\":{}}",
                "has `credhelpers` twice",
            ),
            (
                "{\"credHelpers\":{\"a\":\"x\",\"\\u0061\":\"x\"}}",
                "has `a` twice",
            ),
            (
                "{\"credHelpers\":{\"a\":1}}",
                "has a `credHelpers` that names no helper in quotes",
            ),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("`/f` cannot be used: it {problem}")
            );
            assert!(
                error.hint().unwrap().ends_with("\n  mv /f /f.broken"),
                "{error:?}"
            );
        }
    }
}
