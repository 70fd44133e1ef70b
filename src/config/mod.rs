//! Settings: the environment and the config file, read once, as types that cannot be wrong.
//!
//! [`Settings::read`] takes the variables, and is the only reader of them and of the file. [`Settings::for_registry`] returns what
//! applies to one registry, and [`Settings::explain`] where each value comes from. `ACRSCOPED_*` are our own variables. `AZURE_*`,
//! `IDENTITY_*` and the like are those of the Azure SDKs, and mean the same here.

mod cloud;
pub(crate) mod edit;
mod environment;
mod file;
mod keys;
mod platforms;
mod precedence;
mod sources;
mod values;

pub use environment::{SECRETS, Variables};
pub use keys::{CONFIG_VARIABLE, KEYS, Key, Kind};
pub(crate) use platforms::ARC_ENDPOINT;
pub use platforms::{ManagedIdentityEnv, OidcRequestEnv, Platform};
pub use precedence::{Origin, Value};
pub use sources::{CertificateSettings, ManagedId, SourceSettings};
pub(crate) use values::is_tenant;
pub use values::{CacheChoice, IDENTITY_TOKEN, Log, OnError, SourceName, ZERO_GUID};

use crate::error::{Error, config_file};
use crate::registry::{Cloud, Registry};
use crate::token::Audience;
use crate::trust;
use environment::raw;
use file::File;
use keys::Setting;
use precedence::Resolver;
use secrecy::SecretString;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use url::Url;

/// Holds the variables of an environment and a config file: everything that is set, for all registries.
///
/// There are no other settings. A program that uses this crate is configured like `docker-credential-acrscoped` itself, whose manual lists
/// the variables. Values are checked when they are needed, for one registry at a time.
///
/// ```
/// use docker_credential_acrscoped::Settings;
///
/// let variables = [("ACRSCOPED_SOURCE".to_owned(), "azure-cli".into())].into();
/// let settings = Settings::from_variables(variables, None);
/// assert!(settings.clouds().is_empty());
/// ```
#[derive(Clone, Default)]
pub struct Settings {
    variables: Variables,
    home: Option<PathBuf>,
    /// The real path of the folder that this process runs in, which may be a checkout.
    working_directory: Option<PathBuf>,
    file: File,
}

/// Omits the variables, some of which are secrets.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

/// Everything that a `get` depends on besides the registry.
#[derive(Debug)]
pub struct Config {
    /// Where tokens are cached.
    pub cache: CacheChoice,
    /// Whether an access token is cached for further registries.
    pub keep_access_token: bool,
    /// The time for one `get` in all.
    pub timeout: Duration,
    /// The user name given to clients.
    pub username: &'static str,
    /// What a client gets if sign-in fails.
    pub on_error: OnError,
    /// The audience of access tokens.
    pub audience: Audience,
    /// The cloud that the identity belongs to.
    pub identity_cloud: Cloud,
    /// Where people and service principals sign in. Always `https`, without a path.
    pub authority: Url,
    /// Where the authority was set; `None` if it is the cloud's.
    pub authority_origin: Option<Origin>,
    /// What the sources of an identity are made from.
    pub sources: SourceSettings,
    /// Proxies and CA certificates.
    pub network: NetworkSettings,
    /// The folders for lock files, best first. They may be missing or unusable.
    pub lock_dirs: Vec<PathBuf>,
}

/// Proxies and CA certificates.
#[derive(Clone, Debug, Default)]
pub struct NetworkSettings {
    /// `SSL_CERT_FILE`: PEM certificates that replace the system's.
    pub system_ca_file: Option<PathBuf>,
    /// `SSL_CERT_DIR`: folders with such certificates.
    pub system_ca_dirs: Vec<PathBuf>,
    /// The real path of the folder that this process runs in: certificates in it are not trusted if a variable names them.
    pub working_directory: Option<PathBuf>,
    /// `ca_file`: PEM certificates trusted besides the system's.
    pub ca_file: Option<Value<PathBuf>>,
    /// The proxy of requests by TLS, with user and password if it has them; empty if there is none.
    pub proxy: SecretString,
    /// The hosts that are reached without the proxy (`NO_PROXY`).
    pub no_proxy: String,
    /// A sentence for each proxy and CA variable that is set, for errors of connections.
    pub notes: Vec<String>,
}

