//! The values of settings: their types, and the parsers that read them from text.
//!
//! The error of a parser says what is wrong and what is expected. It follows the name of the setting.

use crate::registry::host_and_port;
use std::path::PathBuf;
use std::time::Duration;
use url::{Position, Url};

/// The user name that goes with a refresh token by default (Microsoft, "registry authentication").
pub const ZERO_GUID: &str = "00000000-0000-0000-0000-000000000000";

/// The user name by which docker knows that the secret is an identity token (docker/cli, `native_store.go`).
pub const IDENTITY_TOKEN: &str = "<token>";

/// Makes the type of a setting whose value is one of some words. A value after which `if` is false does not exist on this system.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident: $($(#[$variant_doc:meta])* $variant:ident = $word:literal $(if $exists:expr)?,)*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// All values, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Their words, in the same order.
            pub const WORDS: &[&str] = &[$($word),*];

            /// Returns the word for this value in settings.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }

            pub(crate) fn parse(text: &str) -> Result<Self, String> {
                let exists = [$(true $(&& $exists)?),*];
                let known = Self::ALL.iter().zip(exists).filter(|(_, exists)| *exists);
                let known: Vec<_> = known.map(|(value, _)| (value.as_str(), *value)).collect();
                one_of(text, &known)
            }
        }
    };
}

words! {
    /// The sources of an identity, by name, in the order in which they are tried.
    SourceName:
    /// A federated token in a file, as AKS workload identity mounts it.
    WorkloadIdentity = "workload-identity",
    /// A service principal with a secret.
    ClientSecret = "client-secret",
    /// A service principal with a certificate.
    ClientCertificate = "client-certificate",
    /// A job of GitHub Actions.
    GitHubActions = "github-actions",
    /// A job of Azure Pipelines.
    AzurePipelines = "azure-pipelines",
    /// An identity that the platform gives to what runs on it.
    ManagedIdentity = "managed-identity",
    /// An account that signed in with `login`.
    Login = "login",
    /// An account of the Azure CLI.
    AzureCli = "azure-cli",
    /// An account of the Azure Developer CLI.
    AzureDeveloperCli = "azure-developer-cli",
}

words! {
    /// The value of `on_error`.
    OnError:
    /// The client gets the error and stops.
    Fail = "fail",
    /// The client goes on without a credential, as registries with anonymous pull allow.
    Anonymous = "anonymous",
}

words! {
    /// The value of `cache`. A store of another system is refused: tokens would silently not be cached.
    CacheChoice:
    /// The stores of this system, in order.
    Auto = "auto",
    /// The user keyring of the kernel only.
    Keyutils = "keyutils" if cfg!(target_os = "linux"),
    /// The Secret Service of the session (GNOME Keyring, KWallet, KeePassXC) only.
    SecretService = "secret-service" if cfg!(target_os = "linux"),
    /// The login keychain of macOS.
    Keychain = "keychain" if cfg!(target_os = "macos"),
    /// The Credential Manager of Windows.
    CredentialManager = "credential-manager" if cfg!(windows),
    /// No cache.
    None = "none",
}

words! {
    /// The value of `log`.
    Log:
    /// Failures and warnings.
    Warn = "warn",
    /// Also what was done.
    Info = "info",
    /// Also how long each step took.
    Debug = "debug",
}

/// Returns the value of one of the known words.
fn one_of<T: Copy>(text: &str, known: &[(&str, T)]) -> Result<T, String> {
    match known.iter().find(|(word, _)| *word == text) {
        Some((_, value)) => Ok(*value),
        None => Err(not_one_of(text, known.iter().map(|(word, _)| *word))),
    }
}

/// Returns the problem of a text that is none of the known ones.
pub(super) fn not_one_of<'a>(text: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let suggestion = suggest(text, known.clone());
    let known: Vec<&str> = known.collect();
    format!(
        "cannot be {text:?}: allowed values are {}{suggestion}",
        known.join(", ")
    )
}

/// Returns `; did you mean …?` if one of the words is near.
pub(super) fn suggest<'a>(text: &str, words: impl Iterator<Item = &'a str>) -> String {
    let distances = words.map(|word| (strsim::damerau_levenshtein(text, word), word));
    let near = distances.filter(|(distance, word)| *distance <= 1 + word.len() / 4);
    match near.min() {
        Some((_, word)) => format!("; did you mean `{word}`?"),
        None => String::new(),
    }
}

/// Returns the value that a text was read as, or the problem that it has none.
fn expect<T>(value: Option<T>, text: &str, expected: &str) -> Result<T, String> {
    value.ok_or_else(|| format!("is {text:?}, expected {expected}"))
}

/// Reads the user name that clients are given.
pub(super) fn username(text: &str) -> Result<&'static str, String> {
    one_of(text, &[("guid", ZERO_GUID), ("token", IDENTITY_TOKEN)])
}

/// Reads any text.
pub(super) fn text(text: &str) -> Result<String, String> {
    expect(Some(text.to_owned()), text, "a text")
}

