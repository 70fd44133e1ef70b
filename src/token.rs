//! The two tokens: the access token that Entra issues and the refresh token that a registry gives for it.
//!
//! Nothing here checks a signature: the services do that. Claims are read only to refuse to send a token of a wrong
//! audience and to know how long a token lives.

mod claims;

pub use claims::{Access, Claims};

use crate::text::printable;
use azure_core::base64::decode_url_safe;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use std::time::{Duration, SystemTime};
use url::Url;

/// A refresh token is not handed out in its last minute: the client still has to use it.
const SPENT: Duration = Duration::from_secs(60);

/// A token that claims to live longer than this is renewed after half of it all the same.
pub(crate) const LONGEST_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// An access token is not sent in its last five minutes: an exchange takes time, and clocks differ.
const LAST_USE: Duration = Duration::from_secs(5 * 60);

/// Application id of the resource "Azure Container Registry": a token may carry it as `aud` in place of the audience's URL.
const REGISTRY_RESOURCE_ID: &str = "6a0ec4d3-30cb-4a83-91c0-ae56bc0e3d26";

/// Application id of the resource "Windows Azure Service Management API", which is Azure Resource Manager.
const RESOURCE_MANAGER_ID: &str = "797f4846-ba00-4fd7-ba43-dac1f8f63013";

/// The audience of every registry in every cloud of Azure (azure-cli 2.91, `_resolve_acr_scope`).
pub const REGISTRY_AUDIENCE: &str = "https://containerregistry.azure.net";

/// What an access token is asked for and must be for. Never Azure Resource Manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audience(String);

impl Audience {
    /// Reads the address of a resource, `https://…` or `api://…`, as the registries of a disconnected cloud may have one of their
    /// own. The error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "https" | "api") && url.has_host());
        let is_plain = |url: &Url| url.username().is_empty() && url.password().is_none() && url.query().is_none();
        let url = url.filter(|url| is_plain(url) && url.fragment().is_none() && text.bytes().all(|byte| byte.is_ascii_graphic()));
        let url = url.ok_or_else(|| format!("is {text:?}, expected the address of a resource, such as `{REGISTRY_AUDIENCE}`"))?;
        let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
        if is_resource_manager(&host) {
            return Err(format!("is {text:?}, which is Azure Resource Manager: its tokens are never asked for nor sent"));
        }
        Ok(Self(text.strip_suffix("/.default").unwrap_or(text).trim_end_matches('/').to_owned()))
    }

    /// Azure Resource Manager of a cloud, named as the Azure CLI does, for `doctor --probe-arm` alone: whether a registry takes such tokens can be told only by
    /// offering one. Everything else calls [`Audience::parse`], which refuses it; clippy refuses further callers of this.
    pub(crate) fn of_resource_manager(cloud: &str) -> Option<Self> {
        let host = match cloud {
            "AzureCloud" => "management.azure.com",
            "AzureUSGovernment" => "management.usgovcloudapi.net",
            "AzureChinaCloud" => "management.chinacloudapi.cn",
            _ => return None,
        };
        Some(Self(format!("https://{host}")))
    }

    /// The Entra scope to ask for.
    pub fn scope(&self) -> String {
        format!("{}/.default", self.0)
    }

    /// The audience itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this `aud` claim stands for it.
    fn is(&self, claim: &str) -> bool {
        claim.strip_suffix('/').unwrap_or(claim) == self.0 || (self.0 == REGISTRY_AUDIENCE && claim == REGISTRY_RESOURCE_ID)
    }
}

impl Default for Audience {
    fn default() -> Self {
        Self(REGISTRY_AUDIENCE.to_owned())
    }
}

/// Azure Resource Manager is `management.azure.com`, `management.core.windows.net`, `management.usgovcloudapi.net` and so on by
/// cloud, and `management.…`, `adminmanagement.…` or `armmanagement.…` in private ones.
fn is_resource_manager(host: &str) -> bool {
    let label = host.split('.').next().unwrap_or_default();
    matches!(label, "management" | "adminmanagement" | "armmanagement") || host == RESOURCE_MANAGER_ID
}