/// Where the session bus is, by the variables that D-Bus itself reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SessionBus {
    /// No variable is set.
    #[default]
    Nowhere,
    /// `DBUS_SESSION_BUS_ADDRESS`: addresses in the form of the D-Bus specification.
    Addresses(OsString),
    /// `bus` in `XDG_RUNTIME_DIR`, the default.
    Socket(PathBuf),
}

/// Set for the delegate, so that two helpers that call each other fail at once.
pub const DELEGATED_VARIABLE: &str = "ACRSCOPED_DELEGATED";

impl Settings {
    /// Reads the settings as the program itself does: from the environment of this process, and from the config file.
    ///
    /// # Errors
    ///
    /// As [`Settings::read`].
    pub fn from_env() -> Result<Self, Error> {
        Self::from_env_without_file().read_file()
    }

    /// Reads the config file and combines it with `variables`. The file is the one that `ACRSCOPED_CONFIG` names, or
    /// `docker-credential-acrscoped/config.toml` in `config_folder`. `working_directory` is the real path of the folder that the process
    /// runs in. A file in it is refused, because a checkout must not contain settings.
    ///
    /// # Errors
    ///
    /// The file cannot be read, others can change it, it is in the working directory, or anything in it is wrong. Variables are checked
    /// only when they are needed.
    ///
    /// ```
    /// use docker_credential_acrscoped::{Settings, Variables};
    ///
    /// let variables: Variables = [("AZURE_TENANT_ID".to_owned(), "contoso.example".into())].into();
    /// let settings = Settings::read(variables, Some("/home/alice".into()), None, None)?;
    /// assert!(settings.clouds().is_empty());
    /// # Ok::<(), docker_credential_acrscoped::Error>(())
    /// ```
    pub fn read(
        variables: Variables,
        home: Option<PathBuf>,
        config_folder: Option<PathBuf>,
        working_directory: Option<PathBuf>,
    ) -> Result<Self, Error> {
        Self::without_file(variables, home, config_folder, working_directory).read_file()
    }

    /// Returns settings that have the path of the config file, and nothing of its content.
    fn without_file(
        variables: Variables,
        home: Option<PathBuf>,
        config_folder: Option<PathBuf>,
        working_directory: Option<PathBuf>,
    ) -> Self {
        let named = raw(&variables, CONFIG_VARIABLE).map(PathBuf::from);
        let folder = config_folder.map(|folder| folder.join(env!("CARGO_PKG_NAME")));
        let path = named.or_else(|| Some(folder?.join("config.toml")));
        let file = File {
            path: path.unwrap_or_default(),
            ..File::default()
        };
        Self {
            variables,
            home,
            working_directory,
            file,
        }
    }

    fn read_file(self) -> Result<Self, Error> {
        let path = &self.file.path;
        let is_named = raw(&self.variables, CONFIG_VARIABLE).is_some();
        if is_named && !path.is_absolute() {
            let problem = format!("is {:?}, expected an absolute path", path.display());
            return Err(Error::setting(CONFIG_VARIABLE, problem));
        }
        if path.as_os_str().is_empty() {
            return Ok(self);
        }
        let file = File::read(path, is_named, self.working_directory.as_deref())?;
        Ok(Self { file, ..self })
    }

