//! The values that settings take: text from the environment or the file, read into types that cannot be wrong.
//!
//! An error says what is wrong and what is expected, fit to follow the name of the setting.

use super::{CacheChoice, Log, OnError, SourceName};
use crate::token::Audience;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// The user name that goes with a refresh token when nothing else is asked for (Microsoft, "registry authentication").
pub const ZERO_GUID: &str = "00000000-0000-0000-0000-000000000000";

/// The user name that tells docker that the secret is an identity token (docker/cli, `native_store.go`).
pub const IDENTITY_TOKEN: &str = "<token>";

pub(super) const CACHE: &[(&str, CacheChoice)] = &[
    ("auto", CacheChoice::Auto),
    ("keyutils", CacheChoice::Keyutils),
    ("secret-service", CacheChoice::SecretService),
    ("keychain", CacheChoice::Keychain),
    ("credential-manager", CacheChoice::CredentialManager),
    ("none", CacheChoice::None),
];
pub(super) const LOG: &[(&str, Log)] = &[
    ("warn", Log::Warn),
    ("info", Log::Info),
    ("debug", Log::Debug),
];
pub(super) const ON_ERROR: &[(&str, OnError)] =
    &[("fail", OnError::Fail), ("anonymous", OnError::Anonymous)];
pub(super) const USERNAME: &[(&str, &str)] = &[("guid", ZERO_GUID), ("token", IDENTITY_TOKEN)];
pub(super) const FLAG: &[(&str, bool)] = &[("true", true), ("false", false)];

/// What one of the known words stands for.
pub(super) fn word<T: Copy>(value: &str, known: &[(&str, T)]) -> Result<T, String> {
    known
        .iter()
        .find(|(word, _)| *word == value)
        .map(|(_, meaning)| *meaning)
        .ok_or_else(|| {
            let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
            format!(
                "is {value:?}, expected one of {}{}",
                words.join(", "),
                nearest(value, words.iter().copied())
            )
        })
}

/// A store of another system is no value here: a token would be kept nowhere, without a word.
pub(super) fn cache(value: &str) -> Result<CacheChoice, String> {
    let here: Vec<(&str, CacheChoice)> = CACHE
        .iter()
        .copied()
        .filter(|(_, choice)| choice.is_of_this_system())
        .collect();
    word(value, &here)
}

pub(super) fn log(value: &str) -> Result<Log, String> {
    word(value, LOG)
}

pub(super) fn on_error(value: &str) -> Result<OnError, String> {
    word(value, ON_ERROR)
}

pub(super) fn username(value: &str) -> Result<&'static str, String> {
    word(value, USERNAME)
}

pub(super) fn flag(value: &str) -> Result<bool, String> {
    word(value, FLAG)
}

pub(super) fn source(value: &str) -> Result<SourceName, String> {
    let known: Vec<(&str, SourceName)> = SourceName::ALL
        .iter()
        .map(|source| (source.word(), *source))
        .collect();
    word(value, &known)
}

pub(super) fn timeout(value: &str) -> Result<Duration, String> {
    let seconds = value
        .parse()
        .ok()
        .filter(|seconds| (1..=600).contains(seconds));
    seconds
        .map(Duration::from_secs)
        .ok_or_else(|| format!("is {value:?}, expected whole seconds from 1 to 600"))
}

/// A directory's id or one of its domain names: it becomes part of the authority's address.
pub(crate) fn tenant(value: &str) -> Result<String, String> {
    is_tenant(value)
        .then(|| value.to_owned())
        .ok_or_else(|| format!("is {value:?}, expected a tenant's id or domain name"))
}

/// Whether it can be a tenant: only that becomes part of an address, or of a command to paste.
pub(crate) fn is_tenant(text: &str) -> bool {
    let is_written = text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.');
    // Nothing, and what would be a step in a path, is none.
    is_written && text.bytes().any(|byte| byte != b'.')
}

/// An id as Entra gives it to applications, identities and service connections.
pub(super) fn id(value: &str) -> Result<String, String> {
    let is_id = value
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    is_id
        .then(|| value.to_owned())
        .ok_or_else(|| format!("is {value:?}, expected an id of letters, digits and `-`"))
}

/// `/subscriptions/…/userAssignedIdentities/NAME`.
pub(super) fn resource_id(value: &str) -> Result<String, String> {
    let is_plain = value
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !b"?&#\"'`\\".contains(&byte));
    let is_path = value.to_ascii_lowercase().starts_with("/subscriptions/");
    (is_plain && is_path)
        .then(|| value.to_owned())
        .ok_or_else(|| {
            format!(
                "is {value:?}, expected an Azure resource id that begins with `/subscriptions/`"
            )
        })
}

/// The id or name of a subscription. Only what the Azure CLI can be given without quoting trouble, as `azure_identity` demands.
pub(super) fn subscription(value: &str) -> Result<String, String> {
    let is_name = value
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || " -_.".contains(c));
    is_name
        .then(|| value.to_owned())
        .ok_or_else(|| format!("is {value:?}, expected a subscription's id, or a name of letters, digits, spaces and `-_.`"))
}

