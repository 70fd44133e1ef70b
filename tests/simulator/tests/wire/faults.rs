//! Faults, as they are felt on the wire.

use std::error::Error;
use std::fmt::Write;
use std::io;
use std::time::{Duration, Instant};

use reqwest::Method;
use simulator::{BadCertificate, Endpoint, Fault, FaultAt, FaultKind, Raw};

use crate::client::{HOST, TOKEN_PAGE, World, assert_refused, send, try_to_send};

const PING: &str = "https://contoso.azurecr.io/v2/";

fn with(at: FaultAt, kind: FaultKind) -> World {
    World::with(|settings| settings.faults.push(Fault::once(at, kind)))
}

/// The chain of an error's causes, in words.
fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

fn is_reset(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::ConnectionReset)
        {
            return true;
        }
        cause = error.source();
    }
    false
}

#[tokio::test]
async fn a_reset_is_a_reset_and_happens_as_often_as_said() {
    let world = with(FaultAt::Exchange, FaultKind::Reset);
    let token = world.access_token().await;
    let page = format!("https://{HOST}/oauth2/exchange");
    let form = [
        ("grant_type", "access_token"),
        ("service", HOST),
        ("access_token", &token),
    ];
    let error = try_to_send(world.request(Method::POST, &page).form(&form))
        .await
        .unwrap_err();
    assert!(is_reset(&error), "{}", causes(&error));
    assert_eq!(world.simulator.journal().last().unwrap().status, 0);
    assert_eq!(world.exchange(HOST, &token).await.status, 200);
    assert_eq!(world.simulator.settings().faults, []);
}

#[tokio::test]
async fn a_connect_can_be_reset_too() {
    let world = with(FaultAt::Connect(HOST.to_owned()), FaultKind::Reset);
    assert_eq!(world.sign_in(TOKEN_PAGE, &[]).await.status, 200);
    let error = try_to_send(world.request(Method::GET, PING))
        .await
        .unwrap_err();
    assert!(is_reset(&error), "{}", causes(&error));
    assert_eq!(world.get(PING).await.status, 401);
}

#[tokio::test]
async fn a_tunnel_can_be_cut_or_refused() {
    let world = with(FaultAt::Connect("*".to_owned()), FaultKind::CutBody);
    assert!(try_to_send(world.request(Method::GET, PING)).await.is_err());
    assert_eq!(world.get(PING).await.status, 401);
    let world = with(FaultAt::Connect(HOST.to_owned()), FaultKind::status(407));
    let error = try_to_send(world.request(Method::GET, PING))
        .await
        .unwrap_err();
    assert!(
        causes(&error).contains("proxy authorization required"),
        "{}",
        causes(&error)
    );
    assert_eq!(world.simulator.journal().pop().unwrap().status, 407);
}

#[tokio::test]
async fn a_fault_of_the_token_page_may_be_for_one_grant_only() {
    let page = format!("https://{HOST}/oauth2/token?service={HOST}");
    let basic = |world: &World| world.request(Method::GET, &page).basic_auth("x", Some("y"));
    for (grant, expected) in [
        (Some("password"), [418, 401, 401, 401]),
        (Some("refresh_token"), [401, 418, 401, 401]),
        (Some("basic"), [401, 401, 418, 401]),
        (Some("anonymous"), [401, 401, 401, 418]),
        (None, [418; 4]),
    ] {
        let at = grant.map_or(FaultAt::Token, |grant| {
            FaultAt::TokenGrant(grant.to_owned())
        });
        let world = World::with(|settings| {
            settings
                .faults
                .push(Fault::always(at, FaultKind::status(418)));
        });
        let form = |grant| {
            [
                ("grant_type", grant),
                ("service", HOST),
                ("username", "x"),
                ("password", "y"),
            ]
        };
        let statuses = [
            world.post(&page, &form("password")).await.status,
            world.post(&page, &form("refresh_token")).await.status,
            send(basic(&world)).await.status,
            world.get(&page).await.status,
        ];
        assert_eq!(statuses, expected, "{grant:?}");
        // The journal has grant and service of requests that got a fault, too.
        let journal = world.simulator.journal();
        let asked: Vec<_> = journal
            .iter()
            .filter(|entry| entry.endpoint == Endpoint::RegistryToken)
            .collect();
        let grants: Vec<_> = asked
            .iter()
            .map(|entry| entry.grant.as_deref().unwrap())
            .collect();
        assert_eq!(grants, ["password", "refresh_token", "basic", "anonymous"]);
        assert!(
            asked
                .iter()
                .all(|entry| entry.service.as_deref() == Some(HOST))
        );
    }
}

#[tokio::test]
async fn a_body_can_be_cut() {
    let world = with(FaultAt::Authority, FaultKind::CutBody);
    let app = world.simulator.settings().apps[0].clone();
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", &app.client_id),
        ("client_secret", &app.secret),
        ("scope", "https://containerregistry.azure.net/.default"),
    ];
    let response = world
        .request(Method::POST, TOKEN_PAGE)
        .form(&form)
        .send()
        .await
        .unwrap();
    let announced = response.content_length().unwrap();
    assert!(announced > 500);
    let error = response.bytes().await.unwrap_err();
    assert!(
        causes(&error).contains("close_notify"),
        "{}",
        causes(&error)
    );
}