/// Claims of an access token that decide where it may be sent. They are taken as whatever JSON they are: a claim of an
/// unexpected type must not make the whole token unreadable and so unchecked.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct AccessClaims {
    aud: Value,
    tid: Value,
    oid: Value,
}

/// What is said of a JWT whose audience is missing, double or no text.
const UNREADABLE: &str = "an audience that cannot be read";

/// An access token of Entra for the registry audience.
#[derive(Clone, Debug)]
pub struct AccessToken {
    secret: SecretString,
    tenant: Option<String>,
    object_id: Option<String>,
    expires: Option<SystemTime>,
}

impl AccessToken {
    /// Takes a token that was asked for with this audience. A JWT for another audience, or for one that cannot be read, is
    /// refused with words for that audience, and goes nowhere.
    pub fn new(secret: SecretString, audience: &Audience) -> Result<Self, String> {
        // An opaque or encrypted token has no payload to read, a JWT has one that must tell its audience.
        let claims = match payload(secret.expose_secret()) {
            Payload::None => AccessClaims::default(),
            Payload::Unreadable => return Err(UNREADABLE.into()),
            Payload::Json(json) => match serde_json::from_slice::<AccessClaims>(&json) {
                Ok(claims) if matches!(&claims.aud, Value::String(claim) if audience.is(claim)) => claims,
                Ok(AccessClaims { aud: Value::String(claim), .. }) => return Err(format!("`{}`", printable(&claim))),
                Ok(AccessClaims { aud: Value::Null, .. }) | Err(_) => return Err(UNREADABLE.into()),
                Ok(AccessClaims { aud, .. }) => return Err(format!("`{}`", printable(&aud.to_string()))),
            },
        };
        let expires = expiry_of(secret.expose_secret());
        let object_id = claims.oid.as_str().filter(|id| is_guid(id)).map(str::to_owned);
        Ok(Self { secret, tenant: claims.tid.as_str().map(str::to_owned), object_id, expires })
    }

    /// The token itself, for the body of one request or a store.
    pub fn secret(&self) -> &SecretString {
        &self.secret
    }

    /// The tenant (`tid`) that issued it, where the token can be read.
    pub fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    /// The object id (`oid`) of the identity, where the token shows one. It becomes part of commands to paste.
    pub fn object_id(&self) -> Option<&str> {
        self.object_id.as_deref()
    }

    /// Until when it is used for further registries: five minutes before it ends. A token that does not say when it ends is
    /// used once.
    pub fn usable_until(&self) -> Option<SystemTime> {
        self.expires?.checked_sub(LAST_USE)
    }

    /// Whether both are the same token.
    pub fn is(&self, other: &Self) -> bool {
        self.secret.expose_secret() == other.secret.expose_secret()
    }
}

/// The claim that says when a token ends.
#[derive(Debug, Deserialize)]
struct Lifetime {
    exp: u64,
}

/// A registry's refresh token, with the times that decide whether it is used again.
///
/// `iat` is back-dated by 15 minutes (seen in recordings of the Azure SDKs), so a token's life starts when it was received.
#[derive(Clone, Debug)]
pub struct RefreshToken {
    secret: SecretString,
    expires: Option<SystemTime>,
    renew: SystemTime,
}

impl RefreshToken {
    /// The token itself: the password of basic authentication.
    pub fn secret(&self) -> &SecretString {
        &self.secret
    }

    /// When it ends (`exp`), if it says so: three hours after it was issued, at Azure's registries.
    pub fn expires(&self) -> Option<SystemTime> {
        self.expires
    }

    /// From when on a `get` renews it: when half of its life is spent.
    pub fn renew(&self) -> SystemTime {
        self.renew
    }
}

