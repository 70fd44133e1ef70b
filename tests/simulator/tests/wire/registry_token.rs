//! `/oauth2/token` in every form that clients use, and what it refuses.

use reqwest::Method;
use serde_json::{Value, json};
use simulator::{RegionalService, Role};

use crate::client::{Answer, HOST, World, ZERO_GUID, assert_refused, claims, forged, send};

const PAGE: &str = "https://contoso.azurecr.io/oauth2/token";
const PULL: &str = "repository:app:pull";

async fn get(world: &World, query: &str, password: &str) -> Answer {
    let request = world.request(Method::GET, &format!("{PAGE}?{query}"));
    send(request.basic_auth(ZERO_GUID, Some(password))).await
}

fn access(answer: &Answer) -> Value {
    claims(&answer.text("access_token"))["access"].clone()
}

fn pull(name: &str) -> Value {
    json!({"type": "repository", "name": name, "actions": ["pull"]})
}

#[tokio::test]
async fn every_form_of_asking_is_understood() {
    let world = World::new();
    let token = world.refresh_token().await;
    let service = ("service", HOST);
    let grant = ("grant_type", "refresh_token");
    let refresh_token = ("refresh_token", token.as_str());
    let both = json!([pull("app"), pull("base")]);
    let posts = [
        (
            "dockerd",
            vec![
                ("client_id", "docker"),
                grant,
                refresh_token,
                ("scope", PULL),
                service,
            ],
            json!([pull("app")]),
        ),
        (
            "docker login",
            vec![
                ("client_id", "docker"),
                grant,
                refresh_token,
                ("scope", ""),
                service,
            ],
            json!([]),
        ),
        (
            "containerd",
            vec![
                ("client_id", "containerd-client"),
                grant,
                refresh_token,
                service,
            ],
            json!([]),
        ),
        (
            "BuildKit",
            vec![
                grant,
                refresh_token,
                ("scope", "repository:app:pull repository:base:pull"),
                service,
            ],
            both.clone(),
        ),
        (
            "podman",
            vec![
                grant,
                refresh_token,
                ("scope", PULL),
                ("scope", "repository:base:pull"),
                service,
            ],
            both.clone(),
        ),
        (
            "oras",
            vec![
                ("client_id", "oras-go"),
                grant,
                refresh_token,
                ("scope", PULL),
                service,
            ],
            json!([pull("app")]),
        ),
        (
            "az",
            vec![
                grant,
                service,
                ("scope", "registry:catalog:*"),
                refresh_token,
            ],
            json!([{"type": "registry", "name": "catalog", "actions": ["*"]}]),
        ),
    ];
    for (client, form, expected) in posts {
        let answer = world.post(PAGE, &form).await;
        assert_eq!(access(&answer), expected, "{client}");
        assert_eq!(answer.json().as_object().unwrap().len(), 1, "{client}");
    }
    let gets = [
        (
            "docker",
            format!("account={ZERO_GUID}&scope={PULL}&service={HOST}"),
            json!([pull("app")]),
        ),
        (
            "podman",
            format!("service={HOST}&scope={PULL}&scope=repository:base:pull"),
            both,
        ),
        (
            "SDK",
            format!("api-version=2021-07-01&scope={PULL}&service={HOST}"),
            json!([pull("app")]),
        ),
        ("no scope", format!("service={HOST}"), json!([])),
    ];
    for (client, query, expected) in gets {
        assert_eq!(
            access(&get(&world, &query, &token).await),
            expected,
            "{client}"
        );
    }
}

#[tokio::test]
async fn an_offline_token_is_handed_back_where_asked_for() {
    let world = World::new();
    let token = world.refresh_token().await;
    let query = format!("service={HOST}&offline_token=true&client_id=docker");
    assert_eq!(
        get(&world, &query, &token).await.text("refresh_token"),
        token
    );
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", &token),
        ("access_type", "offline"),
    ];
    assert_eq!(
        world
            .post(PAGE, &form)
            .await
            .json()
            .as_object()
            .unwrap()
            .len(),
        1
    );
    world
        .simulator
        .change(|settings| settings.offline_access_type = true);
    assert_eq!(world.post(PAGE, &form).await.text("refresh_token"), token);
}

#[tokio::test]
async fn the_password_grant_is_refused_unless_switched_on() {
    let world = World::new();
    let token = world.refresh_token().await;
    let form = [
        ("grant_type", "password"),
        ("username", ZERO_GUID),
        ("password", &token),
        ("scope", PULL),
    ];
    let refused = world.post(PAGE, &form).await;
    assert_eq!((refused.status, refused.body.as_str()), (401, ""));
    world
        .simulator
        .change(|settings| settings.password_grant = Some(400));
    assert_eq!(world.post(PAGE, &form).await.status, 400);
    world
        .simulator
        .change(|settings| settings.password_grant = None);
    assert_eq!(access(&world.post(PAGE, &form).await), json!([pull("app")]));
}

#[tokio::test]
async fn nobody_gets_more_than_the_role_allows() {
    let world = World::with(|settings| {
        settings.registry_mut(HOST).roles = vec![
            Role::new("*", "team/*", &["pull"]),
            Role::new("*", "out", &["push"]),
        ];
    });
    let token = world.refresh_token().await;
    let query = "scope=repository:team/app:pull,push,delete&scope=repository:other:pull&scope=repository:out:pull,push";
    let expected =
        json!([pull("team/app"), {"type": "repository", "name": "out", "actions": ["push"]}]);
    assert_eq!(access(&get(&world, query, &token).await), expected);
}

