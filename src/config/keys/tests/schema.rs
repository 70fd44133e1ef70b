//! The JSON schema of the config file, for editors: it is made from the table of settings, and so is the example of the file.
#![allow(
    clippy::disallowed_methods,
    reason = "tests are a process edge of their own"
)]

use super::super::{CLOUD_KEYS, KEYS, Key, Kind, Scope};
use crate::config::Settings;
use crate::registry::Registry;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::path::Path;

const SCHEMA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/config.schema.json");
const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/config.example.toml");
const AGAIN: &str = "ACRSCOPED_UPDATE_DOCS=1 cargo test --lib schema";

fn property(key: &Key) -> Value {
    let variable = key
        .variable
        .map(|name| format!(" Variable: {name}."))
        .unwrap_or_default();
    let description = format!("{}. Default: {}.{variable}", key.meaning, key.default);
    let mut schema = match key.kind {
        Kind::Text => json!({"type": "string", "minLength": 1}),
        Kind::Word(words) => json!({"enum": words}),
        Kind::Number => json!({"type": "integer", "minimum": 1, "maximum": 600}),
        Kind::Flag => json!({"type": "boolean"}),
    };
    schema["description"] = description.into();
    schema
}

fn settings(of_profiles: bool) -> Map<String, Value> {
    let keys = KEYS
        .iter()
        .filter(|key| !of_profiles || key.scope == Scope::Anywhere);
    keys.map(|key| (key.name.to_owned(), property(key)))
        .collect()
}

fn schema() -> Value {
    let cloud: Map<String, Value> = CLOUD_KEYS
        .iter()
        .map(|key| {
            (
                key.name.to_owned(),
                json!({"type": "string", "minLength": 1, "description": key.meaning}),
            )
        })
        .collect();
    let mut top = settings(false);
    top.insert(
        "registry".into(),
        json!({
            "description": "Profiles: settings for a host, or for all hosts below a suffix, as in `*.azurecr.io`. For each setting a host has priority over a suffix, and a longer suffix a shorter one.",
            "type": "object",
            "propertyNames": {"pattern": "^(\\*|[A-Za-z0-9-]+)(\\.[A-Za-z0-9-]+)+$"},
            "additionalProperties": {"type": "object", "properties": settings(true), "additionalProperties": false},
        }),
    );
    top.insert(
        "cloud".into(),
        json!({
            "description": "Clouds beside those of Azure. Their registries and authorities receive tokens.",
            "type": "object",
            "additionalProperties": {
                "type": "object", "properties": cloud, "required": ["suffix", "authority"], "additionalProperties": false,
            },
        }),
    );
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of docker-credential-acrscoped",
        "type": "object",
        "properties": top,
        "additionalProperties": false,
    })
}

#[test]
fn the_schema_is_made_from_the_table_of_settings() {
    let text = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    if std::env::var_os("ACRSCOPED_UPDATE_DOCS").is_some() {
        std::fs::write(SCHEMA, &text).unwrap();
    }
    assert!(
        std::fs::read_to_string(SCHEMA).is_ok_and(|shipped| shipped == text),
        "write it anew with\n{AGAIN}"
    );
}

/// Every setting stands in the example, commented out or not, and what is not commented out is understood.
#[test]
fn the_example_shows_every_setting_and_is_understood() {
    let text = std::fs::read_to_string(EXAMPLE).unwrap();
    for name in KEYS
        .iter()
        .map(|key| key.name)
        .chain(CLOUD_KEYS.iter().map(|key| key.name))
    {
        assert!(
            text.lines().any(|line| line
                .trim_start_matches("# ")
                .starts_with(&format!("{name} = "))),
            "{name}"
        );
    }
    let all: String = text
        .lines()
        .map(|line| uncommented(line).to_owned() + "\n")
        .collect();
    for text in [&text, &all] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        std::fs::write(&file, text).unwrap();
        let settings = read(&file);
        let registry = Registry::parse("contoso.azurecr.us", settings.clouds()).unwrap();
        assert!(settings.for_registry(&registry).is_ok());
    }
}

/// A line whose setting counts.
fn uncommented(line: &str) -> &str {
    let bare = line.strip_prefix("# ").unwrap_or(line);
    let is_setting = bare.starts_with('[')
        || bare
            .split_once(" = ")
            .is_some_and(|(name, _)| !name.contains(' '));
    if is_setting { bare } else { line }
}

fn read(file: &Path) -> Settings {
    let variables = HashMap::from([("ACRSCOPED_CONFIG".to_owned(), file.as_os_str().to_owned())]);
    Settings::read(variables, None, None, None).unwrap_or_else(|error| panic!("{error}"))
}
