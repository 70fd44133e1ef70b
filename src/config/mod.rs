//! Settings: the environment and the config file, read once, as types that cannot be wrong.
//!
//! [`Settings::read`] gets the variables passed in and is the only reader of them and of the file. [`Settings::for_registry`] says what
//! holds for one registry, and [`Settings::explain`] where each value comes from. `ACRSCOPED_*` are ours; `AZURE_*`, `IDENTITY_*` and
//! the like are those of the Azure SDKs and mean here what they mean there.

mod announced;
mod cloud;
mod environment;
mod file;
mod jobs;
mod keys;
mod layers;
mod pattern;
mod source_name;
mod sources;
mod values;

pub use announced::Announced;
pub use cloud::KEYS as CLOUD_KEYS;
pub use environment::{SECRETS, Variables};
pub use jobs::{PipelinesSettings, Requests};
pub use keys::{CONFIG_VARIABLE, KEYS, Key, Kind, Place};
pub use layers::{Explained, Origin, Value};
pub use source_name::{Narrowing, SourceName};
pub use sources::{CertificateSettings, ManagedId, SourceSettings};
pub(crate) use values::is_tenant;
pub use values::{IDENTITY_TOKEN, ZERO_GUID};

use crate::error::{Error, config_file};
use crate::registry::{CLOUDS, Cloud, Registry};
use crate::token::Audience;
use crate::trust;
use environment::{meeting_folders, network, program_folders, raw, session_bus};
use file::File;
use layers::Layers;
use secrecy::SecretString;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use url::Url;

/// Everything that is set, for all registries: the variables of an environment and a config file.
///
/// There is no other way to set anything, so that a program that uses this crate is set up like `docker-credential-acrscoped` itself:
/// its manual lists the variables. What a variable is set to is judged when it is needed, for one registry at a time.
pub struct Settings {
    variables: Variables,
    home: Option<PathBuf>,
    /// The real path of the folder that this process runs in, which may be a checkout.
    working_directory: Option<PathBuf>,
    file: File,
}

/// Without the variables, some of which are secrets.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

/// Everything a `get` depends on besides the registry.
#[derive(Debug)]
pub struct Config {
    /// Where tokens are kept.
    pub cache: CacheChoice,
    /// Whether an access token is kept for further registries.
    pub keep_access_token: bool,
    /// The time for one `get`, everything included.
    pub timeout: Duration,
    /// The user name given to clients.
    pub username: &'static str,
    /// What becomes of a client when nobody can be signed in.
    pub on_error: OnError,
    /// What access tokens are asked for.
    pub audience: Audience,
    /// The cloud that the identity belongs to.
    pub identity_cloud: Cloud,
    /// Where people and applications sign in. Always `https`, without a path.
    pub authority: Url,
    /// Where that was set, if it is not that of the cloud.
    pub authority_origin: Option<Origin>,
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
    /// `SSL_CERT_DIR`: folders with such certificates.
    pub system_ca_dirs: Vec<PathBuf>,
    /// The real path of the folder that this process runs in: certificates in it are not trusted if a variable names them.
    pub working_directory: Option<PathBuf>,
    /// `ca_file`: PEM certificates trusted besides the system's.
    pub ca_file: Option<Value<PathBuf>>,
    /// The proxy of requests by TLS, with user and password if it has them, and empty if there is none.
    pub proxy: SecretString,
    /// The hosts that are reached without it (`NO_PROXY`).
    pub no_proxy: String,
    /// The proxy and CA variables that are set, as sentences, to name them when a connection fails.
    pub circumstances: Vec<String>,
}

/// The value of `cache`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheChoice {
    /// The stores of this system in order.
    Auto,
    /// The kernel's user keyring alone.
    Keyutils,
    /// The Secret Service of the session (GNOME Keyring, KWallet, KeePassXC) alone.
    SecretService,
    /// The login keychain of macOS.
    Keychain,
    /// The Credential Manager of Windows.
    CredentialManager,
    /// Nothing is kept.
    None,
}

impl CacheChoice {
    /// Whether this system has such a store.
    fn is_of_this_system(self) -> bool {
        match self {
            Self::Auto | Self::None => true,
            Self::Keyutils | Self::SecretService => cfg!(target_os = "linux"),
            Self::Keychain => cfg!(target_os = "macos"),
            Self::CredentialManager => cfg!(windows),
        }
    }
}

/// Where the session bus is, by the variables that D-Bus itself reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SessionBus {
    /// It is not said.
    #[default]
    Nowhere,
    /// `DBUS_SESSION_BUS_ADDRESS`: addresses in the form of the D-Bus specification.
    Addresses(OsString),
    /// `bus` in `XDG_RUNTIME_DIR`, where it is when nothing else is said.
    Socket(PathBuf),
}

/// The value of `on_error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// The client is told and stops.
    Fail,
    /// The client goes on without a credential, as registries with anonymous pull allow.
    Anonymous,
}

/// The value of `log`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Log {
    /// Failures and warnings.
    Warn,
    /// What was done.
    Info,
    /// And how long each step took.
    Debug,
}

