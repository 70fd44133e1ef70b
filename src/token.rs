//! The two tokens: the access token that Entra issues and the refresh token that a registry gives for it.
//!
//! Nothing here checks a signature: the services do that. Claims are read only to refuse to send a token of a wrong
//! audience and to know how long a token lives.
//!
//! A token comes from the network or from a keyring, and goes into headers, forms, files and lines that a shell reads. So both types check its
//! characters, its length and its end when they are made, and nothing below checks them again.

mod claims;

pub use claims::{Access, Claims};

use crate::text::{is_within, printable};
use azure_core::base64::decode_url_safe;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use std::time::{Duration, SystemTime};
use url::Url;

/// The longest token that is accepted, in bytes. The longest that Entra and registries issue have about 4 KiB, and a client sends one in a
/// header, of which most servers accept 8 to 16 KiB.
const MAX_LENGTH: usize = 16 * 1024;

/// The first second that is no end of a token: that of the year 3000. Later dates cannot be written as RFC 3339 or moved to another time
/// zone, and no token lives that long.
const END_OF_TIME: u64 = 32_503_680_000;

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

/// Domains of Microsoft, below which its services have their names. A token for one of them is worth more than one for registries, and
/// a host that is not a registry of Azure must not get it.
const MICROSOFT_DOMAINS: &[&str] = &[
    "applicationinsights.io",
    "azconfig.io",
    "azure-api.net",
    "azure-devices.net",
    "azure.cn",
    "azure.com",
    "azure.net",
    "azure.us",
    "azuredatabricks.net",
    "azureml.ms",
    "azuresynapse.net",
    "azuresynapse.us",
    "chinacloudapi.cn",
    "cloudapi.de",
    "dynamics.com",
    "live.com",
    "loganalytics.io",
    "loganalytics.us",
    "lync.com",
    "microsoft.com",
    "microsoft.us",
    "microsoftazure.de",
    "microsoftonline.com",
    "microsoftonline.us",
    "office.com",
    "office.net",
    "office365.com",
    "office365.us",
    "outlook.com",
    "powerapps.com",
    "powerbi.com",
    "powerplatform.com",
    "sharepoint.com",
    "sharepoint.us",
    "skype.com",
    "sovcloud-api.fr",
    "sovcloud-azure.fr",
    "sovcloud-identity.fr",
    "sovcloud.fr",
    "usgovcloudapi.net",
    "visualstudio.com",
    "windows.net",
    "windowsazure.com",
    "yammer.com",
];

/// Ends of the application ids of Microsoft's first services: Microsoft Graph and Azure AD Graph, Exchange and `SharePoint`.
const MICROSOFT_FAMILIES: &[&str] = &[
    "-0000-0000-c000-000000000000",
    "-0000-0ff1-ce00-000000000000",
];

/// Application ids of further services, which can replace an address.
const MICROSOFT_APPLICATIONS: &[&str] = &[
    // SQL, Data Lake, Batch, Cosmos DB, storage, Key Vault.
    "022907d3-0f1b-48f7-badc-1ba6abab6d66",
    "e9f49c6b-5ce5-44c8-925d-015017e9f7ad",
    "ddbf3205-c6bd-46ae-8127-60eb93363864",
    "a232010e-820c-4083-83bb-3ace5fc29d0b",
    "e406a681-f3d4-42a8-90b6-c2b029497af1",
    "cfa8b339-82a2-471a-a3c9-0fc0be7a4093",
    // Event Hubs, Event Grid, Service Bus, Log Analytics, Cognitive Services.
    "80369ed6-5f11-4dd9-bef3-692475845e77",
    "4962773b-9cdb-44cf-a8bf-237846a00ab7",
    "80a10ef9-8168-493d-abf9-3297c4ef6e3c",
    "ca7f3f0b-7d91-482c-8e09-c5d840d0eac5",
    "7d312290-28c8-473c-a0ed-8e53749b6d6d",
    // Azure DevOps, Azure Kubernetes Service, Azure Databricks.
    "499b84ac-1321-427f-aa17-267ca6975798",
    "6dae42f8-4368-4678-94ff-3960e28e3630",
    "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d",
];

