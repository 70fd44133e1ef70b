//! Reads the helpers and logins of one client file.

use super::cred_helpers::{CRED_HELPERS, CREDS_STORE, parse};
use super::file::{FileSnapshot, unusable};
use super::plan::Plan;
use crate::config::Settings;
use crate::error::Error;
use crate::registry::Registry;
use serde_json::Value;
use std::path::Path;

/// The content of one client file.
#[derive(Debug)]
pub(super) struct ClientConfig {
    /// Its path.
    pub(super) file: String,
    content: Value,
}

impl ClientConfig {
    /// Reads a file; one that does not exist is empty.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or clients could not parse it.
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        Self::planned(path, &[])
    }

    /// Reads a file as these plans will leave it.
    ///
    /// # Errors
    ///
    /// As [`Self::read`].
    pub(super) fn planned(path: &Path, plans: &[Plan]) -> Result<Self, Error> {
        let snapshot = FileSnapshot::read(path)?;
        let mut plans = plans.iter();
        let plan = plans.find(|plan| plan.before.real == snapshot.real);
        let text = plan.map_or(snapshot.text, |plan| plan.after.clone());
        let text = text.unwrap_or_default();
        parse(&text).map_err(|problem| unusable(path, format!("cannot be read: {problem}")))?;
        Ok(Self {
            file: path.display().to_string(),
            // A blank file is no JSON, but clients accept it.
            content: serde_json::from_str(&text).unwrap_or_default(),
        })
    }

    /// Returns the helper of all hosts.
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

    /// Returns the hosts under `auths`, whether they have a login or not.
    pub(super) fn hosts(&self) -> impl Iterator<Item = &str> {
        self.properties("auths").map(|(host, _)| host)
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
        self.properties("auths")
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

fn means(key: &str, registry: &Registry) -> bool {
    let clouds = [registry.cloud().clone()];
    Registry::parse(key, &clouds).is_some_and(|other| other.host() == registry.host())
}
