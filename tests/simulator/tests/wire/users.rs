//! Sign-in of users: device code, browser, refresh token.

use data_encoding::BASE64URL_NOPAD;
use ring::digest::{SHA256, digest};
use simulator::{ACR_AUDIENCE, AZURE_CLI, Approval, USER_OBJECT};

use crate::client::{Answer, HOST, World, assert_refused, claims};

const AUTHORITY: &str = "https://login.microsoftonline.com/organizations/oauth2/v2.0";
const SCOPE: &str = "https://containerregistry.azure.net/.default openid profile offline_access";
const BACK: &str = "http://localhost:50505";

async fn poll(world: &World, code: &str) -> Answer {
    let grant = "urn:ietf:params:oauth:grant-type:device_code";
    let form = [
        ("grant_type", grant),
        ("client_id", AZURE_CLI),
        ("device_code", code),
    ];
    world.post(&format!("{AUTHORITY}/token"), &form).await
}

#[tokio::test]
async fn a_device_code_is_approved_after_a_while_and_once() {
    let world = World::with(|settings| settings.device_code_polls = 2);
    let form = [("client_id", AZURE_CLI), ("scope", SCOPE)];
    let code = world
        .post(&format!("{AUTHORITY}/devicecode"), &form)
        .await
        .text("device_code");
    for _ in 0..2 {
        assert_refused(
            "pending",
            &poll(&world, &code).await,
            400,
            "authorization_pending",
        );
    }
    let answer = poll(&world, &code).await;
    let token = answer.text("access_token");
    assert_eq!(
        (&claims(&token)["upn"], &claims(&token)["oid"]),
        (&"alice@contoso.example".into(), &USER_OBJECT.into())
    );
    assert_eq!(answer.json()["expires_in"], 4_980);
    assert_eq!(claims(&answer.text("id_token"))["aud"], AZURE_CLI);
    assert_refused(
        "again",
        &poll(&world, &code).await,
        400,
        "bad_verification_code",
    );
    let refresh_token = world.exchange(HOST, &token).await.text("refresh_token");
    assert_eq!(claims(&refresh_token)["sub"], "alice@contoso.example");

    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", AZURE_CLI),
        ("refresh_token", &answer.text("refresh_token")),
        ("scope", "https://management.core.windows.net//.default"),
    ];
    let renewed = world
        .post(&format!("{AUTHORITY}/token"), &form)
        .await
        .text("access_token");
    assert_eq!(
        claims(&renewed)["aud"],
        "https://management.core.windows.net/"
    );
    let stolen = form.map(|field| {
        if field.0 == "refresh_token" {
            ("refresh_token", "1.x")
        } else {
            field
        }
    });
    assert_refused(
        "unknown",
        &world.post(&format!("{AUTHORITY}/token"), &stolen).await,
        400,
        "invalid_grant",
    );
}

/// Asks for a device code, and returns it with what somebody types.
async fn device(world: &World) -> (String, String) {
    let answer = world
        .post(
            &format!("{AUTHORITY}/devicecode"),
            &[("client_id", AZURE_CLI), ("scope", SCOPE)],
        )
        .await;
    (answer.text("device_code"), answer.text("user_code"))
}

#[tokio::test]
async fn a_device_code_waits_for_somebody_who_types_it_where_people_are_asked() {
    const PAGE: &str = "https://microsoft.com/devicelogin";
    let world = World::with(|settings| settings.approval = Approval::Page);
    assert_eq!(world.get(PAGE).await.status, 200);
    for (answer, expected) in [("approve", None), ("deny", Some("authorization_declined"))] {
        let (code, typed) = device(&world).await;
        for _ in 0..3 {
            assert_refused(
                "pending",
                &poll(&world, &code).await,
                400,
                "authorization_pending",
            );
        }
        assert_eq!(
            world
                .post(PAGE, &[("code", "another"), ("answer", answer)])
                .await
                .status,
            400
        );
        assert_eq!(
            world
                .post(PAGE, &[("code", &typed), ("answer", answer)])
                .await
                .status,
            200
        );
        match expected {
            Some(refusal) => assert_refused("declined", &poll(&world, &code).await, 400, refusal),
            None => drop(poll(&world, &code).await.text("access_token")),
        }
    }
    let world = World::with(|settings| settings.device_code_life = 0);
    let (code, _) = device(&world).await;
    assert_refused("expired", &poll(&world, &code).await, 400, "AADSTS70019");
}

