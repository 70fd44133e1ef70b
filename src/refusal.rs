//! Errors and hints for a registry's answer that is not the expected one.
//!
//! The body of refusals changed over the years (a `DENIED` body, an empty 401, an `UNAUTHORIZED` body). So the status decides, and the body
//! only adds a message.

use crate::error::{Error, ErrorKind, sanitize_line};
use crate::http::{HttpResponse, PROXY_HINT};
use crate::registry::{CLOUDS, Cloud, Registry};
use crate::text::{Redactor, shell_word};
use crate::token::{AccessToken, is_guid};
use secrecy::{ExposeSecret, SecretString};
use std::net::IpAddr;

/// The role that allows an identity to pull.
pub(crate) const PULL: &str = "AcrPull";

/// The role that lets an identity pull from a registry in the mode RBAC Registry + ABAC Repository Permissions.
pub(crate) const PULL_ABAC: &str = "Container Registry Repository Reader";

/// The placeholder in a command for an object id that the token does not show.
const OBJECT_ID: &str = "OBJECT_ID";

/// The page of nginx, the web server of registries, for a header that is too long (Azure/acr#797).
const HEADER_TOO_LARGE: &str = "Request Header Or Cookie Too Large";

/// How messages of a 401 about the token begin, as recorded in 2023, 2024 and 2026. All others are about roles.
const INVALID_TOKEN: [&str; 3] = [
    "retrieving permissions failed",
    "token invalid audience",
    "token validation failed",
];

/// A request to a registry, as messages name it.
pub(crate) struct RegistryRequest<'a> {
    registry: &'a Registry,
    name: &'a str,
    /// A secret in the request, which a server may repeat: messages end up in logs.
    secret: Option<&'a SecretString>,
    /// The access token of an exchange, which is where a registry checks roles.
    access_token: Option<&'a AccessToken>,
}

impl<'a> RegistryRequest<'a> {
    /// Names the exchange of an access token.
    pub(crate) fn exchange(registry: &'a Registry, access_token: &'a AccessToken) -> Self {
        Self {
            registry,
            name: "the exchange",
            secret: Some(access_token.secret()),
            access_token: Some(access_token),
        }
    }

    /// Names another request, to the registry's own host.
    pub(crate) fn other(
        registry: &'a Registry,
        name: &'a str,
        secret: Option<&'a SecretString>,
    ) -> Self {
        Self {
            registry,
            name,
            secret,
            access_token: None,
        }
    }

    /// Returns the error of an answer that is not the expected one.
    pub(crate) fn refusal(&self, response: &HttpResponse) -> Error {
        self.refusal_of(response)
            .with_details(self.correlation(response))
    }

    /// Returns a line with the id that Azure support asks for, from the header or else from the message.
    pub(crate) fn correlation(&self, response: &HttpResponse) -> Option<String> {
        let id = response
            .header("x-ms-correlation-request-id")
            .filter(|id| is_guid(id))
            .or_else(|| message(response)?.1)?;
        // A GUID has room for a piece of a token.
        Some(format!("correlation id: {}", self.redact(&id)))
    }

    fn refusal_of(&self, response: &HttpResponse) -> Error {
        let (message, _) = message(response).unwrap_or_default();
        let message = self.redact(&message);
        let code = response.status.as_u16();
        let separator = if message.is_empty() { "" } else { ", " };
        let answer = format!("{code}{separator}{message}");
        match code {
            400 if String::from_utf8_lossy(&response.body).contains(HEADER_TOO_LARGE) => {
                let hint = format!("set `username = \"token\"` under {}", self.profile());
                let error = self.unexpected("400: the request's header is too large");
                error.with_hint(hint)
            }
            403 if message.contains("client with IP") => self.network_rule(&message),
            401 | 403 if !response.is_web_page() => self.denied(code, &answer, &message),
            404 => {
                let path = self
                    .access_token
                    .map_or(self.name, |_| "`/oauth2/exchange`");
                let host = self.host();
                let message = format!(
                    "{host} has no {path}: it does not answer as an Azure Container Registry"
                );
                Error::new(ErrorKind::UnexpectedResponse, message)
                    .with_hint(check_name(self.registry))
            }
            429 => {
                let wait = response.retry_after();
                let wait = wait.map(|seconds| format!(": wait {seconds} s"));
                let (name, wait) = (self.registry.login_server(), wait.unwrap_or_default());
                let message = format!("{name} is throttling requests{wait}");
                Error::new(ErrorKind::UnexpectedResponse, message)
                    .with_hint("try again later; limits are listed at https://aka.ms/acr/skus")
            }
            _ => match response.interception() {
                Some(what) => self.unexpected(&self.redact(&what)).with_hint(PROXY_HINT),
                None => self.unexpected(&answer),
            },
        }
    }