pub(super) fn flag(text: &str) -> Result<bool, String> {
    one_of(text, &[("true", true), ("false", false)])
}

pub(super) fn timeout(text: &str) -> Result<Duration, String> {
    let seconds = text
        .parse()
        .ok()
        .filter(|seconds| (1..=600).contains(seconds));
    let timeout = seconds.map(Duration::from_secs);
    expect(timeout, text, "whole seconds from 1 to 600")
}

/// Reads a text of ASCII letters, digits and these other characters.
fn of_chars(text: &str, others: &str, expected: &str) -> Result<String, String> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || others.contains(c);
    let text_of_chars = text.chars().all(is_allowed).then(|| text.to_owned());
    expect(text_of_chars, text, expected)
}

/// Reads a tenant's id or one of its domain names. It becomes part of the authority's address.
pub(super) fn tenant(text: &str) -> Result<String, String> {
    let tenant = is_tenant(text).then(|| text.to_owned());
    expect(tenant, text, "a tenant's id or domain name")
}

/// Returns whether a text can be a tenant. Only such a text becomes part of an address or of a command to paste.
pub(crate) fn is_tenant(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    // Dots alone would be a step in a path.
    text.bytes().all(is_allowed) && text.bytes().any(|byte| byte != b'.')
}

/// Reads an id as Entra gives it to applications, identities and service connections.
pub(super) fn id(text: &str) -> Result<String, String> {
    of_chars(text, "-", "an id of letters, digits and `-`")
}

/// Reads `/subscriptions/…/userAssignedIdentities/NAME`.
pub(super) fn resource_id(text: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"?&#\"'`\\".contains(&byte);
    let is_path = text.to_ascii_lowercase().starts_with("/subscriptions/");
    let id = (is_path && text.bytes().all(is_plain)).then(|| text.to_owned());
    let expected = "an Azure resource id that begins with `/subscriptions/`";
    expect(id, text, expected)
}

/// Reads the id or name of a subscription. `azure_identity` accepts only what the Azure CLI takes without quoting.
pub(super) fn subscription(text: &str) -> Result<String, String> {
    let expected = "a subscription's id, or a name of letters, digits, spaces and `-_.`";
    of_chars(text, " -_.", expected)
}

/// Reads a URL of one of these schemes with a host.
pub(super) fn url(text: &str, schemes: &[&str]) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    (schemes.contains(&url.scheme()) && url.has_host()).then_some(url)
}

/// Reads a URL as [`url()`], or a host of the first scheme.
pub(super) fn url_or_host(text: &str, schemes: &[&str]) -> Option<Url> {
    if text.contains("://") {
        url(text, schemes)
    } else {
        url(&format!("{}://{text}", schemes.first()?), schemes)
    }
}

/// Reads the address of an authority: `https`, a host, and nothing else. As in the Azure SDKs, a bare host will do.
pub(super) fn authority(text: &str) -> Result<Url, String> {
    url_or_host(text, &["https"])
        .filter(|url| url[Position::BeforeUsername..] == format!("{}/", host_and_port(url)))
        .ok_or_else(|| {
            "is not an https URL of a host alone, such as `https://login.microsoftonline.com`"
                .into()
        })
}

/// Reads a host name without a port.
pub(super) fn host(text: &str) -> Result<String, String> {
    let url = authority(text).ok();
    let url = url.filter(|url| !text.contains("://") && url.port().is_none());
    let host = url.and_then(|url| url.host_str().map(str::to_owned));
    expect(host, text, "a host, such as `github.fabrikam.example`")
}

/// Reads the last part of the name of a `docker-credential-*` program.
pub(super) fn delegate(text: &str) -> Result<String, String> {
    let expected =
        "the name of a helper, such as `secretservice` for `docker-credential-secretservice`";
    let name = of_chars(text, "-_.", expected)?;
    match name.strip_prefix("docker-credential-").unwrap_or(&name) {
        "acrscoped" => Err("is this helper itself".into()),
        name => Ok(name.to_owned()),
    }
}

/// Reads the path of a file. It must not depend on the folder in which a client runs us.
pub(super) fn path(text: &str) -> Result<PathBuf, String> {
    let path = Some(PathBuf::from(text)).filter(|path| path.is_absolute());
    expect(path, text, "an absolute path")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_or_its_error_says_what_is_expected() {
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
            (|v| SourceName::parse(v).map(drop), "azure-cli", None),
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
    fn the_error_of_a_misspelt_word_suggests_the_right_one() {
        assert_eq!(
            OnError::parse("anonymus").unwrap_err(),
            "cannot be \"anonymus\": allowed values are fail, anonymous; did you mean `anonymous`?"
        );
        assert_eq!(
            OnError::parse("xyz").unwrap_err(),
            "cannot be \"xyz\": allowed values are fail, anonymous"
        );
        assert!(
            SourceName::parse("azurecli")
                .unwrap_err()
                .ends_with("did you mean `azure-cli`?")
        );
    }
}
