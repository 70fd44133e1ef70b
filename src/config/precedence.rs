//! Resolves the value of each setting. Only this file knows the precedence.
//!
//! Highest first: our own variable, the profiles that match the registry, the variable of the Azure SDKs, the top of the file, the default.
//! A more specific profile beats a less specific one. A profile beats `AZURE_*` variables, because others set those for a whole machine or pod (AKS, the login
//! step of a CI system). Our own variables are set for us, and beat it.

use super::cloud;
use super::environment::{Parse, Result, Variables, text};
use super::file::{File, Section};
use super::keys::{KEYS, Key};
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
    /// The config file.
    File {
        /// The path of the file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The host or pattern of the profile, as it is written; none at the top of the file.
        profile: Option<String>,
    },
    /// An annotation of a service account of Kubernetes.
    Annotation(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => write!(f, "`{name}`"),
            Self::File {
                path,
                line,
                profile,
            } => {
                if let Some(profile) = profile {
                    write!(f, "`[registry.\"{profile}\"]` in ")?;
                }
                write!(f, "{}:{line}", path.display())
            }
            Self::Annotation(key) => write!(f, "the annotation `{key}` of the service account"),
        }
    }
}

impl Origin {
    /// Returns what errors and hints call a setting of this origin.
    pub fn setting(&self, name: &str) -> String {
        match self {
            Self::Variable(name) | Self::Annotation(name) => (*name).to_owned(),
            Self::File { path, line, .. } => format!("{name} in {}:{line}", path.display()),
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

/// One setting that is set, as it applies to a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EffectiveSetting {
    /// Its name in the file.
    pub name: &'static str,
    /// Its value.
    pub value: String,
    /// Where the value comes from.
    pub origin: Origin,
}

/// A value, and its rank in the order of precedence: 0 is the highest.
pub(super) type Ranked<T> = (usize, Value<T>);

/// Finds the values of settings for one registry, or for none.
#[derive(Clone)]
pub(super) struct Resolver<'a> {
    variables: &'a Variables,
    file: &'a File,
    /// The settings of the profiles that match the registry, the most specific first.
    profiles: Vec<&'a Section>,
    identity_cloud: Option<&'a Cloud>,
    reads_azure_variables: bool,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(
        variables: &'a Variables,
        file: &'a File,
        registry: Option<&'a Registry>,
    ) -> Self {
        let profiles = registry.map_or_else(Vec::new, |registry| file.profiles(registry));
        let profiles: Vec<_> = profiles.iter().map(|profile| &profile.settings).collect();
        let sections = profiles.iter().copied().chain([&file.top]);
        let name = sections.filter_map(|section| section.get("identity_cloud"));
        let cloud = name.map(|name| cloud::named(&name.value, &file.clouds).ok());
        Self {
            identity_cloud: cloud.flatten().next().or(registry.map(Registry::cloud)),
            variables,
            file,
            profiles,
            reads_azure_variables: true,
        }
    }

    /// Returns a resolver that ignores the variables of the Azure SDKs.
    pub(super) fn without_azure_variables(&self) -> Self {
        Self {
            reads_azure_variables: false,
            ..self.clone()
        }
    }

    /// Returns the cloud that the identity belongs to: the registry's, unless the file names another.
    pub(super) fn identity_cloud(&self) -> Option<&'a Cloud> {
        self.identity_cloud
    }

    /// Returns the value of highest precedence, unchecked.
    fn lookup(&self, key: &Key) -> Result<Option<Ranked<String>>> {
        let in_section = |section: &&Section| section.get(key.name).cloned();
        let mut found = vec![self.variable(key.variable)?];
        found.extend(self.profiles.iter().map(in_section));
        found.push(self.azure_variable(key)?);
        found.push(in_section(&&self.file.top));
        let mut ranked = found.into_iter().enumerate();
        Ok(ranked.find_map(|(rank, found)| Some((rank, found?))))
    }

    fn variable(&self, name: Option<&'static str>) -> Result<Option<Value<String>>> {
        let Some(name) = name else { return Ok(None) };
        let origin = Origin::Variable(name);
        Ok(text(self.variables, name)?.map(|value| Value { value, origin }))
    }

    /// Returns the value of the variable of the Azure SDKs. An authority of another cloud than the identity's is ignored. AKS
    /// sets `AZURE_AUTHORITY_HOST` in every pod to the authority of its own cloud, where identities of other clouds cannot sign in.
    fn azure_variable(&self, key: &Key) -> Result<Option<Value<String>>> {
        let name = key.azure_variable.filter(|_| self.reads_azure_variables);
        let is_of_another_cloud = |found: &Value<String>| {
            let url = values::authority(&found.value).ok()?;
            let mut clouds = CLOUDS.iter().chain(&self.file.clouds);
            Some(clouds.find(|cloud| cloud.is_authority(&url))? != self.identity_cloud?)
        };
        let found = self.variable(name)?;
        Ok(found
            .filter(|found| key.name != "authority" || is_of_another_cloud(found) != Some(true)))
    }

    /// Returns the value of a setting and its rank. The file was checked when it was read, so only variables can be wrong.
    pub(super) fn find<T>(&self, name: &str, parse: Parse<T>) -> Result<Option<Ranked<T>>> {
        let Some((rank, Value { value, origin })) = self.lookup(Key::named(name))? else {
            return Ok(None);
        };
        match parse(&value) {
            Ok(value) => Ok(Some((rank, Value { value, origin }))),
            Err(problem) => Err(Error::setting(origin.setting(name), problem)),
        }
    }

    /// Returns the value of a setting.
    pub(super) fn get<T>(&self, name: &str, parse: Parse<T>) -> Result<Option<Value<T>>> {
        Ok(self.find(name, parse)?.map(|(_, value)| value))
    }

    /// Returns the value of a setting, or its default.
    pub(super) fn get_or<T>(&self, name: &str, parse: Parse<T>, default: T) -> Result<T> {
        Ok(self.get(name, parse)?.map_or(default, |found| found.value))
    }

    /// Returns the settings that are set, with their values and origins.
    pub(super) fn explain(&self) -> Result<Vec<EffectiveSetting>> {
        let explain = |key: &Key| {
            let found = self.lookup(key)?;
            Ok(found.map(|(_, Value { value, origin })| EffectiveSetting {
                name: key.name,
                value,
                origin,
            }))
        };
        KEYS.iter()
            .filter_map(|key| explain(key).transpose())
            .collect()
    }
}
