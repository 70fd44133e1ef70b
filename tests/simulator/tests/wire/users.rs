//! Sign-in of users: device code, browser, refresh token.

use data_encoding::BASE64URL_NOPAD;
use ring::digest::{SHA256, digest};
use simulator::{ACR_AUDIENCE, AZURE_CLI, USER_OBJECT};

use crate::client::{Answer, HOST, World, assert_refused, claims};

const AUTHORITY: &str = "https://login.microsoftonline.com/organizations/oauth2/v2.0";
const SCOPE: &str = "https://containerregistry.azure.net/.default openid profile offline_access";
const BACK: &str = "http://localhost:50505";

async fn poll(world: &World, code: &str) -> Answer {
    let grant = "urn:ietf:params:oauth:grant-type:device_code";
    let form = [("grant_type", grant), ("client_id", AZURE_CLI), ("device_code", code)];
    world.post(&format!("{AUTHORITY}/token"), &form).await
}

#[tokio::test]
async fn a_device_code_is_approved_after_a_while_and_once() {
    let world = World::with(|settings| settings.device_code_polls = 2);
    let form = [("client_id", AZURE_CLI), ("scope", SCOPE)];
    let code = world.post(&format!("{AUTHORITY}/devicecode"), &form).await.text("device_code");
    for _ in 0..2 {
        assert_refused("pending", &poll(&world, &code).await, 400, "authorization_pending");
    }
    let answer = poll(&world, &code).await;
    let token = answer.text("access_token");
    assert_eq!((&claims(&token)["upn"], &claims(&token)["oid"]), (&"alice@contoso.example".into(), &USER_OBJECT.into()));
    assert_eq!(claims(&answer.text("id_token"))["aud"], AZURE_CLI);
    assert_refused("again", &poll(&world, &code).await, 400, "bad_verification_code");
    let refresh_token = world.exchange(HOST, &token).await.text("refresh_token");
    assert_eq!(claims(&refresh_token)["sub"], "alice@contoso.example");

    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", AZURE_CLI),
        ("refresh_token", &answer.text("refresh_token")),
        ("scope", "https://management.core.windows.net//.default"),
    ];
    let renewed = world.post(&format!("{AUTHORITY}/token"), &form).await.text("access_token");
    assert_eq!(claims(&renewed)["aud"], "https://management.core.windows.net/");
    let stolen = form.map(|field| if field.0 == "refresh_token" { ("refresh_token", "1.x") } else { field });
    assert_refused("unknown", &world.post(&format!("{AUTHORITY}/token"), &stolen).await, 400, "invalid_grant");
}

#[tokio::test]
async fn a_program_that_is_not_registered_signs_nobody_in() {
    let world = World::new();
    let form = [("client_id", "1950a258-227b-4e31-a9cf-717495945fc2"), ("scope", SCOPE)];
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
    let query = answer.header("location").strip_prefix(&format!("{BACK}?code=")).unwrap();
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
    assert_refused("verifier", &redeem(&code, "wrong").await, 400, "AADSTS501481");
}
