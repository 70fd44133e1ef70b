//! The credential provider of kubelet: one request on stdin, one response on stdout.
//!
//! Facts: kubernetes, `pkg/credentialprovider/plugin/plugin.go`. kubelet waits for a minute. A failure is an exit code other than 0, an
//! empty stdout and a reason on stderr, which becomes a line of kubelet's log. kubelet then pulls without a credential.
//!
//! The identity is the node's, as in `get`, or that of the pod's service account if it has annotations. kubelet caches the node's
//! credential in memory, so that no keyring is needed. The keyring of root is not safe for it: a container that runs as the node's root
//! shares it, and can read it unless a seccomp profile forbids `keyctl` (keyrings(7), user-keyring(7)). Kubernetes sets no profile by
//! default. If `cache` names a keyring anyway, the images that a node pulls at the same time share one sign-in.
//!
//! Service accounts must not get each other's tokens. All of them are served as root, and only the request says which one it is. So their
//! tokens are never cached, whatever the settings are, and they never share a sign-in: neither a token nor a failure of one account
//! can reach another.

mod cache_duration;
mod request;

use super::{read_message, write_json};
use crate::config::{Settings, ZERO_GUID};
use crate::error::{Error, ErrorKind};
use crate::mirrors::Mirrors;
use crate::random;
use crate::registry::Registry;
use crate::service::TokenService;
use crate::token::RefreshToken;
use cache_duration::cache_duration;
use clap::Args;
use request::{API_VERSION, Request};
use secrecy::ExposeSecret;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

/// The limit on a request. All annotations of an object together have at most 256 KiB (kubernetes, `apimachinery`,
/// `TotalAnnotationSizeLimitB`), and escapes can make that six times as much.
const MAX_REQUEST_BYTES: usize = 2 * 1024 * 1024;

/// The limit on the setting `timeout`: kubelet ends a call after a minute, and its reason would be lost.
const MAX_TIMEOUT: Duration = Duration::from_secs(50);

/// `kubelet [--registry-mirror SOURCE:REGISTRY,…]`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct Arguments {
    /// Pull the images of a host through a registry, whose credential is given for them.
    #[arg(
        long = "registry-mirror",
        value_name = "SOURCE:REGISTRY",
        value_delimiter = ','
    )]
    pub mirrors: Vec<String>,
}

/// The answer (kubernetes, `staging/src/k8s.io/kubelet/pkg/apis/credentialprovider/v1/types.go`).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    api_version: &'static str,
    kind: &'static str,
    cache_key_type: &'static str,
    cache_duration: String,
    auth: Option<BTreeMap<&'a str, Auth<'a>>>,
}

#[derive(Clone, Copy, Serialize)]
struct Auth<'a> {
    username: &'static str,
    password: &'a str,
}

/// Writes a response, which kubelet caches under the host of the image for this time.
fn write_response(
    output: impl Write,
    cache_duration: Duration,
    auth: Option<BTreeMap<&str, Auth<'_>>>,
) -> Result<ExitCode, Error> {
    let response = Response {
        api_version: API_VERSION,
        kind: "CredentialProviderResponse",
        cache_key_type: "Registry",
        cache_duration: format!("{}s", cache_duration.as_secs()),
        auth,
    };
    write_json(output, &response)
}

/// Writes a response without a credential, which is not cached: the next pod may have one.
fn write_empty(output: impl Write) -> Result<ExitCode, Error> {
    write_response(output, Duration::ZERO, None)
}