pub(super) fn audience(value: &str) -> Result<Audience, String> {
    Audience::parse(value)
}

/// The address of an authority: `https`, a host, and nothing else. The Azure SDKs take a bare host too.
pub(super) fn authority(value: &str) -> Result<Url, String> {
    let url = if value.contains("://") {
        value.to_owned()
    } else {
        format!("https://{value}")
    };
    Url::parse(&url)
        .ok()
        .filter(|url| url.scheme() == "https" && url.has_host() && is_bare(url))
        .ok_or_else(|| {
            "is not an https URL of a host alone, such as `https://login.microsoftonline.com`"
                .into()
        })
}

/// A host name alone.
pub(super) fn host(value: &str) -> Result<String, String> {
    let url = authority(value)
        .ok()
        .filter(|url| !value.contains("://") && url.port().is_none());
    let host = url.and_then(|url| url.host_str().map(str::to_owned));
    host.ok_or_else(|| format!("is {value:?}, expected a host, such as `github.fabrikam.example`"))
}

/// Whether there is nothing in it but scheme, host and port.
fn is_bare(url: &Url) -> bool {
    let nothing_else = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    nothing_else && url.username().is_empty() && url.password().is_none()
}

/// The last part of the name of a `docker-credential-*` program.
pub(super) fn delegate(value: &str) -> Result<String, String> {
    let is_word = value
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if !is_word {
        return Err(format!(
            "is {value:?}, expected the name of a helper, such as `secretservice` for `docker-credential-secretservice`"
        ));
    }
    let word = value.strip_prefix("docker-credential-").unwrap_or(value);
    if word == "acrscoped" {
        return Err("is this helper itself".into());
    }
    Ok(word.to_owned())
}

/// A file. Nothing depends on the folder in which a client happens to run us.
pub(super) fn path(value: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(value);
    if path.is_absolute() {
        Ok(path)
    } else {
        Err(format!("is {value:?}, expected an absolute path"))
    }
}

/// `; did you mean …?` when one of the words is near.
pub(super) fn nearest<'a>(value: &str, words: impl Iterator<Item = &'a str>) -> String {
    let scored = words.map(|word| (strsim::damerau_levenshtein(value, word), word));
    match scored
        .filter(|(distance, word)| *distance <= 1 + word.len() / 4)
        .min()
    {
        Some((_, word)) => format!("; did you mean `{word}`?"),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_understood_or_answered_with_what_is_expected() {
        let of = |parse: fn(&str) -> Result<(), String>, value: &str| parse(value).err();
        for (parse, value, problem) in [
            (
                (|v| timeout(v).map(drop)) as fn(&str) -> Result<(), String>,
                "600",
                None,
            ),
            (
                |v| timeout(v).map(drop),
                "601",
                Some("is \"601\", expected whole seconds from 1 to 600"),
            ),
            (|v| tenant(v).map(drop), "contoso.onmicrosoft.com", None),
            (
                |v| tenant(v).map(drop),
                "a/b",
                Some("is \"a/b\", expected a tenant's id or domain name"),
            ),
            (|v| id(v).map(drop), "5b8d3e17-64c2", None),
            (
                |v| id(v).map(drop),
                "$(x)",
                Some("is \"$(x)\", expected an id of letters, digits and `-`"),
            ),
            (
                |v| resource_id(v).map(drop),
                "/subscriptions/s/resourceGroups/g",
                None,
            ),
            (
                |v| resource_id(v).map(drop),
                "/subscriptions/s?x=y",
                Some(
                    "is \"/subscriptions/s?x=y\", expected an Azure resource id that begins with `/subscriptions/`",
                ),
            ),
            (|v| subscription(v).map(drop), "Pay as you go", None),
            (
                |v| subscription(v).map(drop),
                "a\"b",
                Some(
                    "is \"a\\\"b\", expected a subscription's id, or a name of letters, digits, spaces and `-_.`",
                ),
            ),
            (|v| source(v).map(drop), "azure-cli", None),
            (|v| delegate(v).map(drop), "docker-credential-pass", None),
            (
                |v| delegate(v).map(drop),
                "acrscoped",
                Some("is this helper itself"),
            ),
            (
                |v| delegate(v).map(drop),
                "docker-credential-acrscoped",
                Some("is this helper itself"),
            ),
            (
                |v| delegate(v).map(drop),
                "../evil",
                Some(
                    "is \"../evil\", expected the name of a helper, such as `secretservice` for `docker-credential-secretservice`",
                ),
            ),
        ] {
            assert_eq!(of(parse, value).as_deref(), problem, "{value}");
        }
    }

    #[test]
    fn a_word_that_is_nearly_right_is_answered_with_the_right_one() {
        assert_eq!(
            on_error("anonymus").unwrap_err(),
            "is \"anonymus\", expected one of fail, anonymous; did you mean `anonymous`?"
        );
        assert_eq!(
            on_error("xyz").unwrap_err(),
            "is \"xyz\", expected one of fail, anonymous"
        );
        assert!(
            source("azurecli")
                .unwrap_err()
                .ends_with("did you mean `azure-cli`?")
        );
    }
}
