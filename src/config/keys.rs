//! The table of settings: what each is called in the file and in the environment, where it may stand, and what it takes.
//!
//! Help, schema, warnings of misspellings and the reading of both environment and file come from this one table.

use super::values;

/// One setting.
#[derive(Debug)]
pub struct Key {
    /// Its name in the file.
    pub name: &'static str,
    /// Our own variable for it; none where the environment may not decide, which a checkout can set.
    pub variable: Option<&'static str>,
    /// The variable of the Azure SDKs with the same meaning.
    pub azure_variable: Option<&'static str>,
    /// Where in the file it may stand.
    pub place: Place,
    /// What kind of value it takes.
    pub kind: Kind,
    /// What it means, in half a line.
    pub meaning: &'static str,
    /// What holds when it is not set.
    pub default: &'static str,
    /// Says what is wrong with a value.
    pub(super) check: fn(&str) -> Result<(), String>,
}

/// Where in the file a setting may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At the top, for all registries, or in the profile of some.
    Anywhere,
    /// At the top only: it is not about a registry.
    Top,
}

/// The kind of a value in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    Text,
    /// One of some words.
    Word,
    /// A whole number.
    Number,
    /// `true` or `false`.
    Flag,
}

/// Our variable that names the file itself.
pub const CONFIG_VARIABLE: &str = "ACRSCOPED_CONFIG";

/// Every setting, in the order of the documentation.
pub const KEYS: &[Key] = &[
    key(
        "source",
        "ACRSCOPED_SOURCE",
        Kind::Word,
        "who signs in: one source of an identity, and no other",
        "the first that is configured",
        |v| values::source(v).map(drop),
    ),
    key(
        "tenant",
        "ACRSCOPED_TENANT",
        Kind::Text,
        "tenant to sign in to: id or domain name",
        "that of the source",
        |v| values::tenant(v).map(drop),
    )
    .or_azure("AZURE_TENANT_ID"),
    key(
        "client_id",
        "ACRSCOPED_CLIENT_ID",
        Kind::Text,
        "application, or managed identity, to sign in as",
        "that of the source",
        |v| values::id(v).map(drop),
    )
    .or_azure("AZURE_CLIENT_ID"),
    key(
        "object_id",
        "ACRSCOPED_OBJECT_ID",
        Kind::Text,
        "managed identity, by its object (principal) id",
        "none",
        |v| values::id(v).map(drop),
    ),
    key(
        "resource_id",
        "ACRSCOPED_RESOURCE_ID",
        Kind::Text,
        "managed identity, by its Azure resource id",
        "none",
        |v| values::resource_id(v).map(drop),
    ),
    key(
        "subscription",
        "ACRSCOPED_SUBSCRIPTION",
        Kind::Text,
        "subscription whose account of the Azure CLI signs in",
        "the default one",
        |v| values::subscription(v).map(drop),
    ),
    key(
        "service_connection",
        "ACRSCOPED_SERVICE_CONNECTION",
        Kind::Text,
        "service connection of Azure Pipelines, by its id",
        "none",
        |v| values::id(v).map(drop),
    )
    .or_azure("AZURESUBSCRIPTION_SERVICE_CONNECTION_ID"),
    key(
        "authority",
        "ACRSCOPED_AUTHORITY",
        Kind::Text,
        "Entra authority, an https URL of a host",
        "that of the registry's cloud",
        |v| values::authority(v).map(drop),
    )
    .or_azure("AZURE_AUTHORITY_HOST"),
    key(
        "audience",
        "ACRSCOPED_AUDIENCE",
        Kind::Text,
        "audience of access tokens, for disconnected clouds",
        "that of the registry's cloud",
        |v| values::audience(v).map(drop),
    ),
    key(
        "identity_cloud",
        "",
        Kind::Text,
        "cloud of the identity, as `az cloud list` names it",
        "that of the registry",
        // Which clouds there are is known when the whole file is read.
        |_| Ok(()),
    )
    .in_the_file_only(),
    key(
        "oidc_host",
        "",
        Kind::Text,
        "GitHub Enterprise or Azure DevOps Server of your CI jobs",
        "none",
        |v| values::host(v).map(drop),
    )
    .in_the_file_only(),
    key(
        "username",
        "ACRSCOPED_USERNAME",
        Kind::Word,
        "user name given to clients: guid, token",
        "guid",
        |v| values::username(v).map(drop),
    ),
    key(
        "on_error",
        "ACRSCOPED_ON_ERROR",
        Kind::Word,
        "when nobody can be signed in: fail, anonymous",
        "fail",
        |v| values::on_error(v).map(drop),
    ),
    key(
        "cache",
        "ACRSCOPED_CACHE",
        Kind::Word,
        "where tokens are kept: auto, none, or a store by its name",
        "auto",
        |v| values::cache(v).map(drop),
    ),
    key(
        "keep_access_token",
        "ACRSCOPED_KEEP_ACCESS_TOKEN",
        Kind::Flag,
        "one sign-in for many registries: true, false",
        "true",
        |v| values::flag(v).map(drop),
    ),
    key(
        "timeout",
        "ACRSCOPED_TIMEOUT",
        Kind::Number,
        "seconds for one `get`, 1 to 600",
        "30",
        |v| values::timeout(v).map(drop),
    ),
    key(
        "delegate",
        "ACRSCOPED_DELEGATE",
        Kind::Text,
        "helper for all other hosts, such as secretservice",
        "none",
        |v| values::delegate(v).map(drop),
    )
    .at_the_top(),
    key(
        "ca_file",
        "ACRSCOPED_CA_FILE",
        Kind::Text,
        "PEM certificates to trust besides the system's",
        "none",
        |v| values::path(v).map(drop),
    )
    .at_the_top(),
    key(
        "log",
        "ACRSCOPED_LOG",
        Kind::Word,
        "what is told on stderr: warn, info, debug",
        "warn",
        |v| values::log(v).map(drop),
    )
    .at_the_top(),
];

