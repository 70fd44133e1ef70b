//! The node: what kubelet gives its provider, and what it does not; time, caches and secrets.

use crate::stage::{CLIENT_ANNOTATION, Node, SHOP, request, whose};
use crate::support::namespace::Namespace;
use crate::support::run::in_parallel;
use crate::support::setups::fail;
use crate::support::{Answer, LIMIT, NOT_OURS, REGISTRY, binary, run, set_variables, wrap};
use serde_json::json;
use simulator::{CLIENT, Endpoint, Fault, FaultAt, FaultKind, MANAGED_IDENTITY, Raw};
use std::thread;

const IMAGE: &str = "contoso.azurecr.io/app";

/// A failure as kubelet wants it: nothing on stdout, a line and a hint on stderr.
#[track_caller]
fn failed(answer: &Answer) -> String {
    assert_eq!(
        (answer.code(), answer.stdout.as_str()),
        (1, ""),
        "{answer:#?}"
    );
    let line = answer
        .stderr
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("docker-credential-acrscoped: "));
    line.unwrap_or_else(|| panic!("{answer:#?}")).to_owned()
}

#[test]
fn a_foreign_image_wakes_nobody_and_a_docker_client_is_told_otherwise() {
    let node = Node::new();
    let answer = node.ask("docker.io/library/nginx");
    assert_eq!(
        (
            answer.code(),
            answer.json()["auth"].is_null(),
            answer.stderr.as_str()
        ),
        (0, true, "")
    );
    assert_eq!(node.simulator.journal(), []);
    let mut docker = node.home.command(binary());
    docker.arg("get");
    let answer = run(docker, "docker.io", LIMIT);
    assert_eq!(
        (answer.code(), answer.stdout, answer.stderr),
        (1, format!("{NOT_OURS}\n"), String::new())
    );
}

#[test]
fn an_input_without_end_is_an_error_and_is_not_read_to_it() {
    let node = Node::new();
    let mut endless = request(IMAGE);
    endless["serviceAccountAnnotations"] = json!({CLIENT_ANNOTATION: "x".repeat(10 * 1024 * 1024)});
    let answer = run(node.provider(), &endless.to_string(), LIMIT);
    assert_eq!(failed(&answer), "stdin holds more than 2097152 bytes");
    assert_eq!(node.simulator.journal(), []);
}

#[test]
fn it_is_called_by_the_name_of_a_credential_provider_too() {
    let node = Node::new();
    let link = node.home.path("bin/acr-credential-provider");
    std::os::unix::fs::symlink(binary(), &link).expect("a new link");
    let mut command = node.home.command(link);
    command.envs(set_variables(&node.provider()));
    command.arg("--registry-mirror=mcr.microsoft.com:contoso.azurecr.io");
    let answer = run(
        command,
        &request("mcr.microsoft.com/app").to_string(),
        LIMIT,
    );
    assert_eq!(whose(&answer, "mcr.microsoft.com"), MANAGED_IDENTITY);
}

/// A unit of systemd: no home, no session, nobody in the list of users.
#[test]
fn no_home_no_session_and_no_user_are_no_hindrance() {
    let node = Node::new();
    for cache in ["none", "auto"] {
        let provider = node.provider();
        let words = ["unshare", "--user", "--map-user=54321", "--"];
        let mut command = wrap(&words, &provider);
        command
            .env_remove("HOME")
            .env_remove("PATH")
            .env("ACRSCOPED_CACHE", cache)
            .current_dir("/");
        assert_eq!(
            whose(&run(command, &request(IMAGE).to_string(), LIMIT), REGISTRY),
            MANAGED_IDENTITY
        );
    }
}

#[test]
fn a_node_that_starts_signs_in_once_for_all_its_images_where_a_store_is_named() {
    let node = Node::new();
    let namespace = Namespace::new();
    let (keyring, simulator) = (&namespace, &node.simulator);
    let provider = node.provider();
    let (provider, node) = (&provider, &node);
    let answers: Vec<Answer> = thread::scope(|scope| {
        let started: Vec<_> = (0..8)
            .map(|at| {
                scope.spawn(move || {
                    let mut command = keyring.enter(provider);
                    command.arg("kubelet");
                    run(
                        command,
                        &request(&format!("contoso.azurecr.io/app{at}")).to_string(),
                        LIMIT,
                    )
                })
            })
            .collect();
        started
            .into_iter()
            .map(|one| one.join().expect("an answer"))
            .collect()
    });
    assert!(
        answers
            .iter()
            .all(|answer| whose(answer, REGISTRY) == MANAGED_IDENTITY)
    );
    let count = |endpoint| {
        simulator
            .journal()
            .iter()
            .filter(|entry| entry.endpoint == endpoint)
            .count()
    };
    assert_eq!(
        count(Endpoint::Exchange),
        1,
        "{:#?}",
        node.simulator.journal()
    );
    // kubelet forgot all of it when it was restarted.
    let mut again = keyring.enter(provider);
    again.arg("kubelet");
    assert_eq!(
        whose(&run(again, &request(IMAGE).to_string(), LIMIT), REGISTRY),
        MANAGED_IDENTITY
    );
    assert_eq!(count(Endpoint::Exchange), 1);
}

