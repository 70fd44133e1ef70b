//! Resolves the value of each setting. Only this file knows the precedence.
//!
//! Highest first: our own variable, the profiles that match the registry, the variable of the Azure SDKs, the top of the file, the default.
//! A more specific profile has priority over a less specific one. A profile has priority over `AZURE_*` variables, because AKS or the sign-in
//! step of a CI system sets those for a whole pod or job. `ACRSCOPED_*` variables are set for this helper alone, so they come first.

use super::cloud;
use super::environment::{Result, Variables, text};
use super::file::{File, Profile, Section};
use super::keys::{AUTHORITY, IDENTITY_CLOUD, KEYS, Key, Setting};
use super::values;
use crate::error::{Error, config_file};
use crate::registry::{Cloud, Registry};
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
            Self::File { path, line, .. } => format!("{name} in {}:{line}", config_file(path)),
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

/// A value, and its rank in the order of precedence: 0 is the highest.
pub(super) type Ranked<T> = (usize, Value<T>);

/// Finds the values of settings for one registry, or for none.
#[derive(Clone)]
pub(super) struct Resolver<'a> {
    variables: &'a Variables,
    file: &'a File,
    /// The profiles that match the registry, the most specific first.
    profiles: Vec<&'a Profile>,
    /// The cloud that the identity belongs to: the registry's, unless the file names another.
    pub(super) identity_cloud: Option<&'a Cloud>,
    reads_azure_variables: bool,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(
        variables: &'a Variables,
        file: &'a File,
        registry: Option<&'a Registry>,
    ) -> Self {
        let mut resolver = Self {
            variables,
            file,
            profiles: registry.map_or_else(Vec::new, |registry| file.profiles(registry)),
            identity_cloud: registry.map(Registry::cloud),
            reads_azure_variables: true,
        };
        // Only the file can set it, and was checked when it was read.
        if let Ok(Some(name)) = resolver.get(&IDENTITY_CLOUD) {
            resolver.identity_cloud = cloud::named(&name.value, &file.clouds).ok();
        }
        resolver
    }

    /// Returns a resolver that ignores the variables of the Azure SDKs.
    pub(super) fn without_azure_variables(&self) -> Self {
        Self {
            reads_azure_variables: false,
            ..self.clone()
        }
    }

    /// Returns the value of highest precedence, unchecked.
    fn lookup(&self, key: &Key) -> Result<Option<Ranked<String>>> {
        let in_section = |section: &Section| section.get(key.name).cloned();
        let mut found = vec![self.variable(key.variable)?];
        found.extend(self.profiles.iter().map(|it| in_section(&it.settings)));
        found.push(self.azure_variable(key)?);
        found.push(in_section(&self.file.top));
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
        let found = self.variable(name)?;
        let is_authority = key.name == AUTHORITY.key.name;
        Ok(found.filter(|found| !is_authority || !self.is_of_another_cloud(&found.value)))
    }

    fn is_of_another_cloud(&self, authority: &str) -> bool {
        let Ok(url) = values::authority(authority) else {
            return false;
        };
        let cloud = self.file.all_clouds().find(|it| it.is_authority(&url));
        cloud
            .zip(self.identity_cloud)
            .is_some_and(|(it, own)| it != own)
    }

    /// Returns the value of a setting and its rank. The file was checked when it was read, so only variables can be wrong.
    pub(super) fn find<T>(&self, setting: &Setting<T>) -> Result<Option<Ranked<T>>> {
        let Some((rank, Value { value, origin })) = self.lookup(&setting.key)? else {
            return Ok(None);
        };
        match (setting.parse)(&value) {
            Ok(value) => Ok(Some((rank, Value { value, origin }))),
            Err(problem) => Err(Error::setting(origin.setting(setting.key.name), problem)),
        }
    }

    /// Returns the value of a setting that may be unset.
    pub(super) fn get<T>(&self, setting: &Setting<T>) -> Result<Option<Value<T>>> {
        Ok(self.find(setting)?.map(|(_, value)| value))
    }

    /// Returns the value of a setting, or the default of the table.
    pub(super) fn value<T>(&self, setting: &Setting<T>) -> Result<T> {
        match self.get(setting)? {
            Some(found) => Ok(found.value),
            None => (setting.parse)(setting.key.default).map_err(Error::input),
        }
    }

    /// Returns the settings that are set, with their values and origins.
    pub(super) fn explain(&self) -> Result<Vec<(&'static str, Value<String>)>> {
        let found = KEYS.iter().map(|key| {
            let found = self.lookup(key)?;
            Ok(found.map(|(_, value)| (key.name, value)))
        });
        found.filter_map(Result::transpose).collect()
    }
}
