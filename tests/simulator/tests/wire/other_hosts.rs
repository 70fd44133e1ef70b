//! Hosts that are not simulated: nothing goes out to them.

use reqwest::Method;
use simulator::Endpoint;

use crate::client::{World, send, try_to_send};

#[tokio::test]
async fn a_name_that_is_not_simulated_is_refused_and_journaled() {
    let world = World::new();
    for url in [
        "https://example.com/",
        "https://contoso.azurecr.de/",
        "https://contoso.azurecr.io.example/",
    ] {
        assert!(try_to_send(world.request(Method::GET, url)).await.is_err());
        let last = world.simulator.journal().pop().unwrap();
        assert_eq!((last.endpoint, last.status), (Endpoint::Connect, 502));
        assert!(url.contains(&last.host));
    }
}

#[tokio::test]
async fn a_request_for_another_host_in_the_clear_goes_nowhere() {
    let world = World::new();
    let proxy = reqwest::Proxy::http(world.simulator.origin()).unwrap();
    let http = crate::client::client(&world.simulator)
        .proxy(proxy)
        .build()
        .unwrap();
    let answer = send(
        http.get("http://169.254.169.254/metadata/identity/oauth2/token")
            .header("Metadata", "true"),
    )
    .await;
    assert_eq!(answer.status, 502);
    let last = world.simulator.journal().pop().unwrap();
    assert_eq!(
        (last.endpoint, last.host.as_str()),
        (Endpoint::Other, "169.254.169.254")
    );
}
