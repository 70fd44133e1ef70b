//! What a registry answers in place of a refresh token.

use crate::registry::{CLOUDS, Cloud, Registry};
use crate::text::Redactor;
use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use std::net::Ipv6Addr;

/// What to do when something between us and the service answers.
pub const IN_THE_WAY: &str =
    "a proxy or a sign-in page of the network is in the way: sign in to it, or set `NO_PROXY`";

/// The role that lets an identity pull.
pub(crate) const PULL: &str = "AcrPull";

/// The same on a registry in the mode RBAC Registry + ABAC Repository Permissions.
pub(crate) const PULL_ABAC: &str = "Container Registry Repository Reader";

/// The placeholder in a command for an object id that no token shows.
const OBJECT_ID: &str = "OBJECT_ID";

/// The placeholder for a private cloud whose name cannot be part of a command.
const CLOUD: &str = "CLOUD";

/// What a registry's host was asked, as messages call it.
pub(crate) struct Asked<'a> {
    host: &'a str,
    credential: &'a str,
    request: &'a str,
    endpoint: &'a str,
}

impl<'a> Asked<'a> {
    fn exchange(registry: &'a Registry) -> Self {
        Self {
            host: registry.login_server(),
            credential: "the access token",
            request: "the exchange",
            endpoint: "`/oauth2/exchange`",
        }
    }

