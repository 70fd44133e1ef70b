//! Identity endpoints and issuers of assertions.

use reqwest::Method;
use serde_json::Value;
use simulator::{ACR_AUDIENCE, CLIENT, Endpoint, MANAGED_IDENTITY, MANAGED_IDENTITY_OBJECT, ManagedIdentity};

use crate::client::{Answer, HOST, TOKEN_PAGE, World, assert_refused, claims, client, send};

const IMDS: &str = "/metadata/identity/oauth2/token?api-version=2018-02-01";
const APP_SERVICE: &str = "/msi/token?api-version=2019-08-01";

/// Asks the simulator itself, not through the proxy.
async fn ask(world: &World, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let url = format!("{}{path}", world.simulator.origin());
    let mut request = client(&world.simulator).build().unwrap().request(method, url).body(body.to_owned());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(request).await
}

async fn imds(world: &World, query: &str) -> Answer {
    ask(world, Method::GET, &format!("{IMDS}&{query}"), &[("Metadata", "true")], "").await
}

#[tokio::test]
async fn a_virtual_machine_gets_a_token_that_registries_take() {
    let world = World::new();
    let answer = imds(&world, &format!("resource={ACR_AUDIENCE}")).await;
    for number in ["expires_in", "expires_on", "ext_expires_in", "not_before"] {
        assert!(answer.text(number).parse::<i64>().is_ok(), "{number}");
    }
    let token = answer.text("access_token");
    assert_eq!((&claims(&token)["appid"], &claims(&token)["aud"]), (&MANAGED_IDENTITY.into(), &ACR_AUDIENCE.into()));
    assert_eq!(world.exchange(HOST, &token).await.status, 200);
}

#[tokio::test]
async fn the_metadata_service_refuses_what_the_real_one_refuses() {
    let world = World::new();
    let resource = format!("resource={ACR_AUDIENCE}");
    let path = format!("{IMDS}&{resource}");
    let none: &[(&str, &str)] = &[];
    assert_refused("header", &ask(&world, Method::GET, &path, none, "").await, 400, "metadata header");
    let forwarded = [("Metadata", "true"), ("X-Forwarded-For", "10.0.0.1")];
    assert_refused("proxy", &ask(&world, Method::GET, &path, &forwarded, "").await, 400, "proxy");
    assert_refused("resource", &imds(&world, "").await, 400, "resource");
    assert_refused("unknown", &imds(&world, "resource=https://contoso.azurecr.io").await, 400, "AADSTS500011");
    let other = imds(&world, &format!("{resource}&client_id={CLIENT}")).await;
    assert_refused("identity", &other, 400, "Identity not found");
    let versionless = IMDS.replace("api-version", "version");
    let answer = ask(&world, Method::GET, &format!("{versionless}&{resource}"), &[("Metadata", "true")], "").await;
    assert_refused("version", &answer, 400, "api-version");
}

#[tokio::test]
async fn an_identity_is_chosen_by_any_of_its_names() {
    let second = ManagedIdentity { client_id: "second".to_owned(), ..ManagedIdentity::default() };
    let second = ManagedIdentity { object_id: "object".to_owned(), resource_id: "/resource/Id".to_owned(), ..second };
    let world = World::with(|settings| settings.managed_identities.push(second));
    for name in ["client_id=second", "object_id=object", "msi_res_id=/resource/id", "mi_res_id=/resource/Id"] {
        let answer = imds(&world, &format!("resource={ACR_AUDIENCE}&{name}")).await;
        assert_eq!(claims(&answer.text("access_token"))["appid"], "second", "{name}");
    }
    let first = imds(&world, &format!("resource={ACR_AUDIENCE}&object_id={MANAGED_IDENTITY_OBJECT}")).await;
    assert_eq!(first.text("client_id"), MANAGED_IDENTITY);
    let entry = world.simulator.journal().pop().unwrap();
    assert_eq!((entry.endpoint, entry.audience_requested.as_deref()), (Endpoint::Imds, Some(ACR_AUDIENCE)));
}