/// The helper to which everything goes that is not ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegate {
    /// The last part of its name: `secretservice` of `docker-credential-secretservice`.
    pub name: String,
    /// Where that was set.
    pub origin: Origin,
    /// The absolute folders of `PATH`: only there it is looked for.
    pub path: Vec<PathBuf>,
}

/// Set for the helper that is called for other hosts, so that two that call each other notice.
pub const DELEGATED_VARIABLE: &str = "ACRSCOPED_DELEGATED";

impl Settings {
    /// The settings of the user, as the program itself has them: the environment of this process, and the config file that it names, or
    /// that in the user's folder. Errors as [`Settings::read`].
    #[expect(
        clippy::disallowed_methods,
        reason = "the environment is touched here and nowhere else"
    )]
    pub fn from_env() -> Result<Self, Error> {
        // Windows takes `Path` and `PATH` for the same.
        let known = |name: String| {
            if cfg!(windows) {
                name.to_uppercase()
            } else {
                name
            }
        };
        let variables: Variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((known(name.into_string().ok()?), value)))
            .collect();
        // Other programs go by the variable there, and not by the account.
        let profile = variables
            .get("USERPROFILE")
            .map(PathBuf::from)
            .filter(|folder| cfg!(windows) && folder.is_absolute());
        Self::read(
            variables,
            profile.or_else(dirs::home_dir),
            dirs::config_dir(),
            trust::working_directory(),
        )
    }

    /// Keeps the environment's variables and reads the config file: the one that `ACRSCOPED_CONFIG` names, or
    /// `docker-credential-acrscoped/config.toml` in `config_folder`. `working_directory` is the real path of the folder that the process
    /// runs in: a file in it is refused, because a checkout must not bring settings along.
    ///
    /// # Errors
    ///
    /// The file cannot be read, others can change it, it is in the working directory, or anything in it is wrong. Variables are judged
    /// only when they are needed.
    pub fn read(
        variables: Variables,
        home: Option<PathBuf>,
        config_folder: Option<PathBuf>,
        working_directory: Option<PathBuf>,
    ) -> Result<Self, Error> {
        let folder = config_folder.map(|folder| folder.join(env!("CARGO_PKG_NAME")));
        let file = match (raw(&variables, CONFIG_VARIABLE).map(PathBuf::from), folder) {
            (Some(path), _) if !path.is_absolute() => {
                return Err(environment::wrong(
                    CONFIG_VARIABLE,
                    &format!("is {:?}, expected an absolute path", path.display()),
                ));
            }
            (Some(path), _) => File::read(&path, true, working_directory.as_deref())?,
            (None, Some(folder)) => File::read(
                &folder.join("config.toml"),
                false,
                working_directory.as_deref(),
            )?,
            (None, None) => File::default(),
        };
        Ok(Self {
            variables,
            home,
            working_directory,
            file,
        })
    }

    /// Settings from variables alone, without a file: of a program that has its own way to be told who signs in. `home` is where the
    /// Azure CLI keeps its account, should it be asked.
    ///
    /// Proxies and the CA certificates of the system are those of the process all the same (`HTTPS_PROXY`, `NO_PROXY`,
    /// `SSL_CERT_FILE`, …): the HTTP client reads them itself. `ACRSCOPED_CA_FILE` is taken from `variables`.
    pub fn of(variables: Variables, home: Option<PathBuf>) -> Self {
        Self {
            variables,
            home,
            working_directory: None,
            file: File::default(),
        }
    }

    /// The clouds that the user added to those of Azure (`[cloud.NAME]` in the config file), for [`Registry::parse`].
    pub fn clouds(&self) -> &[Cloud] {
        &self.file.clouds
    }
}

/// What the program asks of them.
#[cfg_attr(not(internals), doc(hidden))]
impl Settings {
    /// The variables, for what is no setting: what the terminal can show, where clients keep their files.
    pub fn variables(&self) -> &Variables {
        &self.variables
    }

    /// The user's home folder.
    pub fn home(&self) -> Option<&Path> {
        self.home.as_deref()
    }

    /// Where the config file is, or would be.
    pub fn file(&self) -> &Path {
        &self.file.path
    }

    /// The absolute folders of `PATH`.
    pub fn program_folders(&self) -> Vec<PathBuf> {
        program_folders(&self.variables)
    }

    /// The registries that have a profile of their own.
    pub fn registries_with_profiles(&self) -> Vec<Registry> {
        self.file
            .profiles
            .iter()
            .filter_map(|profile| Registry::parse(&profile.name, self.clouds()))
            .collect()
    }

    /// The settings as they would be with another text in the config file. Errors with what is wrong with it.
    pub fn with_text(&self, text: &str) -> Result<Self, Error> {
        let file = File::parse(
            &self.file.path,
            text.strip_prefix('\u{feff}').unwrap_or(text),
        )?;
        let (variables, home, working_directory) = (
            self.variables.clone(),
            self.home.clone(),
            self.working_directory.clone(),
        );
        Ok(Self {
            variables,
            home,
            working_directory,
            file,
        })
    }