/// When it is used again.
#[cfg_attr(not(internals), doc(hidden))]
impl RefreshToken {
    /// A token just received. It is to be renewed when half of what is left of its life is spent.
    pub fn received(secret: SecretString, now: SystemTime) -> Self {
        let expires = expiry_of(secret.expose_secret());
        let life = expires.and_then(|expires| expires.duration_since(now).ok()).unwrap_or_default();
        Self { secret, expires, renew: now + life.min(LONGEST_LIFE) / 2 }
    }

    /// A token read from a store, with the time of its renewal that was stored beside it.
    pub fn restored(secret: SecretString, renew: SystemTime) -> Self {
        Self { expires: expiry_of(secret.expose_secret()), secret, renew }
    }

    /// Whether it can be handed out without asking anybody.
    pub fn is_fresh(&self, now: SystemTime) -> bool {
        now < self.renew && self.is_valid(now) && !self.is_from_the_future(now)
    }

    /// Whether the registry would still take it. A token that does not say when it ends is good once, when received.
    pub fn is_valid(&self, now: SystemTime) -> bool {
        self.expires.is_some_and(|expires| now + SPENT < expires)
    }

    /// The same token, to be renewed at another time: after a renewal that did not succeed.
    pub fn renewed_later(self, renew: SystemTime) -> Self {
        Self { renew, ..self }
    }

    /// A clock set back makes every stored time lie ahead. Renewal was set for the half of a life, so the way to it is never
    /// longer than the way from it to the end.
    fn is_from_the_future(&self, now: SystemTime) -> bool {
        let (Some(expires), Ok(ahead)) = (self.expires, self.renew.duration_since(now)) else {
            return false;
        };
        let half = expires.duration_since(self.renew).unwrap_or_default();
        ahead > half.min(LONGEST_LIFE / 2) + SPENT
    }
}

/// Whether a claim is a GUID in its usual form.
fn is_guid(text: &str) -> bool {
    let is_in_place =
        |(at, byte): (usize, u8)| if [8, 13, 18, 23].contains(&at) { byte == b'-' } else { byte.is_ascii_hexdigit() };
    text.len() == 36 && text.bytes().enumerate().all(is_in_place)
}

/// `exp` of a JWT.
fn expiry_of(token: &str) -> Option<SystemTime> {
    let Payload::Json(json) = payload(token) else { return None };
    let claims: Lifetime = serde_json::from_slice(&json).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(claims.exp))
}

/// The part of a token between its first two dots.
enum Payload {
    /// There is none: the token is opaque, or encrypted (five parts, RFC 7516).
    None,
    /// There is one, which is not base64.
    Unreadable,
    /// The bytes of it.
    Json(Vec<u8>),
}

