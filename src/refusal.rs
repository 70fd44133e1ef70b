//! What a registry answers instead of a token, as a message and a hint.

use crate::error::{Error, ErrorKind};
use crate::registry::{CLOUDS, Cloud, Registry};
use crate::text::Redactor;
use secrecy::{ExposeSecret, SecretString};
use std::net::Ipv6Addr;

/// The hint where a proxy answers instead of the service.
pub(crate) const PROXY_HINT: &str =
    "a proxy or a sign-in page of the network is in the way: sign in to it, or set `NO_PROXY`";

/// The role that lets an identity pull.
pub(crate) const PULL: &str = "AcrPull";

/// The same on a registry in the mode RBAC Registry + ABAC Repository Permissions.
pub(crate) const PULL_ABAC: &str = "Container Registry Repository Reader";

/// The placeholder in a command for an object id that no token shows.
const OBJECT_ID: &str = "OBJECT_ID";

/// The placeholder for a private cloud whose name cannot be part of a command.
const CLOUD: &str = "CLOUD";

/// What a registry answered instead of a token.
#[derive(Debug)]
pub(crate) enum Refusal {
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

/// What a registry's host was asked, as messages name it.
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

impl Refusal {
    /// Removes what was sent: a server may repeat it, and messages are kept in logs.
    pub(crate) fn without(mut self, secret: &SecretString) -> Self {
        if let Self::Denied {
            said: Some(text), ..
        }
        | Self::Unexpected {
            said: Some(text), ..
        }
        | Self::InvalidToken { said: text, .. }
        | Self::Redirected { location: text } = &mut self
        {
            *text = Redactor::new([secret.expose_secret()]).redact(text);
        }
        self
    }

    /// Returns the error of an exchange that was refused. `details` follow those of the refusal.
    pub(crate) fn into_error(
        self,
        registry: &Registry,
        details: impl IntoIterator<Item = String>,
    ) -> Error {
        let kind = match self {
            Self::Denied { status, .. } => ErrorKind::Denied { status },
            Self::InvalidToken { .. } => ErrorKind::InvalidToken,
            Self::Firewall { .. } => ErrorKind::NetworkRule,
            _ => ErrorKind::UnexpectedResponse,
        };
        Error::new(kind, self.message(registry, &Asked::exchange(registry)))
            .with_details(self.notes())
            .with_details(details)
            .with_hint(self.advice(registry))
    }

    /// Returns one sentence on it, as the answer to a request.
    pub(crate) fn message(&self, registry: &Registry, asked: &Asked<'_>) -> String {
        let Asked {
            host,
            credential,
            request,
            endpoint,
        } = asked;
        let name = registry.login_server();
        let answered = format!("{host} answered {request} with");
        let reason = |said: &Option<String>| {
            said.as_ref()
                .map_or_else(String::new, |said| format!(", {said}"))
        };
        match self {
            Self::Denied { status, said, .. } => {
                format!("{host} refused {credential}: {status}{}", reason(said))
            }
            Self::InvalidToken { status, said } => {
                format!("{host} refused {credential}: {status}, {said}")
            }
            Self::Firewall { address } => {
                let address = address.as_deref().unwrap_or("this address");
                format!("the firewall of {name} does not let {address} in")
            }
            Self::NoExchange => format!(
                "{host} has no {endpoint}: it does not answer as an Azure Container Registry"
            ),
            Self::Throttled { retry_after } => {
                let wait = retry_after.map(|seconds| format!(" and asks to wait {seconds} s"));
                format!("{name} gets too many requests{}", wait.unwrap_or_default())
            }
            Self::Redirected { location } => {
                format!("{answered} a redirect to `{location}`, which is not followed")
            }
            Self::HeaderTooLarge => format!("{answered} 400: the request's header is too large"),
            Self::WebPage { status } => {
                format!("a web page came in place of the answer of {name}: {status}")
            }
            Self::Unexpected { status, said } => format!("{answered} {status}{}", reason(said)),
            Self::Malformed(what) => format!("{answered} {what}"),
        }
    }

    /// Returns what to do about it.
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
            Self::Redirected { .. } | Self::WebPage { .. } => PROXY_HINT.into(),
            Self::Unexpected { .. } | Self::Malformed(_) => try_again(registry),
        }
    }

    /// Returns what to know before following the advice, a line each.
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

/// Returns whether it is an address for which there are no network rules (`az acr network-rule add --help`: "IPv4 address or CIDR range").
fn is_ipv6(address: &str) -> bool {
    address.parse::<Ipv6Addr>().is_ok()
}

/// Returns a command of the Azure CLI, after the one that sets the cloud if that is not the one that the Azure CLI begins with.
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

/// Returns the command that gives an identity a role.
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

/// Returns what the placeholder in a command stands for.
pub(crate) fn object_id_note() -> String {
    format!("{OBJECT_ID} is the object id of the identity, which its token does not show")
}