/// Answers one request. `settings` are read and `service` is called when they are needed.
///
/// # Errors
///
/// Any failure. Nothing is written to `output` then.
pub fn serve(
    arguments: &Arguments,
    settings: impl FnOnce() -> Result<Settings, Error>,
    service: impl for<'a> FnOnce(&'a Settings) -> Result<TokenService<'a>, Error>,
    input: impl Read,
    output: impl Write,
) -> Result<ExitCode, Error> {
    let settings = settings()?;
    let mirrors = Mirrors::parse(&arguments.mirrors, settings.clouds()).map_err(Error::input)?;
    let request = Request::parse(&read_message(input, MAX_REQUEST_BYTES)?)?;
    let Some((registry, hosts)) = find_registry(&request.image, &mirrors, &settings) else {
        return write_empty(output);
    };
    let service = service(&settings)?.for_client_with_cache(MAX_TIMEOUT);
    let credential = match request.into_service_account()? {
        Some(account) => service.get_for_service_account(&registry, account),
        None => service.get(&registry),
    };
    let token = match credential {
        Ok(credential) => credential.token,
        Err(error) if error.kind() == ErrorKind::Anonymous => return write_empty(output),
        Err(error) => return Err(error),
    };
    // Not the setting `username`: kubelet hands a user and a password to the runtime, which cannot be an identity token.
    let auth = Auth {
        username: ZERO_GUID,
        password: token.secret().expose_secret(),
    };
    let auth = hosts.iter().map(|host| (host.as_str(), auth)).collect();
    let duration = random_cache_duration(&token, service.now());
    write_response(output, duration, Some(auth))
}

/// Returns the registry of an image and the hosts that its credential is given for, or `None` for an image of another host.
///
/// A mirror's credential is for two hosts: that of the image, by which kubelet looks it up, and the mirror, from which the runtime pulls.
fn find_registry(
    image: &str,
    mirrors: &Mirrors,
    settings: &Settings,
) -> Option<(Registry, Vec<String>)> {
    let host = image_host(image)?.to_owned();
    Some(match mirrors.get(&host) {
        Some(mirror) => (mirror.clone(), vec![host, mirror.host().to_owned()]),
        None => (Registry::parse(&host, settings.clouds())?, vec![host]),
    })
}

/// Returns the host of an image reference as it is written, port included: the part before the first slash.
///
/// kubelet parses `https://` and the image as a URL, and compares its host, label by label, and its port with each key of the answer
/// (kubernetes, `pkg/credentialprovider/keyring.go`). So the key must be the host as written in the image, with its case and port.
///
/// Returns `None` for an image without a host, such as `app` of Docker Hub, and for text that is no reference: names, tags and digests
/// have only these characters (distribution/reference, `regexp.go`).
fn image_host(image: &str) -> Option<&str> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:/@+".contains(&byte);
    let (host, repository) = image.split_once('/')?;
    // A server URL may end with a dot, but the host of a reference may not.
    let has_final_dot = host.ends_with('.') || host.contains(".:");
    (!repository.is_empty() && !has_final_dot && image.bytes().all(is_allowed)).then_some(host)
}

