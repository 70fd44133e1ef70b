//! The refusals of a registry, in the words and with the headers of recorded ones.

use std::fmt::Write;

use serde_json::{Value, json};

use super::Desk;
use crate::settings::ErrorShape;
use crate::wire::{self, Reply, with};

/// Why a registry refuses.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Problem {
    /// No token, or one that is not enough: the way to get one.
    Challenge {
        scope: Option<String>,
        detail: Value,
        error: Option<&'static str>,
    },
    /// A user and password straight at `/v2/`.
    Basic,
    /// From this address nobody may come.
    Firewall(String),
    /// More requests than it takes; there are more after so many seconds.
    Throttled(u64),
    /// `/oauth2/exchange`: the access token is no good.
    BadAccessToken,
    /// `/oauth2/exchange`: the access token is of another tenant (in which words is not known).
    OtherTenant,
    /// `/oauth2/exchange`: the access token is for another audience, such as Azure Resource Manager.
    WrongAudience(String),
    /// `/oauth2/exchange`: nothing that this identity may do here.
    NoRole,
    /// `/oauth2/exchange`: not a request as it should be.
    Malformed(String),
    /// `/oauth2/token`: the refresh token in the form is no good.
    BadRefreshToken,
    /// `/oauth2/token`: these credentials get nothing.
    Unauthorized,
    /// `/oauth2/token`: the password grant is not taken.
    PasswordGrant(u16),
    /// `/oauth2/token`: the web server in front takes no header as long as that.
    HeaderTooLarge,
}

const VISIT: &str =
    "authentication required, visit https://aka.ms/acr/authorization for more information.";

const NOT_VALID: &str = "token validation failed";

impl Problem {
    /// The refusal on the wire.
    pub(crate) fn reply(&self, desk: &Desk<'_>) -> Reply {
        let correlation = &desk.correlation;
        let unauthorized = || errors(401, "UNAUTHORIZED", &with_id(VISIT, correlation));
        match self {
            Self::Challenge {
                scope,
                detail,
                error,
            } => {
                // The order of the keys and the line end are the recorded ones.
                let body = format!(
                    "{{\"errors\":[{{\"code\":\"UNAUTHORIZED\",\"message\":\"{VISIT}\",\"detail\":{detail}}}]}}\n"
                );
                let (realm, service) = (&desk.registry.host, desk.registry.global_host());
                let header = bearer_challenge(realm, &service, scope.as_deref(), *error);
                let reply = wire::reply(401, "application/json; charset=utf-8", body);
                with(reply, "www-authenticate", &header)
            }
            Self::Basic => {
                let realm = "Basic realm=\"Azure Container Registry\"";
                with(unauthorized(), "www-authenticate", realm)
            }
            Self::Throttled(seconds) => {
                let text = "Too many requests. Please visit https://aka.ms/acr/skus#sku-feature-matrix to view limits of all service tiers.";
                with(
                    errors(429, "TOOMANYREQUESTS", text),
                    "retry-after",
                    &seconds.to_string(),
                )
            }
            Self::Firewall(address) => {
                let text = format!(
                    "client with IP '{address}' is not allowed access. Refer https://aka.ms/acr/firewall to grant \
                     access."
                );
                errors(403, "DENIED", &with_id(&text, correlation))
            }
            Self::BadAccessToken => match desk.call.settings.error_shape {
                ErrorShape::Y2021 | ErrorShape::Y2024 => wire::empty(401),
                ErrorShape::Y2026 => errors(401, "UNAUTHORIZED", NOT_VALID),
            },
            Self::OtherTenant => match desk.call.settings.error_shape {
                ErrorShape::Y2021 | ErrorShape::Y2024 => wire::empty(401),
                ErrorShape::Y2026 => unauthorized(),
            },
            Self::NoRole => match desk.call.settings.error_shape {
                ErrorShape::Y2021 => errors(403, "DENIED", "retrieving permissions failed"),
                ErrorShape::Y2024 => wire::empty(401),
                ErrorShape::Y2026 => unauthorized(),
            },
            Self::WrongAudience(audience) => wrong_audience(desk, audience),
            Self::Malformed(text) => {
                let status = desk.call.settings.malformed_exchange_status;
                errors(status, "BADREQUEST", &with_id(text, correlation))
            }
            Self::BadRefreshToken => wire::empty(401),
            Self::Unauthorized => unauthorized(),
            Self::PasswordGrant(status) => wire::empty(*status),
            Self::HeaderTooLarge => {
                let page = "<html>\r\n<head><title>400 Request Header Or Cookie Too Large</title></head>\r\n</html>\r\n";
                wire::reply(400, "text/html", page)
            }
        }
    }
}