    /// How much is told on stderr.
    pub fn log(&self) -> Result<Log, Error> {
        let log = self.layers(None).value("log", values::log)?;
        Ok(log.map_or(Log::Warn, |log| log.value))
    }

    /// The helper for hosts that are not ours, if there is one.
    pub fn delegate(&self) -> Result<Option<Delegate>, Error> {
        let delegate = self.layers(None).value("delegate", values::delegate)?;
        let path = || program_folders(&self.variables);
        Ok(delegate.map(
            |Value {
                 value: name,
                 origin,
             }| Delegate {
                name,
                origin,
                path: path(),
            },
        ))
    }

    /// What holds for a registry. The first value that cannot be used is the error.
    pub fn for_registry(&self, registry: &Registry) -> Result<Config, Error> {
        self.config(&self.layers(Some(registry)), registry.cloud())
    }

    /// What holds for a cloud when no registry is named: no profile does.
    pub fn for_cloud(&self, cloud: &Cloud) -> Result<Config, Error> {
        self.config(&self.layers(None), cloud)
    }

    fn config(&self, layers: &Layers<'_>, cloud: &Cloud) -> Result<Config, Error> {
        let identity_cloud = layers.identity_cloud()?.unwrap_or(cloud);
        let (authority, authority_origin) = match layers.value("authority", values::authority)? {
            Some(authority) => {
                self.check_authority(&authority)?;
                (authority.value, Some(authority.origin))
            }
            None => (
                values::authority(&identity_cloud.authority).map_err(Error::input)?,
                None,
            ),
        };
        let audience = match layers.value("audience", values::audience)? {
            Some(audience) => {
                cloud::check_audience(&audience, &self.file)?;
                audience.value
            }
            None => Audience::parse(&cloud.audience).map_err(Error::input)?,
        };
        Ok(Config {
            cache: cache(layers)?,
            keep_access_token: layers
                .value("keep_access_token", values::flag)?
                .is_none_or(|flag| flag.value),
            timeout: timeout(layers)?,
            username: layers
                .value("username", values::username)?
                .map_or(ZERO_GUID, |username| username.value),
            on_error: layers
                .value("on_error", values::on_error)?
                .map_or(OnError::Fail, |on_error| on_error.value),
            audience,
            identity_cloud: identity_cloud.clone(),
            authority,
            authority_origin,
            sources: SourceSettings::read(
                &self.variables,
                layers,
                self.home.as_deref(),
                &self.file.path,
            )?,
            network: network(
                &self.variables,
                layers.value("ca_file", values::path)?,
                self.working_directory.as_deref(),
            )?,
            meeting_folders: meeting_folders(&self.variables, self.home.as_deref()),
        })
    }

    /// An authority receives secrets, so a variable can only choose among those that Azure has and those that the config file names.
    fn check_authority(&self, authority: &Value<Url>) -> Result<(), Error> {
        let Origin::Variable(name) = authority.origin else {
            return Ok(());
        };
        let is_known = |cloud: &Cloud| cloud.is_authority(&authority.value);
        let mut named = self
            .file
            .values("authority")
            .filter_map(|value| values::authority(value).ok());
        if CLOUDS.iter().chain(self.clouds()).any(is_known)
            || named.any(|named| named == authority.value)
        {
            return Ok(());
        }
        let url = authority.value.as_str().trim_end_matches('/');
        let problem = format!(
            "names {url}, which is not a known Microsoft Entra authority, so nothing was sent to it"
        );
        Err(Error::untrusted_variable(
            name,
            problem,
            &format!("authority = \"{url}\""),
            &self.file.path,
        ))
    }

    /// Where the Secret Service is.
    pub fn session_bus(&self) -> SessionBus {
        session_bus(&self.variables)
    }

    /// The time for what is not about one registry.
    pub fn timeout(&self) -> Result<Duration, Error> {
        timeout(&self.layers(None))
    }

    /// Whether we were called by the helper that we call for other hosts.
    pub fn is_delegated(&self) -> bool {
        self.variables.contains_key(DELEGATED_VARIABLE)
    }

    /// Every store that some registry's tokens may be kept in.
    pub fn caches(&self) -> Result<Vec<CacheChoice>, Error> {
        let mut choices = vec![cache(&self.layers(None))?];
        for profile in &self.file.profiles {
            let own = profile
                .settings
                .get("cache")
                .and_then(|entry| values::cache(&entry.value).ok());
            choices.extend(own.filter(|own| !choices.contains(own)));
        }
        Ok(choices)
    }

    /// Every setting as it stands for a registry, and where it comes from; without a registry, the settings that are not about one.
    pub fn explain(&self, registry: Option<&Registry>) -> Result<Vec<Explained>, Error> {
        self.layers(registry).explain()
    }

