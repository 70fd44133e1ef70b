//! Sign-in of apps with a secret, and the discovery pages.

use reqwest::Method;
use simulator::{ACR_APP_ID, ACR_AUDIENCE, App, CLIENT, CLIENT_OBJECT, TENANT, Tenant};

use crate::client::{TOKEN_PAGE, World, assert_refused, claims, send};

#[tokio::test]
async fn a_secret_gets_an_access_token_for_the_registries() {
    let world = World::new();
    let answer = world.sign_in(TOKEN_PAGE, &[]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["expires_in"], 86_399);
    assert_eq!(answer.text("token_type"), "Bearer");
    assert_eq!(answer.header("cache-control"), "no-store, no-cache");
    let claims = claims(&answer.text("access_token"));
    assert_eq!(
        claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(),
        300 + 86_399
    );
    assert_eq!(claims["aud"], ACR_AUDIENCE);
    assert_eq!(
        (&claims["tid"], &claims["appid"], &claims["oid"]),
        (&TENANT.into(), &CLIENT.into(), &CLIENT_OBJECT.into())
    );
}

#[tokio::test]
async fn a_secret_may_come_as_basic() {
    let world = World::new();
    let secret = world.simulator.settings().apps[0]
        .secret
        .replace('~', "%7E");
    let form = [
        ("grant_type", "client_credentials"),
        ("scope", "https://containerregistry.azure.net/.default"),
    ];
    let request = world.request(Method::POST, TOKEN_PAGE).form(&form);
    assert_eq!(
        send(request.basic_auth(CLIENT, Some(secret))).await.status,
        200
    );
    let request = world.request(Method::POST, TOKEN_PAGE).form(&form);
    assert_refused(
        "wrong",
        &send(request.basic_auth(CLIENT, Some("wrong"))).await,
        401,
        "AADSTS7000215",
    );
}

#[tokio::test]
async fn the_audience_may_be_the_application_id() {
    let world = World::with(|settings| settings.audience_as_app_id = true);
    assert_eq!(claims(&world.access_token().await)["aud"], ACR_APP_ID);
}

#[tokio::test]
async fn a_bad_sign_in_is_refused_with_its_code() {
    let world = World::new();
    let other = "00000000-0000-4000-8000-000000000000";
    let cases: [(&str, &str, u16, &str, u32); 10] = [
        ("client_secret", "wrong", 401, "invalid_client", 7_000_215),
        ("client_secret", "", 401, "invalid_client", 7_000_218),
        ("client_id", other, 400, "unauthorized_client", 700_016),
        ("client_id", "", 400, "invalid_request", 900_144),
        ("grant_type", "", 400, "invalid_request", 900_144),
        (
            "grant_type",
            "password",
            400,
            "unsupported_grant_type",
            70_003,
        ),
        ("scope", "", 400, "invalid_request", 900_144),
        (
            "scope",
            "https://containerregistry.azure.net",
            400,
            "invalid_scope",
            1_002_012,
        ),
        (
            "scope",
            "https://contoso.azurecr.io/.default",
            400,
            "invalid_resource",
            500_011,
        ),
        (
            "scope",
            "https://management.azure.com/.default x/.default",
            400,
            "invalid_scope",
            1_002_012,
        ),
    ];
    for (field, value, status, error, code) in cases {
        let answer = world.sign_in(TOKEN_PAGE, &[(field, value)]).await;
        assert_refused((field, value), &answer, status, &format!("AADSTS{code}: "));
        assert_eq!(answer.text("error"), error);
        assert_eq!(answer.json()["error_codes"][0], code);
        assert_eq!(answer.text("trace_id").len(), 36);
        assert_eq!(answer.text("correlation_id").len(), 36);
    }
}

#[tokio::test]
async fn a_secret_runs_out() {
    let world = World::with(|settings| settings.apps[0].secret_expired = true);
    assert_refused(
        "expired",
        &world.sign_in(TOKEN_PAGE, &[]).await,
        401,
        "AADSTS7000222",
    );
}

#[tokio::test]
async fn an_unset_secret_opens_nothing() {
    let world = World::with(|settings| settings.apps[0].secret = String::new());
    let answer = world.sign_in(TOKEN_PAGE, &[("client_secret", " ")]).await;
    assert_refused("unset", &answer, 401, "AADSTS7000215");
}

#[tokio::test]
async fn a_tenant_exists_in_its_clouds_only() {
    let world =
        World::with(|settings| settings.tenants[0].clouds = vec!["AzureUSGovernment".to_owned()]);
    assert_refused(
        "public",
        &world.sign_in(TOKEN_PAGE, &[]).await,
        400,
        "AADSTS90002",
    );
    let government = TOKEN_PAGE.replace(".com", ".us");
    assert_eq!(world.sign_in(&government, &[]).await.status, 200);
    let nonsense = TOKEN_PAGE.replace("TENANT", "nonsense");
    assert_refused(
        "nonsense",
        &world.sign_in(&nonsense, &[]).await,
        400,
        "AADSTS900023",
    );
}

#[tokio::test]
async fn an_app_is_found_in_its_tenant_only() {
    let world = World::with(|settings| {
        settings.tenants.push(Tenant {
            id: CLIENT_OBJECT.to_owned(),
            ..Tenant::default()
        });
        settings.apps.push(App {
            tenant: CLIENT_OBJECT.to_owned(),
            client_id: "other".to_owned(),
            ..App::default()
        });
    });
    let page = TOKEN_PAGE.replace("TENANT", CLIENT_OBJECT);
    assert_refused(
        "foreign tenant",
        &world.sign_in(&page, &[]).await,
        400,
        "AADSTS700016",
    );
}

#[tokio::test]
async fn an_authority_describes_itself() {
    let world = World::new();
    for authority in world.simulator.settings().authorities {
        let host = authority.host;
        let page = format!("https://{host}/TENANT/v2.0/.well-known/openid-configuration");
        let answer = world.get(&page).await;
        assert_eq!(
            answer.text("token_endpoint"),
            format!("https://{host}/{TENANT}/oauth2/v2.0/token")
        );
        let keys = world.get(&answer.text("jwks_uri")).await;
        assert_eq!(keys.json()["keys"][0]["kty"], "EC");
        let asked = format!(
            "https://{host}/common/discovery/instance?authorization_endpoint=https://{host}/TENANT"
        );
        assert!(
            world
                .get(&asked)
                .await
                .text("tenant_discovery_endpoint")
                .contains(&host)
        );
    }
}