/// Returns how long kubelet caches a token. It does not cache a token without an expiry.
fn random_cache_duration(token: &RefreshToken, now: SystemTime) -> Duration {
    let remaining = token
        .expires()
        .and_then(|expires| expires.duration_since(now).ok())
        .unwrap_or_default();
    // Without randomness, zero gives the shortest time.
    let random = random::bytes().unwrap_or_default();
    cache_duration(remaining, u32::from_ne_bytes(random))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::MAX_LIFETIME;
    use proptest::prelude::*;

    #[test]
    fn three_hours_are_cached_for_72_to_90_minutes() {
        let life = Duration::from_secs(10_800);
        for (random, seconds) in [(0, 4_320), (u32::MAX / 2, 4_860), (u32::MAX, 5_400)] {
            assert_eq!(cache_duration(life, random), Duration::from_secs(seconds));
        }
        assert_eq!(
            cache_duration(Duration::from_secs(2), u32::MAX),
            Duration::from_secs(1)
        );
        assert_eq!(cache_duration(Duration::ZERO, u32::MAX), Duration::ZERO);
    }

    /// Ten minutes give 61 different whole seconds. Each occurs, and about equally often.
    #[test]
    fn a_fleet_comes_back_evenly_spread() {
        let mut counts = BTreeMap::new();
        for node in 0..61_000_u32 {
            let random = node.wrapping_mul(0x9e37_79b9);
            *counts
                .entry(cache_duration(Duration::from_secs(600), random).as_secs())
                .or_insert(0) += 1;
        }
        assert_eq!(
            (
                counts.len(),
                counts.first_key_value().unwrap().0,
                counts.last_key_value().unwrap().0
            ),
            (61, &240, &300)
        );
        assert!(
            counts.values().all(|count| (900..=1_100).contains(count)),
            "{counts:?}"
        );
    }

    proptest! {
        #[test]
        fn a_credential_is_cached_for_two_fifths_to_one_half_of_its_lifetime(seconds in any::<u64>(), nanos in 0..1_000_000_000_u32, random in any::<u32>()) {
            let remaining = Duration::new(seconds, nanos);
            let kept = cache_duration(remaining, random);
            let life = seconds.min(MAX_LIFETIME.as_secs());
            prop_assert!(kept * 2 <= remaining, "no longer than half");
            prop_assert!(kept.as_secs() >= life * 2 / 5 && kept.as_secs() <= life / 2);
            prop_assert_eq!(kept.subsec_nanos(), 0);
        }
    }

    fn registry(image: &str) -> Option<Registry> {
        Registry::parse(image_host(image)?, &[])
    }

    #[test]
    fn the_host_is_returned_as_written() {
        for (image, written, login_server) in [
            (
                "contoso.azurecr.io/app",
                "contoso.azurecr.io",
                "contoso.azurecr.io",
            ),
            (
                "contoso.azurecr.io/team/app/web",
                "contoso.azurecr.io",
                "contoso.azurecr.io",
            ),
            (
                "contoso.azurecr.io/app:v1",
                "contoso.azurecr.io",
                "contoso.azurecr.io",
            ),
            (
                "contoso.azurecr.io/app@sha256:0a1b",
                "contoso.azurecr.io",
                "contoso.azurecr.io",
            ),
            (
                "contoso.azurecr.io/app:v1@sha256:0a1b",
                "contoso.azurecr.io",
                "contoso.azurecr.io",
            ),
            (
                "contoso.azurecr.io:443/app",
                "contoso.azurecr.io:443",
                "contoso.azurecr.io",
            ),
            (
                "Contoso.azurecr.io/app",
                "Contoso.azurecr.io",
                "contoso.azurecr.io",
            ),
            (
                "contoso-abc123.azurecr.io/app",
                "contoso-abc123.azurecr.io",
                "contoso-abc123.azurecr.io",
            ),
            (
                "contoso.eastus.geo.azurecr.io/app",
                "contoso.eastus.geo.azurecr.io",
                "contoso.azurecr.io",
            ),
            (
                "contoso.azurecr.us/contoso.azurecr.io/app",
                "contoso.azurecr.us",
                "contoso.azurecr.us",
            ),
        ] {
            assert_eq!(image_host(image), Some(written), "{image}");
            assert_eq!(
                registry(image).unwrap().login_server(),
                login_server,
                "{image}"
            );
        }
    }

    #[test]
    fn an_image_that_only_resembles_one_of_a_registry_is_foreign() {
        for image in [
            "",
            "/",
            "app",
            "contoso.azurecr.io",
            "contoso.azurecr.io/",
            "contoso.azurecr.io:443",
            "contoso.azurecr.io:v1",
            "/contoso.azurecr.io/app",
            "docker.io/library/app",
            "evil/contoso.azurecr.io/app",
            "evil.example/contoso.azurecr.io/app",
            "contoso.azurecr.io.evil.example/app",
            "contoso.azurecr.io./app",
            "contoso.azurecr.io.:443/app",
            "contoso.azurecr.io:5000/app",
            "contoso.azurecr.io:/app",
            "user@contoso.azurecr.io/app",
            "user:password@contoso.azurecr.io/app",
            "contoso.azurecr.io@evil.example/app",
            "https://contoso.azurecr.io/app",
            "contoso.azurecr.io?x/app",
            "contoso.azurecr.io/app?x",
            "contoso.azurecr.io#x/app",
            "contoso.azurecr.io\\@evil.example/app",
            " contoso.azurecr.io/app",
            "contoso.azurecr.io /app",
            "contoso.azurecr.io/app\n",
            "contoso.azurecr.io\0/app",
            "contoso.azurecr.io/app\0",
            "contoso.azurecr.io/\u{202e}app",
            "c\u{43e}ntoso.azurecr.io/app",
            "contoso\u{3002}azurecr\u{3002}io/app",
            "contoso.azurecr.io%2f@evil.example/app",
            "contoso.data.azurecr.io/app",
            "contoso.eastus.data.azurecr.io/app",
            "*.azurecr.io/app",
            "team.contoso.azurecr.io/app",
        ] {
            assert_eq!(registry(image), None, "{image:?}");
        }
    }
}
