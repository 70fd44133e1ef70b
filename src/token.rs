//! The two tokens: the access token that Entra issues and the refresh token that a registry gives for it.
//!
//! Nothing here checks a signature: the services do that. Claims are read only to refuse to send a token of a wrong
//! audience and to know how long a token lives.
//!
//! A token comes from the network or from a keyring, and goes into headers, forms, files and lines that a shell reads. Both types check its
//! characters, length and expiry when they are made, and no other code checks them again.

mod audience;
mod claims;

pub use audience::{Audience, REGISTRY_AUDIENCE};
pub use claims::Claims;
pub(crate) use claims::{decode, payload};

use crate::text::sanitize_line;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use std::time::{Duration, SystemTime};

/// The longest token that is accepted. The longest that Entra and registries issue have about 4 KiB. Most
/// servers accept headers of 8 to 16 KiB.
const MAX_BYTES: usize = 16 * 1024;

/// The first second of the year 3000. Tokens that expire later are treated as if they did not say when: no token lives that long, and very
/// late dates cannot be written as RFC 3339.
const END_OF_TIME: u64 = 32_503_680_000;

/// A refresh token is not returned in its last minute, because the client still has to use it.
const REFRESH_EXPIRY_MARGIN: Duration = Duration::from_secs(60);

/// An access token is not sent in its last five minutes: an exchange takes time, and clocks differ.
const ACCESS_EXPIRY_MARGIN: Duration = Duration::from_secs(5 * 60);

/// A token that claims to live longer than this is renewed after half of this.
pub(crate) const MAX_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Why an access token is not sent anywhere.
#[derive(Debug, PartialEq, Eq)]
pub enum NotSent {
    /// It is not a token at all.
    Malformed,
    /// It is for this audience, in words.
    Audience(String),
}

/// Claims of an access token that decide where it may be sent. They may be any JSON: a claim of an unexpected type must not make the whole
/// token unreadable and so unchecked.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct AccessClaims {
    aud: Value,
    tid: Value,
    oid: Value,
    appid: Value,
    azp: Value,
    exp: Value,
}

impl AccessClaims {
    /// Reads a token. A JWT must be for this audience. An opaque or encrypted token has no payload to read.
    fn read(token: &str, audience: &Audience) -> Result<Self, NotSent> {
        let Some(payload) = payload(token) else {
            return Ok(Self::default());
        };
        let claims: Self = decode(payload).unwrap_or_default();
        let other = match &claims.aud {
            Value::String(claim) if audience.matches(claim) => return Ok(claims),
            Value::Null => return Err(NotSent::Audience("an audience that cannot be read".into())),
            Value::String(claim) => sanitize_line(claim),
            other => sanitize_line(&other.to_string()),
        };
        Err(NotSent::Audience(format!("`{other}`")))
    }
}

/// An access token of Entra for the registry audience.
#[derive(Clone, Debug)]
pub struct AccessToken {
    secret: SecretString,
    tenant: Option<String>,
    assignee: Option<String>,
    expires: Option<SystemTime>,
}

impl AccessToken {
    /// Accepts a token that was requested with this audience.
    ///
    /// # Errors
    ///
    /// The token is malformed, or a JWT for another audience or one that cannot be read. Such a token must not be sent.
    pub fn new(secret: SecretString, audience: &Audience) -> Result<Self, NotSent> {
        if !is_token(secret.expose_secret()) {
            return Err(NotSent::Malformed);
        }
        let claims = AccessClaims::read(secret.expose_secret(), audience)?;
        let id = |claim: &Value| claim.as_str().filter(|id| is_guid(id)).map(str::to_owned);
        Ok(Self {
            tenant: id(&claims.tid),
            assignee: [claims.oid, claims.appid, claims.azp].iter().find_map(id),
            expires: claims.exp.as_u64().and_then(from_unix_seconds),
            secret,
        })
    }

    /// Returns the token itself, for the body of one request or a store.
    pub fn secret(&self) -> &SecretString {
        &self.secret
    }

