//! Azure Arc: the challenge of its agent. The agent writes a key to a file that only administrators and its own group can read, and gives
//! tokens to callers that know the key (Microsoft, "Authenticate against Azure resources with Azure Arc-enabled servers").

use crate::files::read_limited;
use crate::http::HttpResponse;
use crate::text::Secrets;
use anyhow::{Context as _, anyhow, bail, ensure};
use reqwest::StatusCode;
use reqwest::header::HeaderValue;
use std::path::Path;
use zeroize::Zeroizing;

/// The only folder in which the agent writes keys. It is fixed: without this check, an endpoint that is not the agent could have any file
/// sent to it.
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

/// Where the agent listens, even if no variable of the server says so.
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
    if challenge.status.is_success() {
        let status = challenge.status.as_u16();
        bail!("the agent of Azure Arc answered with {status} in place of a challenge");
    }
    // A busy agent, for example.
    ensure!(
        challenge.status == StatusCode::UNAUTHORIZED,
        challenge.error()
    );
    let challenge = challenge.header("www-authenticate").unwrap_or_default();
    let file = key_file(&challenge)?;
    let name = file.display();
    let key = read_limited(file, MAX_KEY_BYTES).map_err(|error| {
        anyhow!(
            "{name} cannot be read: {error}; its readers are administrators and the group `himds`"
        )
    })?;
    let no_key = || format!("{name} holds no key");
    let key = Zeroizing::new(key);
    let key = std::str::from_utf8(&key).ok().with_context(no_key)?.trim();
    secrets.add(key);
    let value = Zeroizing::new(format!("Basic {key}"));
    let value = HeaderValue::from_str(&value).ok();
    let mut value = value.with_context(no_key)?;
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
    ensure!(
        is_key && file.parent() == Some(Path::new(KEY_DIR)),
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