    /// Variables that begin like ours and are none of them, and which may be meant: a misspelling that would go unnoticed.
    pub fn unknown_variables(&self) -> Vec<String> {
        let is_known = |name: &String| {
            [CONFIG_VARIABLE, DELEGATED_VARIABLE].contains(&name.as_str())
                || KEYS.iter().any(|key| key.variable == Some(name))
        };
        let mut unknown: Vec<String> = self
            .variables
            .keys()
            .filter(|name| name.starts_with("ACRSCOPED_") && !is_known(name))
            .cloned()
            .collect();
        unknown.sort();
        for name in &mut unknown {
            let of_the_file = KEYS
                .iter()
                .filter(|key| key.variable.is_none())
                .find(|key| {
                    name.strip_prefix("ACRSCOPED_")
                        .is_some_and(|end| end == key.name.to_uppercase())
                });
            *name = match of_the_file {
                Some(key) => {
                    let file = config_file(&self.file.path);
                    format!(
                        "the helper ignores `{name}`: set `{}` in {file}, the only place that counts",
                        key.name
                    )
                }
                None => format!(
                    "`{name}` is no setting{}",
                    values::nearest(name, KEYS.iter().filter_map(|key| key.variable))
                ),
            };
        }
        unknown
    }

    /// The patterns of the profiles that hold for a registry, the strongest first.
    pub fn profiles(&self, registry: &Registry) -> Vec<&str> {
        let profiles = self.file.profiles(registry.host(), registry.login_server());
        profiles
            .into_iter()
            .map(|profile| profile.name.as_str())
            .collect()
    }

    fn layers<'a>(&'a self, registry: Option<&'a Registry>) -> Layers<'a> {
        Layers::new(&self.variables, &self.file, registry)
    }
}

fn cache(layers: &Layers<'_>) -> Result<CacheChoice, Error> {
    Ok(layers
        .value("cache", values::cache)?
        .map_or(CacheChoice::Auto, |cache| cache.value))
}

