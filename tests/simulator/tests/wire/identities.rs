//! Identity endpoints and issuers of assertions.

use reqwest::Method;
use serde_json::Value;
use simulator::{
    ACR_AUDIENCE, CLIENT, Endpoint, Fault, FaultAt, FaultKind, MANAGED_IDENTITY, ManagedIdentity,
};

use crate::client::{Answer, HOST, TOKEN_PAGE, World, assert_refused, claims, client, send};

const IMDS: &str = "/metadata/identity/oauth2/token?api-version=2018-02-01";
const APP_SERVICE: &str = "/msi/token?api-version=2019-08-01";

/// Asks the simulator itself, not through the proxy.
pub(crate) async fn ask(
    world: &World,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let url = format!("{}{path}", world.simulator.origin());
    let mut request = client(&world.simulator)
        .build()
        .unwrap()
        .request(method, url)
        .body(body.to_owned());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(request).await
}

async fn imds(world: &World, query: &str) -> Answer {
    ask(
        world,
        Method::GET,
        &format!("{IMDS}&{query}"),
        &[("Metadata", "true")],
        "",
    )
    .await
}

#[tokio::test]
async fn a_virtual_machine_gets_a_token_that_registries_take() {
    let world = World::new();
    let answer = imds(&world, &format!("resource={ACR_AUDIENCE}")).await;
    for number in ["expires_in", "expires_on", "ext_expires_in", "not_before"] {
        assert!(answer.text(number).parse::<i64>().is_ok(), "{number}");
    }
    let token = answer.text("access_token");
    assert_eq!(
        (&claims(&token)["appid"], &claims(&token)["aud"]),
        (&MANAGED_IDENTITY.into(), &ACR_AUDIENCE.into())
    );
    assert_eq!(world.exchange(HOST, &token).await.status, 200);
}

#[tokio::test]
async fn the_metadata_service_says_which_cloud_the_machine_is_in() {
    const PAGE: &str =
        "/metadata/instance/compute/azEnvironment?api-version=2021-02-01&format=text";
    let world = World::with(|settings| settings.machine_cloud = Some("AzureChinaCloud".to_owned()));
    let metadata = [("Metadata", "true")];
    let answer = ask(&world, Method::GET, PAGE, &metadata, "").await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (200, "AzureChinaCloud")
    );
    assert_refused(
        "header",
        &ask(&world, Method::GET, PAGE, &[], "").await,
        400,
        "metadata header",
    );
    let versionless = PAGE.replace("api-version", "version");
    assert_refused(
        "version",
        &ask(&world, Method::GET, &versionless, &metadata, "").await,
        400,
        "api-version",
    );
    world
        .simulator
        .change(|settings| settings.machine_cloud = None);
    assert_eq!(
        ask(&world, Method::GET, PAGE, &metadata, "").await.status,
        404
    );
}

#[tokio::test]
async fn the_metadata_service_refuses_what_the_real_one_refuses() {
    let world = World::new();
    let resource = format!("resource={ACR_AUDIENCE}");
    let path = format!("{IMDS}&{resource}");
    let none: &[(&str, &str)] = &[];
    assert_refused(
        "header",
        &ask(&world, Method::GET, &path, none, "").await,
        400,
        "metadata header",
    );
    let forwarded = [("Metadata", "true"), ("X-Forwarded-For", "10.0.0.1")];
    assert_refused(
        "proxy",
        &ask(&world, Method::GET, &path, &forwarded, "").await,
        400,
        "proxy",
    );
    assert_refused("resource", &imds(&world, "").await, 400, "resource");
    assert_refused(
        "unknown",
        &imds(&world, "resource=https://contoso.azurecr.io").await,
        400,
        "AADSTS500011",
    );
    let other = imds(&world, &format!("{resource}&client_id={CLIENT}")).await;
    assert_refused("identity", &other, 400, "Identity not found");
    let versionless = IMDS.replace("api-version", "version");
    let answer = ask(
        &world,
        Method::GET,
        &format!("{versionless}&{resource}"),
        &[("Metadata", "true")],
        "",
    )
    .await;
    assert_refused("version", &answer, 400, "api-version");
}

/// The default world with a second managed identity, of which every name is `second`.
fn two_identities() -> World {
    let second = ManagedIdentity {
        client_id: "second".to_owned(),
        ..ManagedIdentity::default()
    };
    let second = ManagedIdentity {
        object_id: "second".to_owned(),
        resource_id: "Second".to_owned(),
        ..second
    };
    World::with(|settings| settings.managed_identities.push(second))
}