/// How the audiences of assertions begin that Entra takes from other issuers (`api://AzureADTokenExchange`). A token for one of them
/// signs in as any application that trusts the identity.
const TOKEN_EXCHANGE: &str = "azureadtokenexchange";

/// The audience of every registry in every cloud of Azure (azure-cli 2.91, `_resolve_acr_scope`).
pub const REGISTRY_AUDIENCE: &str = "https://containerregistry.azure.net";

/// What an access token is asked for and must be for. Never Azure Resource Manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audience(String);

impl Audience {
    /// Reads the address of a resource, `https://…` or `api://…`, as the registries of a disconnected cloud may have one of their
    /// own. The error says what is wrong with it. An audience of another service of Microsoft is refused.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text)
            .ok()
            .filter(|url| matches!(url.scheme(), "https" | "api") && url.has_host());
        let is_plain = |url: &Url| {
            url.username().is_empty() && url.password().is_none() && url.query().is_none()
        };
        let is_text = text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        let host = url
            .filter(|url| is_plain(url) && url.fragment().is_none() && is_text)
            .and_then(|url| host_of(&url));
        let host = host.ok_or_else(|| {
            format!(
                "is {text:?}, expected the address of a resource, such as `{REGISTRY_AUDIENCE}`"
            )
        })?;
        if is_resource_manager(&host) {
            return Err(format!(
                "is {text:?}, which is Azure Resource Manager: its tokens are never asked for nor sent"
            ));
        }
        let audience = text
            .strip_suffix("/.default")
            .unwrap_or(text)
            .trim_end_matches('/');
        if audience.eq_ignore_ascii_case(REGISTRY_AUDIENCE) {
            return Ok(Self::default());
        }
        if is_of_microsoft(&host) {
            return Err(format!(
                "is {text:?}, a service of Microsoft other than Azure Container Registry: its tokens are never requested nor sent"
            ));
        }
        Ok(Self(audience.to_owned()))
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
        claim.strip_suffix('/').unwrap_or(claim) == self.0
            || (self.0 == REGISTRY_AUDIENCE && claim == REGISTRY_RESOURCE_ID)
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
    matches!(label, "management" | "adminmanagement" | "armmanagement")
        || host == RESOURCE_MANAGER_ID
}

/// Whether a host, or an application id in its place, is that of a service of Microsoft.
fn is_of_microsoft(host: &str) -> bool {
    MICROSOFT_DOMAINS
        .iter()
        .any(|domain| is_within(host, domain))
        || MICROSOFT_FAMILIES
            .iter()
            .any(|family| host.ends_with(family))
        || MICROSOFT_APPLICATIONS.contains(&host)
        || host.starts_with(TOKEN_EXCHANGE)
}

