//! What a registry answers in place of a refresh token.

use crate::registry::Registry;
use crate::text::Redactor;
use secrecy::{ExposeSecret, SecretString};
use std::fmt;

/// What to do when something between us and the service answers.
pub const IN_THE_WAY: &str = "a proxy or a sign-in page of the network is in the way: sign in to it, or set `NO_PROXY`";

/// The role that lets an identity pull.
pub(crate) const PULL: &str = "AcrPull";

/// The same on a registry in the mode RBAC Registry + ABAC Repository Permissions.
pub(crate) const PULL_ABAC: &str = "Container Registry Repository Reader";

/// The placeholder in a command for an object id that no token shows.
const OBJECT_ID: &str = "OBJECT_ID";

/// What a registry answered in place of a refresh token.
#[derive(Debug)]
#[non_exhaustive]
pub enum Refusal {
    /// 401, or 403 that is no firewall: the identity has no role. An empty 401 may also mean that the token is not valid.
    Denied {
        /// The status code.
        status: u16,
        /// The message in the body, if there was one.
        said: Option<String>,
        /// The object id of the identity, if its token shows one.
        object_id: Option<String>,
    },
    /// 401 with the message that the token is not valid here: its audience, tenant or cloud is not the registry's.
    InvalidToken {
        /// The status code.
        status: u16,
        /// The message in the body.
        said: String,
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
    /// A web page that is no 5xx, or a 511: some proxy or portal answered, not the registry.
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
            Self::Denied { status, said, object_id } => Self::Denied { status, said: said.map(redact), object_id },
            Self::InvalidToken { status, said } => Self::InvalidToken { status, said: redact(said) },
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
            Self::Denied { status, said: None, .. } => write!(f, "{host} refused the access token: {status}"),
            Self::Denied { status, said: Some(said), .. } | Self::InvalidToken { status, said } => {
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
            Self::Denied { object_id, .. } => assign_role(registry, PULL, object_id.as_deref()),
            Self::InvalidToken { .. } => format!(
                "if the registry is in another tenant, set `tenant` under `[registry.\"{}\"]` in the config file. If it is in another \
                 cloud, check `authority` and `audience`",
                registry.host()
            ),
            Self::Firewall { address: Some(address) } => {
                format!("az acr network-rule add --name {name} --ip-address {address}")
            }
            Self::Firewall { address: None } => format!("az acr network-rule list --name {name}"),
            Self::NoExchange => format!("check the name: `az acr show --name {name} --query loginServer`"),
            Self::Throttled { .. } => "try again later; limits are listed at https://aka.ms/acr/skus".into(),
            Self::Redirected { .. } | Self::WebPage { .. } => IN_THE_WAY.into(),
            Self::Unexpected { .. } | Self::Malformed(_) => try_again(registry),
        }
    }

    /// What else to know before following the advice, a line each.
    pub(crate) fn notes(&self) -> Vec<String> {
        let Self::Denied { status, said, object_id } = self else { return vec![] };
        let mut lines = vec![
            format!("to push, use the role AcrPush; in ABAC mode, {PULL_ABAC} or Writer"),
            "a new role assignment takes up to 10 minutes: https://aka.ms/acr/authorization".to_owned(),
        ];
        if (*status, said) == (401, &None) {
            lines.push(
                "the registry gives no reason: the token may also be of another tenant or cloud than the registry".to_owned(),
            );
        }
        lines.extend(object_id.is_none().then(object_id_note));
        lines
    }
}

/// The command that lets an identity pull.
pub(crate) fn assign_role(registry: &Registry, role: &str, object_id: Option<&str>) -> String {
    let role = if role.contains(' ') { format!("'{role}'") } else { role.to_owned() };
    format!(
        "az role assignment create --assignee {} --role {role} --scope \"$(az acr show --name {} --query id --output tsv)\"",
        object_id.unwrap_or(OBJECT_ID),
        registry.resource_name()
    )
}

/// Where to find what a command leaves open.
pub(crate) fn object_id_note() -> String {
    format!("{OBJECT_ID} is the object id of the identity, which its token does not show")
}

/// What to do about a failure of the service.
pub(crate) fn try_again(registry: &Registry) -> String {
    format!("try again; if it stays, `az acr check-health --name {} --yes`", registry.resource_name())
}
