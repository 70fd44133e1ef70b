//! `/oauth2/exchange`: who gets a refresh token, and the three ways of refusing.

use reqwest::Method;
use simulator::{
    ACR_APP_ID, ACR_AUDIENCE, Authority, ErrorShape, Limit, RegionalService, Registry, Role,
    TENANT, Tenant,
};

use crate::client::{Answer, HOST, TOKEN_PAGE, World, assert_refused, claims, forged, send};

const ARM_SCOPE: &str = "https://management.azure.com/.default";
const EXCHANGE: &str = "https://contoso.azurecr.io/oauth2/exchange";

#[tokio::test]
async fn an_access_token_becomes_a_refresh_token() {
    let world = World::new();
    let answer = world.exchange(HOST, &world.access_token().await).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("content-type"),
        "application/json; charset=utf-8"
    );
    assert_eq!(answer.header("x-ms-correlation-request-id").len(), 36);
    assert_eq!(answer.json().as_object().unwrap().len(), 1);
    let token = answer.text("refresh_token");
    assert!((950..=1300).contains(&token.len()), "{} bytes", token.len());
    let claims = claims(&token);
    assert_eq!(claims["aud"], HOST);
    assert_eq!(
        claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(),
        11_700
    );
    assert_eq!(
        (&claims["grant_type"], &claims["tenant"]),
        (&"refresh_token".into(), &TENANT.into())
    );
}

#[tokio::test]
async fn a_refresh_token_is_as_long_as_asked() {
    for length in [950, 1301, 2561, 4000] {
        let world = World::with(|settings| settings.refresh_token_bytes = length);
        let token = world.refresh_token().await;
        assert!(
            (length..length + 50).contains(&token.len()),
            "{length}: {}",
            token.len()
        );
    }
}

#[tokio::test]
async fn the_deprecated_grant_of_kubelets_provider_is_taken() {
    let world = World::new();
    let token = world.access_token().await;
    let form = [
        ("grant_type", "access_token_refresh_token"),
        ("service", HOST),
        ("tenant", TENANT),
        ("access_token", &token),
        ("refresh_token", &token),
    ];
    assert_eq!(world.post(EXCHANGE, &form).await.status, 200);
}

#[tokio::test]
async fn a_registry_takes_the_application_id_as_audience() {
    let world = World::with(|settings| settings.audience_as_app_id = true);
    let token = world.access_token().await;
    assert_eq!(claims(&token)["aud"], ACR_APP_ID);
    assert_eq!(world.exchange(HOST, &token).await.status, 200);
}

#[tokio::test]
async fn a_token_of_azure_resource_manager_is_refused_unless_accepted() {
    let world = World::new();
    let token = world
        .sign_in(TOKEN_PAGE, &[("scope", ARM_SCOPE)])
        .await
        .text("access_token");
    assert_refused(
        "disabled",
        &world.exchange(HOST, &token).await,
        401,
        "token validation failed",
    );
    world
        .simulator
        .change(|settings| settings.registry_mut(HOST).accept_arm_tokens = true);
    assert_eq!(world.exchange(HOST, &token).await.status, 200);
}

#[tokio::test]
async fn a_token_for_another_service_is_refused_even_where_arms_is_not() {
    let world = World::with(|settings| settings.registry_mut(HOST).accept_arm_tokens = true);
    let scope = "https://graph.microsoft.com/.default";
    let token = world
        .sign_in(TOKEN_PAGE, &[("scope", scope)])
        .await
        .text("access_token");
    assert_refused(
        "graph",
        &world.exchange(HOST, &token).await,
        401,
        "token validation failed",
    );
}

#[tokio::test]
async fn bad_tokens_are_refused() {
    let world = World::new();
    let good = world.access_token().await;
    let refresh_token = world.exchange(HOST, &good).await.text("refresh_token");
    let of_another_cloud = world
        .sign_in(&TOKEN_PAGE.replace(".com", ".us"), &[])
        .await
        .text("access_token");
    let of_another_simulator = World::new().access_token().await;
    let cases = [
        ("no token", "nonsense".to_owned()),
        ("forged", forged(&good, "oid", "somebody")),
        ("of another key", of_another_simulator),
        ("of another cloud", of_another_cloud),
        ("a refresh token", refresh_token),
    ];
    for (case, token) in cases {
        assert_refused(
            case,
            &world.exchange(HOST, &token).await,
            401,
            "UNAUTHORIZED",
        );
    }
    world
        .simulator
        .change(|settings| settings.clock_skew = 86_400);
    assert_refused(
        "expired",
        &world.exchange(HOST, &good).await,
        401,
        "UNAUTHORIZED",
    );
    world
        .simulator
        .change(|settings| settings.clock_skew = -3600);
    assert_refused(
        "not yet valid",
        &world.exchange(HOST, &good).await,
        401,
        "UNAUTHORIZED",
    );
}