#[tokio::test]
async fn app_service_wants_its_header() {
    let world = World::new();
    let header = world.simulator.settings().identity_header;
    let path = format!("{APP_SERVICE}&resource={ACR_AUDIENCE}");
    let answer = ask(&world, Method::GET, &path, &[("X-IDENTITY-HEADER", &header)], "").await;
    assert!(answer.text("expires_on").parse::<i64>().is_ok());
    let wrong = ask(&world, Method::GET, &path, &[("X-IDENTITY-HEADER", "wrong")], "").await;
    assert_refused("wrong", &wrong, 401, "identity header");
    let azure_ml = path.replace("2019-08-01", "2017-09-01");
    assert_eq!(ask(&world, Method::GET, &azure_ml, &[("secret", &header)], "").await.status, 200);
    assert_eq!(ask(&world, Method::GET, &path, &[("secret", &header)], "").await.status, 401);
    let form = [("Metadata", "true"), ("content-type", "application/x-www-form-urlencoded")];
    let cloud_shell = ask(&world, Method::POST, "/msi/token", &form, &format!("resource={ACR_AUDIENCE}")).await;
    assert_eq!(cloud_shell.status, 200);
}

#[tokio::test]
async fn an_issued_assertion_signs_its_workload_in() {
    let world = World::new();
    let bearer = format!("bearer {}", world.simulator.settings().oidc_request_token);
    let headers = [("Authorization", bearer.as_str()), ("X-TFS-FedAuthRedirect", "Suppress")];
    let github = "/oidc/github?api-version=2.0&audience=api%3A%2F%2FAzureADTokenExchange";
    let github = ask(&world, Method::GET, github, &headers, "").await.text("value");
    let pipelines = "/oidc/pipelines?api-version=7.1&serviceConnectionId=1";
    let pipelines = ask(&world, Method::POST, pipelines, &headers, "").await.text("oidcToken");
    for assertion in [github, pipelines] {
        assert_eq!(claims(&assertion)["sub"], "repo:contoso/app:ref:refs/heads/main");
        let jwt_bearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        let fields = [("client_secret", ""), ("client_assertion_type", jwt_bearer), ("client_assertion", assertion.as_str())];
        assert_eq!(world.sign_in(TOKEN_PAGE, &fields).await.status, 200);
    }
}

#[tokio::test]
async fn an_issuer_wants_its_request_token() {
    let world = World::new();
    let wrong = [("Authorization", "bearer wrong")];
    assert_eq!(ask(&world, Method::GET, "/oidc/github", &wrong, "").await.status, 401);
    let page = "/oidc/pipelines?api-version=7.1&serviceConnectionId=1";
    assert_eq!(ask(&world, Method::POST, page, &wrong, "").await.status, 302);
    let suppressed = [("Authorization", "bearer wrong"), ("X-TFS-FedAuthRedirect", "Suppress")];
    assert_eq!(ask(&world, Method::POST, page, &suppressed, "").await.status, 401);
}

#[tokio::test]
async fn azure_resource_manager_takes_its_own_tokens_only() {
    let world = World::new();
    let list = "https://management.azure.com/subscriptions?api-version=2022-12-01";
    assert_eq!(world.get(list).await.status, 401);
    let for_registries = world.access_token().await;
    assert_eq!(send(world.request(Method::GET, list).bearer_auth(for_registries)).await.status, 401);
    let scope = "https://management.core.windows.net//.default";
    let token = world.sign_in(TOKEN_PAGE, &[("scope", scope)]).await.text("access_token");
    let answer = send(world.request(Method::GET, list).bearer_auth(token)).await;
    assert_eq!(answer.json()["value"].as_array().map_or(0, Vec::len), 1);
    assert_ne!(answer.json()["value"][0]["subscriptionId"], Value::Null);
}