    fn host(&self) -> &'a str {
        match self.access_token {
            Some(_) => self.registry.login_server(),
            None => self.registry.host(),
        }
    }

    /// Returns the error of an answer that is neither a token nor a refusal. `what` is a noun phrase.
    pub(crate) fn unexpected(&self, what: &str) -> Error {
        let message = format!("{} answered {} with {what}", self.host(), self.name);
        Error::new(ErrorKind::UnexpectedResponse, message).with_hint(try_again(self.registry))
    }

    /// Returns the error of a network rule that does not allow this address, which the message quotes: `client with IP '203.0.113.9' is not
    /// allowed access`. Only a real address becomes part of a command to paste.
    fn network_rule(&self, message: &str) -> Error {
        let quoted = message.split(['\'', '"']).nth(1);
        let address = quoted.and_then(|text| text.parse::<IpAddr>().ok());
        let address = address.map(|address| address.to_canonical());
        let shown = address.map_or_else(|| "this address".to_owned(), |ip| ip.to_string());
        let name = self.registry.login_server();
        let message = format!("the network rules of {name} do not allow {shown}");
        let error = Error::new(ErrorKind::NetworkRule, message);
        if let Some(IpAddr::V4(address)) = address {
            let command = az_acr(self.registry, "network-rule add");
            return error.with_hint(format!(
                "add a rule for this address\n  {command} --ip-address {address}"
            ));
        }
        // `az acr network-rule add --help`: "IPv4 address or CIDR range".
        let note =
            "network rules take IPv4 addresses only: connect over IPv4, or use a private endpoint";
        let command = az_acr(self.registry, "network-rule list");
        error
            .with_details(address.map(|_| note.to_owned()))
            .with_hint(format!("check the network rules\n  {command}"))
    }

    /// Returns the error of a 401 or 403: a token that is not valid at this registry, or an identity without a role.
    fn denied(&self, status: u16, answer: &str, message: &str) -> Error {
        let is_invalid =
            status == 401 && INVALID_TOKEN.iter().any(|start| message.starts_with(start));
        let kind = if is_invalid {
            ErrorKind::InvalidToken
        } else {
            ErrorKind::Denied { status }
        };
        let credential = self.access_token.map_or(self.name, |_| "the access token");
        let text = format!("{} refused {credential}: {answer}", self.host());
        let error = Error::new(kind, text);
        let Some(access_token) = self.access_token else {
            return error.with_hint(try_again(self.registry));
        };
        if is_invalid {
            return error.with_hint(format!(
                "if the registry is in another tenant, set `tenant` under {}. If your identity is in another cloud, set \
                 `identity_cloud` there, and check `authority` and `audience`",
                self.profile()
            ));
        }
        let mut notes = vec![
            "to push, assign AcrPush, or Container Registry Repository Writer".to_owned(),
            "a new role assignment takes up to 10 minutes: https://aka.ms/acr/authorization"
                .to_owned(),
        ];
        if status == 401 && message.is_empty() {
            notes.push(
                "the registry gives no reason: the token may also be of another tenant or cloud than the registry".to_owned(),
            );
        }
        let assignee = access_token.assignee();
        notes.extend(assignee.is_none().then(object_id_note));
        let [rbac, abac] = [PULL, PULL_ABAC].map(|role| assign_role(self.registry, role, assignee));
        error.with_details(notes).with_hint(format!(
            "assign a role to the identity\n  {rbac}\n\
             or, on a registry with ABAC repository permissions\n  {abac}"
        ))
    }

    fn profile(&self) -> String {
        let host = self.registry.host();
        format!("`[registry.\"{host}\"]` in the config file")
    }

    fn redact(&self, text: &str) -> String {
        let secret = self.secret.map(ExposeSecret::expose_secret);
        Redactor::new(secret).redact(text)
    }
}