#[tokio::test]
async fn another_tenants_token_is_refused() {
    let other = "11111111-1111-4111-8111-111111111111";
    let world = World::with(|settings| {
        settings.tenants.push(Tenant {
            id: other.to_owned(),
            domain: "other.example".to_owned(),
            ..Tenant::default()
        });
        settings.registry_mut(HOST).tenant = other.to_owned();
    });
    assert_refused(
        "tenant",
        &world.exchange(HOST, &world.access_token().await).await,
        401,
        "UNAUTHORIZED",
    );
}

#[tokio::test]
async fn the_tenant_field_may_be_left_out_but_must_not_be_wrong() {
    let world = World::new();
    let token = world.access_token().await;
    for (tenant, status) in [
        (TENANT, 200),
        ("contoso.example", 200),
        ("other.example", 401),
    ] {
        let form = [
            ("grant_type", "access_token"),
            ("service", HOST),
            ("tenant", tenant),
            ("access_token", &token),
        ];
        assert_eq!(world.post(EXCHANGE, &form).await.status, status, "{tenant}");
    }
    world
        .simulator
        .change(|settings| settings.tenant_required = true);
    assert_eq!(world.exchange(HOST, &token).await.status, 400);
}

#[tokio::test]
async fn a_refusal_has_the_shape_of_its_year() {
    let world = World::new();
    let token = world.access_token().await;
    let cases = [
        (
            ErrorShape::Y2021,
            403,
            r#"{"errors":[{"code":"DENIED","message":"retrieving permissions failed"}]}"#,
            "",
            "retrieving permissions failed",
        ),
        (
            ErrorShape::Y2024,
            401,
            "",
            "",
            "token invalid audience: the received access token has been obtained for wrong audience",
        ),
        (
            ErrorShape::Y2026,
            401,
            "CorrelationId: ",
            "token validation failed",
            "token validation failed",
        ),
    ];
    let of_arm = world
        .sign_in(TOKEN_PAGE, &[("scope", ARM_SCOPE)])
        .await
        .text("access_token");
    for (shape, status, no_role, bad_token, wrong_audience) in cases {
        world.simulator.change(|settings| {
            settings.error_shape = shape;
            settings.registry_mut(HOST).roles.clear();
        });
        let answer = world.exchange(HOST, &token).await;
        assert_refused(shape, &answer, status, no_role);
        assert_eq!(no_role.is_empty(), answer.body.is_empty());
        assert_eq!(answer.header("x-ms-correlation-request-id").len(), 36);
        let answer = world.exchange(HOST, "nonsense").await;
        assert_refused(shape, &answer, 401, bad_token);
        assert_eq!(bad_token.is_empty(), answer.body.is_empty());
        let answer = world.exchange(HOST, &of_arm).await;
        assert_refused(shape, &answer, 401, wrong_audience);
        assert_eq!(answer.header("content-type"), "application/json");
        assert!(!answer.body.contains("CorrelationId"));
    }
}

#[tokio::test]
async fn a_role_belongs_to_its_identity() {
    let world = World::with(|settings| {
        settings.registry_mut(HOST).roles = vec![Role::new("nobody", "*", &["pull"])];
    });
    let token = world.access_token().await;
    assert_refused(
        "no role",
        &world.exchange(HOST, &token).await,
        401,
        "UNAUTHORIZED",
    );
    let client = simulator::CLIENT;
    world.simulator.change(|settings| {
        settings.registry_mut(HOST).roles = vec![Role::new(client, "*", &["pull"])];
    });
    assert_eq!(world.exchange(HOST, &token).await.status, 200);
}

#[tokio::test]
async fn a_request_that_is_not_as_it_should_be_is_refused() {
    let world = World::new();
    let token = world.access_token().await;
    let good = [
        ("grant_type", "access_token"),
        ("service", HOST),
        ("access_token", token.as_str()),
    ];
    for (name, value) in [
        ("grant_type", ""),
        ("grant_type", "password"),
        ("service", ""),
        ("service", "other.azurecr.io"),
        ("service", "contoso.azurecr.us"),
        ("access_token", ""),
    ] {
        let form = good.map(|field| {
            if field.0 == name {
                (name, value)
            } else {
                field
            }
        });
        assert_refused(
            (name, value),
            &world.post(EXCHANGE, &form).await,
            400,
            "errors",
        );
    }
    let json = world
        .request(Method::POST, EXCHANGE)
        .header("content-type", "application/json");
    assert_refused("JSON", &send(json.body("{}")).await, 400, "errors");
    assert_eq!(world.get(EXCHANGE).await.status, 404);
}

