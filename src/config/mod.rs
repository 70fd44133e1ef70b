//! Settings: the environment, read once, as types that cannot be wrong.
//!
//! [`Config::read`] gets the variables passed in and is the only reader of them. `ACRSCOPED_*` are ours; `AZURE_*` and
//! `IDENTITY_*` are those of the Azure SDKs and mean here what they mean there.

mod sources;

pub use sources::{Announced, SourceSettings};

use crate::error::Error;
use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;
use url::Url;

/// Looks a variable up; unset and empty are the same, as in the Azure SDKs.
type Variables = HashMap<String, OsString>;

/// The user name that goes with a refresh token when nothing else is asked for (Microsoft, "registry authentication").
pub const ZERO_GUID: &str = "00000000-0000-0000-0000-000000000000";

/// The user name that tells docker that the secret is an identity token (docker/cli, `native_store.go`).
pub const IDENTITY_TOKEN: &str = "<token>";

/// Names and meaning of our own variables.
pub const SETTINGS: &[(&str, &str)] = &[
    ("ACRSCOPED_CA_FILE", "PEM certificates to trust besides the system's, such as an inspecting proxy's"),
    ("ACRSCOPED_CACHE", "where refresh tokens are kept: auto, keyutils, secret-service, none (default auto)"),
    ("ACRSCOPED_LOG", "what is told on stderr: warn, info, debug (default warn)"),
    ("ACRSCOPED_TIMEOUT", "seconds for one `get`, 1 to 600 (default 30)"),
    ("ACRSCOPED_USERNAME", "user name given to clients: guid, token (default guid)"),
];

/// Everything a `get` depends on besides the registry.
#[derive(Debug)]
pub struct Config {
    /// Where refresh tokens are kept.
    pub cache: CacheChoice,
    /// How much is told on stderr.
    pub log: Log,
    /// The time for one `get`, everything included.
    pub timeout: Duration,
    /// The user name given to clients.
    pub username: &'static str,
    /// `AZURE_AUTHORITY_HOST`: in place of the authority of the registry's cloud. Always `https`, without a path.
    pub authority: Option<Url>,
    /// What the sources of an identity are made from.
    pub sources: SourceSettings,
    /// How the network is used.
    pub network: NetworkSettings,
    /// Folders in which processes of the same user can meet, best first. They may be missing or refuse us.
    pub meeting_folders: Vec<PathBuf>,
}

/// How the network is used, besides what the HTTP client reads itself (proxies, the system's CA certificates).
#[derive(Clone, Debug, Default)]
pub struct NetworkSettings {
    /// `SSL_CERT_FILE`: PEM certificates in place of the system's.
    pub system_ca_file: Option<PathBuf>,
    /// `ACRSCOPED_CA_FILE`: PEM certificates trusted besides the system's.
    pub ca_file: Option<PathBuf>,
    /// The proxy and CA variables that are set, as sentences, to name them when a connection fails.
    pub circumstances: Vec<String>,
}

/// The value of `ACRSCOPED_CACHE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheChoice {
    /// The stores of this system in order.
    Auto,
    /// The kernel's user keyring alone.
    Keyutils,
    /// The Secret Service of the session (GNOME Keyring, KWallet, KeePassXC) alone.
    SecretService,
    /// Nothing is kept.
    None,
}

/// The value of `ACRSCOPED_LOG`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Log {
    /// Failures and warnings.
    Warn,
    /// What was done.
    Info,
    /// And how long each step took.
    Debug,
}