    /// Names a request to the registry's own host by one name.
    pub(crate) fn named(registry: &'a Registry, name: &'a str) -> Self {
        Self {
            host: registry.host(),
            credential: name,
            request: name,
            endpoint: name,
        }
    }
}

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
    /// 400: the registry's web server takes no header that long.
    HeaderTooLarge,
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
            Self::Denied {
                status,
                said,
                object_id,
            } => Self::Denied {
                status,
                said: said.map(redact),
                object_id,
            },
            Self::InvalidToken { status, said } => Self::InvalidToken {
                status,
                said: redact(said),
            },
            Self::Unexpected { status, said } => Self::Unexpected {
                status,
                said: said.map(redact),
            },
            Self::Redirected { location } => Self::Redirected {
                location: redact(location),
            },
            other @ (Self::Firewall { .. }
            | Self::NoExchange
            | Self::Throttled { .. }
            | Self::HeaderTooLarge
            | Self::WebPage { .. }
            | Self::Malformed(_)) => other,
        }
    }

    /// One sentence on it.
    pub(crate) fn describe(&self, registry: &Registry, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message(registry, &Asked::exchange(registry)))
    }

    /// Returns one sentence on it, as the answer to any request.
    pub(crate) fn message(&self, registry: &Registry, asked: &Asked<'_>) -> String {
        let Asked {
            host,
            credential,
            request,
            endpoint,
        } = asked;
        let name = registry.login_server();
        let answered = format!("{host} answered {request} with");
        match self {
            Self::Denied {
                status, said: None, ..
            } => format!("{host} refused {credential}: {status}"),
            Self::Denied {
                status,
                said: Some(said),
                ..
            }
            | Self::InvalidToken { status, said } => {
                format!("{host} refused {credential}: {status}, {said}")
            }
            Self::Firewall { address } => {
                let address = address.as_deref().unwrap_or("this address");
                format!("the firewall of {name} does not let {address} in")
            }
            Self::NoExchange => {
                format!(
                    "{host} has no {endpoint}: it does not answer as an Azure Container Registry"
                )
            }
            Self::Throttled { retry_after: None } => format!("{name} gets too many requests"),
            Self::Throttled {
                retry_after: Some(seconds),
            } => format!("{name} gets too many requests and asks to wait {seconds} s"),
            Self::Redirected { location } => {
                format!("{answered} a redirect to `{location}`, which is not followed")
            }
            Self::HeaderTooLarge => format!("{answered} 400: the request's header is too large"),
            Self::WebPage { status } => {
                format!("a web page came in place of the answer of {name}: {status}")
            }
            Self::Unexpected { status, said: None } => format!("{answered} {status}"),
            Self::Unexpected {
                status,
                said: Some(said),
            } => format!("{answered} {status}, {said}"),
            Self::Malformed(what) => format!("{answered} {what}"),
        }
    }

    /// What to do about it.
    pub(crate) fn advice(&self, registry: &Registry) -> String {
        let (name, profile) = (
            registry.resource_name(),
            format!("`[registry.\"{}\"]` in the config file", registry.host()),
        );
        let az = |command: &str| az(registry.cloud(), &format!("acr {command} --name {name}"));
        match self {
            Self::Denied { object_id, .. } => assign_role(registry, PULL, object_id.as_deref()),
            Self::InvalidToken { .. } => format!(
                "if the registry is in another tenant, set `tenant` under {profile}. If your identity is in another cloud, set \
                 `identity_cloud` there, and check `authority` and `audience`"
            ),
            Self::Firewall {
                address: Some(address),
            } if is_ipv6(address) => az("network-rule list"),
            Self::Firewall {
                address: Some(address),
            } => format!("{} --ip-address {address}", az("network-rule add")),
            Self::Firewall { address: None } => az("network-rule list"),
            Self::NoExchange => format!("check the name: `{} --query loginServer`", az("show")),
            Self::Throttled { .. } => {
                "try again later; limits are listed at https://aka.ms/acr/skus".into()
            }
            Self::HeaderTooLarge => format!("set `username = \"token\"` under {profile}"),
            Self::Redirected { .. } | Self::WebPage { .. } => IN_THE_WAY.into(),
            Self::Unexpected { .. } | Self::Malformed(_) => try_again(registry),
        }
    }

    /// What else to know before following the advice, a line each.
    pub(crate) fn notes(&self) -> Vec<String> {
        let (status, said, object_id) = match self {
            Self::Denied {
                status,
                said,
                object_id,
            } => (status, said, object_id),
            Self::Firewall {
                address: Some(address),
            } if is_ipv6(address) => {
                return vec!["network rules take IPv4 addresses only: connect over IPv4, or use a private endpoint".to_owned()];
            }
            _ => return vec![],
        };
        let mut lines = vec![
            format!("to push, use the role AcrPush; in ABAC mode, {PULL_ABAC} or Writer"),
            "a new role assignment takes up to 10 minutes: https://aka.ms/acr/authorization"
                .to_owned(),
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

/// Whether it is an address for which there are no network rules (`az acr network-rule add --help`: "IPv4 address or CIDR range").
fn is_ipv6(address: &str) -> bool {
    address.parse::<Ipv6Addr>().is_ok()
}

/// A command of the Azure CLI, after the one that sets the cloud if that is not the one that the Azure CLI begins with.
pub(crate) fn az(cloud: &Cloud, command: &str) -> String {
    let name = &*cloud.cli_name;
    if *name == CLOUDS[0].cli_name {
        return format!("az {command}");
    }
    let is_plain = !name.starts_with('-')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    format!(
        "az cloud set --name {} && az {command}",
        if is_plain { name } else { CLOUD }
    )
}

/// The command that lets an identity pull.
pub(crate) fn assign_role(registry: &Registry, role: &str, object_id: Option<&str>) -> String {
    let role = if role.contains(' ') {
        format!("'{role}'")
    } else {
        role.to_owned()
    };
    let command = format!(
        "role assignment create --assignee {} --role {role} --scope \"$(az acr show --name {} --query id --output tsv)\"",
        object_id.unwrap_or(OBJECT_ID),
        registry.resource_name()
    );
    az(registry.cloud(), &command)
}

/// Where to find what a command leaves open.
pub(crate) fn object_id_note() -> String {
    format!("{OBJECT_ID} is the object id of the identity, which its token does not show")
}

/// What to do about a failure of the service.
pub(crate) fn try_again(registry: &Registry) -> String {
    let command = az(
        registry.cloud(),
        &format!("acr check-health --name {} --yes", registry.resource_name()),
    );
    format!("try again; if it stays, `{command}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `registry` in a private cloud of this name.
    fn in_cloud(name: &str, host: &str) -> Registry {
        let cloud = crate::registry::Cloud {
            name: name.to_owned().into(),
            suffix: "azurecr.fabrikam.example".into(),
            cli_name: name.to_owned().into(),
            ..crate::registry::CLOUDS[0].clone()
        };
        Registry::parse(host, &[cloud]).unwrap()
    }

    #[test]
    fn a_command_for_a_registry_of_another_cloud_sets_the_cloud_first() {
        for (host, first) in [
            ("contoso.azurecr.io", ""),
            (
                "contoso.azurecr.us",
                "az cloud set --name AzureUSGovernment && ",
            ),
            (
                "contoso.azurecr.cn",
                "az cloud set --name AzureChinaCloud && ",
            ),
            (
                "contoso.azurecr.fabrikam.example",
                "az cloud set --name Fabrikam-1 && ",
            ),
        ] {
            let registry = in_cloud("Fabrikam-1", host);
            let address = Some("203.0.113.9".to_owned());
            let role =
                r#"--role AcrPull --scope "$(az acr show --name contoso --query id --output tsv)""#;
            for (refusal, hint) in [
                (
                    Refusal::Denied {
                        status: 401,
                        said: None,
                        object_id: Some("X".into()),
                    },
                    format!("{first}az role assignment create --assignee X {role}"),
                ),
                (
                    Refusal::Firewall { address },
                    format!(
                        "{first}az acr network-rule add --name contoso --ip-address 203.0.113.9"
                    ),
                ),
                (
                    Refusal::Firewall { address: None },
                    format!("{first}az acr network-rule list --name contoso"),
                ),
                (
                    Refusal::NoExchange,
                    format!(
                        "check the name: `{first}az acr show --name contoso --query loginServer`"
                    ),
                ),
                (
                    Refusal::Malformed("x"),
                    format!(
                        "try again; if it stays, `{first}az acr check-health --name contoso --yes`"
                    ),
                ),
            ] {
                assert_eq!(refusal.advice(&registry), hint);
            }
        }
    }

    #[test]
    fn the_name_of_a_cloud_is_part_of_a_command_only_in_plain_characters() {
        for (name, word) in [
            ("Fabrikam_1.b", "Fabrikam_1.b"),
            ("a b", "CLOUD"),
            ("$(reboot)", "CLOUD"),
            ("-x", "CLOUD"),
        ] {
            let hint = Refusal::Firewall { address: None }
                .advice(&in_cloud(name, "contoso.azurecr.fabrikam.example"));
            assert_eq!(
                hint,
                format!("az cloud set --name {word} && az acr network-rule list --name contoso")
            );
        }
    }

    #[test]
    fn an_address_of_ipv6_gets_no_network_rule() {
        let registry = Registry::parse("contoso.azurecr.io", &[]).unwrap();
        let address = Some("2603:1030::9".to_owned());
        let refusal = Refusal::Firewall { address };
        assert_eq!(
            refusal.advice(&registry),
            "az acr network-rule list --name contoso"
        );
        assert_eq!(
            refusal.notes(),
            [
                "network rules take IPv4 addresses only: connect over IPv4, or use a private endpoint"
            ]
        );
    }
}
