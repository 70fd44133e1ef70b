//! Reads the variables of the environment that are no settings of ours.

use super::values::{url, url_or_host};
use super::{NetworkSettings, SessionBus, Value};
use crate::error::Error;
use crate::registry::host_and_port;
use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use url::{Host, Url};

/// Holds the variables of an environment, by name.
///
/// ```
/// use docker_credential_acrscoped::Variables;
///
/// let variables: Variables = [("AZURE_TENANT_ID".to_owned(), "contoso.example".into())].into();
/// ```
pub type Variables = HashMap<String, OsString>;

/// The variables that hold secrets of any source.
pub const SECRETS: &[&str] = &[
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "AZD_AUTH_KEY",
    "AZURE_CLIENT_CERTIFICATE_PASSWORD",
    "AZURE_CLIENT_SECRET",
    "AZURE_PASSWORD",
    "IDENTITY_HEADER",
    "MSI_SECRET",
    "SYSTEM_ACCESSTOKEN",
];

/// The proxy variables, in the order in which the HTTP client reads them.
const PROXY_VARIABLES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

const NO_PROXY_VARIABLES: [&str; 2] = ["NO_PROXY", "no_proxy"];

const CA_VARIABLES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// The result of reading a setting.
pub(super) type Result<T, E = Error> = std::result::Result<T, E>;

/// Returns a variable as it is. As in the Azure SDKs, an empty one counts as unset.
pub(super) fn raw(variables: &Variables, name: &str) -> Option<OsString> {
    let value = variables.get(name)?;
    (!value.is_empty()).then(|| value.clone())
}

/// Returns a variable as text, white space included.
pub(super) fn raw_text(variables: &Variables, name: &str) -> Result<Option<String>> {
    raw(variables, name)
        .map(OsString::into_string)
        .transpose()
        .map_err(|_| Error::setting(name, "is not UTF-8"))
}

/// Returns a variable without white space around it: a newline at the end comes from a file and is no part of the value.
pub(super) fn text(variables: &Variables, name: &str) -> Result<Option<String>> {
    let text = raw_text(variables, name)?.map(|text| text.trim().to_owned());
    Ok(text.filter(|text| !text.is_empty()))
}

/// Returns a variable as `parse` reads it.
pub(super) fn parsed<T>(
    variables: &Variables,
    name: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>> {
    let Some(text) = text(variables, name)? else {
        return Ok(None);
    };
    let value = parse(&text).map_err(|problem| Error::setting(name, problem));
    value.map(Some)
}

/// The schemes of an address that may be on this machine or in its network.
pub(super) const HTTP: &[&str] = &["http", "https"];

/// The scheme of every other address.
pub(super) const HTTPS: &[&str] = &["https"];

/// Returns a variable as a URL with a host.
pub(super) fn parsed_url(
    variables: &Variables,
    name: &str,
    schemes: &[&str],
    example: &str,
) -> Result<Option<Url>> {
    parsed(variables, name, |text| {
        url(text, schemes).ok_or_else(|| format!("is not a URL such as `{example}`"))
    })
}

/// Returns the path in a variable. Relative ones are ignored, as the XDG specification demands.
pub(super) fn absolute(variables: &Variables, name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(raw(variables, name)?);
    path.is_absolute().then_some(path)
}

/// Returns whether a URL names this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Reads how the network is used; `ca_file` comes from the settings. Rejects malformed proxy URLs, which the HTTP client silently ignores.
pub(super) fn network(
    variables: &Variables,
    ca_file: Option<Value<PathBuf>>,
    working_directory: Option<&Path>,
) -> Result<NetworkSettings> {
    const EXPECTED: &str =
        "is not the http or https URL of a proxy, such as `http://proxy.example:3128`";
    let mut notes = Vec::new();
    let mut proxy = None;
    for name in PROXY_VARIABLES {
        if let Some(text) = text(variables, name)? {
            let url = url_or_host(&text, HTTP).ok_or_else(|| Error::setting(name, EXPECTED))?;
            // User and password are left out.
            let (scheme, host) = (url.scheme(), host_and_port(&url));
            notes.push(format!("`{name}` is set to {scheme}://{host}"));
            proxy.get_or_insert(text);
        }
    }
    for name in NO_PROXY_VARIABLES.into_iter().chain(CA_VARIABLES) {
        let value = raw(variables, name);
        notes.extend(value.map(|it| format!("`{name}` is set to {}", it.to_string_lossy())));
    }
    if let Some(Value { value, origin }) = &ca_file {
        let name = origin.setting("ca_file");
        notes.push(format!("`{name}` is set to {}", value.display()));
    }
    let mut no_proxy = NO_PROXY_VARIABLES.into_iter();
    let no_proxy = no_proxy.find_map(|name| text(variables, name).ok()?);
    let [system_ca_file, ca_dirs] = CA_VARIABLES.map(|name| raw(variables, name));
    let ca_dirs = ca_dirs.unwrap_or_default();
    let ca_dirs = std::env::split_paths(&ca_dirs).filter(|dir| !dir.as_os_str().is_empty());
    Ok(NetworkSettings {
        system_ca_file: system_ca_file.map(PathBuf::from),
        system_ca_dirs: ca_dirs.collect(),
        working_directory: working_directory.map(Path::to_owned),
        ca_file,
        proxy: proxy.unwrap_or_default().into(),
        no_proxy: no_proxy.unwrap_or_default(),
        notes,
    })
}

/// Finds the session bus.
pub(super) fn session_bus(variables: &Variables) -> SessionBus {
    if let Some(addresses) = raw(variables, "DBUS_SESSION_BUS_ADDRESS") {
        return SessionBus::Addresses(addresses);
    }
    match absolute(variables, "XDG_RUNTIME_DIR") {
        Some(folder) => SessionBus::Socket(folder.join("bus")),
        None => SessionBus::Nowhere,
    }
}

/// Returns our folder for what is neither setting nor cache (XDG Base Directory Specification, and its counterparts on macOS and Windows).
pub(super) fn state_dir(variables: &Variables, home: Option<&Path>) -> Option<PathBuf> {
    let default = || {
        let in_home = match std::env::consts::OS {
            "windows" => "AppData/Local",
            "macos" => "Library/Application Support",
            _ => ".local/state",
        };
        let local = absolute(variables, "LOCALAPPDATA").filter(|_| cfg!(windows));
        local.or_else(|| Some(home?.join(in_home)))
    };
    let folder = absolute(variables, "XDG_STATE_HOME").or_else(default)?;
    Some(folder.join(env!("CARGO_PKG_NAME")))
}

/// Returns the folders for lock files: in the runtime folder of the session, and in the state folder. On Unix also one of this user in the
/// temporary folder.
pub(super) fn lock_dirs(variables: &Variables, home: Option<&Path>) -> Vec<PathBuf> {
    let name = env!("CARGO_PKG_NAME");
    let runtime = absolute(variables, "XDG_RUNTIME_DIR").map(|folder| folder.join(name));
    let mut folders: Vec<PathBuf> = runtime.into_iter().collect();
    folders.extend(state_dir(variables, home));
    #[cfg(unix)]
    {
        let temporary = absolute(variables, "TMPDIR").unwrap_or_else(|| "/tmp".into());
        let user = rustix::process::geteuid();
        folders.push(temporary.join(format!("{name}-{}", user.as_raw())));
    }
    folders
}

/// Returns the absolute folders of `PATH`.
pub(super) fn program_folders(variables: &Variables) -> Vec<PathBuf> {
    let path = raw(variables, "PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .collect()
}
