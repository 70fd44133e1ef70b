//! What one file of a client says of helpers and logins.

use super::disk::{Found, unusable};
use super::json::Object;
use super::plan::Plan;
use super::wire::{named, store};
use crate::config::Settings;
use crate::error::Error;
use crate::registry::Registry;
use serde_json::Value;
use std::path::Path;

/// What one file says.
#[derive(Debug)]
pub(super) struct State {
    /// Its path.
    pub(super) file: String,
    text: String,
    helpers: Vec<(String, String)>,
    /// The helper for all hosts.
    pub(super) store: Option<String>,
}

impl State {
    /// A file that does not exist says nothing.
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        Self::planned(path, &[])
    }

    /// The same as these plans will leave it.
    pub(super) fn planned(path: &Path, plans: &[Plan]) -> Result<Self, Error> {
        let found = Found::look(path)?;
        let plan = plans.iter().find(|plan| plan.found.real == found.real);
        let text = plan.map_or(found.text, |plan| Some(plan.text().to_owned()));
        let text = text
            .filter(|text| !text.trim().is_empty())
            .unwrap_or_else(|| "{}".into());
        let broken = |problem: String| unusable(path, format!("cannot be read: {problem}"));
        let (helpers, store) = (named(&text).map_err(broken)?, store(&text).map_err(broken)?);
        Ok(Self {
            file: path.display().to_string(),
            text,
            helpers,
            store,
        })
    }

    /// The helper for one host.
    pub(super) fn helper(&self, host: &str) -> Option<&str> {
        self.helpers
            .iter()
            .find(|(name, _)| name == host)
            .map(|(_, helper)| helper.as_str())
    }

    /// The entries of `auths` with a password or token, and whose they are.
    fn secrets(&self) -> Vec<String> {
        let Some(auths) = Object::parse(&self.text).ok().and_then(|root| {
            root.field("auths")
                .ok()?
                .and_then(|(_, member)| member.object(&self.text))
        }) else {
            return vec![];
        };
        let holds = |value: &Value| {
            let filled = |name: &str| {
                value
                    .get(name)
                    .and_then(Value::as_str)
                    .is_some_and(|text| !text.is_empty())
            };
            ["auth", "identitytoken", "registrytoken", "password"]
                .into_iter()
                .any(filled)
        };
        let holding = auths
            .members
            .iter()
            .filter(|member| holds(&member.value(&self.text)));
        holding.map(|member| member.name.clone()).collect()
    }

    /// The hosts of `auths`, be their entries empty or not.
    pub(super) fn hosts(&self) -> Vec<String> {
        let root = Object::parse(&self.text).ok();
        let auths = root.and_then(|root| {
            root.field("auths")
                .ok()?
                .and_then(|(_, member)| member.object(&self.text))
        });
        auths
            .map(|auths| {
                auths
                    .members
                    .into_iter()
                    .map(|member| member.name)
                    .collect()
            })
            .unwrap_or_default()
    }

    /// The logins of a registry.
    pub(super) fn logins(&self, registry: &Registry) -> Vec<String> {
        let clouds = [registry.cloud().clone()];
        let mut logins = self.secrets();
        logins.retain(|key| {
            Registry::parse(key, &clouds).is_some_and(|other| other.host() == registry.host())
        });
        logins
    }

    /// The logins of all hosts that are not Azure's.
    pub(super) fn foreign_logins(&self, settings: &Settings) -> Vec<String> {
        let mut logins = self.secrets();
        logins.retain(|key| Registry::parse(key, settings.clouds()).is_none());
        logins
    }

    /// The keys that mean a registry, and under which no client looks.
    pub(super) fn misspelt(&self, registry: &Registry) -> Vec<String> {
        let clouds = [registry.cloud().clone()];
        let means = |key: &str| {
            Registry::parse(key, &clouds).is_some_and(|other| other.host() == registry.host())
        };
        let keys = self
            .helpers
            .iter()
            .map(|(key, _)| key)
            .filter(|key| key.contains('/') && means(key));
        keys.cloned().collect()
    }
}