impl Config {
    /// Reads the settings from the environment's variables and the home folder. The first value that cannot be used is an
    /// [`Error::Setting`].
    pub fn read(variables: &Variables, home: Option<PathBuf>) -> Result<Self, Error> {
        Ok(Self {
            cache: choose(
                variables,
                "ACRSCOPED_CACHE",
                &[
                    ("auto", CacheChoice::Auto),
                    ("keyutils", CacheChoice::Keyutils),
                    ("secret-service", CacheChoice::SecretService),
                    ("none", CacheChoice::None),
                ],
            )?,
            log: choose(variables, "ACRSCOPED_LOG", &[("warn", Log::Warn), ("info", Log::Info), ("debug", Log::Debug)])?,
            timeout: timeout(variables)?,
            username: choose(variables, "ACRSCOPED_USERNAME", &[("guid", ZERO_GUID), ("token", IDENTITY_TOKEN)])?,
            authority: authority(variables)?,
            meeting_folders: meeting_folders(variables, home.as_deref()),
            sources: SourceSettings::read(variables, home)?,
            network: NetworkSettings {
                system_ca_file: raw(variables, "SSL_CERT_FILE").map(PathBuf::from),
                ca_file: raw(variables, "ACRSCOPED_CA_FILE").map(PathBuf::from),
                circumstances: circumstances(variables)?,
            },
        })
    }

    /// Variables that begin like ours and are none of them: a misspelling that would go unnoticed.
    pub fn unknown_settings(variables: &Variables) -> Vec<String> {
        let mut unknown: Vec<String> = variables
            .keys()
            .filter(|name| name.starts_with("ACRSCOPED_") && !SETTINGS.iter().any(|(known, _)| known == name))
            .cloned()
            .collect();
        unknown.sort();
        unknown
    }
}

fn raw(variables: &Variables, name: &str) -> Option<OsString> {
    variables.get(name).filter(|value| !value.is_empty()).cloned()
}

/// A value without white space around it: a newline at the end comes from a file and is part of no setting.
fn text(variables: &Variables, name: &str) -> Result<Option<String>, Error> {
    let value = raw(variables, name).map(|value| value.into_string().map_err(|_| wrong(name, "is not UTF-8"))).transpose()?;
    Ok(value.map(|value| value.trim().to_owned()).filter(|value| !value.is_empty()))
}

/// Whether there is nothing in it but scheme, host and port.
fn is_bare(url: &Url) -> bool {
    let nothing_else = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    nothing_else && url.username().is_empty() && url.password().is_none()
}

fn http_url(name: &str, value: &str, example: &str) -> Result<Url, Error> {
    let url = Url::parse(value).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or_else(|| wrong(name, &format!("is not a URL such as `{example}`")))
}

/// The value that one of the known words stands for; the first when the variable is not set.
fn choose<T: Copy>(variables: &Variables, name: &str, known: &[(&str, T)]) -> Result<T, Error> {
    let value = text(variables, name)?;
    let value = value.as_deref().unwrap_or(known[0].0);
    known.iter().find(|(word, _)| *word == value).map(|(_, meaning)| *meaning).ok_or_else(|| {
        let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
        wrong(name, &format!("is {value:?}, expected one of {}", words.join(", ")))
    })
}

fn timeout(variables: &Variables) -> Result<Duration, Error> {
    const NAME: &str = "ACRSCOPED_TIMEOUT";
    let Some(value) = text(variables, NAME)? else {
        return Ok(Duration::from_secs(30));
    };
    value
        .parse()
        .ok()
        .filter(|seconds| (1..=600).contains(seconds))
        .map(Duration::from_secs)
        .ok_or_else(|| wrong(NAME, &format!("is {value:?}, expected whole seconds from 1 to 600")))
}

fn authority(variables: &Variables) -> Result<Option<Url>, Error> {
    const NAME: &str = "AZURE_AUTHORITY_HOST";
    let Some(value) = text(variables, NAME)? else {
        return Ok(None);
    };
    // The Azure SDKs take a bare host too.
    let url = if value.contains("://") { value.clone() } else { format!("https://{value}") };
    Url::parse(&url)
        .ok()
        .filter(|url| url.scheme() == "https" && url.has_host() && is_bare(url))
        .map(Some)
        .ok_or_else(|| wrong(NAME, "is not an https URL of a host alone, such as `https://login.microsoftonline.com`"))
}