#[tokio::test]
async fn a_firewall_shuts_every_page() {
    let world = World::with(|settings| {
        settings.registry_mut(HOST).firewall = Some("203.0.113.9".to_owned());
    });
    let text = "client with IP '203.0.113.9' is not allowed access. Refer https://aka.ms/acr/firewall to grant access.";
    let token = world.access_token().await;
    assert_refused("exchange", &world.exchange(HOST, &token).await, 403, text);
    for page in ["v2/", "oauth2/token", "v2/app/manifests/1"] {
        let answer = world.get(&format!("https://{HOST}/{page}")).await;
        assert_refused(page, &answer, 403, text);
        assert_eq!(answer.header("www-authenticate"), "");
    }
}

#[tokio::test]
async fn a_regional_endpoint_answers_to_its_global_name_and_to_its_own_where_switched_on() {
    let world = World::new();
    let token = world.access_token().await;
    let regional = "contoso.eastus.geo.azurecr.io";
    let exchange = async |service: &str| {
        let form = [
            ("grant_type", "access_token"),
            ("service", service),
            ("access_token", token.as_str()),
        ];
        world
            .post(&format!("https://{regional}/oauth2/exchange"), &form)
            .await
    };
    assert_eq!(
        claims(&exchange(HOST).await.text("refresh_token"))["aud"],
        HOST
    );
    assert_refused("own", &exchange(regional).await, 400, "service");
    world
        .simulator
        .change(|settings| settings.regional_service = RegionalService::Either);
    assert_eq!(
        claims(&exchange(regional).await.text("refresh_token"))["aud"],
        regional
    );
    let form = [
        ("grant_type", "access_token"),
        ("service", regional),
        ("access_token", token.as_str()),
    ];
    assert_refused("global", &world.post(EXCHANGE, &form).await, 400, "service");
}

#[tokio::test]
async fn a_regional_endpoint_names_itself_as_realm_and_its_global_name_as_service() {
    let world = World::new();
    let answer = world.get("https://contoso.eastus.geo.azurecr.io/v2/").await;
    let challenge = r#"Bearer realm="https://contoso.eastus.geo.azurecr.io/oauth2/token",service="contoso.azurecr.io""#;
    assert_eq!(
        (answer.status, answer.header("www-authenticate")),
        (401, challenge)
    );
}

#[tokio::test]
async fn the_pages_of_tokens_have_fewer_headers_than_those_of_images() {
    let world = World::new();
    let images = world.get(&format!("https://{HOST}/v2/")).await;
    let exchange = world.exchange(HOST, &world.access_token().await).await;
    let refused = world.exchange(HOST, "nonsense").await;
    let token = world.get(&format!("https://{HOST}/oauth2/token")).await;
    let count = |answer: &Answer, name| answer.headers.get_all(name).iter().count();
    for (answer, ages, exposed, sniff, counted) in [
        (&images, 2, 4, 1, 0),
        (&exchange, 1, 0, 0, 1),
        (&refused, 1, 0, 0, 1),
        (&token, 1, 0, 0, 1),
    ] {
        let counts = [
            "strict-transport-security",
            "access-control-expose-headers",
            "x-content-type-options",
        ];
        assert_eq!(
            counts.map(|name| count(answer, name)),
            [ages, exposed, sniff]
        );
        assert_eq!(
            count(answer, "x-ms-ratelimit-remaining-calls-per-second"),
            counted
        );
        assert_eq!(
            (
                count(answer, "server"),
                count(answer, "x-ms-correlation-request-id")
            ),
            (1, 1)
        );
    }
    assert_eq!(
        exchange.header("x-ms-ratelimit-remaining-calls-per-second"),
        "166.65"
    );
    // One bucket for both: 10,000 a minute are 166.67 a second.
    let left = |answer: &Answer| {
        answer
            .header("x-ms-ratelimit-remaining-calls-per-second")
            .parse::<f64>()
            .unwrap()
    };
    assert!(166.0 < left(&token) && left(&token) < 166.667 && left(&exchange) < 166.667);
}