    /// Creates settings from variables alone, without a file, for a program that has its own configuration. The account of the Azure CLI is
    /// below `home`.
    ///
    /// The HTTP client itself reads the proxies and the system's CA certificates of the process (`HTTPS_PROXY`, `NO_PROXY`,
    /// `SSL_CERT_FILE`, …). `ACRSCOPED_CA_FILE` comes from `variables`.
    ///
    /// ```
    /// use docker_credential_acrscoped::Settings;
    ///
    /// let variables = [("ACRSCOPED_SOURCE".to_owned(), "azure-cli".into())].into();
    /// let settings = Settings::from_variables(variables, Some("/home/alice".into()));
    /// assert!(settings.clouds().is_empty());
    /// ```
    pub fn from_variables(variables: Variables, home: Option<PathBuf>) -> Self {
        Self {
            variables,
            home,
            ..Self::default()
        }
    }

    /// Returns the private clouds (`[cloud.NAME]` in the config file), for [`Registry::parse`].
    pub fn clouds(&self) -> &[Cloud] {
        &self.file.clouds
    }
}

/// For the program itself.
impl Settings {
    /// Reads the environment of this process and no config file, for commands that must work when the file is broken.
    #[expect(
        clippy::disallowed_methods,
        reason = "the environment is touched here and nowhere else"
    )]
    pub(crate) fn from_env_without_file() -> Self {
        let named = |(name, value): (OsString, _)| {
            let name = name.into_string().ok()?;
            // On Windows `Path` and `PATH` are the same.
            #[cfg(windows)]
            let name = name.to_uppercase();
            Some((name, value))
        };
        let variables: Variables = std::env::vars_os().filter_map(named).collect();
        // On Windows other programs take the home folder from the variable, not from the account.
        let profile = variables.get("USERPROFILE").map(PathBuf::from);
        let profile = profile.filter(|folder| cfg!(windows) && folder.is_absolute());
        let home = profile.or_else(dirs::home_dir);
        Self::without_file(
            variables,
            home,
            dirs::config_dir(),
            trust::working_directory(),
        )
    }

    /// Returns the variables that are no settings of ours, such as those about the terminal and the files of clients.
    pub(crate) fn variables(&self) -> &Variables {
        &self.variables
    }

    /// Returns the user's home folder.
    pub(crate) fn home(&self) -> Option<&Path> {
        self.home.as_deref()
    }

    /// Returns the real path of the folder that the process runs in.
    pub(crate) fn working_directory(&self) -> Option<&Path> {
        self.working_directory.as_deref()
    }

    /// Returns our folder for what is neither setting nor cache.
    pub(crate) fn state_dir(&self) -> Option<PathBuf> {
        environment::state_dir(&self.variables, self.home())
    }

    /// Returns where the config file is, or would be.
    pub(crate) fn file(&self) -> &Path {
        &self.file.path
    }

    /// Returns the absolute folders of `PATH`.
    pub(crate) fn program_folders(&self) -> Vec<PathBuf> {
        environment::program_folders(&self.variables)
    }

    /// Returns the registries that have a profile of their own.
    pub(crate) fn registries_with_profiles(&self) -> Vec<Registry> {
        let names = self.file.profiles.keys();
        names
            .filter_map(|name| Registry::parse(name, self.clouds()))
            .collect()
    }

    /// Returns the settings as they would be with another text in the config file.
    ///
    /// # Errors
    ///
    /// Something in the text is wrong.
    pub(crate) fn with_text(&self, text: &str) -> Result<Self, Error> {
        let file = File::parse(&self.file.path, text)?;
        Ok(Self {
            file,
            ..self.clone()
        })
    }

    /// Returns the log level.
    ///
    /// # Errors
    ///
    /// The variable is wrong.
    pub(crate) fn log(&self) -> Result<Log, Error> {
        self.resolver(None).value(&keys::LOG)
    }

    /// Returns the file that gets the log, besides stderr.
    ///
    /// # Errors
    ///
    /// The path is not absolute.
    pub(crate) fn log_file(&self) -> Result<Option<PathBuf>, Error> {
        let file = self.resolver(None).get(&keys::LOG_FILE)?;
        Ok(file.map(|file| file.value))
    }

    /// Returns the delegate, if one is set: the last part of its name, such as `secretservice` of `docker-credential-secretservice`.
    ///
    /// # Errors
    ///
    /// The variable is wrong.
    pub(crate) fn delegate(&self) -> Result<Option<Value<String>>, Error> {
        self.resolver(None).get(&keys::DELEGATE)
    }

    /// Returns what applies to a registry.
    ///
    /// # Errors
    ///
    /// A variable is wrong, or names an authority or audience that is not trusted.
    pub(crate) fn for_registry(&self, registry: &Registry) -> Result<Config, Error> {
        self.config(&self.resolver(Some(registry)), registry.cloud())
    }

    /// Returns what applies to a cloud if no registry is named. No profile applies.
    ///
    /// # Errors
    ///
    /// As [`Settings::for_registry`].
    pub(crate) fn for_cloud(&self, cloud: &Cloud) -> Result<Config, Error> {
        self.config(&self.resolver(None), cloud)
    }

    fn config(&self, resolver: &Resolver<'_>, cloud: &Cloud) -> Result<Config, Error> {
        let identity_cloud = resolver.identity_cloud.unwrap_or(cloud);
        let (authority, authority_origin) = self.authority(resolver, identity_cloud)?;
        let (variables, home) = (&self.variables, self.home());
        let ca_file = resolver.get(&keys::CA_FILE)?;
        Ok(Config {
            cache: resolver.value(&keys::CACHE)?,
            keep_access_token: resolver.value(&keys::KEEP_ACCESS_TOKEN)?,
            timeout: resolver.value(&keys::TIMEOUT)?,
            username: resolver.value(&keys::USERNAME)?,
            on_error: resolver.value(&keys::ON_ERROR)?,
            audience: self.audience(resolver, cloud)?,
            identity_cloud: identity_cloud.clone(),
            authority,
            authority_origin,
            sources: SourceSettings::read(variables, resolver, home, &self.file.path)?,
            network: environment::network(variables, ca_file, self.working_directory())?,
            lock_dirs: environment::lock_dirs(variables, home),
        })
    }

    fn authority(
        &self,
        resolver: &Resolver<'_>,
        cloud: &Cloud,
    ) -> Result<(Url, Option<Origin>), Error> {
        let Some(found) = resolver.get(&keys::AUTHORITY)? else {
            let authority = values::authority(&cloud.authority).map_err(Error::input)?;
            return Ok((authority, None));
        };
        let mut clouds = self.file.all_clouds();
        let is_of_cloud = clouds.any(|cloud| cloud.is_authority(&found.value));
        let text = found.value.as_str().trim_end_matches('/');
        let problem = format!(
            "names {text}, which is not a known Microsoft Entra authority, so nothing was sent to it"
        );
        self.check_trust(&keys::AUTHORITY, &found, text, is_of_cloud, &problem)?;
        Ok((found.value, Some(found.origin)))
    }

    fn audience(&self, resolver: &Resolver<'_>, cloud: &Cloud) -> Result<Audience, Error> {
        let Some(found) = resolver.get(&keys::AUDIENCE)? else {
            return Audience::parse(&cloud.audience).map_err(Error::input);
        };
        let text = found.value.as_str();
        let is_of_cloud = self.file.all_clouds().any(|cloud| cloud.audience == text);
        let problem = format!("is {text:?}, an audience that is not in your config file");
        self.check_trust(&keys::AUDIENCE, &found, text, is_of_cloud, &problem)?;
        Ok(found.value)
    }

    /// Refuses an authority or audience that a variable adds to the known ones. They decide which hosts get secrets. Anyone may have set a
    /// variable, so it may only choose among those of the clouds and of the config file.
    fn check_trust<T: PartialEq>(
        &self,
        setting: &Setting<T>,
        found: &Value<T>,
        text: &str,
        is_of_cloud: bool,
        problem: &str,
    ) -> Result<(), Error> {
        let Origin::Variable(variable) = found.origin else {
            return Ok(());
        };
        let name = setting.key.name;
        let mut in_file = self.file.values(name).map(setting.parse);
        if is_of_cloud || in_file.any(|known| known.as_ref() == Ok(&found.value)) {
            return Ok(());
        }
        let line = format!("{name} = {text:?}");
        Err(Error::untrusted_variable(
            variable,
            problem,
            &line,
            &self.file.path,
        ))
    }

    /// Returns where the Secret Service is.
    pub(crate) fn session_bus(&self) -> SessionBus {
        environment::session_bus(&self.variables)
    }

    /// Returns the time limit of work that is not about one registry.
    ///
    /// # Errors
    ///
    /// The variable is wrong.
    pub(crate) fn timeout(&self) -> Result<Duration, Error> {
        self.resolver(None).value(&keys::TIMEOUT)
    }

    /// Returns whether the delegate called this helper.
    pub(crate) fn is_delegated(&self) -> bool {
        self.variables.contains_key(DELEGATED_VARIABLE)
    }

    /// Returns every store that may hold a registry's tokens.
    ///
    /// # Errors
    ///
    /// The variable is wrong.
    pub(crate) fn caches(&self) -> Result<Vec<CacheChoice>, Error> {
        let mut choices = vec![self.resolver(None).value(&keys::CACHE)?];
        for choice in self.file.values("cache").map(CacheChoice::parse) {
            let new = choice.ok().filter(|choice| !choices.contains(choice));
            choices.extend(new);
        }
        Ok(choices)
    }

    /// Returns the settings that are set for a registry, and where each comes from. Without a registry, no profile applies.
    ///
    /// # Errors
    ///
    /// A variable is not UTF-8.
    pub(crate) fn explain(
        &self,
        registry: Option<&Registry>,
    ) -> Result<Vec<(&'static str, Value<String>)>, Error> {
        self.resolver(registry).explain()
    }

    /// Returns where the config file itself sets a setting: in the profile of this name, or at the top.
    pub(crate) fn origin_in_file(&self, profile: Option<&str>, name: &str) -> Option<&Origin> {
        let profile = profile.map(|profile| self.file.profiles.get(profile));
        let section = profile.map_or(Some(&self.file.top), |found| Some(&found?.settings));
        section?.get(name).map(|value| &value.origin)
    }

    /// Returns a sentence for each variable that begins like ours and has no effect, such as a misspelt one.
    pub(crate) fn unknown_variables(&self) -> Vec<String> {
        let known = KEYS.iter().filter_map(|key| key.variable);
        let known = known.chain([CONFIG_VARIABLE, DELEGATED_VARIABLE]);
        let names = self.variables.keys().map(String::as_str);
        let unknown = names.filter(|name| known.clone().all(|known| known != *name));
        let sentence = |name: &str| {
            let setting = name.strip_prefix("ACRSCOPED_")?.to_lowercase();
            if KEYS.iter().any(|key| key.name == setting) {
                let file = config_file(&self.file.path);
                return Some(format!(
                    "the helper ignores `{name}`: set `{setting}` in {file}, the only place that counts"
                ));
            }
            let hint = values::suggest(name, known.clone());
            Some(format!("`{name}` is not a setting{hint}"))
        };
        let mut sentences: Vec<_> = unknown.filter_map(sentence).collect();
        sentences.sort();
        sentences
    }

    /// Returns the names of the profiles that apply to a registry, the most specific first.
    pub(crate) fn profiles(&self, registry: &Registry) -> Vec<&str> {
        let profiles = self.file.profiles(registry).into_iter();
        profiles.map(|profile| profile.name.as_str()).collect()
    }

    fn resolver<'a>(&'a self, registry: Option<&'a Registry>) -> Resolver<'a> {
        Resolver::new(&self.variables, &self.file, registry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(rows: &[(&str, &str)]) -> Settings {
        let variables = rows
            .iter()
            .map(|(name, value)| ((*name).into(), value.into()))
            .collect();
        Settings::from_variables(variables, Some("/home/alice".into()))
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
    fn the_error_of_an_unknown_value_lists_the_known_ones() {
        for (name, value, sentence) in [
            (
                "ACRSCOPED_CACHE",
                "keychain",
                "`ACRSCOPED_CACHE` cannot be \"keychain\": allowed values are auto, keyutils, secret-service, none",
            ),
            (
                "ACRSCOPED_USERNAME",
                "me",
                "`ACRSCOPED_USERNAME` cannot be \"me\": allowed values are guid, token",
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
                assert_eq!(error.hint(), Some(fix.as_str()));
            }
        }
    }

    #[test]
    fn an_authority_of_another_cloud_by_any_of_its_names_is_ignored() {
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
            config.network.notes,
            ["`HTTPS_PROXY` is set to http://proxy.example:3128"]
        );
    }

    #[test]
    fn a_proxy_that_is_no_url_is_an_error() {
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
    fn platforms_of_managed_identities_are_distinguished_and_must_be_complete() {
        let announced = |rows: &[(&str, &str)]| {
            read(rows)
                .unwrap()
                .sources
                .managed_identity_env
                .map(|env| env.map(|env| format!("{:?}", env.platform)))
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
            (&[older], "CloudShell"),
            (&[older, ("MSI_SECRET", "s")], "MachineLearning"),
        ] {
            assert_eq!(announced(rows).unwrap().as_deref(), Some(platform));
        }
        let empty = [("MSI_ENDPOINT", ""), ("IDENTITY_ENDPOINT", "")];
        assert_eq!(announced(&empty), Ok(None));
        assert_eq!(
            announced(&[endpoint, header, ("IDENTITY_SERVER_THUMBPRINT", "t")]).unwrap_err(),
            "that of Service Fabric is not supported"
        );
        assert_eq!(
            announced(&[endpoint]).unwrap_err(),
            "`IDENTITY_ENDPOINT` is set, but `IDENTITY_HEADER` is not"
        );
        // The agent of Azure Arc gets a key from its folder.
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
            ["`ACRSCOPED_CAHCE` is not a setting; did you mean `ACRSCOPED_CACHE`?"]
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
            config.sources.github.as_ref().unwrap().is_some()
                && config.sources.pipelines.as_ref().unwrap().token.is_some()
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
    fn the_origin_of_highest_precedence_wins_and_is_named() {
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
            "`AZURE_TENANT_ID` does not choose an account of a command line"
        );
    }

    #[test]
    fn a_profile_inherits_unset_settings_from_less_specific_ones() {
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
    fn every_setting_that_is_set_is_explained() {
        let settings = with_file(
            "[registry.\"*.azurecr.io\"]\ncache = 'none'\n",
            &[("AZURE_CLIENT_ID", "c")],
        );
        let explained = settings
            .explain(Some(&Registry::parse("contoso.azurecr.io", &[]).unwrap()))
            .unwrap();
        let found: Vec<_> = explained
            .iter()
            .map(|(name, set)| (*name, set.value.as_str(), set.origin.to_string()))
            .collect();
        assert_eq!(
            found,
            [
                ("client_id", "c", "`AZURE_CLIENT_ID`".to_owned()),
                (
                    "cache",
                    "none",
                    "`[registry.\"*.azurecr.io\"]` in config.toml:2".to_owned()
                ),
            ]
        );
    }

    #[test]
    fn a_private_cloud_has_registries_an_authority_and_an_audience() {
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
    fn a_variable_chooses_only_a_known_audience() {
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
        let found = delegate("delegate = 'docker-credential-pass'", &[]).unwrap();
        assert_eq!(
            (found.value.as_str(), found.origin.to_string()),
            ("pass", "config.toml:1".to_owned())
        );
        assert_eq!(
            delegate(
                "delegate = 'pass'",
                &[("ACRSCOPED_DELEGATE", "secretservice")]
            )
            .unwrap()
            .value,
            "secretservice"
        );
    }
}