/// The proxy and CA variables in force, as sentences. A proxy's user and password are left out. A proxy that is no URL is an
/// error: the HTTP client would go past it without a word.
fn circumstances(variables: &Variables) -> Result<Vec<String>, Error> {
    let mut sentences = Vec::new();
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        let Some(value) = text(variables, name)? else { continue };
        let url = if value.contains("://") { value } else { format!("http://{value}") };
        let url = Url::parse(&url).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let url =
            url.ok_or_else(|| wrong(name, "is not the http or https URL of a proxy, such as `http://proxy.example:3128`"))?;
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        sentences.push(format!("`{name}` is set to {}://{}{port}", url.scheme(), url.host_str().unwrap_or_default()));
    }
    for name in ["NO_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR", "ACRSCOPED_CA_FILE"] {
        if let Some(value) = raw(variables, name) {
            sentences.push(format!("`{name}` is set to {}", value.to_string_lossy()));
        }
    }
    Ok(sentences)
}

/// The runtime folder of the session, the state folder, and a folder of this user in the temporary one.
fn meeting_folders(variables: &Variables, home: Option<&Path>) -> Vec<PathBuf> {
    let folder = |name: &str| raw(variables, name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = folder("XDG_STATE_HOME").or_else(|| Some(home?.join(".local/state")));
    let temporary = folder("TMPDIR").unwrap_or_else(|| "/tmp".into());
    let name = env!("CARGO_PKG_NAME");
    let user = rustix::process::geteuid().as_raw();
    let mut folders: Vec<PathBuf> =
        [folder("XDG_RUNTIME_DIR"), state].into_iter().flatten().map(|path| path.join(name)).collect();
    folders.push(temporary.join(format!("{name}-{user}")));
    folders
}

fn wrong(name: &str, problem: &str) -> Error {
    Error::Setting { name: name.into(), problem: problem.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(rows: &[(&str, &str)]) -> Result<Config, Error> {
        let variables = rows.iter().map(|(name, value)| ((*name).into(), value.into())).collect();
        Config::read(&variables, Some("/home/alice".into()))
    }

    #[test]
    fn nothing_set_gives_the_defaults() {
        let config = read(&[]).unwrap();
        assert_eq!((config.cache, config.log), (CacheChoice::Auto, Log::Warn));
        assert_eq!((config.timeout.as_secs(), config.username), (30, ZERO_GUID));
        assert_eq!(config.sources.azure_cli_folder, Some("/home/alice/.azure".into()));
        assert!(config.authority.is_none() && config.sources.client.is_none());
    }

    #[test]
    fn an_empty_variable_is_an_unset_one() {
        let config = read(&[("ACRSCOPED_CACHE", ""), ("AZURE_CLIENT_SECRET", ""), ("AZURE_AUTHORITY_HOST", "")]).unwrap();
        assert!(config.sources.client_secret.is_none() && config.authority.is_none());
    }

    #[test]
    fn an_unknown_value_is_answered_with_the_known_ones() {
        for (name, value, sentence) in [
            (
                "ACRSCOPED_CACHE",
                "keychain",
                "`ACRSCOPED_CACHE` is \"keychain\", expected one of auto, keyutils, secret-service, none",
            ),
            ("ACRSCOPED_LOG", "trace", "`ACRSCOPED_LOG` is \"trace\", expected one of warn, info, debug"),
            ("ACRSCOPED_USERNAME", "me", "`ACRSCOPED_USERNAME` is \"me\", expected one of guid, token"),
            ("ACRSCOPED_TIMEOUT", "0", "`ACRSCOPED_TIMEOUT` is \"0\", expected whole seconds from 1 to 600"),
            ("AZURE_TENANT_ID", "my tenant", "`AZURE_TENANT_ID` is \"my tenant\", expected a tenant's id or domain name"),
            ("ACRSCOPED_TIMEOUT", "1h", "`ACRSCOPED_TIMEOUT` is \"1h\", expected whole seconds from 1 to 600"),
            (
                "AZURE_AUTHORITY_HOST",
                "http://login.example",
                "`AZURE_AUTHORITY_HOST` is not an https URL of a host alone, such as `https://login.microsoftonline.com`",
            ),
            (
                "AZURE_POD_IDENTITY_AUTHORITY_HOST",
                "nonsense",
                "`AZURE_POD_IDENTITY_AUTHORITY_HOST` is not a URL such as `http://127.0.0.1:40342`",
            ),
        ] {
            assert_eq!(read(&[(name, value)]).unwrap_err().to_string(), sentence);
        }
    }

    #[test]
    fn the_authority_is_a_host_and_nothing_else() {
        for value in [
            "http://login.example",
            "login?microsoftonline.us",
            "https://login.example/#x",
            "https://:canary@login.example",
            "https://user@login.example",
            "https://login.example/tenant",
        ] {
            let error = read(&[("AZURE_AUTHORITY_HOST", value)]).unwrap_err().to_string();
            assert_eq!(
                error,
                "`AZURE_AUTHORITY_HOST` is not an https URL of a host alone, such as `https://login.microsoftonline.com`"
            );
        }
    }

    #[test]
    fn the_authority_may_be_a_bare_host() {
        let config = read(&[("AZURE_AUTHORITY_HOST", "login.microsoftonline.us")]).unwrap();
        assert_eq!(config.authority.unwrap().as_str(), "https://login.microsoftonline.us/");
    }

    #[test]
    fn only_absolute_folders_of_the_path_count() {
        let config = read(&[("PATH", "/usr/bin::.:bin:/opt/az")]).unwrap();
        assert_eq!(config.sources.path, [PathBuf::from("/usr/bin"), PathBuf::from("/opt/az")]);
    }

    #[test]
    fn a_proxy_is_named_without_its_password() {
        let config = read(&[("HTTPS_PROXY", "http://user:canary@proxy.example:3128")]).unwrap();
        assert_eq!(config.network.circumstances, ["`HTTPS_PROXY` is set to http://proxy.example:3128"]);
    }

    #[test]
    fn a_proxy_that_is_no_url_is_an_error_not_a_reason_to_go_without() {
        for value in ["http://user:p@", "http://user:CA/NARY", "http://[::1", ":::", "ftp://127.0.0.1:1", "not a url"] {
            let error = read(&[("HTTPS_PROXY", value)]).unwrap_err().to_string();
            assert!(error.starts_with("`HTTPS_PROXY` is not the http or https URL of a proxy"), "{value}: {error}");
            assert!(!error.contains("NARY"));
        }
        assert!(read(&[("HTTPS_PROXY", "proxy.example:3128\n")]).is_ok());
    }

    #[test]
    fn a_managed_identity_is_announced_whole_or_not_at_all() {
        let endpoint = ("IDENTITY_ENDPOINT", "http://127.0.0.1/msi");
        assert!(matches!(read(&[endpoint, ("IDENTITY_HEADER", "h")]).unwrap().sources.announced, Announced::AppService { .. }));
        assert_eq!(read(&[endpoint]).unwrap_err().to_string(), "`IDENTITY_ENDPOINT` is set, but `IDENTITY_HEADER` is not");
        for (rows, platform) in [
            (&[endpoint, ("IMDS_ENDPOINT", "http://127.0.0.1")][..], "Azure Arc"),
            (&[endpoint, ("IDENTITY_HEADER", "h"), ("IDENTITY_SERVER_THUMBPRINT", "t")], "Service Fabric"),
            (&[("MSI_ENDPOINT", "http://127.0.0.1")], "Cloud Shell"),
            (&[("MSI_ENDPOINT", "http://127.0.0.1"), ("MSI_SECRET", "s")], "Azure Machine Learning"),
        ] {
            let Announced::Unsupported(name) = read(rows).unwrap().sources.announced else { panic!("{platform}") };
            assert_eq!(name, platform);
        }
        assert!(matches!(
            read(&[("MSI_ENDPOINT", ""), ("IDENTITY_ENDPOINT", "")]).unwrap().sources.announced,
            Announced::Nothing
        ));
    }

    #[test]
    fn a_misspelt_setting_is_noticed() {
        let variables = [("ACRSCOPED_CAHCE".to_owned(), "none".into()), ("ACRSCOPED_LOG".to_owned(), "warn".into())];
        assert_eq!(Config::unknown_settings(&variables.into()), ["ACRSCOPED_CAHCE"]);
    }

    #[test]
    fn debug_shows_no_secret() {
        let config = read(&[("AZURE_CLIENT_SECRET", "canary")]).unwrap();
        assert!(!format!("{config:?}").contains("canary"));
    }
}
