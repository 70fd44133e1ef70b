//! The answer of `/v2/` to a request without a token: a challenge, a network rule's refusal, or a page of something in between.

use crate::commands::report::Check;
use crate::error::{ErrorKind, printable};
use crate::http::{HttpResponse, PROXY_HINT};
use crate::refusal::{Asked, check_name};
use crate::registry::Registry;
use reqwest::StatusCode;
use reqwest::header::WWW_AUTHENTICATE;

pub(super) const NAME: &str = "challenge";

/// Returns the check of the answer of `/v2/`. `is_public` is whether the name has a public address.
pub(super) fn check(registry: &Registry, response: &HttpResponse, is_public: bool) -> Check {
    match response.status {
        StatusCode::UNAUTHORIZED if !response.is_web_page() => check_header(registry, response),
        StatusCode::OK if !response.is_web_page() => Check::warning(
            NAME,
            format!("{} accepts requests without a token", registry.host()),
        ),
        _ => {
            let refusal = Asked::other(registry, "`/v2/`", None).refusal(response);
            let check = Check::failed(NAME, &refusal);
            // The registry of a private endpoint has a public address only where its DNS zone is not used.
            match refusal.hint() {
                Some(hint) if refusal.kind() == ErrorKind::NetworkRule && is_public => check.hint(format!(
                    "`{hint}`; or, if the registry has a private endpoint, use its DNS zone here: the name has a public address"
                )),
                _ => check,
            }
        }
    }
}

fn check_header(registry: &Registry, response: &HttpResponse) -> Check {
    let host = registry.host();
    let header = response.header(WWW_AUTHENTICATE.as_str());
    let Some(bearer) = header.and_then(|header| Bearer::parse(&header)) else {
        let summary = format!(
            "{host} does not ask for a Bearer token: it does not answer as an Azure Container Registry"
        );
        return Check::bad(NAME, summary).hint(check_name(registry));
    };
    let Bearer { realm, service } = bearer;
    let is_own = |text: &str| [host, registry.login_server()].contains(&text);
    let realm_host = realm
        .strip_prefix("https://")
        .and_then(|realm| realm.strip_suffix("/oauth2/token"));
    if realm_host.is_some_and(is_own) && is_own(&service) {
        return Check::good(NAME, format!("401: requires a token of {realm}"));
    }
    let summary = format!(
        "{host} sends clients with their credential to {realm}, for {service}: that is not this registry"
    );
    Check::bad(NAME, printable(&summary)).hint(PROXY_HINT)
}

/// What a registry requires of a request without a token (RFC 6750, section 3; Docker registry API, "token authentication").
#[derive(Debug, Default, PartialEq, Eq)]
struct Bearer {
    realm: String,
    service: String,
}

impl Bearer {
    /// Reads `Bearer realm="…",service="…"`; more parameters may follow.
    fn parse(header: &str) -> Option<Self> {
        let (scheme, rest) = header.trim().split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let mut bearer = Self::default();
        // A scope may hold a comma or a quote; a realm and a service cannot.
        for (name, value) in rest
            .split(',')
            .filter_map(|part| part.trim().split_once('='))
        {
            let value = value.trim_matches('"').to_owned();
            match name {
                "realm" => bearer.realm = value,
                "service" => bearer.service = value,
                _ => (),
            }
        }
        (!bearer.realm.is_empty() && !bearer.service.is_empty()).then_some(bearer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_has_a_realm_and_a_service() {
        let bearer = Bearer::parse(
            r#"Bearer realm="https://contoso.azurecr.io/oauth2/token",service="contoso.azurecr.io""#,
        );
        let expected = Bearer {
            realm: "https://contoso.azurecr.io/oauth2/token".into(),
            service: "contoso.azurecr.io".into(),
        };
        assert_eq!(bearer, Some(expected));
        let scoped =
            Bearer::parse(r#"bearer realm="r", service="s", scope="repository:app:pull,push""#);
        assert_eq!(
            scoped,
            Some(Bearer {
                realm: "r".into(),
                service: "s".into()
            })
        );
        for header in [
            "",
            "Bearer",
            "Bearer ",
            "Basic realm=\"x\",service=\"y\"",
            "Bearer realm=\"x\"",
            "Bearer x,y",
        ] {
            assert_eq!(Bearer::parse(header), None, "{header}");
        }
    }
}
