//! People in several tenants: where they can sign in, and what they see there.

use reqwest::Method;
use simulator::{ACR_AUDIENCE, AZURE_CLI, Subscription, TENANT, Tenant, User};

use crate::client::{Answer, HOST, TOKEN_PAGE, World, assert_refused, claims, send};

const FABRIKAM: &str = "2d6f1b04-93ce-4a78-8e15-60b7d9c3f2a1";
const NORTHWIND: &str = "8a40c7e9-1f5d-4b36-92da-e3705b8c6d14";
const ARM_SCOPE: &str = "https://management.azure.com/.default openid offline_access";

fn tenant(id: &str, domain: &str) -> Tenant {
    Tenant {
        id: id.to_owned(),
        domain: domain.to_owned(),
        name: domain.to_owned(),
        clouds: Vec::new(),
    }
}

/// Alice of Contoso is a guest of Fabrikam, where Bob is at home; Northwind has nobody.
fn several_tenants() -> World {
    World::with(|settings| {
        settings.device_code_polls = 0;
        settings.tenants.extend([
            tenant(FABRIKAM, "fabrikam.example"),
            tenant(NORTHWIND, "northwind.example"),
        ]);
        settings.users[0].guest_of.push(FABRIKAM.to_owned());
        let (upn, object_id) = ("bob@fabrikam.example".to_owned(), "bob".to_owned());
        settings.users.push(User {
            upn,
            object_id,
            tenant: FABRIKAM.to_owned(),
            ..User::default()
        });
        let (id, name) = ("f7b0".to_owned(), "Fabrikam".to_owned());
        settings.subscriptions.push(Subscription {
            id,
            name,
            tenant: FABRIKAM.to_owned(),
        });
    })
}

fn page(tenant: &str) -> String {
    TOKEN_PAGE.replace("TENANT", tenant)
}

/// Signs in to a tenant with a device code.
async fn sign_in(world: &World, tenant: &str, scope: &str) -> Answer {
    let form = [
        ("client_id", AZURE_CLI),
        ("scope", scope),
        ("client_info", "1"),
    ];
    let code = world
        .post(
            &page(tenant).replace("v2.0/token", "v2.0/devicecode"),
            &form,
        )
        .await
        .text("device_code");
    let form = [
        ("grant_type", "device_code"),
        ("client_id", AZURE_CLI),
        ("device_code", &code),
        ("client_info", "1"),
    ];
    world.post(&page(tenant), &form).await
}

async fn refresh(world: &World, page: &str, refresh_token: &str) -> Answer {
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", AZURE_CLI),
        ("refresh_token", refresh_token),
        ("scope", ARM_SCOPE),
        ("client_info", "1"),
    ];
    world.post(page, &form).await
}

/// The tenant and the name in an access token.
fn who(answer: &Answer) -> (String, String) {
    let claims = claims(&answer.text("access_token"));
    (
        claims["tid"].as_str().unwrap().to_owned(),
        claims["upn"].as_str().unwrap().to_owned(),
    )
}

#[tokio::test]
async fn a_refresh_token_is_good_in_every_tenant_of_its_user() {
    let world = several_tenants();
    let first = sign_in(&world, "organizations", ARM_SCOPE).await;
    let alice = |tenant: &str| (tenant.to_owned(), "alice@contoso.example".to_owned());
    assert_eq!(who(&first), alice(TENANT));
    let abroad = refresh(&world, &page(FABRIKAM), &first.text("refresh_token")).await;
    assert_eq!(who(&abroad), alice(FABRIKAM));
    assert_eq!(claims(&abroad.text("id_token"))["tid"], FABRIKAM);
    assert_eq!(
        claims(&abroad.text("access_token"))["idp"],
        format!("https://sts.windows.net/{TENANT}/")
    );
    assert_eq!(
        abroad.text("client_info"),
        first.text("client_info"),
        "the account stays the one of the home tenant"
    );
    let back = refresh(
        &world,
        &page("contoso.example"),
        &abroad.text("refresh_token"),
    )
    .await;
    assert_eq!(who(&back), alice(TENANT));
    assert_eq!(
        who(&refresh(
            &world,
            &page("organizations"),
            &abroad.text("refresh_token")
        )
        .await),
        alice(TENANT)
    );
}

#[tokio::test]
async fn a_user_is_refused_in_a_tenant_that_has_not_invited_them() {
    let world = several_tenants();
    let refresh_token = sign_in(&world, TENANT, ARM_SCOPE)
        .await
        .text("refresh_token");
    for answer in [
        refresh(&world, &page(NORTHWIND), &refresh_token).await,
        sign_in(&world, NORTHWIND, ARM_SCOPE).await,
    ] {
        assert_refused(
            "stranger",
            &answer,
            400,
            "AADSTS50020: User account 'alice@contoso.example'",
        );
        assert_eq!(answer.text("error"), "invalid_grant");
    }
    let nowhere = "00000000-0000-4000-8000-000000000000";
    assert_refused(
        "unknown",
        &refresh(&world, &page(nowhere), &refresh_token).await,
        400,
        "AADSTS90002",
    );
    world
        .simulator
        .change(|settings| settings.users[0].guest_of.push(NORTHWIND.to_owned()));
    assert_eq!(
        refresh(&world, &page(NORTHWIND), &refresh_token)
            .await
            .status,
        200,
        "until they are invited"
    );
}

