//! The answer of `/v2/` to a request without a token: a challenge, a network rule's refusal, or a page of something in between.

use crate::commands::report::Check;
use crate::error::{ErrorKind, sanitize_line};
use crate::http::{HttpResponse, PROXY_HINT};
use crate::refusal::{RegistryRequest, check_name};
use crate::registry::Registry;
use reqwest::StatusCode;
use reqwest::header::WWW_AUTHENTICATE;

pub(super) const NAME: &str = "challenge";

const NO_ZONE: &str =
    "the name has a public address here: if the registry has a private endpoint, use its DNS zone";

/// Returns the check of the answer of `/v2/`. `is_public` is whether the name has a public address.
pub(super) fn check(registry: &Registry, response: &HttpResponse, is_public: bool) -> Check {
    match response.status {
        StatusCode::UNAUTHORIZED if !response.is_web_page() => check_header(registry, response),
        StatusCode::OK if !response.is_web_page() => Check::warning(
            NAME,
            format!("{} accepts requests without a token", registry.host()),
        ),
        _ => {
            let refusal = RegistryRequest::other(registry, "`/v2/`", None).refusal(response);
            let check = Check::failed(NAME, &refusal);
            let is_rule = refusal.kind() == ErrorKind::NetworkRule;
            check.with((is_rule && is_public).then(|| NO_ZONE.to_owned()))
        }
    }
}

fn check_header(registry: &Registry, response: &HttpResponse) -> Check {
    let host = registry.host();
    let header = response.header(WWW_AUTHENTICATE.as_str());
    let Some((realm, service)) = header.as_deref().and_then(bearer) else {
        let summary = format!(
            "{host} does not ask for a Bearer token: it does not answer as an Azure Container Registry"
        );
        return Check::bad(NAME, summary).hint(check_name(registry));
    };
    let is_own = |text: &str| [host, registry.login_server()].contains(&text);
    let realm_host = realm.strip_prefix("https://");
    let realm_host = realm_host.and_then(|realm| realm.strip_suffix("/oauth2/token"));
    let is_own_realm = realm_host.is_some_and(is_own);
    if is_own_realm && is_own(service) {
        let service = format!("the token service is {realm}");
        return Check::good(NAME, format!("{host} answers and requires a token")).with([service]);
    }
    let other = if is_own_realm { service } else { realm };
    let summary =
        format!("{host} tells clients to send the credential to {other}, which is another host");
    Check::bad(NAME, sanitize_line(&summary)).hint(PROXY_HINT)
}

/// Returns the realm and the service of `Bearer realm="…",service="…"` (RFC 6750, section 3; Docker registry API, "token authentication").
/// More parameters may follow. A scope may hold a comma or a quote; a realm and a service cannot.
fn bearer(header: &str) -> Option<(&str, &str)> {
    let (scheme, parameters) = header.trim().split_once(' ')?;
    let value = |name: &str| {
        let parameters = parameters.split(',');
        let mut parameters = parameters.filter_map(|part| part.trim().split_once('='));
        let (_, value) = parameters.find(|(other, _)| *other == name)?;
        Some(value.trim_matches('"')).filter(|value| !value.is_empty())
    };
    let values = (value("realm")?, value("service")?);
    scheme.eq_ignore_ascii_case("bearer").then_some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_has_a_realm_and_a_service() {
        let realm = "https://contoso.azurecr.io/oauth2/token";
        for (header, expected) in [
            (
                r#"Bearer realm="https://contoso.azurecr.io/oauth2/token",service="contoso.azurecr.io""#,
                Some((realm, "contoso.azurecr.io")),
            ),
            (
                r#"bearer realm="r", service="s", scope="repository:app:pull,push""#,
                Some(("r", "s")),
            ),
            ("", None),
            ("Bearer", None),
            ("Bearer ", None),
            ("Basic realm=\"x\",service=\"y\"", None),
            ("Bearer realm=\"x\"", None),
            ("Bearer realm=\"\",service=\"y\"", None),
            ("Bearer x,y", None),
        ] {
            assert_eq!(bearer(header), expected, "{header}");
        }
    }
}