#[test]
fn what_hangs_ends_in_time_and_is_named() {
    let hold = || {
        FaultKind::Raw(Raw {
            hold: true,
            ..Raw::default()
        })
    };
    let slow = || FaultKind::Delay { ms: 600_000 };
    let rows = [
        (
            FaultAt::Exchange,
            hold(),
            "waiting for a refresh token from contoso.azurecr.io",
        ),
        (
            FaultAt::Exchange,
            slow(),
            "waiting for a refresh token from contoso.azurecr.io",
        ),
        (
            FaultAt::Connect(REGISTRY.into()),
            slow(),
            "waiting for a refresh token from contoso.azurecr.io",
        ),
        (FaultAt::Imds, slow(), ""),
    ];
    in_parallel(&rows, |(at, kind, named)| {
        let node = Node::new();
        fail(&node.simulator, at, kind);
        let mut command = node.provider();
        command.env("ACRSCOPED_TIMEOUT", "2");
        let answer = run(command, &request(IMAGE).to_string(), LIMIT);
        let line = failed(&answer);
        assert!(line.contains(named), "{at:?}: {line}");
    });
}

#[test]
fn a_registry_with_anonymous_pull_may_do_without_a_sign_in() {
    let node = Node::new();
    node.simulator
        .change(|settings| settings.managed_identities.clear());
    let line = failed(&node.ask(IMAGE));
    assert!(
        line.starts_with(
            "could not get an access token from the system-assigned managed identity: "
        ),
        "{line}"
    );
    let mut command = node.provider();
    command.env("ACRSCOPED_ON_ERROR", "anonymous");
    let answer = run(command, &request(IMAGE).to_string(), LIMIT);
    assert_eq!(
        (
            answer.code(),
            answer.json()["auth"].is_null(),
            answer.json()["cacheDuration"].as_str()
        ),
        (0, true, Some("0s"))
    );
}

#[test]
fn a_user_name_for_other_clients_does_not_reach_kubelet() {
    let node = Node::new();
    let mut command = node.provider();
    command.env("ACRSCOPED_USERNAME", "token");
    let answer = run(command, &request(IMAGE).to_string(), LIMIT).succeeds();
    assert_eq!(
        answer.json()["auth"][REGISTRY]["username"],
        crate::support::ZERO_GUID
    );
}

#[test]
fn a_token_that_is_nearly_over_is_kept_for_less_than_half_of_what_is_left() {
    let node = Node::new();
    for (life, longest) in [(200, 100), (70, 35), (2, 1)] {
        node.simulator
            .change(|settings| settings.refresh_token_life = life);
        let answer = node.ask(IMAGE).succeeds();
        let text = answer.json()["cacheDuration"]
            .as_str()
            .expect("text")
            .to_owned();
        let seconds: i64 = text
            .strip_suffix('s')
            .expect("seconds")
            .parse()
            .expect("a number");
        assert!((0..=longest).contains(&seconds), "{life}: {text}");
    }
}

/// Whoever answers in Entra's place may repeat what it was sent, and kubelet's log is read by many.
#[test]
fn no_token_reaches_stderr_whatever_is_answered() {
    let node = Node::new();
    let request = node.pod(SHOP, CLIENT, IMAGE);
    let token = request["serviceAccountToken"]
        .as_str()
        .expect("a token")
        .to_owned();
    let form: String = url::form_urlencoded::byte_serialize(token.as_bytes()).collect();
    for echoed in [
        token.clone(),
        form,
        format!("{}\n{}", &token[..40], &token[40..]),
    ] {
        for body in [
            echoed.clone(),
            json!({"error": "invalid_client", "error_description": format!("AADSTS50027: {echoed}")}).to_string(),
        ] {
            let kind = FaultKind::Status { code: 400, retry_after: None, body, content_type: None };
            node.simulator.change(|settings| settings.faults = vec![Fault::always(FaultAt::Authority, kind)]);
            let mut command = node.provider();
            command.env("ACRSCOPED_LOG", "debug");
            let answer = run(command, &request.to_string(), LIMIT);
            assert_eq!((answer.code(), answer.stdout.as_str()), (1, ""), "{answer:#?}");
            let pieces = token.as_bytes().chunks(24).map(|piece| std::str::from_utf8(piece).expect("ASCII"));
            assert!(pieces.filter(|piece| piece.len() == 24).all(|piece| !answer.text().contains(piece)), "{answer:#?}");
        }
    }
}
