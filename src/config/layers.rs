//! Where a value comes from. The one place that knows which layer beats which.
//!
//! From the strongest: our own variable, the profiles that fit the registry (the most specific first), the variable of the Azure SDKs,
//! the top of the file, the built-in default. A profile beats `AZURE_*` variables, because those are set for a whole machine or pod by
//! others (AKS, a CI's login step) and would else make a profile void; our own variables are set for us, and beat it.

use super::cloud;
use super::environment::{Variables, text};
use super::file::error_at;
use super::file::{Entry, File, Profile};
use super::keys::{KEYS, Key, Place};
use super::values;
use crate::error::Error;
use crate::registry::{CLOUDS, Cloud, Registry};
use std::fmt;
use std::path::PathBuf;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A variable of the environment.
    Variable(&'static str),
    /// A profile of the config file.
    Profile {
        /// The file.
        file: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The pattern, as it was written.
        pattern: String,
    },
    /// The top of the config file.
    Top {
        /// The file.
        file: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// An annotation of a service account of Kubernetes.
    Annotation(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => write!(f, "`{name}`"),
            Self::Profile {
                file,
                line,
                pattern,
            } => write!(f, "`[registry.\"{pattern}\"]` in {}:{line}", file.display()),
            Self::Top { file, line } => write!(f, "{}:{line}", file.display()),
            Self::Annotation(key) => write!(f, "the annotation `{key}` of the service account"),
        }
    }
}

impl Origin {
    /// What an error or a hint calls a setting of this origin.
    pub fn setting(&self, name: &str) -> String {
        match self {
            Self::Variable(name) | Self::Annotation(name) => (*name).to_owned(),
            Self::Profile { file, line, .. } | Self::Top { file, line } => {
                format!("{name} in {}:{line}", file.display())
            }
        }
    }
}

/// A value, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value<T> {
    /// The value.
    pub value: T,
    /// Where it comes from.
    pub origin: Origin,
}

/// One setting as it stands for a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// Its name in the file.
    pub name: &'static str,
    /// Its value; what holds by default when it is not set.
    pub value: String,
    /// Where that comes from; nowhere when it is not set.
    pub origin: Option<Origin>,
}

/// The layers for one registry, or for none.
pub(super) struct Layers<'a> {
    variables: &'a Variables,
    file: &'a File,
    profiles: Vec<&'a Profile>,
    registry: Option<&'a Registry>,
}

/// A value that was found, and in which layer: 0 is the strongest.
pub(super) struct Found {
    pub(super) text: String,
    pub(super) origin: Origin,
    pub(super) layer: usize,
}

impl<'a> Layers<'a> {
    pub(super) fn new(
        variables: &'a Variables,
        file: &'a File,
        registry: Option<&'a Registry>,
    ) -> Self {
        let profiles = registry
            .map(|registry| file.profiles(registry.host(), registry.login_server()))
            .unwrap_or_default();
        Self {
            variables,
            file,
            profiles,
            registry,
        }
    }

    /// The value of a setting in the strongest layer that has one, among those that `counts`.
    fn find(&self, key: &Key, counts: impl Fn(&Origin) -> bool) -> Result<Option<Found>, Error> {
        let mut layers = vec![
            key.variable
                .map(|name| self.variable(name))
                .transpose()?
                .flatten(),
        ];
        let profiles = self
            .profiles
            .iter()
            .map(|profile| self.entry(profile.settings.get(key.name), Some(&profile.name)));
        layers.extend(profiles);
        layers.push(self.azure_variable(key)?);
        layers.push(self.entry(self.file.top.get(key.name), None));
        let found = layers
            .into_iter()
            .enumerate()
            .filter_map(|(layer, found)| Some((layer, found?)));
        let mut counting = found.filter(|(_, (_, origin))| counts(origin));
        Ok(counting.next().map(|(layer, (text, origin))| Found {
            text,
            origin,
            layer,
        }))
    }

    fn variable(&self, name: &'static str) -> Result<Option<(String, Origin)>, Error> {
        Ok(text(self.variables, name)?.map(|text| (text, Origin::Variable(name))))
    }

