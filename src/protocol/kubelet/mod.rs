//! The credential providers of kubelet: one request on stdin, one response on stdout.
//!
//! Facts: kubernetes, `pkg/credentialprovider/plugin/plugin.go`. kubelet waits a minute; a failure is an exit code other than 0 with its
//! reason on stderr, which becomes a line of kubelet's log, and an empty stdout; kubelet pulls without a credential then.
//!
//! Who signs in is the node, or the pod's service account if it is annotated. The node's identity is the one that `get` would take. What it
//! is given is kept by kubelet, in its memory. The keyring of root is no place for it: a container that runs as root of the node has the same
//! one, and may read it where no seccomp profile forbids `keyctl` (keyrings(7), user-keyring(7)); by default Kubernetes sets none. Where
//! `cache` names a store all the same, the images that a node pulls at once share one sign-in.
//!
//! A service account is another matter. Its pods are strangers to those of others on the same node, all of whom we serve as root, and
//! who it is was said by the request and by nothing else. So its tokens are read from no cache and kept in none, whatever is set, and no
//! other process is waited for: neither a token nor a failure of one account can reach another. kubelet keeps them apart by itself.

mod image;
mod request;

use super::{message, write};
use crate::config::{Settings, ZERO_GUID};
use crate::error::Error;
use crate::helper::Helper;
use crate::mirrors::Mirrors;
use crate::registry::Registry;
use crate::token::{MAX_LIFETIME, RefreshToken};
use clap::Args;
use request::{API_VERSION, Request};
use secrecy::ExposeSecret;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

/// The longest request that is read. All annotations of an object together have at most 256 KiB (kubernetes, `apimachinery`,
/// `TotalAnnotationSizeLimitB`), and escapes can make that six times as much.
const LIMIT: usize = 2 * 1024 * 1024;

/// No call is longer, whatever `timeout` says: kubelet ends it after a minute, and its reason would be lost.
const LONGEST: Duration = Duration::from_secs(50);

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

impl<'a> Response<'a> {
    /// Kept by kubelet under the host of the image, which is what the credential is good for.
    fn of(duration: Duration, auth: Option<BTreeMap<&'a str, Auth<'a>>>) -> Self {
        let cache_duration = format!("{}s", duration.as_secs());
        Self {
            api_version: API_VERSION,
            kind: "CredentialProviderResponse",
            cache_key_type: "Registry",
            cache_duration,
            auth,
        }
    }

    /// No credential, now. The next pod may have one.
    fn nothing() -> Self {
        Self::of(Duration::ZERO, None)
    }
}

/// Answers one request. `settings` are read and `helper` is called when they are needed. On failure nothing is written to `output`.
pub fn serve(
    arguments: &Arguments,
    settings: impl FnOnce() -> Result<Settings, Error>,
    helper: impl for<'a> FnOnce(&'a Settings) -> Result<Helper<'a>, Error>,
    input: impl Read,
    mut output: impl Write,
) -> Result<ExitCode, Error> {
    let settings = settings()?;
    let mirrors = Mirrors::parse(&arguments.mirrors, settings.clouds()).map_err(Error::Input)?;
    let request = Request::parse(&message(input, LIMIT)?)?;
    let Some(Pull { registry, keys }) = Pull::of(&request.image, &mirrors, &settings) else {
        return write(&mut output, &Response::nothing());
    };
    let helper = helper(&settings)?
        .within(LONGEST)
        .for_client_that_remembers();
    let credential = match request.workload()? {
        Some(workload) => helper.get_for(&registry, workload),
        None => helper.get(&registry),
    };
    let token = match credential {
        Ok(credential) => credential.token,
        Err(Error::Anonymous(_)) => return write(&mut output, &Response::nothing()),
        Err(error) => return Err(error),
    };
    // `username` is not asked: what kubelet hands to the runtime is a user and a password and cannot be an identity token.
    let auth = Auth {
        username: ZERO_GUID,
        password: token.secret().expose_secret(),
    };
    let auth = keys.iter().map(|key| (key.as_str(), auth)).collect();
    write(
        &mut output,
        &Response::of(kept(&token, helper.now()), Some(auth)),
    )
}

/// What an image needs to be pulled.
struct Pull {
    registry: Registry,
    /// The hosts that the credential is given for.
    keys: Vec<String>,
}

impl Pull {
    /// None for an image that has nothing to do with registries of ours. A mirror's credential is given for the host of the image, by
    /// which kubelet looks it up, and for the mirror, where the runtime takes the image from.
    fn of(image: &str, mirrors: &Mirrors, settings: &Settings) -> Option<Self> {
        let host = image::host(image)?;
        if let Some(registry) = mirrors.of(host) {
            return Some(Self {
                registry: registry.clone(),
                keys: vec![host.to_owned(), registry.host().to_owned()],
            });
        }
        Some(Self {
            registry: Registry::parse(host, settings.clouds())?,
            keys: vec![host.to_owned()],
        })
    }
}

/// For how long kubelet keeps a token. One that does not say when it ends is not kept.
fn kept(token: &RefreshToken, now: SystemTime) -> Duration {
    let remaining = token
        .expires()
        .and_then(|expires| expires.duration_since(now).ok())
        .unwrap_or_default();
    let mut random = [0; 4];
    // Without randomness the shortest time is as good.
    let _ = ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut random);
    cache_duration(remaining, u32::from_ne_bytes(random))
}

/// For how long kubelet keeps a credential that lives for another `remaining`: a whole number of seconds, from two fifths to one half
/// of it, evenly spread by `random`, which is any number with all of them as likely. What claims to live for more than a day is taken
/// to live for a day.
///
/// Half a life is left for pulls that have begun, and for a registry that gives no other for a while. The spread is for fleets: nodes
/// that started together and ask for the same image would else come back together for ever.
///
/// Bounds, with `life` the whole seconds of `remaining`: `2 * life / 5 <= seconds <= life / 2` in integers, and 0, which kubelet does not
/// keep at all, for less than three seconds.
pub fn cache_duration(remaining: Duration, random: u32) -> Duration {
    let life = remaining.min(MAX_LIFETIME).as_secs();
    let (shortest, longest) = (life * 2 / 5, life / 2);
    let spread = (u128::from(longest - shortest + 1) * u128::from(random)) >> u32::BITS;
    Duration::from_secs(shortest + u64::try_from(spread).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn three_hours_are_kept_for_something_over_one() {
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

    /// Ten minutes are 61 different whole seconds: all of them come, and each about as often.
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
        fn a_credential_is_kept_for_two_fifths_to_one_half_of_its_life(seconds in any::<u64>(), nanos in 0..1_000_000_000_u32, random in any::<u32>()) {
            let remaining = Duration::new(seconds, nanos);
            let kept = cache_duration(remaining, random);
            let life = seconds.min(MAX_LIFETIME.as_secs());
            prop_assert!(kept * 2 <= remaining, "no longer than half");
            prop_assert!(kept.as_secs() >= life * 2 / 5 && kept.as_secs() <= life / 2);
            prop_assert_eq!(kept.subsec_nanos(), 0);
        }
    }
}
