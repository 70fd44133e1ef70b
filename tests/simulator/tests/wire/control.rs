//! The control pages.

use reqwest::Method;
use serde_json::Value;
use simulator::{Entry, ErrorShape, Settings};

use crate::client::{Answer, HOST, World, client, send};

async fn control(world: &World, method: Method, page: &str, body: &str) -> Answer {
    let url = format!("{}/control/{page}", world.simulator.origin());
    let http = client(&world.simulator).build().unwrap();
    send(http.request(method, url).body(body.to_owned())).await
}

#[tokio::test]
async fn settings_are_read_and_replaced_key_by_key() {
    let world = World::new();
    let before = world.simulator.settings();
    let read = control(&world, Method::GET, "settings", "").await;
    assert_eq!(
        serde_json::from_str::<Settings>(&read.body).unwrap(),
        before
    );
    let changes = r#"{"error_shape": "Y2024", "faults": [{"at": "exchange", "kind": "reset", "times": 2},
        {"at": {"connect": "contoso.azurecr.io"}, "kind": {"delay": {"ms": 1}}}]}"#;
    assert_eq!(
        control(&world, Method::PUT, "settings", changes)
            .await
            .status,
        204
    );
    let after = world.simulator.settings();
    assert_eq!(
        (after.error_shape, after.faults.len()),
        (ErrorShape::Y2024, 2)
    );
    assert_eq!(after.apps, before.apps);
    for wrong in ["", "[]", r#"{"error_shape": "Y1999"}"#, r#"{"unknown": 1}"#] {
        assert_eq!(
            control(&world, Method::PUT, "settings", wrong).await.status,
            400,
            "{wrong}"
        );
    }
    assert_eq!(world.simulator.settings(), after);
}

#[tokio::test]
async fn the_journal_is_read_and_cleared() {
    let world = World::new();
    world.get(&format!("https://{HOST}/v2/")).await;
    let read = control(&world, Method::GET, "journal", "").await;
    assert_eq!(
        serde_json::from_str::<Vec<Entry>>(&read.body).unwrap(),
        world.simulator.journal()
    );
    assert_eq!(
        control(&world, Method::DELETE, "journal", "").await.status,
        204
    );
    assert_eq!(
        control(&world, Method::GET, "journal", "").await.json(),
        Value::Array(Vec::new())
    );
}
