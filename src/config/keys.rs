//! The table of settings.
//!
//! Help, manual, schema, warnings about misspelt names, and the reading of the environment and the file all come from this table.

use super::values::{self, CacheChoice, Log, OnError, SourceName};
use crate::token::Audience;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// Reads the value of a setting from text. The error follows the name of the setting.
pub(super) type Parse<T> = fn(&str) -> Result<T, String>;

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name in the file.
    pub name: &'static str,
    /// Our variable for it. None if only the file may set it: anyone who can set variables could widen trust with it.
    pub variable: Option<&'static str>,
    /// The variable of the Azure SDKs with the same meaning.
    pub azure_variable: Option<&'static str>,
    /// Where in the file it may be.
    pub scope: Scope,
    /// What kind of value it takes.
    pub kind: Kind,
    /// What it means, in half a line.
    pub meaning: &'static str,
    /// What applies if it is not set: a value, or words.
    pub default: &'static str,
    /// Checks a value; the error follows the name of the setting.
    pub(super) check: Parse<()>,
}

/// A setting with the parser of its values.
pub(super) struct Setting<T> {
    pub(super) key: Key,
    pub(super) parse: Parse<T>,
}

/// Where in the file a setting may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// At the top, for all registries, or in a profile.
    Anywhere,
    /// At the top only, because it is not about a registry.
    Top,
}

/// The kind of a value in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A whole number.
    Number,
    /// `true` or `false`.
    Flag,
}

/// Our variable that names the config file.
pub const CONFIG_VARIABLE: &str = "ACRSCOPED_CONFIG";

const CACHE_MEANING: &str = if cfg!(windows) {
    "keyring for tokens: auto, none, credential-manager"
} else if cfg!(target_os = "macos") {
    "keyring for tokens: auto, none, keychain"
} else {
    "keyring for tokens: auto, none, keyutils, secret-service"
};