/// Returns the first message of an error body (Docker registry API, "errors"), and the correlation id at its end.
fn message(response: &HttpResponse) -> Option<(String, Option<String>)> {
    let json = response.json();
    let whole = json["errors"][0]["message"].as_str()?.trim_end();
    let (text, id) = match whole.rsplit_once("CorrelationId:") {
        Some((text, id)) if is_guid(id.trim()) => (text, Some(id.trim().to_owned())),
        _ => (whole, None),
    };
    Some((sanitize_line(text), id))
}

/// Returns how to check the name of a registry.
pub(crate) fn check_name(registry: &Registry) -> String {
    let command = az_acr(registry, "show");
    format!("check the name of the registry\n  {command} --query loginServer")
}

/// Returns what to do about a failure of the service.
pub(crate) fn try_again(registry: &Registry) -> String {
    let command = az_acr(registry, "check-health");
    format!("try again; if it fails again, check the registry\n  {command} --yes")
}

fn az_acr(registry: &Registry, command: &str) -> String {
    let name = registry.resource_name();
    az(registry.cloud(), &format!("acr {command} --name {name}"))
}

/// Returns a command of the Azure CLI, which first sets the cloud if that is not the default.
pub(crate) fn az(cloud: &Cloud, command: &str) -> String {
    let name = &*cloud.cli_name;
    if *name == CLOUDS[0].cli_name {
        return format!("az {command}");
    }
    format!("az cloud set --name {} && az {command}", shell_word(name))
}

/// Returns the command that assigns a role to an identity.
pub(crate) fn assign_role(registry: &Registry, role: &str, object_id: Option<&str>) -> String {
    let role = shell_word(role);
    let (assignee, name) = (object_id.unwrap_or(OBJECT_ID), registry.resource_name());
    let command = format!(
        "role assignment create --assignee {assignee} --role {role} --scope \"$(az acr show --name {name} --query id --output tsv)\""
    );
    az(registry.cloud(), &command)
}