#[tokio::test]
async fn a_registry_of_a_custom_cloud_takes_that_clouds_tokens() {
    let world = World::with(|settings| {
        let authority = simulator::Authority {
            host: "login.local.example".to_owned(),
            cloud: "Local".to_owned(),
        };
        settings.authorities.push(authority);
        let registry = Registry {
            cloud: "Local".to_owned(),
            ..Registry::new("contoso.aldo.example")
        };
        settings.registries.push(registry);
    });
    let token = world
        .sign_in("https://login.local.example/TENANT/oauth2/v2.0/token", &[])
        .await
        .text("access_token");
    assert_eq!(
        world.exchange("contoso.aldo.example", &token).await.status,
        200
    );
    assert_eq!(world.exchange(HOST, &token).await.status, 401);
}

#[tokio::test]
async fn a_registry_of_a_private_cloud_takes_its_own_authority_and_audience_only() {
    const PRIVATE: &str = "contoso.azurecr.fabrikam.example";
    let audience = "https://containerregistry.fabrikam.example";
    let (scope, public_scope) = (
        format!("{audience}/.default"),
        format!("{ACR_AUDIENCE}/.default"),
    );
    let world = World::with(|settings| {
        let (host, cloud) = ("login.fabrikam.example".to_owned(), "Fabrikam".to_owned());
        settings.authorities.push(Authority {
            host,
            cloud: cloud.clone(),
        });
        settings.registries.push(Registry {
            cloud,
            audiences: vec![audience.to_owned()],
            ..Registry::new(PRIVATE)
        });
    });
    let page = TOKEN_PAGE.replace("login.microsoftonline.com", "login.fabrikam.example");
    let token = world
        .sign_in(&page, &[("scope", &scope)])
        .await
        .text("access_token");
    assert_eq!(world.exchange(PRIVATE, &token).await.status, 200);
    assert_refused(
        "elsewhere",
        &world.exchange(HOST, &token).await,
        401,
        "UNAUTHORIZED",
    );
    let of_public_audience = world
        .sign_in(&page, &[("scope", &public_scope)])
        .await
        .text("access_token");
    assert_refused(
        "audience",
        &world.exchange(PRIVATE, &of_public_audience).await,
        401,
        "UNAUTHORIZED",
    );
    assert_refused(
        "unknown",
        &world.sign_in(TOKEN_PAGE, &[("scope", &scope)]).await,
        400,
        "AADSTS500011",
    );

    // Where the public cloud's authority issues tokens for that audience, it is still the wrong one, and public registries
    // still take their own audience only.
    let odd = Registry {
        audiences: vec![audience.to_owned()],
        ..Registry::new("odd.azurecr.io")
    };
    world
        .simulator
        .change(|settings| settings.registries.push(odd));
    let of_public_authority = world
        .sign_in(TOKEN_PAGE, &[("scope", &scope)])
        .await
        .text("access_token");
    assert_eq!(
        world
            .exchange("odd.azurecr.io", &of_public_authority)
            .await
            .status,
        200
    );
    assert_refused(
        "authority",
        &world.exchange(PRIVATE, &of_public_authority).await,
        401,
        "UNAUTHORIZED",
    );
    assert_refused(
        "public registry",
        &world.exchange(HOST, &of_public_authority).await,
        401,
        "UNAUTHORIZED",
    );
}

#[tokio::test]
async fn a_registry_with_a_limit_refuses_what_is_above_it() {
    let world = World::with(|settings| {
        settings.registry_mut(HOST).limit = Some(Limit {
            requests: 2,
            seconds: 3_600,
        });
    });
    let access_token = world.access_token().await;
    assert_eq!(world.exchange(HOST, &access_token).await.status, 200);
    // A request for a token counts too, even one that gets none.
    assert_eq!(
        world
            .post(
                "https://contoso.azurecr.io/oauth2/token",
                &[("grant_type", "refresh_token")]
            )
            .await
            .status,
        401
    );
    let refused = world.exchange(HOST, &access_token).await;
    assert_eq!(refused.status, 429);
    // However long it takes until there is one more.
    assert_eq!(refused.header("retry-after"), "60");
    assert_eq!(refused.json()["errors"][0]["code"], "TOOMANYREQUESTS");
}

#[tokio::test]
async fn the_endpoints_of_a_registry_share_one_limit() {
    let world = World::with(|settings| {
        settings.registry_mut(HOST).limit = Some(Limit {
            requests: 2,
            seconds: 3_600,
        });
    });
    let status = async |host: &str| {
        world
            .post(
                &format!("https://{host}/oauth2/token"),
                &[("grant_type", "refresh_token")],
            )
            .await
            .status
    };
    for (host, expected) in [
        ("contoso.eastus.geo.azurecr.io", 401),
        (HOST, 401),
        ("contoso.eastus.geo.azurecr.io", 429),
        (HOST, 429),
        ("contoso-abc123.azurecr.io", 401),
    ] {
        assert_eq!(status(host).await, expected, "{host}");
    }
}
