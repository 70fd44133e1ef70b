//! The challenge of Azure Arc: its agent writes a key to a file that only administrators and its own group can read, and gives tokens to who
//! knows the key (Microsoft, "Authenticate against Azure resources with Azure Arc-enabled servers").

use crate::files::read_limited;
use crate::network::HttpResponse;
use crate::network::answer::header;
use crate::text::Secrets;
use anyhow::{anyhow, bail};
use reqwest::StatusCode;
use reqwest::header::HeaderValue;
use std::path::{Component, Path};
use url::Url;
use zeroize::Zeroizing;

/// The only folder in which the agent writes keys: an endpoint that is not the agent could else have any file sent to it.
const KEYS: &str = if cfg!(windows) {
    r"C:\ProgramData\AzureConnectedMachineAgent\Tokens"
} else {
    "/var/opt/azcmagent/tokens"
};

/// The program of the agent, and where it listens. A server need not announce it.
const AGENT: &str = if cfg!(windows) {
    r"C:\Program Files\AzureConnectedMachineAgent\himds.exe"
} else {
    "/opt/azcmagent/bin/himds"
};
const ENDPOINT: &str = "http://localhost:40342/metadata/identity/oauth2/token";

/// Where the agent gives tokens, if it is installed here.
pub(super) fn installed() -> Option<Url> {
    Url::parse(ENDPOINT)
        .ok()
        .filter(|_| Path::new(AGENT).exists())
}

/// The longest key, as the Azure SDKs take it.
const KEY_LIMIT: usize = 4096;

/// The value of `Authorization` that answers the agent's challenge. The key in it is added to `secrets`.
pub(super) fn answer(challenge: &HttpResponse, secrets: &Secrets) -> anyhow::Result<HeaderValue> {
    let status = challenge.status;
    if status != StatusCode::UNAUTHORIZED {
        bail!(
            "the agent of Azure Arc answered with {} in place of a challenge",
            status.as_u16()
        );
    }
    let challenge = header(&challenge.headers, "www-authenticate").unwrap_or_default();
    let file = key_file(&challenge)?;
    let key = read_limited(file, KEY_LIMIT).map_err(|error| {
        anyhow!(
            "{} cannot be read: {error}; its readers are administrators and the group `himds`",
            file.display()
        )
    })?;
    let key = Zeroizing::new(key);
    let key = std::str::from_utf8(&key).map_err(|_| anyhow!("{} holds no key", file.display()))?;
    secrets.add(key.trim());
    let mut value = HeaderValue::from_str(&Zeroizing::new(format!("Basic {}", key.trim())))
        .map_err(|_| anyhow!("{} holds no key", file.display()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The file of `Basic realm=FILE`, if the agent may have written it.
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
    if !is_plain
        || file.parent() != Some(Path::new(KEYS))
        || file.extension().is_none_or(|kind| kind != "key")
    {
        bail!(
            "the challenge of Azure Arc names {}, which is no key file in {KEYS}",
            file.display()
        );
    }
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