/// Returns what to do about a failure of the service.
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

    #[test]
    fn every_refusal_has_a_sentence_and_a_hint() {
        let registry = Registry::parse("contoso.azurecr.io", &[]).unwrap();
        let role = "az role assignment create --assignee OBJECT_ID --role AcrPull \
                    --scope \"$(az acr show --name contoso --query id --output tsv)\"";
        let proxy = "a proxy or a sign-in page of the network is in the way: sign in to it, or set `NO_PROXY`";
        let again = "try again; if it stays, `az acr check-health --name contoso --yes`";
        let denied = |status, said: Option<&str>| Refusal::Denied {
            status,
            said: said.map(str::to_owned),
            object_id: None,
        };
        for (refusal, message, hint) in [
            (denied(401, None), "R refused the access token: 401", role),
            (
                denied(403, Some("no")),
                "R refused the access token: 403, no",
                role,
            ),
            (
                Refusal::Firewall {
                    address: Some("203.0.113.9".into()),
                },
                "the firewall of R does not let 203.0.113.9 in",
                "az acr network-rule add --name contoso --ip-address 203.0.113.9",
            ),
            (
                Refusal::Firewall { address: None },
                "the firewall of R does not let this address in",
                "az acr network-rule list --name contoso",
            ),
            (
                Refusal::NoExchange,
                "R has no `/oauth2/exchange`: it does not answer as an Azure Container Registry",
                "check the name: `az acr show --name contoso --query loginServer`",
            ),
            (
                Refusal::Throttled {
                    retry_after: Some(7),
                },
                "R gets too many requests and asks to wait 7 s",
                "try again later; limits are listed at https://aka.ms/acr/skus",
            ),
            (
                Refusal::Redirected {
                    location: "http://evil.example/".into(),
                },
                "R answered the exchange with a redirect to `http://evil.example/`, which is not followed",
                proxy,
            ),
            (
                Refusal::WebPage { status: 200 },
                "a web page came in place of the answer of R: 200",
                proxy,
            ),
            (
                Refusal::Unexpected {
                    status: 500,
                    said: None,
                },
                "R answered the exchange with 500",
                again,
            ),
            (
                Refusal::Malformed("no refresh token"),
                "R answered the exchange with no refresh token",
                again,
            ),
        ] {
            let error = refusal.into_error(&registry, []);
            assert_eq!(
                error.to_string().replace("contoso.azurecr.io", "R"),
                message
            );
            assert_eq!(error.hint(), Some(hint));
        }
    }

    #[test]
    fn a_missing_role_names_the_roles_of_both_kinds_of_registry() {
        let scope = r#"--scope "$(az acr show --name contoso --query id --output tsv)""#;
        for object_id in [Some("c2a6f490-7d35-4e8b-b1c9-0e5f3a7d2846"), None] {
            let refusal = Refusal::Denied {
                status: 401,
                said: None,
                object_id: object_id.map(str::to_owned),
            };
            let notes = refusal.notes().join("\n");
            for role in ["AcrPush", "Container Registry Repository Reader or Writer"] {
                assert!(notes.contains(role), "{notes}");
            }
            assert_eq!(notes.contains("OBJECT_ID"), object_id.is_none(), "{notes}");
        }
        let registry = Registry::parse("contoso-abc123.azurecr.io", &[]).unwrap();
        let expected = format!(
            "az role assignment create --assignee X --role 'Container Registry Repository Reader' {scope}"
        );
        assert_eq!(assign_role(&registry, PULL_ABAC, Some("X")), expected);
    }

    #[test]
    fn a_token_that_is_not_valid_has_a_hint_on_its_tenant_and_cloud() {
        let registry = Registry::parse("contoso.azurecr.io", &[]).unwrap();
        let refusal = Refusal::InvalidToken {
            status: 401,
            said: "token validation failed".into(),
        };
        let error = refusal.into_error(&registry, []);
        assert!(error.details().is_empty());
        let hint = error.hint().unwrap();
        assert!(
            hint.contains("another tenant")
                && hint.contains("`audience`")
                && !hint.contains("role"),
            "{hint}"
        );
    }

    #[test]
    fn what_was_sent_is_removed_from_every_text_of_a_refusal() {
        let secret = SecretString::from("a.secret.token");
        let said = || format!("no {}", secret.expose_secret());
        for refusal in [
            Refusal::Denied {
                status: 401,
                said: Some(said()),
                object_id: None,
            },
            Refusal::InvalidToken {
                status: 401,
                said: said(),
            },
            Refusal::Unexpected {
                status: 500,
                said: Some(said()),
            },
            Refusal::Redirected { location: said() },
        ] {
            let text = format!("{:?}", refusal.without(&secret));
            assert!(!text.contains(secret.expose_secret()), "{text}");
        }
    }
}