#[tokio::test]
async fn a_status_comes_with_its_body_and_its_pause() {
    let world = with(FaultAt::Token, FaultKind::too_many_requests(7));
    let page = format!("https://{HOST}/oauth2/token");
    let answer = world.get(&page).await;
    assert_refused("429", &answer, 429, "TOOMANYREQUESTS");
    assert_eq!(answer.header("retry-after"), "7");
    assert_eq!(world.get(&page).await.status, 401);
    let kind = FaultKind::Status {
        code: 503,
        retry_after: None,
        body: "busy".to_owned(),
        content_type: Some("text/plain".to_owned()),
    };
    world
        .simulator
        .change(|settings| settings.faults.push(Fault::always(FaultAt::Registry, kind)));
    let answer = world.get(PING).await;
    assert_eq!(
        (
            answer.status,
            answer.body.as_str(),
            answer.header("content-type")
        ),
        (503, "busy", "text/plain")
    );
}

#[tokio::test]
async fn a_delay_comes_before_the_proper_answer() {
    let world = with(FaultAt::Registry, FaultKind::Delay { ms: 300 });
    let started = Instant::now();
    assert_eq!(world.get(PING).await.status, 401);
    assert!(started.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn a_portal_answers_with_a_page_or_a_redirect() {
    let world = with(FaultAt::Registry, FaultKind::Html);
    let answer = world.get(PING).await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, "text/html; charset=utf-8")
    );
    let to = "https://portal.example/".to_owned();
    world.simulator.change(|settings| {
        settings
            .faults
            .push(Fault::once(FaultAt::Registry, FaultKind::Redirect { to }));
    });
    let answer = world.get(PING).await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (302, "https://portal.example/")
    );
}

#[tokio::test]
async fn a_body_can_be_without_end() {
    let world = with(FaultAt::Exchange, FaultKind::EndlessBody);
    let request = world.request(Method::POST, &format!("https://{HOST}/oauth2/exchange"));
    let mut response = request.send().await.unwrap();
    let mut length = 0;
    while length < 4 * 1024 * 1024 {
        length += response.chunk().await.unwrap().unwrap().len();
    }
}

#[tokio::test]
async fn bytes_of_any_kind_can_take_the_place_of_an_answer() {
    let raw = |start: &[u8], hold| {
        FaultKind::Raw(Raw {
            start: start.to_vec(),
            then: b"ab".to_vec(),
            times: 2,
            every_ms: 1,
            hold,
        })
    };
    let world = with(
        FaultAt::Registry,
        raw(b"HTTP/1.1 299 Odd\r\nContent-Length: 4\r\n\r\n", true),
    );
    let answer = world.get(PING).await;
    assert_eq!((answer.status, answer.body.as_str()), (299, "abab"));
    for at in [FaultAt::Registry, FaultAt::Connect(HOST.to_owned())] {
        let world = with(at, raw(b"SSH-2.0-OpenSSH\r\n", false));
        let error = try_to_send(world.request(Method::GET, PING))
            .await
            .unwrap_err();
        assert!(
            causes(&error).contains("invalid HTTP version")
                || causes(&error).contains("unsuccessful"),
            "{}",
            causes(&error)
        );
        assert_eq!(world.get(PING).await.status, 401);
    }
}

#[tokio::test]
async fn a_connection_can_be_closed_once_tls_stands() {
    let world = with(FaultAt::Connect(HOST.to_owned()), FaultKind::HangUp);
    let error = try_to_send(world.request(Method::GET, PING))
        .await
        .unwrap_err();
    assert!(
        !causes(&error).contains("certificate"),
        "{}",
        causes(&error)
    );
    let journal: Vec<_> = world
        .simulator
        .journal()
        .iter()
        .map(|entry| (entry.endpoint, entry.status))
        .collect();
    assert_eq!(journal, [(Endpoint::Connect, 200)]);
    assert_eq!(world.get(PING).await.status, 401);
}

#[tokio::test]
async fn a_bad_certificate_is_not_trusted() {
    let cases = [
        (BadCertificate::UnknownIssuer, "UnknownIssuer"),
        (BadCertificate::Expired, "expired"),
        (BadCertificate::OtherName, "not valid for name"),
        (BadCertificate::SelfSigned, "UnknownIssuer"),
    ];
    for (bad, word) in cases {
        let world = with(
            FaultAt::Connect("*".to_owned()),
            FaultKind::Certificate(bad),
        );
        let error = try_to_send(world.request(Method::GET, PING))
            .await
            .unwrap_err();
        assert!(causes(&error).contains(word), "{bad:?}: {}", causes(&error));
        assert_eq!(world.get(PING).await.status, 401, "{bad:?}");
    }
}

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