const fn key(
    name: &'static str,
    variable: &'static str,
    kind: Kind,
    meaning: &'static str,
    default: &'static str,
    check: fn(&str) -> Result<(), String>,
) -> Key {
    Key {
        name,
        variable: Some(variable),
        azure_variable: None,
        place: Place::Anywhere,
        kind,
        meaning,
        default,
        check,
    }
}

impl Key {
    const fn or_azure(self, variable: &'static str) -> Self {
        Self {
            azure_variable: Some(variable),
            ..self
        }
    }

    const fn in_the_file_only(self) -> Self {
        Self {
            variable: None,
            ..self
        }
    }

    const fn at_the_top(self) -> Self {
        Self {
            place: Place::Top,
            ..self
        }
    }

    /// The words it takes, if it takes one of some.
    pub fn words(&self) -> Vec<&'static str> {
        fn firsts<T>(known: &[(&'static str, T)]) -> Vec<&'static str> {
            known.iter().map(|(word, _)| *word).collect()
        }
        match self.name {
            "source" => super::SourceName::ALL
                .iter()
                .map(|source| source.word())
                .collect(),
            "username" => firsts(values::USERNAME),
            "on_error" => firsts(values::ON_ERROR),
            "cache" => firsts(values::CACHE),
            "log" => firsts(values::LOG),
            _ => vec![],
        }
    }

    /// The setting of this name.
    pub(super) fn named(name: &str) -> &'static Self {
        KEYS.iter()
            .find(|key| key.name == name)
            .expect("every name asked for is in the table")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_has_a_variable_that_is_its_name_in_capitals() {
        for key in KEYS {
            let is_of_the_file = ["identity_cloud", "oidc_host"].contains(&key.name);
            let variable =
                (!is_of_the_file).then(|| format!("ACRSCOPED_{}", key.name.to_uppercase()));
            assert_eq!(key.variable, variable.as_deref());
            assert_eq!(
                !key.words().is_empty(),
                key.kind == Kind::Word,
                "{}",
                key.name
            );
            assert!(key.meaning.len() <= 60, "{}", key.name);
        }
    }
}