/// Makes a table, and a constant of each row: type, name, scope, kind and parser, then the variables, the meaning and the default.
macro_rules! keys {
    ($(#[$doc:meta])* $table:ident:
        $($id:ident: $type:ty = $name:literal $scope:ident $kind:ident$(($words:expr))? $parse:path,
        [$($variable:literal)?] $(or $azure:literal)?, $meaning:expr, default $default:literal;)*) => {
        $(pub(super) const $id: Setting<$type> = Setting {
            key: Key {
                name: $name,
                variable: [$(Some($variable),)? None][0],
                azure_variable: [$(Some($azure),)? None][0],
                scope: Scope::$scope,
                kind: Kind::$kind$(($words))?,
                meaning: $meaning,
                default: $default,
                check: |text| $parse(text).map(drop),
            },
            parse: $parse,
        };)*

        $(#[$doc])*
        pub const $table: &[Key] = &[$($id.key),*];
    };
}

keys! {
    /// Every setting, in the order of the documentation.
    KEYS:
    SOURCE: SourceName = "source" Anywhere Word(SourceName::WORDS) SourceName::parse, ["ACRSCOPED_SOURCE"],
        "use only this identity source", default "the first that is configured";
    TENANT: String = "tenant" Anywhere Text values::tenant, ["ACRSCOPED_TENANT"] or "AZURE_TENANT_ID",
        "tenant to sign in to: id or domain name", default "taken from the identity source";
    CLIENT_ID: String = "client_id" Anywhere Text values::id, ["ACRSCOPED_CLIENT_ID"] or "AZURE_CLIENT_ID",
        "application, or managed identity, to sign in as", default "taken from the identity source";
    OBJECT_ID: String = "object_id" Anywhere Text values::id, ["ACRSCOPED_OBJECT_ID"],
        "managed identity, by its object (principal) id", default "none";
    RESOURCE_ID: String = "resource_id" Anywhere Text values::resource_id, ["ACRSCOPED_RESOURCE_ID"],
        "managed identity, by its Azure resource id", default "none";
    SUBSCRIPTION: String = "subscription" Anywhere Text values::subscription, ["ACRSCOPED_SUBSCRIPTION"],
        "subscription whose account of the Azure CLI signs in", default "the Azure CLI's default subscription";
    SERVICE_CONNECTION: String = "service_connection" Anywhere Text values::id,
        ["ACRSCOPED_SERVICE_CONNECTION"] or "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID",
        "service connection of Azure Pipelines, by its id", default "none";
    AUTHORITY: Url = "authority" Anywhere Text values::authority, ["ACRSCOPED_AUTHORITY"] or "AZURE_AUTHORITY_HOST",
        "Entra authority, an https URL of a host", default "that of the registry's cloud";
    AUDIENCE: Audience = "audience" Anywhere Text Audience::parse, ["ACRSCOPED_AUDIENCE"],
        "audience of access tokens, for disconnected clouds", default "that of the registry's cloud";
    // The name is checked against the private clouds when the file is read.
    IDENTITY_CLOUD: String = "identity_cloud" Anywhere Text values::text, [],
        "cloud of the identity, as `az cloud list` names it", default "that of the registry";
    OIDC_HOST: String = "oidc_host" Anywhere Text values::host, [],
        "GitHub Enterprise or Azure DevOps Server of your CI jobs", default "none";
    USERNAME: &'static str = "username" Anywhere Word(&["guid", "token"]) values::username, ["ACRSCOPED_USERNAME"],
        "user name given to clients: guid, token", default "guid";
    ON_ERROR: OnError = "on_error" Anywhere Word(OnError::WORDS) OnError::parse, ["ACRSCOPED_ON_ERROR"],
        "if sign-in fails: fail, or anonymous", default "fail";
    CACHE: CacheChoice = "cache" Anywhere Word(CacheChoice::WORDS) CacheChoice::parse, ["ACRSCOPED_CACHE"],
        CACHE_MEANING, default "auto";
    KEEP_ACCESS_TOKEN: bool = "keep_access_token" Anywhere Flag values::flag, ["ACRSCOPED_KEEP_ACCESS_TOKEN"],
        "one sign-in for many registries: true, false", default "true";
    TIMEOUT: Duration = "timeout" Anywhere Number values::timeout, ["ACRSCOPED_TIMEOUT"],
        "seconds for one `get`, 1 to 600", default "30";
    DELEGATE: String = "delegate" Top Text values::delegate, ["ACRSCOPED_DELEGATE"],
        "credential helper for all other registries", default "none";
    CA_FILE: PathBuf = "ca_file" Top Text values::path, ["ACRSCOPED_CA_FILE"],
        "PEM certificates to trust besides the system's", default "none";
    LOG: Log = "log" Top Word(Log::WORDS) Log::parse, ["ACRSCOPED_LOG"],
        "log level: warn, info, debug", default "warn";
    // A variable would let a checkout choose a file that the helper writes to.
    LOG_FILE: PathBuf = "log_file" Top Text values::path, [],
        "file for the log, for clients that hide stderr", default "none";
}

keys! {
    /// The settings of a private cloud (`[cloud.NAME]`).
    CLOUD_KEYS:
    // Its check needs the other clouds.
    CLOUD_SUFFIX: String = "suffix" Top Text values::text, [],
        "what every login server of the cloud ends with, without a leading dot; every host below it receives tokens", default "none";
    CLOUD_AUTHORITY: Url = "authority" Top Text values::authority, [],
        "Entra authority, an https URL of a host", default "none";
    CLOUD_AUDIENCE: Audience = "audience" Top Text Audience::parse, [],
        "audience of access tokens", default "that of Azure's clouds";
}

impl Key {
    /// Returns the value that applies if the setting is not set; none if that depends on the identity source or the registry.
    pub fn default_value(&self) -> Option<&'static str> {
        let is_value = self.kind != Kind::Text && (self.check)(self.default).is_ok();
        is_value.then_some(self.default)
    }
}

#[cfg(test)]
mod tests {
    mod schema;

    use super::*;

    #[test]
    fn the_variable_of_a_setting_is_its_name_in_capitals() {
        for key in KEYS {
            let is_file_only = ["identity_cloud", "oidc_host", "log_file"].contains(&key.name);
            let variable =
                (!is_file_only).then(|| format!("ACRSCOPED_{}", key.name.to_uppercase()));
            assert_eq!(key.variable, variable.as_deref());
            assert!(key.meaning.len() <= 60, "{}", key.name);
        }
        assert!(CLOUD_KEYS.iter().all(|key| key.variable.is_none()));
    }
}