/// The host of an audience in lower case, without the dot that may end it; none if it is written in another way than names and ids are.
fn host_of(url: &Url) -> Option<String> {
    let host = url.host_str()?.to_ascii_lowercase();
    let is_name = host
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    is_name.then(|| host.trim_end_matches('.').to_owned())
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

/// Why an access token is not sent anywhere.
#[derive(Debug, PartialEq, Eq)]
pub enum NotSent {
    /// It is not a token at all.
    Malformed,
    /// It is for this audience, in words.
    Audience(String),
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
    pub fn new(secret: SecretString, audience: &Audience) -> Result<Self, NotSent> {
        if !is_token(secret.expose_secret()) {
            return Err(NotSent::Malformed);
        }
        // An opaque or encrypted token has no payload to read, a JWT has one that must tell its audience.
        let claims = match payload(secret.expose_secret()) {
            Payload::None => AccessClaims::default(),
            Payload::Unreadable => return Err(NotSent::Audience(UNREADABLE.into())),
            Payload::Json(json) => match serde_json::from_slice::<AccessClaims>(&json) {
                Ok(claims) if matches!(&claims.aud, Value::String(claim) if audience.is(claim)) => {
                    claims
                }
                Ok(AccessClaims {
                    aud: Value::String(claim),
                    ..
                }) => {
                    return Err(NotSent::Audience(format!("`{}`", printable(&claim))));
                }
                Ok(AccessClaims {
                    aud: Value::Null, ..
                })
                | Err(_) => return Err(NotSent::Audience(UNREADABLE.into())),
                Ok(AccessClaims { aud, .. }) => {
                    return Err(NotSent::Audience(format!(
                        "`{}`",
                        printable(&aud.to_string())
                    )));
                }
            },
        };
        let expires = expiry_of(secret.expose_secret());
        let id = |claim: &Value| claim.as_str().filter(|id| is_guid(id)).map(str::to_owned);
        Ok(Self {
            tenant: id(&claims.tid),
            object_id: id(&claims.oid),
            secret,
            expires,
        })
    }

    /// The token itself, for the body of one request or a store.
    pub fn secret(&self) -> &SecretString {
        &self.secret
    }

    /// The tenant (`tid`) that issued it, where the token shows one. Anything but a GUID is none: the registry gets it, and people read it.
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
    /// A token just received, unless the text cannot be one. It is renewed when half of what is left of its life is spent.
    pub fn received(secret: SecretString, now: SystemTime) -> Option<Self> {
        let token = Self::restored(secret, now)?;
        let life = token
            .expires
            .and_then(|expires| expires.duration_since(now).ok())
            .unwrap_or_default();
        Some(token.renewed_later(now + life.min(LONGEST_LIFE) / 2))
    }

    /// A token read from a store, with the time of its renewal that was stored beside it, unless the text cannot be one.
    pub fn restored(secret: SecretString, renew: SystemTime) -> Option<Self> {
        is_token(secret.expose_secret()).then(|| Self {
            expires: expiry_of(secret.expose_secret()),
            secret,
            renew,
        })
    }

    /// Whether it can be handed out without asking anybody.
    pub fn is_fresh(&self, now: SystemTime) -> bool {
        now < self.renew && self.is_valid(now) && !self.is_from_the_future(now)
    }

    /// Whether the registry would still take it. A token that does not say when it ends is good once, when received.
    pub fn is_valid(&self, now: SystemTime) -> bool {
        self.expires.is_some_and(|expires| now + SPENT < expires)
    }

    /// The same token, to be renewed at another time.
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

/// Whether a text can be a token: the characters of `b64token` (RFC 6750, section 2.1), none of which means something to a shell, a header
/// or a file of lines.
fn is_token(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    (1..=MAX_LENGTH).contains(&text.len()) && text.bytes().all(is_part)
}

/// Whether a text is a GUID in its usual form.
pub(crate) fn is_guid(text: &str) -> bool {
    let is_in_place = |(at, byte): (usize, u8)| {
        if [8, 13, 18, 23].contains(&at) {
            byte == b'-'
        } else {
            byte.is_ascii_hexdigit()
        }
    };
    text.len() == 36 && text.bytes().enumerate().all(is_in_place)
}

/// The time that is so many seconds after 1970, if it is one that can be shown.
pub(crate) fn moment(seconds: u64) -> Option<SystemTime> {
    (seconds < END_OF_TIME).then(|| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

/// `exp` of a JWT whose claims can be read.
fn expiry_of(token: &str) -> Option<SystemTime> {
    moment(claims::read(token)?.get("exp")?.as_u64()?)
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
    let (&[_, payload, ..], false) = (&parts[..], parts.len() == 5) else {
        return Payload::None;
    };
    // Tolerated here, so that a token mangled on its way is not taken for one without claims.
    let payload = payload
        .trim_end_matches('=')
        .replace('+', "-")
        .replace('/', "_");
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

    fn received(secret: SecretString, now: SystemTime) -> RefreshToken {
        RefreshToken::received(secret, now).unwrap()
    }

    #[test]
    fn a_text_that_no_token_can_be_is_none() {
        let all: String = ('a'..='z')
            .chain('A'..='Z')
            .chain('0'..='9')
            .chain("-._~+/=".chars())
            .collect();
        for (text, is_one) in [
            (all, true),
            ("a".repeat(MAX_LENGTH), true),
            ("a".repeat(MAX_LENGTH + 1), false),
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
        let restored = RefreshToken::restored(ends(10_800), received.renew()).unwrap();
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
    fn an_audience_is_the_registries_or_of_no_service_of_microsoft() {
        for text in [
            "https://containerregistry.azure.net",
            "https://containerregistry.azure.net//",
            "HTTPS://ContainerRegistry.Azure.net/.default",
            "api://6a0ec4d3-30cb-4a83-91c0-ae56bc0e3d26",
            "https://registries.fabrikam.example",
            "api://registries.fabrikam.example/acr",
            "https://containerregistry.azure.example",
            "https://notazure.net",
        ] {
            assert!(Audience::parse(text).is_ok(), "{text}");
        }
        assert_eq!(
            Audience::parse("HTTPS://ContainerRegistry.Azure.net/").unwrap(),
            Audience::default()
        );
        for text in [
            // Microsoft Graph and the older Azure AD Graph.
            "https://graph.microsoft.com",
            "https://GRAPH.microsoft.com./",
            "https://graph.microsoft.com:443/.default",
            "https://graph.microsoft.us",
            "https://dod-graph.microsoft.us",
            "https://microsoftgraph.chinacloudapi.cn",
            "api://00000003-0000-0000-c000-000000000000",
            "https://00000003-0000-0000-c000-000000000000",
            "https://graph.windows.net",
            "https://graph.chinacloudapi.cn",
            "api://00000002-0000-0000-C000-000000000000/x",
            // Key Vault, storage, databases, queues, logs.
            "https://vault.azure.net",
            "https://contoso.vault.azure.cn",
            "https://vault.usgovcloudapi.net",
            "api://cfa8b339-82a2-471a-a3c9-0fc0be7a4093",
            "https://storage.azure.com",
            "https://contoso.blob.core.windows.net",
            "https://contoso.dfs.core.usgovcloudapi.net",
            "https://contoso.queue.core.chinacloudapi.cn",
            "https://database.windows.net",
            "https://servicebus.azure.net",
            "https://eventhubs.azure.net",
            "https://cosmos.azure.com",
            "https://contoso.documents.azure.us",
            "https://api.loganalytics.io",
            "https://monitor.azure.com",
            "https://batch.core.windows.net",
            "https://datalake.azure.net",
            "https://cognitiveservices.azure.com",
            // Azure DevOps, Office, and the registries of other spellings.
            "https://app.vssps.visualstudio.com",
            "api://499b84ac-1321-427f-aa17-267ca6975798",
            "https://dev.azure.com",
            "https://outlook.office365.com",
            "https://contoso.sharepoint.com",
            "api://00000003-0000-0ff1-ce00-000000000000",
            "https://login.microsoftonline.com",
            "https://containerregistry.azure.us",
            "https://containerregistry.azure.net:8443",
            "api://containerregistry.azure.net",
            "https://containerregistry.azure.net/other",
            "https://x.containerregistry.azure.net",
            // What would let its receiver sign in as an application that trusts this identity.
            "api://AzureADTokenExchange",
            "api://azureadtokenexchangeusgov/x",
        ] {
            let problem = Audience::parse(text).unwrap_err();
            assert!(
                problem.contains("a service of Microsoft other than Azure Container Registry"),
                "{text}: {problem}"
            );
        }
        for text in [
            "https://management.azure.com",
            "https://management.usgovcloudapi.net",
            "https://management.sovcloud-api.fr",
        ] {
            assert!(
                Audience::parse(text)
                    .unwrap_err()
                    .contains("Azure Resource Manager"),
                "{text}"
            );
        }
        for text in [
            "api://graph%2emicrosoft.com",
            r"https:\\registries.example",
            "https://[::1]",
            "graph.microsoft.com",
        ] {
            assert!(
                Audience::parse(text)
                    .unwrap_err()
                    .contains("expected the address of a resource"),
                "{text}"
            );
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
                NotSent::Audience(UNREADABLE.into())
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
    fn an_access_token_of_the_registry_audience_tells_its_tenant() {
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