#[tokio::test]
async fn an_anonymous_client_pulls_where_anybody_may() {
    let world = World::new();
    let query = format!("{PAGE}?service={HOST}&scope={PULL},push");
    assert_refused("closed", &world.get(&query).await, 401, "UNAUTHORIZED");
    world
        .simulator
        .change(|settings| settings.registry_mut(HOST).anonymous_pull = true);
    let answer = world.get(&query).await;
    assert_eq!(access(&answer), json!([pull("app")]));
    assert_eq!(
        access(
            &world
                .get(&format!("{PAGE}?service={HOST}&scope=repository:app:push"))
                .await
        ),
        json!([])
    );
    let claims = claims(&answer.text("access_token"));
    assert_eq!(claims["sub"], "acr_anon_pull");
    assert_eq!(
        claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(),
        1200
    );
    let form = [
        ("grant_type", "password"),
        ("service", HOST),
        ("scope", PULL),
        ("refresh_token", ""),
    ];
    assert_eq!(access(&world.post(PAGE, &form).await), json!([pull("app")]));
    let wrong = get(&world, &format!("scope={PULL}"), "stale").await;
    assert_refused("stale credentials", &wrong, 401, "UNAUTHORIZED");
}

#[tokio::test]
async fn bad_refresh_tokens_are_refused() {
    let world = World::new();
    let good = world.refresh_token().await;
    let access_token = world.access_token().await;
    let elsewhere = world
        .sign_in(
            "https://login.microsoftonline.us/TENANT/oauth2/v2.0/token",
            &[],
        )
        .await;
    let elsewhere = world
        .exchange("contoso.azurecr.us", &elsewhere.text("access_token"))
        .await
        .text("refresh_token");
    let cases = [
        ("no token", "nonsense".to_owned()),
        ("forged", forged(&good, "sub", "somebody")),
        ("an Entra access token", access_token),
        ("of another registry", elsewhere),
        ("of another key", World::new().refresh_token().await),
    ];
    for (case, token) in &cases {
        assert_refused(case, &get(&world, "", token).await, 401, "UNAUTHORIZED");
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", token.as_str()),
            ("service", HOST),
        ];
        let answer = world.post(PAGE, &form).await;
        assert_eq!((answer.status, answer.body.as_str()), (401, ""), "{case}");
    }
    world
        .simulator
        .change(|settings| settings.clock_skew = 10_800);
    assert_refused(
        "expired",
        &get(&world, "", &good).await,
        401,
        "UNAUTHORIZED",
    );
}

#[tokio::test]
async fn another_user_name_or_service_is_refused() {
    let world = World::new();
    let token = world.refresh_token().await;
    let request = world
        .request(Method::GET, PAGE)
        .basic_auth("alice", Some(&token));
    assert_refused("user", &send(request).await, 401, "UNAUTHORIZED");
    assert_refused(
        "service",
        &get(&world, "service=other.azurecr.io", &token).await,
        401,
        "UNAUTHORIZED",
    );
}

#[tokio::test]
async fn a_refresh_token_is_void_after_a_revocation_or_a_switch_of_roles() {
    let world = World::new();
    let token = world.refresh_token().await;
    assert_eq!(get(&world, "", &token).await.status, 200);
    world
        .simulator
        .change(|settings| settings.registry_mut(HOST).abac = true);
    assert_refused(
        "switched",
        &get(&world, "", &token).await,
        401,
        "UNAUTHORIZED",
    );
    let token = world.refresh_token().await;
    assert_eq!(get(&world, "", &token).await.status, 200);
    world
        .simulator
        .change(|settings| settings.registry_mut(HOST).generation += 1);
    assert_refused(
        "revoked",
        &get(&world, "", &token).await,
        401,
        "UNAUTHORIZED",
    );
}

#[tokio::test]
async fn a_header_longer_than_the_web_server_takes_is_refused_in_html() {
    let world = World::new();
    let answer = get(&world, "", &"A".repeat(6000)).await;
    assert_refused("long", &answer, 400, "Request Header Or Cookie Too Large");
    assert_eq!(answer.header("content-type"), "text/html");
}

#[tokio::test]
async fn a_regional_endpoint_takes_the_global_refresh_token() {
    let world = World::new();
    let token = world.refresh_token().await;
    let regional = "contoso.eastus.geo.azurecr.io";
    let get = async |service: &str| {
        let page = format!("https://{regional}/oauth2/token?service={service}&scope={PULL}");
        send(
            world
                .request(Method::GET, &page)
                .basic_auth(ZERO_GUID, Some(&token)),
        )
        .await
    };
    assert_eq!(claims(&get(HOST).await.text("access_token"))["aud"], HOST);
    assert_refused("its own name", &get(regional).await, 401, "UNAUTHORIZED");
    world
        .simulator
        .change(|settings| settings.regional_service = RegionalService::Either);
    assert_eq!(
        claims(&get(regional).await.text("access_token"))["aud"],
        regional
    );
}
