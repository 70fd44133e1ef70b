//! Every way in which Entra, a registry or the network can refuse, and the sentence and hint that a person then reads.

mod support;

use simulator::{
    BadCertificate, Endpoint, ErrorShape, Fault, FaultAt, FaultKind, Settings, Simulator,
};
use std::process::Command;
use support::setups::status;
use support::{Answer, REGISTRY, ask, binary, helper, set_variables, world, wrap};

/// The commands that give the simulator's service principal a role, by the object id in its token.
const ROLE: &str = "hint: assign a role to the identity\n  \
                    az role assignment create --assignee c2a6f490-7d35-4e8b-b1c9-0e5f3a7d2846 --role AcrPull \
                    --scope \"$(az acr show --name contoso --query id --output tsv)\"\n\
                    or, on a registry with ABAC repository permissions\n  \
                    az role assignment create --assignee c2a6f490-7d35-4e8b-b1c9-0e5f3a7d2846 \
                    --role 'Container Registry Repository Reader' \
                    --scope \"$(az acr show --name contoso --query id --output tsv)\"";

fn get(change: impl FnOnce(&mut Settings), edit: impl FnOnce(&mut Command)) -> (Answer, Simulator) {
    let (home, simulator) = world();
    simulator.change(change);
    let mut command = helper(&home, &simulator);
    edit(&mut command);
    (ask(command, "get", REGISTRY), simulator)
}

/// The first sentence on stdout, and on stderr the whole message first and the hint last.
#[track_caller]
fn refused(answer: &Answer, line: &str, hint: &str) {
    assert_eq!(answer.code(), 1);
    let sentence = line.split(". ").next().unwrap_or_default();
    assert_eq!(answer.stdout, format!("{sentence}\n"));
    assert!(
        answer
            .stderr
            .starts_with(&format!("docker-credential-acrscoped: {line}\n")),
        "{}",
        answer.stderr
    );
    assert!(
        answer.stderr.ends_with(&format!("\n{hint}\n")),
        "{}",
        answer.stderr
    );
    assert!(!answer.text().contains("credentials not found"));
}

fn fault(at: FaultAt, kind: FaultKind) -> impl FnOnce(&mut Settings) {
    move |settings| settings.faults.push(Fault::always(at, kind))
}

#[test]
fn a_missing_role_is_told_in_every_shape_of_the_service() {
    for (shape, line) in [
        (
            ErrorShape::Y2021,
            "contoso.azurecr.io refused the access token: 403, retrieving permissions failed",
        ),
        (
            ErrorShape::Y2024,
            "contoso.azurecr.io refused the access token: 401",
        ),
        (
            ErrorShape::Y2026,
            "contoso.azurecr.io refused the access token: 401, authentication required, visit https://aka.ms/acr/authorization for \
             more information.",
        ),
    ] {
        let (answer, _simulator) = get(
            |settings| {
                settings.error_shape = shape;
                settings.registry_mut(REGISTRY).roles.clear();
            },
            |_| {},
        );
        assert_eq!(
            answer.stderr.matches("\n  - correlation id: ").count(),
            1,
            "{}",
            answer.stderr
        );
        refused(&answer, line, ROLE);
    }
}

#[test]
fn a_token_that_is_not_valid_at_the_registry_is_no_missing_role() {
    let hint = "hint: if the registry is in another tenant, set `tenant` under `[registry.\"contoso.azurecr.io\"]` in the config file. If your \
                identity is in another cloud, set `identity_cloud` there, and check `authority` and `audience`";
    for (shape, said) in [
        (ErrorShape::Y2021, "retrieving permissions failed"),
        (
            ErrorShape::Y2024,
            "token invalid audience: the received access token has been obtained for wrong audience or resource \
             \"https://containerregistry.azure.net\". It should exactly match with one of the allowed audiences \
             \"https://registry.fabrikam.example\".",
        ),
        (ErrorShape::Y2026, "token validation failed"),
    ] {
        let (answer, _simulator) = get(
            |settings| {
                settings.error_shape = shape;
                settings.registry_mut(REGISTRY).audiences =
                    vec!["https://registry.fabrikam.example".into()];
            },
            |_| {},
        );
        refused(
            &answer,
            &format!("contoso.azurecr.io refused the access token: 401, {said}"),
            hint,
        );
        let audience = "\n  - the access token is for the audience `https://containerregistry.azure.net`, and the registry is in the cloud Azure public\n";
        assert!(answer.stderr.contains(audience), "{}", answer.stderr);
    }
}