fn payload(token: &str) -> Payload {
    let parts: Vec<&str> = token.split('.').collect();
    let (&[_, payload, ..], false) = (&parts[..], parts.len() == 5) else { return Payload::None };
    // Tolerated here, so that a token mangled on its way is not taken for one without claims.
    let payload = payload.trim_end_matches('=').replace('+', "-").replace('/', "_");
    decode_url_safe(payload).map_or(Payload::Unreadable, Payload::Json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use azure_core::base64::encode_url_safe;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn at(seconds: u64) -> SystemTime {
        NOW + Duration::from_secs(seconds)
    }

    fn jwt(payload: &str) -> SecretString {
        let payload = encode_url_safe(payload).trim_end_matches('=').to_owned();
        SecretString::from(format!("e30.{payload}.c2ln"))
    }

    fn ends(seconds: u64) -> SecretString {
        jwt(&format!(r#"{{"iat":1,"exp":{seconds}}}"#))
    }

    #[test]
    fn a_token_is_fresh_for_the_first_half_of_what_is_left_of_its_life() {
        let token = RefreshToken::received(ends(10_800), NOW);
        assert!(token.is_fresh(at(0)) && token.is_fresh(at(5_399)));
        assert!(!token.is_fresh(at(5_400)) && token.is_valid(at(5_400)));
        assert!(token.is_valid(at(10_739)) && !token.is_valid(at(10_740)));
    }

    #[test]
    fn a_restored_token_keeps_the_time_of_its_renewal() {
        let received = RefreshToken::received(ends(10_800), NOW);
        let restored = RefreshToken::restored(ends(10_800), received.renew());
        assert!(restored.is_fresh(at(5_399)) && !restored.is_fresh(at(5_400)));
        assert_eq!(restored.expires(), Some(at(10_800)));
    }

    #[test]
    fn a_clock_that_was_set_back_makes_a_token_stale_not_eternal() {
        let token = RefreshToken::received(ends(110_800), at(100_000));
        assert!(token.is_fresh(at(100_000)));
        assert!(!token.is_fresh(at(50_000)));
    }

    #[test]
    fn a_token_said_to_live_for_centuries_is_renewed_within_a_day() {
        let token = RefreshToken::received(ends(253_402_300_799), NOW);
        assert!(token.is_fresh(at(43_199)) && !token.is_fresh(at(43_200)));
    }

    #[test]
    fn a_token_that_does_not_say_when_it_ends_is_never_reused() {
        for secret in [
            SecretString::from("opaque"),
            jwt("{}"),
            jwt(r#"{"exp":-5}"#),
            jwt(r#"{"exp":"9999999999"}"#),
            jwt(r#"{"exp":18446744073709551615}"#),
            jwt(r#"{"exp":1.5}"#),
            SecretString::from("a.!.c"),
            SecretString::from("a.b.c.d"),
        ] {
            let token = RefreshToken::received(secret, NOW);
            assert!(!token.is_valid(NOW) && !token.is_fresh(NOW));
        }
    }

    #[test]
    fn an_access_token_of_another_audience_is_refused() {
        for audience in ["https://management.azure.com", "https://containerregistry.azure.net.evil.example", ""] {
            let refused = AccessToken::new(jwt(&format!(r#"{{"aud":"{audience}","tid":7}}"#)), &Audience::default());
            assert_eq!(refused.unwrap_err(), format!("`{audience}`"));
        }
        let arm = r#"{"aud":"https://management.azure.com"}"#;
        let deep = format!(r#"{{"aud":{}}}"#, "[".repeat(100_000));
        for payload in
            ["{}", "[]", "nonsense", r#"{"aud":null}"#, r#"{"aud":"a","aud":"https://containerregistry.azure.net"}"#, &deep]
        {
            assert_eq!(AccessToken::new(jwt(payload), &Audience::default()).unwrap_err(), UNREADABLE);
        }
        assert!(AccessToken::new(format!("{}.", jwt(arm).expose_secret()).into(), &Audience::default()).is_err());
        assert!(AccessToken::new("e30.!!!.c2ln".into(), &Audience::default()).is_err());
        for odd in [r#"["https://containerregistry.azure.net"]"#, "7"] {
            let refused = AccessToken::new(jwt(&format!(r#"{{"aud":{odd}}}"#)), &Audience::default());
            assert_eq!(refused.unwrap_err(), format!("`{odd}`"));
        }
    }

    #[test]
    fn an_access_token_of_the_registry_audience_tells_its_tenant() {
        for audience in [REGISTRY_AUDIENCE, "https://containerregistry.azure.net/", REGISTRY_RESOURCE_ID] {
            let token = AccessToken::new(jwt(&format!(r#"{{"aud":"{audience}","tid":"t"}}"#)), &Audience::default()).unwrap();
            assert_eq!(token.tenant(), Some("t"));
        }
        for opaque in ["opaque", "encrypted.with.five.parts.each"] {
            assert_eq!(AccessToken::new(opaque.into(), &Audience::default()).unwrap().tenant(), None);
        }
    }

    #[test]
    fn debug_shows_no_token() {
        let refresh = RefreshToken::received("canary".into(), NOW);
        let access = AccessToken::new("canary".into(), &Audience::default()).unwrap();
        assert!(!format!("{refresh:?}{access:?}").contains("canary"));
    }
}
