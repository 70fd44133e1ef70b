//! TLS without a proxy.

use std::net::SocketAddr;

use simulator::{Registry, Settings, Simulator};

use crate::client::{HOST, World, client, send};

const LOOPBACK: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

#[tokio::test]
async fn the_tls_server_shows_the_certificate_of_the_name_asked_for() {
    let world = World::new();
    let address = world.simulator.listen_tls(LOOPBACK).unwrap();
    let http = client(&world.simulator)
        .resolve(HOST, address)
        .resolve("other.azurecr.io", address)
        .build()
        .unwrap();
    let answer = send(http.get(format!("https://{HOST}:{}/v2/", address.port()))).await;
    assert!(
        answer
            .header("www-authenticate")
            .contains("realm=\"https://contoso.azurecr.io/oauth2/token\"")
    );
    let answer = send(http.get(format!("https://other.azurecr.io:{}/v2/", address.port()))).await;
    assert_eq!(answer.status, 502);
}

#[tokio::test]
async fn a_registry_may_be_at_localhost_with_a_port() {
    let world = World::new();
    let address = world.simulator.listen_tls(LOOPBACK).unwrap();
    let host = format!("localhost:{}", address.port());
    world
        .simulator
        .change(|settings| settings.registries.push(Registry::new(&host)));
    let http = client(&world.simulator)
        .resolve("localhost", address)
        .build()
        .unwrap();
    let answer = send(http.get(format!("https://{host}/v2/"))).await;
    assert!(answer.header("www-authenticate").contains(&format!(
        "realm=\"https://{host}/oauth2/token\",service=\"{host}\""
    )));
}

#[test]
fn only_loopback_is_listened_on() {
    let anywhere = SocketAddr::from(([0, 0, 0, 0], 0));
    assert!(Simulator::start_on(anywhere, None, Settings::default()).is_err());
    let simulator = Simulator::start(Settings::default()).unwrap();
    assert!(simulator.listen_tls(anywhere).is_err());
}