/// The refusal of a token for another audience, in the words of its year.
fn wrong_audience(desk: &Desk<'_>, audience: &str) -> Reply {
    let text = match desk.call.settings.error_shape {
        ErrorShape::Y2021 => "retrieving permissions failed".to_owned(),
        ErrorShape::Y2024 => {
            let allowed = desk
                .registry
                .audiences(&desk.call.settings)
                .iter()
                .map(|known| format!("\"{known}\""));
            let allowed = allowed.collect::<Vec<_>>().join(", ");
            format!(
                "token invalid audience: the received access token has been obtained for wrong audience or resource \"{audience}\". \
                 It should exactly match with one of the allowed audiences {allowed}."
            )
        }
        ErrorShape::Y2026 => NOT_VALID.to_owned(),
    };
    errors(401, "UNAUTHORIZED", &text)
}

/// The body that all errors of a registry have.
pub(crate) fn errors(status: u16, code: &str, message: &str) -> Reply {
    wire::reply(
        status,
        "application/json",
        json!({"errors": [{"code": code, "message": message}]}).to_string(),
    )
}

fn with_id(text: &str, correlation: &str) -> String {
    format!("{text} CorrelationId: {correlation}")
}

/// The realm of a regional endpoint is its own, and the service that of the global login server, as in a log of 2026-07.
fn bearer_challenge(
    realm: &str,
    service: &str,
    scope: Option<&str>,
    error: Option<&str>,
) -> String {
    let mut header = format!("Bearer realm=\"https://{realm}/oauth2/token\",service=\"{service}\"");
    for (name, value) in [("scope", scope), ("error", error)] {
        if let Some(value) = value {
            let _ = write!(header, ",{name}=\"{value}\"");
        }
    }
    header
}

impl Desk<'_> {
    /// The headers of a registry's answers, as recorded: `/oauth2/*` has fewer than `/v2/`, where one stands twice.
    pub(crate) fn with_headers(&self, mut reply: Reply) -> Reply {
        const AGE: (&str, &str) = (
            "strict-transport-security",
            "max-age=31536000; includeSubDomains",
        );
        // `openresty` at some registries.
        const SERVER: (&str, &str) = ("server", "AzureContainerRegistry");
        let of_images = [
            ("access-control-expose-headers", "Docker-Content-Digest"),
            ("access-control-expose-headers", "WWW-Authenticate"),
            ("access-control-expose-headers", "Link"),
            (
                "access-control-expose-headers",
                "X-Ms-Correlation-Request-Id",
            ),
            ("docker-distribution-api-version", "registry/2.0"),
            ("x-content-type-options", "nosniff"),
            AGE,
        ];
        // A registry behind this one has set some of them already.
        for name in ["docker-distribution-api-version", "x-content-type-options"] {
            reply.headers_mut().remove(name);
        }
        let more = if self.call.path.starts_with("/v2") {
            &of_images[..]
        } else {
            &[]
        };
        let all = [
            SERVER,
            AGE,
            ("x-ms-correlation-request-id", &self.correlation),
        ]
        .into_iter()
        .chain(more.iter().copied());
        all.fold(reply, |reply, (name, value)| with(reply, name, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_spelled_as_recorded() {
        assert_eq!(
            bearer_challenge("contoso.azurecr.io", "contoso.azurecr.io", None, None),
            "Bearer realm=\"https://contoso.azurecr.io/oauth2/token\",service=\"contoso.azurecr.io\""
        );
        let scope = Some("repository:app:pull");
        let full = bearer_challenge(
            "c.eastus.geo.azurecr.io",
            "c.azurecr.io",
            scope,
            Some("insufficient_scope"),
        );
        assert!(full.starts_with(
            "Bearer realm=\"https://c.eastus.geo.azurecr.io/oauth2/token\",service=\"c.azurecr.io\""
        ));
        assert!(full.ends_with(",scope=\"repository:app:pull\",error=\"insufficient_scope\""));
    }
}