    /// Returns the tenant (`tid`) that issued it, if the token shows one. It is always a GUID, because it is sent to the registry and shown.
    pub fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    /// Returns the object id (`oid`) of the identity, or else its client id (`appid`, `azp`), if the token shows one: the assignee of a
    /// role assignment. It is always a GUID, because it becomes part of commands to paste.
    pub fn assignee(&self) -> Option<&str> {
        self.assignee.as_deref()
    }

    /// Returns until when it is used for further registries. A token that does not say when it expires is used once.
    pub fn usable_until(&self) -> Option<SystemTime> {
        self.expires?.checked_sub(ACCESS_EXPIRY_MARGIN)
    }

    /// Returns whether both are the same token.
    pub fn same_as(&self, other: &Self) -> bool {
        self.secret.expose_secret() == other.secret.expose_secret()
    }
}

/// Holds a registry's refresh token, with the times that decide whether it is used again.
///
/// ```no_run
/// use docker_credential_acrscoped::{ExposeSecret, RefreshToken};
///
/// fn print(token: &RefreshToken) {
///     println!("{} until {:?}", token.secret().expose_secret(), token.expires());
/// }
/// ```
///
/// `iat` is back-dated by 15 minutes (seen in recordings of the Azure SDKs), so a token's life starts when it was received.
#[derive(Clone, Debug)]
pub struct RefreshToken {
    secret: SecretString,
    expires: Option<SystemTime>,
    renew_at: SystemTime,
}

impl RefreshToken {
    /// Returns the token itself: the password of basic authentication.
    pub fn secret(&self) -> &SecretString {
        &self.secret
    }

    /// Returns when it ends (`exp`), if it says so: three hours after it was issued, at Azure's registries.
    pub fn expires(&self) -> Option<SystemTime> {
        self.expires
    }

    /// Returns when a `get` begins to renew it: after half of its life.
    pub fn renew_at(&self) -> SystemTime {
        self.renew_at
    }
}

/// Caching.
impl RefreshToken {
    /// Accepts a token just received, unless the text cannot be one.
    pub(crate) fn received(secret: SecretString, now: SystemTime) -> Option<Self> {
        let token = Self::restored(secret, now)?;
        let renew_at = half_life(token.expires, now);
        Some(token.with_renew_at(renew_at))
    }

    /// Accepts a token read from a store, with the time of its renewal that was stored with it, unless the text cannot be one.
    pub(crate) fn restored(secret: SecretString, renew_at: SystemTime) -> Option<Self> {
        is_token(secret.expose_secret()).then(|| Self {
            expires: Claims::from_token(&secret).and_then(|claims| claims.expires()),
            secret,
            renew_at,
        })
    }

    /// Returns whether it can be handed out without a request.
    pub(crate) fn is_fresh(&self, now: SystemTime) -> bool {
        now < self.renew_at && self.is_valid(now) && !self.is_from_future_clock(now)
    }

    /// Returns whether the registry would still accept it. A token that does not say when it expires is used once, when it is received.
    pub(crate) fn is_valid(&self, now: SystemTime) -> bool {
        self.expires
            .is_some_and(|expires| now + REFRESH_EXPIRY_MARGIN < expires)
    }

    /// Returns the same token, to be renewed at another time.
    #[must_use]
    pub(crate) fn with_renew_at(self, renew_at: SystemTime) -> Self {
        Self { renew_at, ..self }
    }

    /// Returns whether the clock was set back since the token was stored. Renewal was set for the half of a life, so `renew_at - now` can never
    /// exceed `expires - renew_at`.
    fn is_from_future_clock(&self, now: SystemTime) -> bool {
        let (Some(expires), Ok(ahead)) = (self.expires, self.renew_at.duration_since(now)) else {
            return false;
        };
        let half = expires.duration_since(self.renew_at).unwrap_or_default();
        ahead > half.min(MAX_LIFETIME / 2) + REFRESH_EXPIRY_MARGIN
    }
}