#[tokio::test]
async fn the_first_user_that_a_tenant_has_approves() {
    let world = several_tenants();
    let name = async |tenant: &str| who(&sign_in(&world, tenant, ARM_SCOPE).await).1;
    assert_eq!(name(FABRIKAM).await, "alice@contoso.example");
    world
        .simulator
        .change(|settings| settings.users[0].guest_of.clear());
    assert_eq!(name(FABRIKAM).await, "bob@fabrikam.example");
    assert_eq!(name("organizations").await, "alice@contoso.example");
    world
        .simulator
        .change(|settings| settings.tenants[0].clouds = vec!["AzureUSGovernment".to_owned()]);
    assert_eq!(
        name("common").await,
        "bob@fabrikam.example",
        "Alice's home is in another cloud"
    );
    world.simulator.change(|settings| settings.users.clear());
    assert_refused(
        "nobody",
        &sign_in(&world, FABRIKAM, ARM_SCOPE).await,
        400,
        "AADSTS50020",
    );
}

#[tokio::test]
async fn who_has_signed_in_before_goes_on_from_there() {
    let world = several_tenants();
    let answer = refresh(
        &world,
        &page(TENANT),
        &world.simulator.sign_in("AzureCloud", AZURE_CLI),
    )
    .await;
    assert_eq!(
        who(&answer),
        (TENANT.to_owned(), "alice@contoso.example".to_owned())
    );
    let other = refresh(
        &world,
        &page(TENANT),
        &world.simulator.sign_in("AzureCloud", "another client"),
    )
    .await;
    assert_refused("client", &other, 400, "AADSTS700082");
}

#[tokio::test]
async fn a_refresh_token_is_unknown_in_another_cloud() {
    let world = several_tenants();
    let refresh_token = sign_in(&world, TENANT, ARM_SCOPE)
        .await
        .text("refresh_token");
    let government = page(TENANT).replace(".com", ".us");
    assert_refused(
        "cloud",
        &refresh(&world, &government, &refresh_token).await,
        400,
        "AADSTS700082",
    );
}

#[tokio::test]
async fn a_registry_takes_a_guests_token_of_its_own_tenant_only() {
    let world = several_tenants();
    world
        .simulator
        .change(|settings| settings.registry_mut(HOST).tenant = FABRIKAM.to_owned());
    let scope = format!("{ACR_AUDIENCE}/.default offline_access");
    let at_home = sign_in(&world, TENANT, &scope).await;
    assert_refused(
        "home",
        &world.exchange(HOST, &at_home.text("access_token")).await,
        401,
        "UNAUTHORIZED",
    );
    let abroad = sign_in(&world, FABRIKAM, &scope).await.text("access_token");
    assert_eq!(world.exchange(HOST, &abroad).await.status, 200);

    let refresh_token = at_home.text("refresh_token");
    let form = [
        ("grant_type", "refresh_token"),
        ("service", HOST),
        ("refresh_token", refresh_token.as_str()),
    ];
    let url = format!("https://{HOST}/oauth2/exchange");
    assert_eq!(
        claims(&world.post(&url, &form).await.text("refresh_token"))["tenant"],
        FABRIKAM
    );
    world
        .simulator
        .change(|settings| settings.users[0].guest_of.clear());
    assert_eq!(world.post(&url, &form).await.status, 401);
}

#[tokio::test]
async fn azure_resource_manager_lists_all_tenants_and_the_subscriptions_of_one() {
    let world = several_tenants();
    let listed = async |page: &str, token: &str, name: &str| -> Vec<String> {
        let url = format!("https://management.azure.com/{page}?api-version=2022-12-01");
        let answer = send(world.request(Method::GET, &url).bearer_auth(token))
            .await
            .json();
        answer["value"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item[name].as_str().unwrap().to_owned())
            .collect()
    };
    let first = sign_in(&world, "organizations", ARM_SCOPE).await;
    let abroad = refresh(&world, &page(FABRIKAM), &first.text("refresh_token")).await;
    for (answer, subscription) in [(&first, "Contoso"), (&abroad, "Fabrikam")] {
        let token = answer.text("access_token");
        assert_eq!(
            listed("tenants", &token, "tenantId").await,
            [TENANT, FABRIKAM]
        );
        assert_eq!(
            listed("subscriptions", &token, "displayName").await,
            [subscription]
        );
    }
    let app = world
        .sign_in(
            TOKEN_PAGE,
            &[("scope", "https://management.azure.com/.default")],
        )
        .await
        .text("access_token");
    assert_eq!(listed("tenants", &app, "tenantId").await, [TENANT]);
    world
        .simulator
        .change(|settings| settings.tenants[1].clouds = vec!["AzureUSGovernment".to_owned()]);
    assert_eq!(
        listed("tenants", &first.text("access_token"), "tenantId").await,
        [TENANT]
    );
}
