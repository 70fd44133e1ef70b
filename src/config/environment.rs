//! The environment's variables, looked up and read.

use super::{NetworkSettings, SessionBus, Value};
use crate::error::Error;
use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use url::{Host, Url};

/// The variables of an environment, by name.
pub type Variables = HashMap<String, OsString>;

/// The variables that hold secrets of one source or another.
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

/// A variable as it is; unset and empty are the same, as in the Azure SDKs.
pub(super) fn raw(variables: &Variables, name: &str) -> Option<OsString> {
    variables
        .get(name)
        .filter(|value| !value.is_empty())
        .cloned()
}

/// A value without white space around it: a newline at the end comes from a file and is part of no setting.
pub(super) fn text(variables: &Variables, name: &str) -> Result<Option<String>, Error> {
    let value = raw(variables, name)
        .map(|value| value.into_string().map_err(|_| wrong(name, "is not UTF-8")))
        .transpose()?;
    Ok(value
        .map(|value| value.trim().to_owned())
        .filter(|value| !value.is_empty()))
}

/// A value, understood.
pub(super) fn checked<T>(
    variables: &Variables,
    name: &str,
    parse: fn(&str) -> Result<T, String>,
) -> Result<Option<T>, Error> {
    text(variables, name)?
        .map(|value| parse(&value).map_err(|problem| wrong(name, &problem)))
        .transpose()
}

/// A folder or file; only an absolute one counts, as the XDG specification demands.
pub(super) fn absolute(variables: &Variables, name: &str) -> Option<PathBuf> {
    raw(variables, name)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
}

pub(super) fn http_url(name: &str, value: &str, example: &str) -> Result<Url, Error> {
    let url = Url::parse(value)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or_else(|| wrong(name, &format!("is not a URL such as `{example}`")))
}

/// Whether a URL names this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// How the network is used; `ca_file` comes from the settings.
pub(super) fn network(
    variables: &Variables,
    ca_file: Option<Value<PathBuf>>,
    working_directory: Option<&Path>,
) -> Result<NetworkSettings, Error> {
    let mut circumstances = circumstances(variables)?;
    circumstances.extend(ca_file.as_ref().map(|file| {
        format!(
            "`{}` is set to {}",
            file.origin.setting("ca_file"),
            file.value.display()
        )
    }));
    let first = |names: [&str; 4]| {
        names
            .iter()
            .find_map(|name| text(variables, name).ok().flatten())
            .unwrap_or_default()
    };
    Ok(NetworkSettings {
        system_ca_file: raw(variables, "SSL_CERT_FILE").map(PathBuf::from),
        system_ca_dirs: raw(variables, "SSL_CERT_DIR")
            .map(|dirs| {
                std::env::split_paths(&dirs)
                    .filter(|dir| !dir.as_os_str().is_empty())
                    .collect()
            })
            .unwrap_or_default(),
        working_directory: working_directory.map(Path::to_owned),
        ca_file,
        // The order in which the HTTP client reads them.
        proxy: first(["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]).into(),
        no_proxy: first(["NO_PROXY", "no_proxy", "", ""]),
        circumstances,
    })
}

/// The proxy and CA variables in force, as sentences. A proxy's user and password are left out. A proxy that is no URL is an
/// error: the HTTP client would go past it without a word.
fn circumstances(variables: &Variables) -> Result<Vec<String>, Error> {
    let mut sentences = Vec::new();
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        let Some(value) = text(variables, name)? else {
            continue;
        };
        let url = if value.contains("://") {
            value
        } else {
            format!("http://{value}")
        };
        let url = Url::parse(&url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let url = url.ok_or_else(|| {
            wrong(
                name,
                "is not the http or https URL of a proxy, such as `http://proxy.example:3128`",
            )
        })?;
        let port = url
            .port()
            .map(|port| format!(":{port}"))
            .unwrap_or_default();
        sentences.push(format!(
            "`{name}` is set to {}://{}{port}",
            url.scheme(),
            url.host_str().unwrap_or_default()
        ));
    }
    for name in ["NO_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"] {
        if let Some(value) = raw(variables, name) {
            sentences.push(format!("`{name}` is set to {}", value.to_string_lossy()));
        }
    }
    Ok(sentences)
}

pub(super) fn session_bus(variables: &Variables) -> SessionBus {
    match raw(variables, "DBUS_SESSION_BUS_ADDRESS") {
        Some(addresses) => SessionBus::Addresses(addresses),
        None => absolute(variables, "XDG_RUNTIME_DIR").map_or(SessionBus::Nowhere, |folder| {
            SessionBus::Socket(folder.join("bus"))
        }),
    }
}

/// Our folder for what is neither setting nor cache (XDG Base Directory Specification, and where macOS and Windows have such things).
pub(super) fn state_folder(variables: &Variables, home: Option<&Path>) -> Option<PathBuf> {
    let in_home = |folder: &str| Some(home?.join(folder));
    let own = || match std::env::consts::OS {
        "windows" => absolute(variables, "LOCALAPPDATA").or_else(|| in_home("AppData/Local")),
        "macos" => in_home("Library/Application Support"),
        _ => in_home(".local/state"),
    };
    Some(
        absolute(variables, "XDG_STATE_HOME")
            .or_else(own)?
            .join(env!("CARGO_PKG_NAME")),
    )
}

/// The runtime folder of the session, the state folder, and, where there are user ids, a folder of this user in the temporary one.
pub(super) fn meeting_folders(variables: &Variables, home: Option<&Path>) -> Vec<PathBuf> {
    let name = env!("CARGO_PKG_NAME");
    let mut folders: Vec<PathBuf> = absolute(variables, "XDG_RUNTIME_DIR")
        .map(|path| path.join(name))
        .into_iter()
        .collect();
    folders.extend(state_folder(variables, home));
    #[cfg(unix)]
    {
        let temporary = absolute(variables, "TMPDIR").unwrap_or_else(|| "/tmp".into());
        folders.push(temporary.join(format!("{name}-{}", rustix::process::geteuid().as_raw())));
    }
    folders
}

/// The absolute folders of `PATH`.
pub(super) fn program_folders(variables: &Variables) -> Vec<PathBuf> {
    let path = raw(variables, "PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .collect()
}

pub(super) fn wrong(name: &str, problem: &str) -> Error {
    Error::setting(name, problem)
}