    fn azure_variable(&self, key: &Key) -> Result<Option<(String, Origin)>, Error> {
        let Some(name) = key.azure_variable.filter(|_| key.place == Place::Anywhere) else {
            return Ok(None);
        };
        let found = self.variable(name)?;
        Ok(found.filter(|(text, _)| key.name != "authority" || !self.is_of_another_cloud(text)))
    }

    /// The cloud that the identity belongs to: that of the registry, unless the file names another.
    pub(super) fn identity_cloud(&self) -> Result<Option<&'a Cloud>, Error> {
        const NAME: &str = "identity_cloud";
        let Some(found) = self.found(NAME, |_| true)? else {
            return Ok(self.registry.map(Registry::cloud));
        };
        let cloud = cloud::named(&found.text, &self.file.clouds);
        cloud
            .map(Some)
            .map_err(|problem| wrong(NAME, &found.origin, problem))
    }

    /// AKS sets `AZURE_AUTHORITY_HOST` in every pod to the authority of its own cloud. Identities of another do not sign in there, so it
    /// is not meant for those.
    fn is_of_another_cloud(&self, authority: &str) -> bool {
        let Ok(url) = values::authority(authority) else {
            return false;
        };
        let its = CLOUDS
            .iter()
            .chain(&self.file.clouds)
            .find(|cloud| cloud.is_authority(&url));
        let identity = self.identity_cloud().ok().flatten();
        its.is_some_and(|its| identity.is_some_and(|identity| identity != its))
    }

    fn entry(&self, entry: Option<&Entry>, pattern: Option<&String>) -> Option<(String, Origin)> {
        let Entry { value, line } = entry?;
        let (file, line) = (self.file.path.clone(), *line);
        let origin = match pattern {
            Some(pattern) => Origin::Profile {
                file,
                line,
                pattern: pattern.clone(),
            },
            None => Origin::Top { file, line },
        };
        Some((value.clone(), origin))
    }

    /// The value of the setting of this name.
    pub(super) fn value<T>(
        &self,
        name: &str,
        parse: fn(&str) -> Result<T, String>,
    ) -> Result<Option<Value<T>>, Error> {
        self.value_of(name, |_| true, parse)
    }

    /// The value in the strongest layer among those that `counts`.
    pub(super) fn value_of<T>(
        &self,
        name: &str,
        counts: impl Fn(&Origin) -> bool,
        parse: fn(&str) -> Result<T, String>,
    ) -> Result<Option<Value<T>>, Error> {
        let Some(found) = self.find(Key::named(name), counts)? else {
            return Ok(None);
        };
        let value = parse(&found.text).map_err(|problem| wrong(name, &found.origin, problem))?;
        Ok(Some(Value {
            value,
            origin: found.origin,
        }))
    }

    /// The text of a setting and its layer, among those that `counts`.
    pub(super) fn found(
        &self,
        name: &str,
        counts: impl Fn(&Origin) -> bool,
    ) -> Result<Option<Found>, Error> {
        let key = Key::named(name);
        let found = self.find(key, counts)?;
        if let Some(found) = &found {
            (key.check)(&found.text).map_err(|problem| wrong(name, &found.origin, problem))?;
        }
        Ok(found)
    }

    /// Every setting, its value, and where it comes from.
    pub(super) fn explain(&self) -> Result<Vec<Explained>, Error> {
        let keys = KEYS
            .iter()
            .filter(|key| self.registry.is_some() || key.place == Place::Top);
        keys.map(|key| {
            let found = self.find(key, |_| true)?;
            let (value, origin) = found.map_or((key.default.to_owned(), None), |found| {
                (found.text, Some(found.origin))
            });
            Ok(Explained {
                name: key.name,
                value,
                origin,
            })
        })
        .collect()
    }
}

/// The file was checked when it was read, so that in practice only variables are wrong here.
fn wrong(name: &str, origin: &Origin, problem: String) -> Error {
    match origin {
        Origin::Variable(name) | Origin::Annotation(name) => Error::setting(name, problem),
        Origin::Profile { file, line, .. } | Origin::Top { file, line } => {
            let problem = format!("`{name}` {problem}");
            error_at(file, *line, 1, &problem)
        }
    }
}
