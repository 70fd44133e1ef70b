//! Azure Arc: the challenge of its agent, which writes a key to a file that only administrators and its own group can read, and gives
//! tokens to callers that know the key (Microsoft, "Authenticate against Azure resources with Azure Arc-enabled servers").

use crate::files::read_limited;
use crate::http::HttpResponse;
use crate::text::Secrets;
use anyhow::{anyhow, bail, ensure};
use reqwest::StatusCode;
use reqwest::header::HeaderValue;
use std::path::{Component, Path};
use zeroize::Zeroizing;

/// The only folder in which the agent writes keys. Without this check, an endpoint that is not the agent could have any file sent to it.
const KEY_DIR: &str = if cfg!(windows) {
    r"C:\ProgramData\AzureConnectedMachineAgent\Tokens"
} else {
    "/var/opt/azcmagent/tokens"
};

/// The program of the agent.
const AGENT: &str = if cfg!(windows) {
    r"C:\Program Files\AzureConnectedMachineAgent\himds.exe"
} else {
    "/opt/azcmagent/bin/himds"
};

/// Where the agent listens. A server need not announce it.
const ENDPOINT: &str = "http://localhost:40342/metadata/identity/oauth2/token";

/// The longest key that the Azure SDKs accept.
const MAX_KEY_BYTES: usize = 4096;

/// Returns the token endpoint of the agent, if it is installed.
pub(super) fn installed_endpoint() -> Option<&'static str> {
    Path::new(AGENT).exists().then_some(ENDPOINT)
}

/// Returns the value of `Authorization` that answers the agent's challenge. Adds the key in it to `secrets`.
pub(super) fn authorization(
    challenge: &HttpResponse,
    secrets: &Secrets,
) -> anyhow::Result<HeaderValue> {
    match challenge.status {
        StatusCode::UNAUTHORIZED => (),
        status if status.is_success() => bail!(
            "the agent of Azure Arc answered with {} in place of a challenge",
            status.as_u16()
        ),
        // A busy agent says so as other services do.
        _ => return Err(challenge.error().into()),
    }
    let challenge = challenge.header("www-authenticate").unwrap_or_default();
    let file = key_file(&challenge)?;
    let key = read_limited(file, MAX_KEY_BYTES).map_err(|error| {
        anyhow!(
            "{} cannot be read: {error}; its readers are administrators and the group `himds`",
            file.display()
        )
    })?;
    let no_key = || anyhow!("{} holds no key", file.display());
    let key = Zeroizing::new(key);
    let key = std::str::from_utf8(&key).map_err(|_| no_key())?.trim();
    secrets.add(key);
    let value = Zeroizing::new(format!("Basic {key}"));
    let mut value = HeaderValue::from_str(&value).map_err(|_| no_key())?;
    value.set_sensitive(true);
    Ok(value)
}

/// Returns the file of `Basic realm=FILE`, if it can be one that the agent wrote.
fn key_file(challenge: &str) -> anyhow::Result<&Path> {
    let realm = challenge
        .split_once("realm=")
        .filter(|(scheme, _)| scheme.trim().eq_ignore_ascii_case("basic"));
    let Some((_, realm)) = realm else {
        bail!("the challenge of Azure Arc names no file")
    };
    let file = Path::new(realm.trim().trim_matches('"'));
    let is_plain = file.components().all(|part| {
        matches!(
            part,
            Component::Prefix(_) | Component::RootDir | Component::Normal(_)
        )
    });
    let is_in_dir = file.parent() == Some(Path::new(KEY_DIR));
    ensure!(
        is_plain && is_in_dir && file.extension().is_some_and(|kind| kind == "key"),
        "the challenge of Azure Arc names {}, which is no key file in {KEY_DIR}",
        file.display()
    );
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
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