#[test]
fn a_firewall_is_told_with_the_command_that_opens_it() {
    let (answer, _simulator) = get(
        |settings| settings.registry_mut(REGISTRY).firewall = Some("203.0.113.9".into()),
        |_| {},
    );
    refused(
        &answer,
        "the network rules of contoso.azurecr.io do not allow 203.0.113.9",
        "hint: add a rule for this address\n  az acr network-rule add --name contoso --ip-address 203.0.113.9",
    );
}

#[test]
fn a_firewall_that_refuses_an_ipv6_address_gets_no_rule_for_it() {
    let (answer, _simulator) = get(
        |settings| settings.registry_mut(REGISTRY).firewall = Some("2603:1030::9".into()),
        |_| {},
    );
    refused(
        &answer,
        "the network rules of contoso.azurecr.io do not allow 2603:1030::9",
        "hint: check the network rules\n  az acr network-rule list --name contoso",
    );
    let note = "\n  - network rules take IPv4 addresses only: connect over IPv4, or use a private endpoint\n";
    assert!(answer.stderr.contains(note), "{answer:#?}");
}

#[test]
fn what_a_registry_answers_in_place_of_a_token_is_told() {
    for (kind, line, hint) in [
        (
            FaultKind::too_many_requests(300),
            "contoso.azurecr.io is throttling requests: wait 300 s",
            "hint: try again later; limits are listed at https://aka.ms/acr/skus",
        ),
        (
            FaultKind::status(404),
            "contoso.azurecr.io has no `/oauth2/exchange`: it does not answer as an Azure Container Registry",
            "hint: check the name of the registry\n  az acr show --name contoso --query loginServer",
        ),
        (
            FaultKind::status(500),
            "contoso.azurecr.io answered the exchange with 500",
            "hint: try again; if it fails again, check the registry\n  az acr check-health --name contoso --yes",
        ),
        (
            FaultKind::Status {
                code: 504,
                retry_after: None,
                body: "<html><center>openresty</center></html>".into(),
                content_type: Some("text/html".into()),
            },
            "contoso.azurecr.io answered the exchange with 504",
            "hint: try again; if it fails again, check the registry\n  az acr check-health --name contoso --yes",
        ),
        (
            FaultKind::Html,
            "contoso.azurecr.io answered the exchange with a web page: 200",
            "hint: a proxy or a sign-in page of the network is in the way: sign in to it, or set `NO_PROXY`",
        ),
        (
            FaultKind::Redirect {
                to: "https://contoso.azurecr.us/oauth2/exchange".into(),
            },
            "contoso.azurecr.io answered the exchange with a redirect to `https://contoso.azurecr.us/oauth2/exchange`, which is not \
             followed",
            "hint: a proxy or a sign-in page of the network is in the way: sign in to it, or set `NO_PROXY`",
        ),
    ] {
        let (answer, simulator) = get(fault(FaultAt::Exchange, kind), |_| {});
        refused(&answer, line, hint);
        assert!(
            simulator
                .journal()
                .iter()
                .all(|entry| entry.host != "contoso.azurecr.us"),
            "a redirect was followed"
        );
    }
}

#[test]
fn what_entra_answers_in_place_of_a_token_is_told() {
    let name = format!("service principal {}", simulator::CLIENT);
    for (kind, said) in [
        (FaultKind::Html, "the answer was a web page: 200"),
        (FaultKind::status(503), "it answered with 503"),
        (
            FaultKind::too_many_requests(300),
            "too many requests, it asks to wait 300 s",
        ),
        (
            FaultKind::Redirect {
                to: "https://evil.example/".into(),
            },
            "the answer was a redirect to `https://evil.example/`, which is not followed",
        ),
        (
            status(
                400,
                r#"{"error":"x","error_description":"AADSTS700016: Application \u0027c\u0027 was not found.\r\nTrace ID: 1"}"#,
            ),
            "AADSTS700016: Application 'c' was not found.",
        ),
        (
            status(
                200,
                r#"{"access_token":"a","token_type":"Bearer","expires_in":9223372036854775807}"#,
            ),
            "the answer holds no token",
        ),
        (status(200, "{}x"), "the answer holds no token"),
    ] {
        let (answer, simulator) = get(fault(FaultAt::Authority, kind), |_| {});
        assert_eq!(
            (answer.code(), answer.stdout),
            (
                1,
                format!("could not get an access token from {name}: {said}\n")
            )
        );
        if said.contains("web page") || said.contains("redirect") {
            assert!(
                answer
                    .stderr
                    .contains("\nhint: a proxy or a sign-in page of the network is in the way"),
                "{}",
                answer.stderr
            );
        }
        assert!(
            simulator
                .journal()
                .iter()
                .all(|entry| entry.endpoint != Endpoint::Exchange)
        );
    }
    let (answer, _simulator) = get(fault(FaultAt::Authority, FaultKind::EndlessBody), |_| {});
    assert_eq!(
        answer.stdout,
        "incomplete response from login.microsoftonline.com: the answer is longer than 1048576 bytes\n"
    );
}

