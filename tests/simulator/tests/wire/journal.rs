//! The journal: who asked for what, and never a secret.

use simulator::{ACR_AUDIENCE, CLIENT, CLIENT_OBJECT, Endpoint, TENANT, TokenFacts};

use crate::client::{HOST, World};

fn facts(audience: &str) -> TokenFacts {
    TokenFacts {
        audience: audience.to_owned(),
        subject: CLIENT_OBJECT.to_owned(),
        app_id: Some(CLIENT.to_owned()),
        tenant: Some(TENANT.to_owned()),
    }
}

#[tokio::test]
async fn it_tells_which_host_got_which_token() {
    let world = World::new();
    world.refresh_token().await;
    let journal = world.simulator.journal();
    let told: Vec<_> = journal
        .iter()
        .map(|entry| (entry.endpoint, entry.host.as_str(), entry.status))
        .collect();
    let authority = "login.microsoftonline.com";
    assert_eq!(
        told,
        [
            (Endpoint::Connect, authority, 200),
            (Endpoint::EntraToken, authority, 200),
            (Endpoint::Connect, HOST, 200),
            (Endpoint::Exchange, HOST, 200),
        ]
    );
    assert_eq!(
        journal.iter().map(|entry| entry.seq).collect::<Vec<_>>(),
        [1, 2, 3, 4]
    );
    assert_eq!(journal[1].grant.as_deref(), Some("client_credentials"));
    assert_eq!(
        journal[1].audience_requested.as_deref(),
        Some("https://containerregistry.azure.net/.default")
    );
    assert_eq!(
        (&journal[1].token, &journal[1].issued),
        (&None, &Some(facts(ACR_AUDIENCE)))
    );
    assert_eq!(
        (&journal[3].token, &journal[3].issued),
        (&Some(facts(ACR_AUDIENCE)), &Some(facts(HOST)))
    );
    world.simulator.clear_journal();
    assert_eq!(world.simulator.journal(), []);
}

#[tokio::test]
async fn it_never_holds_a_secret() {
    let world = World::new();
    let secret = world.simulator.settings().apps[0].secret.clone();
    let assertion = world.simulator.assertion("me");
    let access_token = world.access_token().await;
    let refresh_token = world
        .exchange(HOST, &access_token)
        .await
        .text("refresh_token");
    let registry_access_token = world.registry_access_token("repository:app:pull").await;
    world.exchange(HOST, &secret).await;
    world
        .get(&format!("https://{HOST}/v2/?token={refresh_token}"))
        .await;
    let journal = serde_json::to_string(&world.simulator.journal()).unwrap();
    for token in [
        secret,
        assertion,
        access_token,
        refresh_token,
        registry_access_token,
    ] {
        assert!(!journal.contains(&token));
        let signature = token.rsplit('.').next().unwrap();
        assert!(!journal.contains(signature));
    }
}