/// Asks a platform as its documentation says, with one more parameter.
async fn ask_as(world: &World, platform: Endpoint, parameter: &str) -> Answer {
    let header = world.simulator.settings().identity_header;
    let fields = format!("resource={ACR_AUDIENCE}&{parameter}");
    match platform {
        Endpoint::Imds => imds(world, &fields).await,
        Endpoint::AppService => {
            ask(
                world,
                Method::GET,
                &format!("{APP_SERVICE}&{fields}"),
                &[("X-IDENTITY-HEADER", &header)],
                "",
            )
            .await
        }
        Endpoint::AzureMl => {
            let path = format!("{APP_SERVICE}&{fields}").replace("2019-08-01", "2017-09-01");
            ask(world, Method::GET, &path, &[("secret", &header)], "").await
        }
        Endpoint::CloudShell => {
            let form = [
                ("Metadata", "true"),
                ("content-type", "application/x-www-form-urlencoded"),
            ];
            ask(world, Method::POST, "/msi/token", &form, &fields).await
        }
        other => panic!("{other:?} is no platform"),
    }
}

/// The platforms, and which of all parameters choose an identity on each.
const PLATFORMS: [(Endpoint, &[&str]); 4] = [
    (
        Endpoint::Imds,
        &["client_id", "object_id", "msi_res_id", "mi_res_id"],
    ),
    (
        Endpoint::AppService,
        &["client_id", "principal_id", "object_id", "mi_res_id"],
    ),
    (Endpoint::AzureMl, &["clientid"]),
    (Endpoint::CloudShell, &[]),
];

#[tokio::test]
async fn a_platform_knows_its_own_parameters_and_ignores_anothers() {
    let world = two_identities();
    for (platform, own) in PLATFORMS {
        for parameter in [
            "client_id",
            "clientid",
            "object_id",
            "principal_id",
            "msi_res_id",
            "mi_res_id",
        ] {
            let answer = ask_as(&world, platform, &format!("{parameter}=second")).await;
            let expected = if own.contains(&parameter) {
                "second"
            } else {
                MANAGED_IDENTITY
            };
            assert_eq!(
                claims(&answer.text("access_token"))["appid"],
                expected,
                "{platform:?} {parameter}"
            );
            assert_eq!(answer.text("client_id"), expected);
            let entry = world.simulator.journal().pop().unwrap();
            assert_eq!(
                (entry.endpoint, entry.audience_requested.as_deref()),
                (platform, Some(ACR_AUDIENCE))
            );
            assert_eq!(
                entry.client_id.as_deref(),
                own.contains(&parameter).then_some("second")
            );
        }
    }
}

#[tokio::test]
async fn a_name_in_the_parameter_of_another_kind_of_name_is_nobodys() {
    let world = World::new();
    let ManagedIdentity {
        client_id,
        object_id,
        resource_id,
        ..
    } = ManagedIdentity::default();
    for (parameter, name) in [
        ("client_id", &client_id),
        ("object_id", &object_id),
        ("principal_id", &object_id),
        ("msi_res_id", &resource_id),
        ("mi_res_id", &resource_id),
    ] {
        for platform in [Endpoint::Imds, Endpoint::AppService] {
            for sent in [&client_id, &object_id, &resource_id] {
                let answer = ask_as(&world, platform, &format!("{parameter}={sent}")).await;
                let is_known = PLATFORMS
                    .iter()
                    .any(|(it, own)| *it == platform && own.contains(&parameter));
                let expected = if !is_known || sent == name { 200 } else { 400 };
                assert_eq!(answer.status, expected, "{platform:?} {parameter}={sent}");
            }
        }
    }
}

#[tokio::test]
async fn the_platforms_of_one_page_share_its_faults() {
    for (platform, _) in &PLATFORMS[1..] {
        let world = World::with(|settings| {
            settings
                .faults
                .push(Fault::once(FaultAt::AppService, FaultKind::status(503)));
        });
        assert_eq!(
            ask_as(&world, *platform, "").await.status,
            503,
            "{platform:?}"
        );
        assert_eq!(
            ask_as(&world, *platform, "").await.status,
            200,
            "{platform:?}"
        );
    }
}