/// Returns when a token is renewed: when half of what is left of its life is spent, or half of [`MAX_LIFETIME`] if that is shorter.
fn half_life(expires: Option<SystemTime>, now: SystemTime) -> SystemTime {
    let left = expires.and_then(|expires| expires.duration_since(now).ok());
    now + left.unwrap_or_default().min(MAX_LIFETIME) / 2
}

/// Returns whether a text can be a token: it has only the characters of `b64token` (RFC 6750, section 2.1). None of them is special in a
/// shell, a header or a file of lines.
fn is_token(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    (1..=MAX_BYTES).contains(&text.len()) && text.bytes().all(is_part)
}

/// Returns whether a text is a GUID in its usual form.
pub(crate) fn is_guid(text: &str) -> bool {
    let is_of_ids = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
    text.split('-').map(str::len).eq([8, 4, 4, 4, 12]) && text.bytes().all(is_of_ids)
}

/// Returns the time that is so many seconds after 1970, if it is one that can be shown.
pub(crate) fn from_unix_seconds(seconds: u64) -> Option<SystemTime> {
    (seconds < END_OF_TIME).then(|| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::audience::REGISTRY_RESOURCE_ID;
    use super::*;
    use azure_core::base64::encode_url_safe;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn at(seconds: u64) -> SystemTime {
        NOW + Duration::from_secs(seconds)
    }

    fn jwt(payload: &str) -> SecretString {
        let payload = encode_url_safe(payload);
        SecretString::from(format!("e30.{payload}.c2ln"))
    }

    fn ends(seconds: u64) -> SecretString {
        jwt(&format!(r#"{{"iat":1,"exp":{seconds}}}"#))
    }

    fn received(secret: SecretString, now: SystemTime) -> RefreshToken {
        RefreshToken::received(secret, now).unwrap()
    }

    #[test]
    fn a_text_with_other_characters_or_too_long_is_no_token() {
        let all: String = ('a'..='z')
            .chain('A'..='Z')
            .chain('0'..='9')
            .chain("-._~+/=".chars())
            .collect();
        for (text, is_one) in [
            (all, true),
            ("a".repeat(MAX_BYTES), true),
            ("a".repeat(MAX_BYTES + 1), false),
            (String::new(), false),
        ] {
            assert_eq!(is_token(&text), is_one, "{text}");
        }
        for c in (0..=0x2fff)
            .filter_map(char::from_u32)
            .filter(|c| !c.is_ascii_alphanumeric() && !"-._~+/=".contains(*c))
        {
            let text = SecretString::from(format!("a{c}b"));
            assert!(
                RefreshToken::received(text.clone(), NOW).is_none()
                    && RefreshToken::restored(text.clone(), NOW).is_none(),
                "{c:?}"
            );
            assert_eq!(
                AccessToken::new(text, &Audience::default()).unwrap_err(),
                NotSent::Malformed,
                "{c:?}"
            );
        }
    }

    #[test]
    fn a_token_is_fresh_for_the_first_half_of_what_is_left_of_its_life() {
        let token = received(ends(10_800), NOW);
        assert!(token.is_fresh(at(0)) && token.is_fresh(at(5_399)));
        assert!(!token.is_fresh(at(5_400)) && token.is_valid(at(5_400)));
        assert!(token.is_valid(at(10_739)) && !token.is_valid(at(10_740)));
    }

    #[test]
    fn a_restored_token_keeps_the_time_of_its_renewal() {
        let received = received(ends(10_800), NOW);
        let restored = RefreshToken::restored(ends(10_800), received.renew_at()).unwrap();
        assert!(restored.is_fresh(at(5_399)) && !restored.is_fresh(at(5_400)));
        assert_eq!(restored.expires(), Some(at(10_800)));
    }

    #[test]
    fn a_clock_that_was_set_back_makes_a_token_stale_not_eternal() {
        let token = received(ends(110_800), at(100_000));
        assert!(token.is_fresh(at(100_000)));
        assert!(!token.is_fresh(at(50_000)));
    }

    #[test]
    fn a_token_said_to_live_for_centuries_is_renewed_within_a_day() {
        let token = received(ends(32_503_679_999), NOW);
        assert!(token.is_fresh(at(43_199)) && !token.is_fresh(at(43_200)));
    }

    #[test]
    fn a_token_that_does_not_say_when_it_ends_is_never_reused() {
        for secret in [
            SecretString::from("opaque"),
            jwt("{}"),
            jwt(r#"{"exp":-5}"#),
            jwt(r#"{"exp":"9999999999"}"#),
            jwt(r#"{"exp":32503680000}"#),
            jwt(r#"{"exp":253402300800}"#),
            jwt(r#"{"exp":18446744073709551615}"#),
            jwt(r#"{"exp":1.5}"#),
            jwt(&format!(
                r#"{{"a":{}{},"exp":10800}}"#,
                "[".repeat(5_000),
                "]".repeat(5_000)
            )),
            SecretString::from("a.=.c"),
            SecretString::from("a.b.c.d"),
        ] {
            let token = received(secret, NOW);
            assert!(!token.is_valid(NOW) && !token.is_fresh(NOW));
        }
    }

    #[test]
    fn an_access_token_of_another_audience_is_refused() {
        for audience in [
            "https://management.azure.com",
            "https://containerregistry.azure.net.evil.example",
            "",
        ] {
            let refused = AccessToken::new(
                jwt(&format!(r#"{{"aud":"{audience}","tid":7}}"#)),
                &Audience::default(),
            );
            assert_eq!(
                refused.unwrap_err(),
                NotSent::Audience(format!("`{audience}`"))
            );
        }
        let arm = r#"{"aud":"https://management.azure.com"}"#;
        let deep = format!(r#"{{"aud":{}}}"#, "[".repeat(10_000));
        for payload in [
            "{}",
            "[]",
            "nonsense",
            r#"{"aud":null}"#,
            r#"{"aud":"a","aud":"https://containerregistry.azure.net"}"#,
            &deep,
        ] {
            assert_eq!(
                AccessToken::new(jwt(payload), &Audience::default()).unwrap_err(),
                NotSent::Audience("an audience that cannot be read".into())
            );
        }
        assert!(
            AccessToken::new(
                format!("{}.", jwt(arm).expose_secret()).into(),
                &Audience::default()
            )
            .is_err()
        );
        assert!(AccessToken::new("e30.===.c2ln".into(), &Audience::default()).is_err());
        for odd in [r#"["https://containerregistry.azure.net"]"#, "7"] {
            let refused =
                AccessToken::new(jwt(&format!(r#"{{"aud":{odd}}}"#)), &Audience::default());
            assert_eq!(refused.unwrap_err(), NotSent::Audience(format!("`{odd}`")));
        }
    }

    #[test]
    fn an_access_token_of_the_registry_audience_shows_its_tenant() {
        let tenant = "0f9c7a52-3b1e-4d68-8a47-c5e2d1b60f93";
        for audience in [
            REGISTRY_AUDIENCE,
            "https://containerregistry.azure.net/",
            REGISTRY_RESOURCE_ID,
        ] {
            for (tid, expected) in [
                (tenant, Some(tenant)),
                ("68756e7465723268756e746572320000", None),
                ("contoso.example", None),
            ] {
                let claims = format!(r#"{{"aud":"{audience}","tid":"{tid}"}}"#);
                assert_eq!(
                    AccessToken::new(jwt(&claims), &Audience::default())
                        .unwrap()
                        .tenant(),
                    expected,
                    "{tid}"
                );
            }
        }
        for opaque in ["opaque", "encrypted.with.five.parts.each"] {
            assert_eq!(
                AccessToken::new(opaque.into(), &Audience::default())
                    .unwrap()
                    .tenant(),
                None
            );
        }
    }

    #[test]
    fn debug_shows_no_token() {
        let refresh = received("canary".into(), NOW);
        let access = AccessToken::new("canary".into(), &Audience::default()).unwrap();
        assert!(!format!("{refresh:?}{access:?}").contains("canary"));
    }
}