#[tokio::test]
async fn a_sign_in_page_asks_and_tells_the_client_what_somebody_said() {
    let world = World::with(|settings| settings.approval = Approval::Page);
    let page = format!(
        "{AUTHORITY}/authorize?response_type=code&client_id={AZURE_CLI}&redirect_uri={BACK}&state=s&scope={SCOPE}"
    );
    let asked = world.get(&page.replace(' ', "+")).await;
    assert_eq!(asked.status, 200);
    let denied = world
        .post(&page.replace(' ', "+"), &[("answer", "deny")])
        .await;
    let location = denied.header("location");
    assert!(
        location.starts_with(&format!(
            "{BACK}?error=access_denied&error_description=AADSTS65004"
        )),
        "{location}"
    );
    let approved = world
        .post(&page.replace(' ', "+"), &[("answer", "approve")])
        .await;
    assert!(
        approved
            .header("location")
            .starts_with(&format!("{BACK}?code="))
    );
}

#[tokio::test]
async fn a_refresh_token_ends_when_it_is_used_up_or_a_policy_wants_more() {
    const CLAIMS: &str = r#"{"access_token":{"acrs":{"essential":true,"value":"c1"}}}"#;
    let world = World::with(|settings| settings.refresh_token_uses = Some(1));
    let redeem = async || {
        let (code, _) = device(&world).await;
        poll(&world, &code).await;
        poll(&world, &code).await.text("refresh_token")
    };
    let refresh = async |token: &str| {
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", AZURE_CLI),
            ("refresh_token", token),
            ("scope", SCOPE),
        ];
        world.post(&format!("{AUTHORITY}/token"), &form).await
    };
    let first = redeem().await;
    let second = refresh(&first).await.text("refresh_token");
    assert_refused("used up", &refresh(&first).await, 400, "AADSTS700082");
    world
        .simulator
        .change(|settings| settings.required_claims = Some(CLAIMS.into()));
    let refused = refresh(&second).await;
    assert_refused("too little", &refused, 400, "AADSTS50076");
    assert_eq!(refused.text("claims"), CLAIMS);
    world
        .simulator
        .change(|settings| settings.required_claims = None);
    let third = redeem().await;
    world.simulator.revoke_sign_ins();
    assert_refused("revoked", &refresh(&third).await, 400, "AADSTS50173");
}

#[tokio::test]
async fn a_program_that_is_not_registered_signs_nobody_in() {
    let world = World::new();
    let form = [
        ("client_id", "1950a258-227b-4e31-a9cf-717495945fc2"),
        ("scope", SCOPE),
    ];
    let answer = world.post(&format!("{AUTHORITY}/devicecode"), &form).await;
    assert_refused("client", &answer, 400, "AADSTS700016");
}

/// Goes through the sign-in page and returns the code.
async fn authorize(world: &World, verifier: &str) -> String {
    let challenge = BASE64URL_NOPAD.encode(digest(&SHA256, verifier.as_bytes()).as_ref());
    let page = format!(
        "{AUTHORITY}/authorize?response_type=code&client_id={AZURE_CLI}&redirect_uri={BACK}&state=s&nonce=n\
         &scope={ACR_AUDIENCE}/.default+openid&code_challenge={challenge}&code_challenge_method=S256"
    );
    let answer = world.get(&page).await;
    assert_eq!(answer.status, 302);
    let query = answer
        .header("location")
        .strip_prefix(&format!("{BACK}?code="))
        .unwrap();
    query.strip_suffix("&state=s").unwrap().to_owned()
}

#[tokio::test]
async fn a_code_is_redeemed_with_its_verifier_once() {
    let world = World::new();
    let redeem = async |code: &str, verifier: &str| {
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", AZURE_CLI),
            ("code", code),
            ("redirect_uri", BACK),
            ("code_verifier", verifier),
        ];
        world.post(&format!("{AUTHORITY}/token"), &form).await
    };
    let code = authorize(&world, "right").await;
    let answer = redeem(&code, "right").await;
    assert_eq!(claims(&answer.text("access_token"))["aud"], ACR_AUDIENCE);
    assert_eq!(claims(&answer.text("id_token"))["nonce"], "n");
    assert_refused("again", &redeem(&code, "right").await, 400, "invalid_grant");
    let code = authorize(&world, "right").await;
    assert_refused(
        "verifier",
        &redeem(&code, "wrong").await,
        400,
        "AADSTS501481",
    );
}