fn timeout(layers: &Layers<'_>) -> Result<Duration, Error> {
    Ok(layers
        .value("timeout", values::timeout)?
        .map_or(Duration::from_secs(30), |timeout| timeout.value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(rows: &[(&str, &str)]) -> Settings {
        let variables = rows
            .iter()
            .map(|(name, value)| ((*name).into(), value.into()))
            .collect();
        Settings::of(variables, Some("/home/alice".into()))
    }

    fn read(rows: &[(&str, &str)]) -> Result<Config, Error> {
        settings(rows).for_registry(&Registry::parse("contoso.azurecr.io", &[]).unwrap())
    }

    #[test]
    fn nothing_set_gives_the_defaults() {
        let config = read(&[]).unwrap();
        assert_eq!(
            (config.cache, settings(&[]).log().unwrap()),
            (CacheChoice::Auto, Log::Warn)
        );
        assert_eq!(
            (config.on_error, config.keep_access_token),
            (OnError::Fail, true)
        );
        assert_eq!((config.timeout.as_secs(), config.username), (30, ZERO_GUID));
        assert_eq!(
            config.sources.azure_cli_folder,
            Some("/home/alice/.azure".into())
        );
        assert_eq!(
            config.authority.as_str(),
            "https://login.microsoftonline.com/"
        );
        assert!(config.sources.client.is_none() && config.sources.tenant.is_none());
    }

    #[test]
    fn an_empty_variable_is_an_unset_one() {
        let config = read(&[
            ("ACRSCOPED_CACHE", ""),
            ("AZURE_CLIENT_SECRET", ""),
            ("AZURE_AUTHORITY_HOST", ""),
        ])
        .unwrap();
        assert!(config.sources.client_secret.is_none());
    }

    #[test]
    fn an_unknown_value_is_answered_with_the_known_ones() {
        for (name, value, sentence) in [
            (
                "ACRSCOPED_CACHE",
                "keychain",
                "`ACRSCOPED_CACHE` is \"keychain\", expected one of auto, keyutils, secret-service, none",
            ),
            (
                "ACRSCOPED_USERNAME",
                "me",
                "`ACRSCOPED_USERNAME` is \"me\", expected one of guid, token",
            ),
            (
                "ACRSCOPED_TIMEOUT",
                "0",
                "`ACRSCOPED_TIMEOUT` is \"0\", expected whole seconds from 1 to 600",
            ),
            (
                "AZURE_TENANT_ID",
                "my tenant",
                "`AZURE_TENANT_ID` is \"my tenant\", expected a tenant's id or domain name",
            ),
            (
                "ACRSCOPED_TIMEOUT",
                "1h",
                "`ACRSCOPED_TIMEOUT` is \"1h\", expected whole seconds from 1 to 600",
            ),
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
            let error = read(&[("AZURE_AUTHORITY_HOST", value)])
                .unwrap_err()
                .to_string();
            assert_eq!(
                error,
                "`AZURE_AUTHORITY_HOST` is not an https URL of a host alone, such as `https://login.microsoftonline.com`"
            );
        }
    }

    #[test]
    fn a_variable_chooses_among_the_authorities_of_azure_and_of_the_config_file() {
        let of = |text: &str, name: &str, value: &str| {
            let settings = with_file(text, &[(name, value)]);
            let registry = Registry::parse("contoso.azurecr.io", settings.clouds()).unwrap();
            settings
                .for_registry(&registry)
                .map(|config| config.authority.to_string())
        };
        let cloud = "[cloud.f]\nsuffix = 'acr.f.example'\nauthority = 'login.f.example'\n";
        let profile = "[registry.\"*.azurecr.us\"]\nauthority = 'https://login.p.example:8443'\n";
        for (text, value, chosen) in [
            ("", "login.windows.net", "https://login.windows.net/"),
            (
                "",
                "https://login.microsoft.com/",
                "https://login.microsoft.com/",
            ),
            ("", "sts.windows.net", "https://sts.windows.net/"),
            (
                "",
                "login.microsoftonline.us",
                "https://login.microsoftonline.us/",
            ),
            (
                "authority = 'login.t.example'",
                "https://login.t.example",
                "https://login.t.example/",
            ),
            (
                profile,
                "login.p.example:8443",
                "https://login.p.example:8443/",
            ),
            (cloud, "login.f.example", "https://login.f.example/"),
        ] {
            assert_eq!(
                of(text, "ACRSCOPED_AUTHORITY", value).unwrap(),
                chosen,
                "{value}"
            );
        }
        for name in ["ACRSCOPED_AUTHORITY", "AZURE_AUTHORITY_HOST"] {
            for value in [
                "login.evil.example",
                "login.microsoftonline.com.evil.example",
                "login.microsoftonline.com:8443",
                "login.windows.net:444",
                "evil.login.microsoftonline.com",
                "login.p.example",
                "127.0.0.1",
            ] {
                let error = of(&format!("{cloud}{profile}"), name, value).unwrap_err();
                let sentence = format!(
                    "`{name}` names https://{value}, which is not a known Microsoft Entra authority, so nothing was sent to it"
                );
                assert_eq!(error.to_string(), sentence);
                let fix = format!(
                    "if you trust it, make this the first line of config.toml: `authority = \"https://{value}\"`"
                );
                assert_eq!(error.hint(), Some(&*fix));
            }
        }
    }

    #[test]
    fn an_authority_of_another_cloud_by_any_of_its_names_is_not_meant_for_this_registry() {
        for (value, authority) in [
            (
                "login.partner.microsoftonline.cn",
                "https://login.microsoftonline.com/",
            ),
            (
                "login.usgovcloudapi.net",
                "https://login.microsoftonline.com/",
            ),
            ("login.windows.net", "https://login.windows.net/"),
        ] {
            assert_eq!(
                read(&[("AZURE_AUTHORITY_HOST", value)])
                    .unwrap()
                    .authority
                    .as_str(),
                authority
            );
        }
    }

    #[test]
    fn the_session_bus_is_where_dbus_says_or_in_the_runtime_folder() {
        let (address, folder) = (
            ("DBUS_SESSION_BUS_ADDRESS", "unix:path=/a"),
            ("XDG_RUNTIME_DIR", "/run/user/1000"),
        );
        for (rows, expected) in [
            (
                &[address, folder][..],
                SessionBus::Addresses("unix:path=/a".into()),
            ),
            (&[folder], SessionBus::Socket("/run/user/1000/bus".into())),
            (&[("XDG_RUNTIME_DIR", "run")], SessionBus::Nowhere),
            (&[], SessionBus::Nowhere),
        ] {
            assert_eq!(settings(rows).session_bus(), expected);
        }
    }

    #[test]
    fn only_absolute_folders_of_the_path_count() {
        let config = read(&[("PATH", "/usr/bin::.:bin:/opt/az")]).unwrap();
        assert_eq!(
            config.sources.path,
            [PathBuf::from("/usr/bin"), PathBuf::from("/opt/az")]
        );
    }

    #[test]
    fn a_proxy_is_named_without_its_password() {
        let config = read(&[("HTTPS_PROXY", "http://user:canary@proxy.example:3128")]).unwrap();
        assert_eq!(
            config.network.circumstances,
            ["`HTTPS_PROXY` is set to http://proxy.example:3128"]
        );
    }

    #[test]
    fn a_proxy_that_is_no_url_is_an_error_not_a_reason_to_go_without() {
        for value in [
            "http://user:p@",
            "http://user:CA/NARY",
            "http://[::1",
            ":::",
            "ftp://127.0.0.1:1",
            "not a url",
        ] {
            let error = read(&[("HTTPS_PROXY", value)]).unwrap_err().to_string();
            assert!(
                error.starts_with("`HTTPS_PROXY` is not the http or https URL of a proxy"),
                "{value}: {error}"
            );
            assert!(!error.contains("NARY"));
        }
        assert!(read(&[("HTTPS_PROXY", "proxy.example:3128\n")]).is_ok());
    }

    #[test]
    fn a_managed_identity_is_announced_whole_or_not_at_all() {
        let announced = |rows: &[(&str, &str)]| {
            read(rows)
                .unwrap()
                .sources
                .announced
                .get()
                .map(|announced| format!("{announced:?}"))
                .map_err(|error| error.to_string())
        };
        let (endpoint, header) = (
            ("IDENTITY_ENDPOINT", "http://127.0.0.1/msi"),
            ("IDENTITY_HEADER", "h"),
        );
        let older = ("MSI_ENDPOINT", "http://127.0.0.1");
        for (rows, platform) in [
            (&[endpoint, header][..], "AppService"),
            (&[endpoint, ("IMDS_ENDPOINT", "http://127.0.0.1")], "Arc"),
            (
                &[
                    ("IDENTITY_ENDPOINT", "http://localhost:40342/x"),
                    ("IMDS_ENDPOINT", "x"),
                ],
                "Arc",
            ),
            (
                &[
                    ("IDENTITY_ENDPOINT", "http://[::1]/x"),
                    ("IMDS_ENDPOINT", "x"),
                ],
                "Arc",
            ),
            (
                &[endpoint, header, ("IDENTITY_SERVER_THUMBPRINT", "t")],
                "Unsupported(\"Service Fabric\")",
            ),
            (&[older], "CloudShell"),
            (&[older, ("MSI_SECRET", "s")], "MachineLearning"),
            (
                &[("MSI_ENDPOINT", ""), ("IDENTITY_ENDPOINT", "")],
                "Nothing",
            ),
        ] {
            assert!(announced(rows).unwrap().starts_with(platform), "{platform}");
        }
        assert_eq!(
            announced(&[endpoint]).unwrap_err(),
            "`IDENTITY_ENDPOINT` is set, but `IDENTITY_HEADER` is not"
        );
        // The agent of Azure Arc is asked with a key from its folder.
        for elsewhere in [
            "http://evil.example/x",
            "http://127.0.0.1.evil.example",
            "http://localhost.evil.example",
            "http://10.0.0.1",
        ] {
            let error = announced(&[
                ("IDENTITY_ENDPOINT", elsewhere),
                ("IMDS_ENDPOINT", "http://127.0.0.1"),
            ])
            .unwrap_err();
            let sentence = "`IDENTITY_ENDPOINT` must point to this machine, for example `http://localhost:40342/metadata/identity/oauth2/token`";
            assert_eq!(error, sentence, "{elsewhere}");
        }
    }

    #[test]
    fn a_misspelt_setting_is_noticed() {
        let settings = settings(&[
            ("ACRSCOPED_CAHCE", "none"),
            ("ACRSCOPED_LOG", "warn"),
            ("ACRSCOPED_CONFIG", "x"),
        ]);
        assert_eq!(
            settings.unknown_variables(),
            ["`ACRSCOPED_CAHCE` is no setting; did you mean `ACRSCOPED_CACHE`?"]
        );
    }

    #[test]
    fn debug_shows_no_secret() {
        let rows = [
            ("AZURE_CLIENT_SECRET", "canary"),
            ("AZURE_CLIENT_CERTIFICATE_PATH", "/c"),
            ("AZURE_CLIENT_CERTIFICATE_PASSWORD", "canary"),
            ("SYSTEM_ACCESSTOKEN", "canary"),
            ("MSI_ENDPOINT", "http://127.0.0.1"),
            ("MSI_SECRET", "canary"),
            ("ACTIONS_ID_TOKEN_REQUEST_URL", "https://pipelines.example"),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "canary"),
        ];
        let config = read(&rows).unwrap();
        assert!(
            config.sources.github.get().unwrap().is_some()
                && config.sources.pipelines.get().unwrap().token.is_some()
        );
        assert!(!format!("{config:?}{:?}", settings(&rows)).contains("canary"));
    }

    /// Settings from a file and variables.
    fn with_file(text: &str, rows: &[(&str, &str)]) -> Settings {
        let file =
            File::parse(Path::new("config.toml"), text).unwrap_or_else(|error| panic!("{error}"));
        Settings {
            file,
            ..settings(rows)
        }
    }

    fn tenant(settings: &Settings, host: &str) -> Option<(String, String)> {
        let registry = Registry::parse(host, settings.clouds()).unwrap();
        let tenant = settings.for_registry(&registry).unwrap().sources.tenant?;
        Some((tenant.value, tenant.origin.to_string()))
    }

    #[test]
    fn the_strongest_layer_wins_and_is_named() {
        let text = "tenant = 'top'\n[registry.\"*.azurecr.io\"]\ntenant = 'all'\n[registry.\"contoso.azurecr.io\"]\ntenant = 'one'\n";
        let (ours, azure) = (("ACRSCOPED_TENANT", "ours"), ("AZURE_TENANT_ID", "azure"));
        for (rows, host, value, origin) in [
            (
                &[ours, azure][..],
                "contoso.azurecr.io",
                "ours",
                "`ACRSCOPED_TENANT`",
            ),
            (
                &[azure],
                "contoso.azurecr.io",
                "one",
                "`[registry.\"contoso.azurecr.io\"]` in config.toml:5",
            ),
            (
                &[azure],
                "fabrikam.azurecr.io",
                "all",
                "`[registry.\"*.azurecr.io\"]` in config.toml:3",
            ),
            (
                &[azure],
                "contoso.eastus.geo.azurecr.io",
                "one",
                "`[registry.\"contoso.azurecr.io\"]` in config.toml:5",
            ),
            (&[azure], "contoso.azurecr.us", "azure", "`AZURE_TENANT_ID`"),
            (&[], "contoso.azurecr.us", "top", "config.toml:1"),
        ] {
            let found = tenant(&with_file(text, rows), host).unwrap();
            assert_eq!(
                (found.0.as_str(), found.1.as_str()),
                (value, origin),
                "{host}"
            );
        }
        let settings = with_file(text, &[azure]);
        let registry = Registry::parse("contoso.azurecr.us", &[]).unwrap();
        let named = settings
            .for_registry(&registry)
            .unwrap()
            .sources
            .named_tenant
            .unwrap();
        assert_eq!(
            named.value, "top",
            "who is signed in to a command line has nothing to do with `AZURE_TENANT_ID`"
        );
    }

    #[test]
    fn a_profile_gets_from_weaker_ones_what_it_does_not_say() {
        let text = "timeout = 60\n[registry.\"*.azurecr.io\"]\nusername = 'token'\non_error = 'anonymous'\n\
                    [registry.\"contoso.azurecr.io\"]\non_error = 'fail'\ncache = 'none'\nkeep_access_token = false\n";
        let settings = with_file(text, &[]);
        let config = settings
            .for_registry(&Registry::parse("contoso.azurecr.io", &[]).unwrap())
            .unwrap();
        assert_eq!(
            (config.username, config.on_error, config.timeout.as_secs()),
            (IDENTITY_TOKEN, OnError::Fail, 60)
        );
        assert_eq!(
            (config.cache, config.keep_access_token),
            (CacheChoice::None, false)
        );
        assert_eq!(
            settings.caches().unwrap(),
            [CacheChoice::Auto, CacheChoice::None]
        );
    }

    #[test]
    fn every_setting_is_explained() {
        let settings = with_file(
            "[registry.\"*.azurecr.io\"]\ncache = 'none'\n",
            &[("AZURE_CLIENT_ID", "c")],
        );
        let explained = settings
            .explain(Some(&Registry::parse("contoso.azurecr.io", &[]).unwrap()))
            .unwrap();
        assert_eq!(explained.len(), KEYS.len());
        let of = |name: &str| {
            let found = explained.iter().find(|set| set.name == name).unwrap();
            (
                found.value.clone(),
                found
                    .origin
                    .as_ref()
                    .map(ToString::to_string)
                    .unwrap_or_default(),
            )
        };
        assert_eq!(of("client_id"), ("c".into(), "`AZURE_CLIENT_ID`".into()));
        assert_eq!(
            of("cache"),
            (
                "none".into(),
                "`[registry.\"*.azurecr.io\"]` in config.toml:2".into()
            )
        );
        assert_eq!(of("timeout"), ("30".into(), String::new()));
        assert_eq!(settings.explain(None).unwrap().len(), 3);
    }

    #[test]
    fn a_cloud_of_ones_own_has_registries_an_authority_and_an_audience() {
        let text = "[cloud.fabrikam]\nsuffix = 'azurecr.fabrikam.example'\nauthority = 'https://login.fabrikam.example'\n\
                    audience = 'https://registries.fabrikam.example'\n[registry.\"*.azurecr.fabrikam.example\"]\ntenant = 't'\n";
        let settings = with_file(
            text,
            &[("AZURE_AUTHORITY_HOST", "login.microsoftonline.com")],
        );
        let registry =
            Registry::parse("contoso.azurecr.fabrikam.example", settings.clouds()).unwrap();
        let config = settings.for_registry(&registry).unwrap();
        assert_eq!(config.authority.as_str(), "https://login.fabrikam.example/");
        assert_eq!(
            config.audience.scope(),
            "https://registries.fabrikam.example/.default"
        );
        assert_eq!(config.sources.tenant.unwrap().value, "t");
        assert_eq!(
            Registry::parse("contoso.azurecr.fabrikam.example", &[]),
            None
        );
    }

    #[test]
    fn an_audience_of_the_environment_is_one_that_the_table_or_the_file_names() {
        let mine = "https://registries.fabrikam.example";
        let cloud = format!(
            "[cloud.fabrikam]\nsuffix = 'f.example'\nauthority = 'login.f.example'\naudience = '{mine}'\n"
        );
        let profile = format!("[registry.\"*.azurecr.us\"]\naudience = '{mine}'\n");
        let top = format!("audience = '{mine}'\n");
        let registry = Registry::parse("contoso.azurecr.io", &[]).unwrap();
        let with = |text: &str, audience: &str| {
            with_file(text, &[("ACRSCOPED_AUDIENCE", audience)]).for_registry(&registry)
        };
        for text in [&cloud, &profile, &top] {
            assert_eq!(
                with(text, &format!("{mine}/")).unwrap().audience.as_str(),
                mine,
                "{text}"
            );
            assert_eq!(
                with(text, crate::token::REGISTRY_AUDIENCE)
                    .unwrap()
                    .audience,
                Audience::default()
            );
        }
        for text in ["", "tenant = 't'\n", &cloud] {
            let error = with(text, "https://evil.example").unwrap_err();
            assert_eq!(
                error.to_string(),
                "`ACRSCOPED_AUDIENCE` is \"https://evil.example\", an audience that is not in your config file"
            );
            let hint = "if you trust it, make this the first line of config.toml: `audience = \"https://evil.example\"`";
            assert_eq!(error.hint(), Some(hint));
        }
    }

    #[test]
    fn the_identity_is_of_the_registrys_cloud_unless_the_file_names_another() {
        let own = "[cloud.fabrikam]\nsuffix = 'f.example'\nauthority = 'login.f.example'\naudience = 'https://r.f.example'\n";
        let of = |text: &str, rows: &[(&str, &str)], host: &str| {
            let settings = with_file(&format!("{text}{own}"), rows);
            let registry = Registry::parse(host, settings.clouds()).unwrap();
            let config = settings.for_registry(&registry).unwrap();
            (
                config.identity_cloud.cli_name.to_string(),
                config.authority.to_string(),
                config.audience.as_str().to_owned(),
            )
        };
        let (table, private) = (crate::token::REGISTRY_AUDIENCE, "https://r.f.example");
        let (public, government) = (
            "https://login.microsoftonline.com/",
            "https://login.microsoftonline.us/",
        );
        let (set, profile) = (
            "identity_cloud = 'AzureCloud'\n",
            "[registry.\"*.azurecr.us\"]\nidentity_cloud = 'fabrikam'\n",
        );
        let aks = ("AZURE_AUTHORITY_HOST", public);
        for (text, rows, host, cloud, authority, audience) in [
            (
                "",
                &[][..],
                "contoso.azurecr.io",
                "AzureCloud",
                public,
                table,
            ),
            (
                "",
                &[],
                "contoso.azurecr.us",
                "AzureUSGovernment",
                government,
                table,
            ),
            (
                "",
                &[aks],
                "contoso.azurecr.us",
                "AzureUSGovernment",
                government,
                table,
            ),
            (
                "",
                &[],
                "contoso.f.example",
                "fabrikam",
                "https://login.f.example/",
                private,
            ),
            (set, &[], "contoso.azurecr.us", "AzureCloud", public, table),
            (
                set,
                &[aks],
                "contoso.azurecr.us",
                "AzureCloud",
                public,
                table,
            ),
            (
                set,
                &[("AZURE_AUTHORITY_HOST", government)],
                "contoso.azurecr.us",
                "AzureCloud",
                public,
                table,
            ),
            (set, &[], "contoso.f.example", "AzureCloud", public, private),
            (
                profile,
                &[aks],
                "contoso.azurecr.us",
                "fabrikam",
                "https://login.f.example/",
                table,
            ),
            (
                profile,
                &[],
                "contoso.azurecr.io",
                "AzureCloud",
                public,
                table,
            ),
            // A checkout can set a variable.
            (
                "",
                &[("ACRSCOPED_IDENTITY_CLOUD", "AzureCloud")],
                "contoso.azurecr.us",
                "AzureUSGovernment",
                government,
                table,
            ),
        ] {
            let found = of(text, rows, host);
            assert_eq!(
                found,
                (cloud.into(), authority.into(), audience.into()),
                "{text} {rows:?} {host}"
            );
        }
    }

    #[test]
    fn a_variable_of_a_setting_that_only_the_file_has_is_noticed() {
        let settings = with_file(
            "",
            &[
                ("ACRSCOPED_IDENTITY_CLOUD", "AzureCloud"),
                ("ACRSCOPED_OIDC_HOST", "github.f.example"),
            ],
        );
        assert_eq!(
            settings.unknown_variables(),
            [
                "the helper ignores `ACRSCOPED_IDENTITY_CLOUD`: set `identity_cloud` in config.toml, the only place that counts",
                "the helper ignores `ACRSCOPED_OIDC_HOST`: set `oidc_host` in config.toml, the only place that counts"
            ]
        );
    }

    #[test]
    fn the_delegate_is_named_with_its_origin() {
        let delegate =
            |text: &str, rows: &[(&str, &str)]| with_file(text, rows).delegate().unwrap();
        assert_eq!(delegate("", &[]), None);
        let found = delegate(
            "delegate = 'docker-credential-pass'",
            &[("PATH", "/usr/bin:bin")],
        )
        .unwrap();
        assert_eq!(
            (found.name.as_str(), found.origin.to_string()),
            ("pass", "config.toml:1".to_owned())
        );
        assert_eq!(found.path, [PathBuf::from("/usr/bin")]);
        assert_eq!(
            delegate(
                "delegate = 'pass'",
                &[("ACRSCOPED_DELEGATE", "secretservice")]
            )
            .unwrap()
            .name,
            "secretservice"
        );
    }
}