#[test]
fn what_a_server_repeats_of_a_secret_is_not_shown() {
    let (home, simulator) = world();
    let secret = simulator.settings().apps[0].secret.clone();
    let body = format!(r#"{{"error":"x","error_description":"you sent client_secret={secret}"}}"#);
    simulator.change(|settings| {
        settings
            .faults
            .push(Fault::always(FaultAt::Authority, status(400, &body)));
    });
    let answer = ask(helper(&home, &simulator), "get", REGISTRY).fails();
    assert!(
        answer.stdout.contains("you sent client_secret=…") && !answer.text().contains(&secret),
        "{answer:?}"
    );
}

#[test]
fn settings_cannot_drive_a_terminal() {
    let (answer, _simulator) = get(
        |_| {},
        |command| {
            command
                .env("AZURE_CLIENT_ID", "c\u{1b}[31m\nsecond\u{202e}")
                .env("ACRSCOPED_LOG", "debug");
        },
    );
    assert_eq!((answer.code(), answer.stdout.lines().count()), (1, 1));
    assert!(
        !answer
            .text()
            .chars()
            .any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'),
        "{answer:?}"
    );
}

#[test]
fn an_answer_that_breaks_off_or_never_ends_is_told() {
    for (kind, cause) in [
        (
            FaultKind::CutBody,
            "incomplete response from contoso.azurecr.io: ",
        ),
        (
            FaultKind::Reset,
            "incomplete response from contoso.azurecr.io: ",
        ),
        (
            FaultKind::EndlessBody,
            "incomplete response from contoso.azurecr.io: the answer is longer than 1048576 bytes",
        ),
    ] {
        let (answer, _simulator) = get(fault(FaultAt::Exchange, kind), |_| {});
        assert!(answer.stdout.starts_with(cause), "{answer:?}");
        assert_eq!(answer.stdout.lines().count(), 1);
        assert_eq!(
            answer.stderr.lines().last(),
            Some("hint: try again; a proxy or firewall may cut connections")
        );
    }
}

#[test]
fn a_certificate_that_is_not_trusted_is_told_with_the_ca_file_in_force() {
    for (kind, problem, hint) in [
        (
            BadCertificate::UnknownIssuer,
            "this machine does not trust the issuer of its certificate",
            "`ACRSCOPED_CA_FILE`",
        ),
        (
            BadCertificate::Expired,
            "its certificate has expired",
            "check the clock",
        ),
        (
            BadCertificate::OtherName,
            "its certificate is for another name",
            "DNS",
        ),
    ] {
        let connect = FaultAt::Connect(REGISTRY.into());
        let (answer, simulator) = get(fault(connect, FaultKind::Certificate(kind)), |_| {});
        let line = format!("no trusted TLS connection to contoso.azurecr.io: {problem}\n");
        assert_eq!(answer.stdout, line);
        assert!(
            answer.stderr.contains("\n  - `SSL_CERT_FILE` is set to "),
            "{}",
            answer.stderr
        );
        assert!(
            answer.stderr.contains("\n  - `HTTPS_PROXY` is set to "),
            "{}",
            answer.stderr
        );
        assert!(answer.stderr.lines().last().unwrap().contains(hint));
        assert!(
            simulator
                .journal()
                .iter()
                .all(|entry| entry.endpoint != Endpoint::Exchange),
            "a token went out"
        );
    }
}

#[test]
fn a_ca_file_that_is_not_there_is_told() {
    let (answer, simulator) = get(
        |_| {},
        |command| {
            command.env("SSL_CERT_FILE", "/nonexistent/ca.pem");
        },
    );
    assert!(
        answer.stdout.starts_with("no trusted TLS connection to "),
        "{answer:?}"
    );
    assert!(
        answer
            .stderr
            .contains("`SSL_CERT_FILE` is set to /nonexistent/ca.pem"),
        "{answer:?}"
    );
    let ignored =
        "the helper ignores `SSL_CERT_FILE`: /nonexistent/ca.pem cannot be read: No such file";
    assert!(answer.stderr.contains(ignored), "{answer:?}");
    // The certificates of the system are used, and do not vouch for the simulator.
    assert!(
        simulator
            .journal()
            .iter()
            .all(|entry| entry.endpoint == Endpoint::Connect)
    );
}

#[test]
fn a_proxy_that_cannot_be_reached_is_told() {
    let (answer, _simulator) = get(
        |_| {},
        |command| {
            command.env("HTTPS_PROXY", "http://127.0.0.1:1");
        },
    );
    refused(
        &answer,
        "cannot connect to the proxy http://127.0.0.1:1: Connection refused",
        "hint: correct `HTTPS_PROXY`, or add login.microsoftonline.com to `NO_PROXY` to connect without the proxy",
    );
    assert!(
        answer
            .stderr
            .contains("\n  - `HTTPS_PROXY` is set to http://127.0.0.1:1\n"),
        "{}",
        answer.stderr
    );
}

#[test]
fn a_clock_that_is_far_off_is_named_as_the_likely_reason() {
    for (skew, words) in [
        (-3_600, "60 min ahead of that of"),
        (3_700, "behind that of"),
    ] {
        let (answer, _simulator) = get(
            |settings| {
                settings.clock_skew = skew;
                settings.registry_mut(REGISTRY).roles.clear();
            },
            |_| {},
        );
        assert!(
            answer
                .stderr
                .contains("\n  - the clock of this machine is ")
                && answer.stderr.contains(words),
            "{answer:?}"
        );
        let hint = "\nhint: set the clock of this machine\n  sudo timedatectl set-ntp true\n";
        assert!(answer.stderr.ends_with(hint), "{answer:?}");
    }
}

#[test]
fn what_passes_is_tried_again_and_what_stays_is_not() {
    let once = |kind: FaultKind| vec![Fault::once(FaultAt::Exchange, kind)];
    for faults in [
        once(FaultKind::too_many_requests(1)),
        once(FaultKind::status(408)),
        once(FaultKind::status(500)),
        once(FaultKind::status(502)),
        once(FaultKind::status(503)),
        once(FaultKind::status(504)),
        once(FaultKind::Reset),
        vec![Fault {
            at: FaultAt::Exchange,
            kind: FaultKind::status(503),
            times: Some(2),
        }],
    ] {
        let (answer, simulator) = get(|settings| settings.faults = faults, |_| {});
        answer.succeeds();
        assert!(exchanges(&simulator) >= 2);
    }
    for status in [400, 401, 403, 404] {
        let (answer, simulator) = get(fault(FaultAt::Exchange, FaultKind::status(status)), |_| {});
        answer.fails();
        assert_eq!(exchanges(&simulator), 1, "{status}");
    }
    let (answer, simulator) = get(fault(FaultAt::Exchange, FaultKind::status(503)), |_| {});
    answer.fails();
    assert_eq!(exchanges(&simulator), 3);
}

fn exchanges(simulator: &Simulator) -> usize {
    simulator
        .journal()
        .iter()
        .filter(|entry| entry.endpoint == Endpoint::Exchange)
        .count()
}

/// In a network namespace of its own there is no resolver to ask.
#[test]
#[ignore = "needs namespaces: run tests/run"]
fn a_name_that_does_not_resolve_is_told() {
    let (answer, _simulator) = get(
        |_| {},
        |command| {
            *command = wrap(&["unshare", "--map-root-user", "--net"], command);
            command.env_remove("HTTPS_PROXY");
        },
    );
    refused(
        &answer,
        "the name login.microsoftonline.com was not found",
        "hint: check DNS; if this network needs a proxy, set `HTTPS_PROXY`",
    );
}

/// The static program has musl's resolver, whose words for it are others.
#[test]
#[ignore = "needs namespaces and the static binary: run tests/run"]
fn a_name_server_that_asks_for_another_try_is_asked_again() {
    const SCRIPT: &str =
        "mount --bind \"$RESOLVER\" /etc/resolv.conf; ip link set lo up; exec \"$0\" \"$@\"";
    // The C libraries of the two say it in other words.
    for program in [
        env!("CARGO_BIN_EXE_docker-credential-acrscoped").into(),
        binary(),
    ] {
        let (home, simulator) = world();
        // On this port of loopback listens no name server.
        let resolver = home.write(
            "resolv.conf",
            "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
        );
        let mut command = home.command(&program);
        command.envs(set_variables(&helper(&home, &simulator)));
        let unshare = ["unshare", "--map-root-user", "--net", "--mount"];
        let words = [&unshare[..], &["sh", "-ec", SCRIPT]].concat();
        let mut unshared = wrap(&words, &command);
        unshared
            .env_remove("HTTPS_PROXY")
            .env("RESOLVER", resolver)
            .env("ACRSCOPED_LOG", "debug");
        let answer = ask(unshared, "get", REGISTRY).fails();
        assert_eq!(
            answer.stdout,
            "the name login.microsoftonline.com was not found\n"
        );
        assert_eq!(
            answer.stderr.matches("trying again").count(),
            2,
            "{}: {}",
            program.display(),
            answer.stderr
        );
    }
}

#[test]
fn entras_codes_are_told_with_what_to_do() {
    for (edit, code, hint) in [
        (
            ("AZURE_CLIENT_SECRET", "wrong"),
            "AADSTS7000215",
            "hint: `AZURE_CLIENT_SECRET` must be the secret's value, not its id",
        ),
        (
            ("AZURE_CLIENT_ID", "11111111-2222-3333-4444-555555555555"),
            "AADSTS700016",
            "hint: check `AZURE_CLIENT_ID` and `AZURE_TENANT_ID`",
        ),
        (
            ("AZURE_TENANT_ID", "11111111-2222-3333-4444-555555555555"),
            "AADSTS90002",
            "hint: check `AZURE_TENANT_ID`, and the cloud: the helper used login.microsoftonline.com",
        ),
    ] {
        let (answer, simulator) = get(
            |_| {},
            |command| {
                command.env(edit.0, edit.1);
            },
        );
        let line = answer.stdout.trim_end();
        assert!(
            line.starts_with("could not get an access token from service principal ")
                && line.contains(code),
            "{line}"
        );
        assert!(
            !line.contains("Trace ID") && answer.stderr.contains("\n  - Trace ID: "),
            "{}",
            answer.stderr
        );
        assert!(
            answer
                .stderr
                .lines()
                .last()
                .is_some_and(|last| last.starts_with(hint)),
            "{}",
            answer.stderr
        );
        assert!(
            simulator
                .journal()
                .iter()
                .all(|entry| entry.endpoint != Endpoint::Exchange)
        );
    }
    let (answer, _simulator) = get(|settings| settings.apps[0].secret_expired = true, |_| {});
    assert!(answer.stdout.contains("AADSTS7000222"), "{answer:?}");
}

#[test]
fn the_deadline_ends_a_sign_in_and_an_exchange_that_never_answer() {
    for (at, line) in [
        (
            FaultAt::Authority,
            format!(
                "an access token from service principal {}",
                simulator::CLIENT
            ),
        ),
        (
            FaultAt::Exchange,
            "a refresh token from contoso.azurecr.io".to_owned(),
        ),
    ] {
        let (answer, _simulator) = get(fault(at, FaultKind::Delay { ms: 600_000 }), |command| {
            command.env("ACRSCOPED_TIMEOUT", "1");
        });
        let line = format!("timed out after 1 s waiting for {line}\n");
        assert_eq!(answer.stdout, line, "{answer:?}");
    }
}

#[test]
fn a_sign_in_that_is_throttled_once_succeeds() {
    let (answer, simulator) = get(
        |settings| {
            settings.faults.push(Fault::once(
                FaultAt::Authority,
                FaultKind::too_many_requests(1),
            ));
        },
        |_| {},
    );
    answer.succeeds();
    let sign_ins = simulator
        .journal()
        .iter()
        .filter(|entry| entry.endpoint == Endpoint::EntraToken)
        .count();
    assert_eq!(sign_ins, 2);
}
