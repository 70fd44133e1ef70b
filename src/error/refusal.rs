//! What a registry answers in place of a refresh token.

use crate::registry::Registry;
use crate::text::Redactor;
use secrecy::{ExposeSecret, SecretString};
use std::fmt;

/// What to do when something between us and the service answers.
pub const IN_THE_WAY: &str = "a proxy or a sign-in page of the network is in the way: sign in to it, or set `NO_PROXY`";

/// Where role assignments of a registry are explained.
const ROLES: &str = "https://aka.ms/acr/authorization";

/// What a registry answered in place of a refresh token.
#[derive(Debug)]
#[non_exhaustive]
pub enum Refusal {
    /// 401, or 403 that is no firewall: the identity has no role, or the token is not accepted. Which of the two, the
    /// service does not say.
    Denied {
        /// The status code.
        status: u16,
        /// The message in the body, if there was one.
        said: Option<String>,
    },
    /// 403: the registry does not accept connections from this address.
    Firewall {
        /// The address that the registry saw.
        address: Option<String>,
    },
    /// 404: no such endpoint.
    NoExchange,
    /// 429.
    Throttled {
        /// Seconds after which to try again, if it said so.
        retry_after: Option<u64>,
    },
    /// 3xx, which is never followed.
    Redirected {
        /// Where to.
        location: String,
    },
    /// A web page, with whatever status: some proxy or portal answered, not the registry.
    WebPage {
        /// The status code.
        status: u16,
    },
    /// 5xx and everything else.
    Unexpected {
        /// The status code.
        status: u16,
        /// The message in the body, if there was one.
        said: Option<String>,
    },
    /// 200 with a body that is not the answer of an exchange.
    Malformed(&'static str),
}

impl Refusal {
    /// The same without what was sent: a server may repeat it, and our messages are kept in logs.
    pub(crate) fn without(self, secret: &SecretString) -> Self {
        let redact = |text: String| Redactor::new([secret.expose_secret()]).redact(&text);
        match self {
            Self::Denied { status, said } => Self::Denied { status, said: said.map(redact) },
            Self::Unexpected { status, said } => Self::Unexpected { status, said: said.map(redact) },
            Self::Redirected { location } => Self::Redirected { location: redact(location) },
            other @ (Self::Firewall { .. }
            | Self::NoExchange
            | Self::Throttled { .. }
            | Self::WebPage { .. }
            | Self::Malformed(_)) => other,
        }
    }

    /// One sentence on it.
    pub(crate) fn describe(&self, registry: &Registry, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = registry.login_server();
        match self {
            Self::Denied { status, said: None } => write!(f, "{host} refused the access token: {status}"),
            Self::Denied { status, said: Some(said) } => {
                write!(f, "{host} refused the access token: {status}, {said}")
            }
            Self::Firewall { address: None } => write!(f, "the firewall of {host} does not let this address in"),
            Self::Firewall { address: Some(address) } => {
                write!(f, "the firewall of {host} does not let {address} in")
            }
            Self::NoExchange => write!(f, "{host} has no `/oauth2/exchange`: it does not answer as an Azure Container Registry"),
            Self::Throttled { retry_after: None } => write!(f, "{host} gets too many requests"),
            Self::Throttled { retry_after: Some(seconds) } => {
                write!(f, "{host} gets too many requests and asks to wait {seconds} s")
            }
            Self::Redirected { location } => {
                write!(f, "{host} answered the exchange with a redirect to `{location}`, which is not followed")
            }
            Self::WebPage { status } => {
                write!(f, "a web page came in place of the answer of {host}: {status}")
            }
            Self::Unexpected { status, said: None } => write!(f, "{host} answered the exchange with {status}"),
            Self::Unexpected { status, said: Some(said) } => {
                write!(f, "{host} answered the exchange with {status}, {said}")
            }
            Self::Malformed(what) => write!(f, "{host} answered the exchange with {what}"),
        }
    }

    /// What to do about it.
    pub(crate) fn advice(&self, registry: &Registry) -> String {
        let name = registry.resource_name();
        match self {
            Self::Denied { .. } => format!(
                "give the identity the role AcrPull or AcrPush on the registry, or, where it uses ABAC, Container Registry \
                 Repository Reader or Writer; a new role takes up to 10 minutes to arrive, see {ROLES}"
            ),
            Self::Firewall { address: Some(address) } => {
                format!("az acr network-rule add --name {name} --ip-address {address}")
            }
            Self::Firewall { address: None } => format!("az acr network-rule list --name {name}"),
            Self::NoExchange => format!("check the name: `az acr show --name {name} --query loginServer`"),
            Self::Throttled { .. } => "try again later; limits are listed at https://aka.ms/acr/skus".into(),
            Self::Redirected { .. } | Self::WebPage { .. } => IN_THE_WAY.into(),
            Self::Unexpected { .. } | Self::Malformed(_) => {
                format!("try again; if it stays, `az acr check-health --name {name} --yes`")
            }
        }
    }
}