#[tokio::test]
async fn app_service_and_azure_ml_want_their_header() {
    let world = World::new();
    let header = world.simulator.settings().identity_header;
    let app_service = format!("{APP_SERVICE}&resource={ACR_AUDIENCE}");
    let azure_ml = app_service.replace("2019-08-01", "2017-09-01");
    let get = async |path: &str, name: &str, value: &str| {
        ask(&world, Method::GET, path, &[(name, value)], "").await
    };
    let answer = get(&app_service, "X-IDENTITY-HEADER", &header).await;
    assert!(answer.text("expires_on").parse::<i64>().is_ok());
    assert_refused(
        "wrong",
        &get(&app_service, "X-IDENTITY-HEADER", "wrong").await,
        401,
        "identity header",
    );
    assert_refused(
        "Azure ML's",
        &get(&app_service, "secret", &header).await,
        401,
        "identity header",
    );
    assert_refused(
        "App Service's",
        &get(&azure_ml, "X-IDENTITY-HEADER", &header).await,
        401,
        "identity header",
    );
    assert_eq!(get(&azure_ml, "secret", &header).await.status, 200);
}

#[tokio::test]
async fn cloud_shell_wants_its_header_and_a_form() {
    let world = World::new();
    let resource = format!("resource={ACR_AUDIENCE}");
    let form = ("content-type", "application/x-www-form-urlencoded");
    assert_refused(
        "header",
        &ask(&world, Method::POST, "/msi/token", &[form], &resource).await,
        400,
        "Metadata",
    );
    let metadata = [("Metadata", "true")];
    assert_refused(
        "form",
        &ask(&world, Method::POST, "/msi/token", &metadata, &resource).await,
        400,
        "form",
    );
    assert_eq!(
        ask(
            &world,
            Method::POST,
            "/msi/token",
            &[metadata[0], form],
            &resource
        )
        .await
        .status,
        200
    );
}

#[tokio::test]
async fn an_issued_assertion_signs_its_workload_in() {
    let world = World::new();
    let bearer = format!("bearer {}", world.simulator.settings().oidc_request_token);
    let headers = [
        ("Authorization", bearer.as_str()),
        ("X-TFS-FedAuthRedirect", "Suppress"),
    ];
    let github = "/oidc/github?api-version=2.0&audience=api%3A%2F%2FAzureADTokenExchange";
    let github = ask(&world, Method::GET, github, &headers, "")
        .await
        .text("value");
    let pipelines = "/oidc/pipelines?api-version=7.1&serviceConnectionId=1";
    let pipelines = ask(&world, Method::POST, pipelines, &headers, "")
        .await
        .text("oidcToken");
    for assertion in [github, pipelines] {
        assert_eq!(
            claims(&assertion)["sub"],
            "repo:contoso/app:ref:refs/heads/main"
        );
        let jwt_bearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        let fields = [
            ("client_secret", ""),
            ("client_assertion_type", jwt_bearer),
            ("client_assertion", assertion.as_str()),
        ];
        assert_eq!(world.sign_in(TOKEN_PAGE, &fields).await.status, 200);
    }
}

#[tokio::test]
async fn an_issuer_wants_its_request_token() {
    let world = World::new();
    let wrong = [("Authorization", "bearer wrong")];
    assert_eq!(
        ask(&world, Method::GET, "/oidc/github", &wrong, "")
            .await
            .status,
        401
    );
    let page = "/oidc/pipelines?api-version=7.1&serviceConnectionId=1";
    assert_eq!(
        ask(&world, Method::POST, page, &wrong, "").await.status,
        302
    );
    let suppressed = [
        ("Authorization", "bearer wrong"),
        ("X-TFS-FedAuthRedirect", "Suppress"),
    ];
    assert_eq!(
        ask(&world, Method::POST, page, &suppressed, "")
            .await
            .status,
        401
    );
}

#[tokio::test]
async fn azure_resource_manager_takes_its_own_tokens_only() {
    let world = World::new();
    let list = "https://management.azure.com/subscriptions?api-version=2022-12-01";
    assert_eq!(world.get(list).await.status, 401);
    let for_registries = world.access_token().await;
    assert_eq!(
        send(world.request(Method::GET, list).bearer_auth(for_registries))
            .await
            .status,
        401
    );
    let scope = "https://management.core.windows.net//.default";
    let token = world
        .sign_in(TOKEN_PAGE, &[("scope", scope)])
        .await
        .text("access_token");
    let answer = send(world.request(Method::GET, list).bearer_auth(token)).await;
    assert_eq!(answer.json()["value"].as_array().map_or(0, Vec::len), 1);
    assert_ne!(answer.json()["value"][0]["subscriptionId"], Value::Null);
}