/// Returns what the placeholder in a command stands for.
pub(crate) fn object_id_note() -> String {
    format!("{OBJECT_ID} is the object id of the identity, which its token does not show")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::{Audience, REGISTRY_AUDIENCE};
    use reqwest::StatusCode;

    const OBJECT: &str = "c2a6f490-7d35-4e8b-b1c9-0e5f3a7d2846";

    fn access_token(object_id: Option<&str>) -> AccessToken {
        let payload = serde_json::json!({"aud": REGISTRY_AUDIENCE, "oid": object_id}).to_string();
        let payload = azure_core::base64::encode_url_safe(payload);
        let token = format!("e30.{payload}.c2ln");
        AccessToken::new(token.into(), &Audience::parse(REGISTRY_AUDIENCE).unwrap()).unwrap()
    }

    fn contoso() -> Registry {
        Registry::parse("contoso.azurecr.io", &[]).unwrap()
    }

    /// The registry in a private cloud of this name.
    fn in_cloud(name: &str, host: &str) -> Registry {
        let cloud = Cloud {
            name: name.to_owned().into(),
            suffix: "azurecr.fabrikam.example".into(),
            cli_name: name.to_owned().into(),
            ..CLOUDS[0].clone()
        };
        Registry::parse(host, &[cloud]).unwrap()
    }

    fn refused(
        request: &RegistryRequest<'_>,
        status: u16,
        headers: &[(&'static str, &str)],
        body: &str,
    ) -> Error {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).parse().unwrap(), value.parse().unwrap()))
            .collect();
        request.refusal(&HttpResponse {
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            body: body.into(),
        })
    }

    /// The hint on a missing role, with what each of its commands begins with.
    fn role_hint(first: &str, assignee: &str) -> String {
        let command = |role: &str| {
            format!(
                r#"{first}az role assignment create --assignee {assignee} --role {role} --scope "$(az acr show --name contoso --query id --output tsv)""#
            )
        };
        let [rbac, abac] = ["AcrPull", "'Container Registry Repository Reader'"].map(command);
        format!(
            "assign a role to the identity\n  {rbac}\nor, on a registry with ABAC repository permissions\n  {abac}"
        )
    }

    fn body(message: &str) -> String {
        serde_json::json!({"errors": [{"message": message}]}).to_string()
    }

    fn firewall(address: &str) -> String {
        body(&format!("client with IP '{address}' is not allowed access"))
    }

    #[test]
    fn every_refusal_has_a_sentence_and_a_hint() {
        let (registry, token) = (contoso(), access_token(None));
        let request = RegistryRequest::exchange(&registry, &token);
        let role = &*role_hint("", "OBJECT_ID");
        let proxy = "a proxy or a sign-in page of the network is in the way: sign in to it, or set `NO_PROXY`";
        let again = "try again; if it fails again, check the registry\n  az acr check-health --name contoso --yes";
        let rules = "check the network rules\n  az acr network-rule list --name contoso";
        let name =
            "check the name of the registry\n  az acr show --name contoso --query loginServer";
        let page = "\n <!DOCTYPE html><html><body>Sign in</body></html>";
        let long = "<html>\r\n<head><title>400 Request Header Or Cookie Too Large</title></head>\r\n</html>\r\n";
        let intercepted = "R answered the exchange with a web page: ";
        for (status, headers, body, message, hint) in [
            (
                401,
                &[][..],
                String::new(),
                "R refused the access token: 401",
                role,
            ),
            // 2022, 2024
            (
                403,
                &[],
                String::new(),
                "R refused the access token: 403",
                role,
            ),
            // 2021
            (
                403,
                &[],
                body("retrieving permissions failed"),
                "R refused the access token: 403, retrieving permissions failed",
                role,
            ),
            // 2026
            (
                401,
                &[],
                body(
                    "authentication required, visit https://aka.ms/acr/authorization for more information. CorrelationId: 0a3728f5-aee8-4ea1-9b84-4dc6e1aef664",
                ),
                "R refused the access token: 401, authentication required, visit https://aka.ms/acr/authorization for more information.",
                role,
            ),
            (
                401,
                &[],
                body("CorrelationId: no id at all"),
                "R refused the access token: 401, CorrelationId: no id at all",
                role,
            ),
            (
                403,
                &[],
                firewall("203.0.113.9"),
                "the network rules of R do not allow 203.0.113.9",
                "add a rule for this address\n  az acr network-rule add --name contoso --ip-address 203.0.113.9",
            ),
            (
                403,
                &[],
                firewall("::ffff:203.0.113.9"),
                "the network rules of R do not allow 203.0.113.9",
                "add a rule for this address\n  az acr network-rule add --name contoso --ip-address 203.0.113.9",
            ),
            (
                403,
                &[],
                firewall("2603:1030::9"),
                "the network rules of R do not allow 2603:1030::9",
                rules,
            ),
            (
                403,
                &[],
                firewall("$(reboot)"),
                "the network rules of R do not allow this address",
                rules,
            ),
            (
                404,
                &[],
                String::new(),
                "R has no `/oauth2/exchange`: it does not answer as an Azure Container Registry",
                name,
            ),
            (
                404,
                &[],
                page.into(),
                "R has no `/oauth2/exchange`: it does not answer as an Azure Container Registry",
                name,
            ),
            (
                429,
                &[("retry-after", "17")],
                String::new(),
                "R is throttling requests: wait 17 s",
                "try again later; limits are listed at https://aka.ms/acr/skus",
            ),
            (
                429,
                &[],
                String::new(),
                "R is throttling requests",
                "try again later; limits are listed at https://aka.ms/acr/skus",
            ),
            (
                302,
                &[("location", "http://evil.example/")],
                String::new(),
                "R answered the exchange with a redirect to `http://evil.example/`, which is not followed",
                proxy,
            ),
            (
                400,
                &[],
                long.into(),
                "R answered the exchange with 400: the request's header is too large",
                "set `username = \"token\"` under `[registry.\"R\"]` in the config file",
            ),
            (200, &[], page.into(), &format!("{intercepted}200"), proxy),
            (400, &[], page.into(), &format!("{intercepted}400"), proxy),
            (511, &[], page.into(), &format!("{intercepted}511"), proxy),
            (
                502,
                &[],
                page.into(),
                "R answered the exchange with 502",
                again,
            ),
            (
                500,
                &[],
                String::new(),
                "R answered the exchange with 500",
                again,
            ),
            (
                400,
                &[],
                body("bad\u{1b}[31m service"),
                "R answered the exchange with 400, bad[31m service",
                again,
            ),
        ] {
            let error = refused(&request, status, headers, &body);
            let short = |text: &str| text.replace("contoso.azurecr.io", "R");
            assert_eq!(short(&error.to_string()), message, "{status} {body}");
            assert_eq!(short(error.hint().unwrap()), hint, "{status} {body}");
        }
    }

    #[test]
    fn the_correlation_id_is_that_of_the_header_or_else_of_the_message() {
        let registry = contoso();
        let request = RegistryRequest::other(&registry, "`/v2/`", None);
        let id = "0a3728f5-aee8-4ea1-9b84-4dc6e1aef664";
        let other = "d0359bee-b9d7-4a44-9b6b-9c5d0d7f8e21";
        let named = body(&format!("no. CorrelationId: {id}"));
        for (header, body, expected) in [
            (Some(other), named.clone(), Some(other)),
            // Hexadecimal digits of half a token.
            (Some("d0359bee"), String::new(), None),
            (
                None,
                body("no. CorrelationId: 68756e7465723268756e746572320000"),
                None,
            ),
            (Some("not an id"), named.clone(), Some(id)),
            (None, named, Some(id)),
            (None, body("CorrelationId: $(reboot)"), None),
            (None, String::new(), None),
        ] {
            let headers: Vec<_> = header
                .map(|id| ("x-ms-correlation-request-id", id))
                .into_iter()
                .collect();
            let error = refused(&request, 500, &headers, &body);
            let expected: Vec<_> = expected
                .map(|id| format!("correlation id: {id}"))
                .into_iter()
                .collect();
            assert_eq!(error.details(), expected, "{header:?} {body}");
        }
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
            let (registry, token) = (in_cloud("Fabrikam-1", host), access_token(Some(OBJECT)));
            let request = RegistryRequest::exchange(&registry, &token);
            for (status, body, hint) in [
                (401, String::new(), role_hint(first, OBJECT)),
                (
                    403,
                    firewall("203.0.113.9"),
                    format!(
                        "add a rule for this address\n  {first}az acr network-rule add --name contoso --ip-address 203.0.113.9"
                    ),
                ),
                (
                    403,
                    firewall("?"),
                    format!(
                        "check the network rules\n  {first}az acr network-rule list --name contoso"
                    ),
                ),
                (
                    404,
                    String::new(),
                    format!(
                        "check the name of the registry\n  {first}az acr show --name contoso --query loginServer"
                    ),
                ),
                (
                    500,
                    String::new(),
                    format!(
                        "try again; if it fails again, check the registry\n  {first}az acr check-health --name contoso --yes"
                    ),
                ),
            ] {
                assert_eq!(refused(&request, status, &[], &body).hint(), Some(&*hint));
            }
        }
    }

    #[test]
    fn the_name_of_a_cloud_is_one_word_of_a_command() {
        for (name, word) in [
            ("Fabrikam_1.b", "Fabrikam_1.b"),
            ("a b", "'a b'"),
            ("$(reboot)", "'$(reboot)'"),
        ] {
            let registry = in_cloud(name, "contoso.azurecr.fabrikam.example");
            let request = RegistryRequest::other(&registry, "`/v2/`", None);
            let expected = format!(
                "check the network rules\n  az cloud set --name {word} && az acr network-rule list --name contoso"
            );
            let error = refused(&request, 403, &[], &firewall("?"));
            assert_eq!(error.hint(), Some(&*expected));
        }
    }

    #[test]
    fn a_missing_role_names_the_roles_of_both_kinds_of_registry() {
        let registry = contoso();
        for object_id in [Some(OBJECT), None] {
            let token = access_token(object_id);
            let error = refused(&RegistryRequest::exchange(&registry, &token), 401, &[], "");
            let notes = error.details().join("\n");
            for role in ["AcrPush", "Container Registry Repository Writer"] {
                assert!(notes.contains(role), "{notes}");
            }
            assert_eq!(notes.contains("OBJECT_ID"), object_id.is_none(), "{notes}");
        }
        let registry = Registry::parse("contoso-abc123.azurecr.io", &[]).unwrap();
        let expected = r#"az role assignment create --assignee X --role 'Container Registry Repository Reader' --scope "$(az acr show --name contoso --query id --output tsv)""#;
        assert_eq!(assign_role(&registry, PULL_ABAC, Some("X")), expected);
    }

    #[test]
    fn a_token_without_an_object_id_shows_the_client_id_in_the_command() {
        let payload = serde_json::json!({"aud": REGISTRY_AUDIENCE, "oid": 7, "azp": OBJECT});
        let payload = azure_core::base64::encode_url_safe(payload.to_string());
        let token = format!("e30.{payload}.c2ln");
        let token = AccessToken::new(token.into(), &Audience::default()).unwrap();
        let registry = contoso();
        let error = refused(&RegistryRequest::exchange(&registry, &token), 401, &[], "");
        assert_eq!(error.hint(), Some(&*role_hint("", OBJECT)));
    }

    #[test]
    fn a_token_that_is_not_valid_has_a_hint_on_its_tenant_and_cloud() {
        let (registry, token) = (contoso(), access_token(None));
        let request = RegistryRequest::exchange(&registry, &token);
        let error = refused(&request, 401, &[], &body("token validation failed"));
        assert_eq!(error.kind(), ErrorKind::InvalidToken);
        assert!(error.details().is_empty());
        let hint = error.hint().unwrap();
        assert!(
            hint.contains("another tenant")
                && hint.contains("`audience`")
                && !hint.contains("role"),
            "{hint}"
        );
    }

    /// Roles are checked by the exchange.
    #[test]
    fn another_request_that_is_denied_names_no_roles() {
        let registry = contoso();
        let request = RegistryRequest::other(&registry, "`/v2/`", None);
        for body in [String::new(), body("token validation failed")] {
            let error = refused(&request, 401, &[], &body);
            assert!(error.details().is_empty());
            assert!(error.hint().unwrap().starts_with("try again"), "{error:?}");
        }
    }

    #[test]
    fn an_address_of_ipv6_gets_no_network_rule() {
        let registry = contoso();
        let request = RegistryRequest::other(&registry, "`/v2/`", None);
        let error = refused(&request, 403, &[], &firewall("2603:1030::9"));
        assert_eq!(
            error.details(),
            [
                "network rules take IPv4 addresses only: connect over IPv4, or use a private endpoint"
            ]
        );
    }

    #[test]
    fn a_secret_that_was_sent_is_removed_from_every_part_of_a_refusal() {
        let (registry, token) = (contoso(), access_token(None));
        let secret = token.secret().expose_secret();
        let request = RegistryRequest::exchange(&registry, &token);
        let said = body(&format!("no {secret}"));
        let location = [("location", secret)];
        for (status, headers, body) in [
            (401, &[][..], &*said),
            (403, &[], &*said),
            (500, &[], &*said),
            (302, &location, ""),
            (
                401,
                &[],
                &*body(&format!("token validation failed: {secret}")),
            ),
        ] {
            let error = refused(&request, status, headers, body);
            assert!(!format!("{error:?}").contains(secret), "{error:?}");
        }
    }
}
