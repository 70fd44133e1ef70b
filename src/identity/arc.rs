//! Azure Arc: the challenge of its agent. The agent writes a key to a file that only administrators and its own group can read, and gives
//! tokens to callers that know the key (Microsoft, "Authenticate against Azure resources with Azure Arc-enabled servers").

use super::read_secret;
use crate::config::ARC_ENDPOINT;
use crate::http::HttpResponse;
use crate::text::Secrets;
use anyhow::{Context as _, anyhow, bail, ensure};
use reqwest::StatusCode;
use reqwest::header::HeaderValue;
use secrecy::ExposeSecret;
use std::path::{Path, PathBuf};
use url::Url;
use zeroize::Zeroizing;

/// The program of the agent.
const AGENT: &str = if cfg!(windows) {
    r"C:\Program Files\AzureConnectedMachineAgent\himds.exe"
} else {
    "/opt/azcmagent/bin/himds"
};

/// The longest key that the Azure SDKs accept.
const MAX_KEY_BYTES: usize = 4096;

/// Returns the token endpoint of the agent, if it is installed. No variable needs to name it.
pub(super) fn installed_endpoint() -> Option<Url> {
    let url = Url::parse(ARC_ENDPOINT).ok();
    url.filter(|_| Path::new(AGENT).exists())
}

/// Returns the only folder in which the agent writes keys. It is fixed: a program that poses as the agent could make the helper send it any
/// file.
#[cfg(not(windows))]
fn key_dir() -> PathBuf {
    "/var/opt/azcmagent/tokens".into()
}

/// Returns the only folder in which the agent writes keys. It does not come from the variable `ProgramData`: a program that poses as the
/// agent could make the helper send it any file. Only administrators can change this part of the Windows registry.
#[cfg(windows)]
fn key_dir() -> PathBuf {
    let folders = r"SOFTWARE\Microsoft\Windows\CurrentVersion\Explorer\Shell Folders";
    let folders = windows_registry::LOCAL_MACHINE.open(folders);
    let data = folders.and_then(|folders| folders.get_string("Common AppData"));
    let data = data.unwrap_or_else(|_| r"C:\ProgramData".into());
    [&data, "AzureConnectedMachineAgent", "Tokens"]
        .iter()
        .collect()
}

/// Returns the value of `Authorization` that answers the agent's challenge. Adds the key in it to `secrets`.
pub(super) fn authorization(
    challenge: &HttpResponse,
    secrets: &Secrets,
) -> anyhow::Result<HeaderValue> {
    if challenge.status.is_success() {
        let status = challenge.status.as_u16();
        bail!("the agent of Azure Arc answered with {status} instead of a challenge");
    }
    // A busy agent, for example.
    ensure!(
        challenge.status == StatusCode::UNAUTHORIZED,
        challenge.error()
    );
    let challenge = challenge.header("www-authenticate").unwrap_or_default();
    let file = key_file(&challenge)?;
    let name = file.display();
    let key = read_secret(file, MAX_KEY_BYTES).map_err(|error| {
        anyhow!(
            "{name} cannot be read: {error}; its readers are administrators and the group `himds`"
        )
    })?;
    secrets.add(key.expose_secret());
    let value = Zeroizing::new(format!("Basic {}", key.expose_secret()));
    let value = HeaderValue::from_str(&value).ok();
    let value = value.filter(|_| !key.expose_secret().is_empty());
    let mut value = value.with_context(|| format!("{name} holds no key"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Returns the file of `Basic realm=FILE`, if it can be one that the agent wrote.
fn key_file(challenge: &str) -> anyhow::Result<&Path> {
    let realm = challenge
        .split_once("realm=")
        .filter(|(scheme, _)| scheme.trim().eq_ignore_ascii_case("basic"));
    let (_, realm) = realm.context("the challenge of Azure Arc names no file")?;
    let file = Path::new(realm.trim().trim_matches('"'));
    let is_key = file.extension().is_some_and(|it| it == "key");
    // Paths are equal only if all their parts are: a parent with `..` in it is another one.
    let folder = key_dir();
    ensure!(
        is_key && file.parent().is_some_and(|parent| is_same(parent, &folder)),
        "the challenge of Azure Arc names {}, which is no key file in {}",
        file.display(),
        folder.display()
    );
    Ok(file)
}

/// Returns whether two paths are the same. The case of letters does not count on Windows.
fn is_same(path: &Path, other: &Path) -> bool {
    path == other || cfg!(windows) && path.as_os_str().eq_ignore_ascii_case(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(windows)]
    fn on_windows_a_key_file_is_below_the_program_data_of_the_system() {
        let folder = key_dir();
        assert!(folder.is_absolute() && folder.ends_with(r"AzureConnectedMachineAgent\Tokens"));
        let file = folder.to_string_lossy().to_uppercase() + r"\a.key";
        assert!(key_file(&format!("Basic realm={file}")).is_ok());
        assert!(key_file(r"Basic realm=C:\Users\Public\a.key").is_err());
    }

    #[test]
    #[cfg(unix)]
    fn a_challenge_can_name_key_files_of_the_agent_only() {
        for challenge in [
            "Basic realm=/var/opt/azcmagent/tokens/a.key",
            "basic realm=\"/var/opt/azcmagent/tokens/a.key\"",
        ] {
            assert_eq!(
                key_file(challenge).unwrap(),
                Path::new("/var/opt/azcmagent/tokens/a.key")
            );
        }
        for challenge in [
            "",
            "Basic",
            "Bearer realm=/var/opt/azcmagent/tokens/a.key",
            "Basic realm=/etc/shadow",
            "Basic realm=/var/opt/azcmagent/tokens/../../../../etc/shadow.key",
            "Basic realm=/var/opt/azcmagent/tokens/sub/a.key",
            "Basic realm=/var/opt/azcmagent/tokens/a.pem",
            "Basic realm=/var/opt/azcmagent/tokens/.key",
            "Basic realm=var/opt/azcmagent/tokens/a.key",
            "Basic realm=/var/opt/azcmagent/tokensx/a.key",
        ] {
            assert!(key_file(challenge).is_err(), "{challenge}");
        }
    }
}
