//! The page `docs/faults.md`: every fault that is tried, and what a person then reads. The page is what the shipped binary says.
#![cfg(target_os = "linux")]

mod support;

use simulator::{BadCertificate, CLIENT, FaultAt, FaultKind, Raw, Simulator};
use std::fmt::Write as _;
use std::process::Command;
use support::run::in_parallel;
use support::setups::{Prepare, azure_cli, connect, fail, status};
use support::{Answer, Home, REGISTRY, ask, helper, world};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/faults.md");
const AGAIN: &str = "ACRSCOPED_UPDATE_DOCS=1 cargo test --test faults";

const INTRODUCTION: &str = "\
# Error messages and what to do about them

The first sentence of an error goes to stdout, for the client to show. The whole message goes to stderr, with its causes and a hint.
A test produces each row: it runs the helper against a simulated Azure and compares this page with the output.
`ID` stands for an ID that differs each time, `N` for a number, `…` for a folder.
";

/// What is wrong, in words, and how it is brought about.
struct Row {
    wrong: &'static str,
    prepare: Prepare,
}

fn row(
    wrong: &'static str,
    prepare: impl Fn(&Home, &Simulator, &mut Command) + Send + Sync + 'static,
) -> Row {
    Row {
        wrong,
        prepare: Box::new(prepare),
    }
}

/// A setting of these values.
fn setting(wrong: &'static str, name: &'static str, value: &'static str) -> Row {
    row(wrong, move |_, _, command| {
        command.env(name, value);
    })
}

/// A fault at one place, under a deadline of a second where nothing else ends it.
fn fault(wrong: &'static str, at: FaultAt, kind: FaultKind) -> Row {
    row(wrong, move |_, simulator, command| {
        let raw_and_held = matches!(&kind, FaultKind::Raw(raw) if raw.hold);
        if raw_and_held || matches!(kind, FaultKind::Delay { .. }) {
            command.env("ACRSCOPED_TIMEOUT", "1");
        }
        fail(simulator, &at, &kind);
    })
}

fn bytes(start: impl Into<Vec<u8>>) -> FaultKind {
    FaultKind::Raw(Raw {
        start: start.into(),
        ..Raw::default()
    })
}

fn json(body: &str) -> FaultKind {
    status(200, body)
}

/// A refusal of Entra, in its own shape.
fn entra(code: u32, text: &str) -> FaultKind {
    status(
        400,
        &format!(
            r#"{{"error":"invalid_grant","error_description":"AADSTS{code}: {text}","error_codes":[{code}]}}"#
        ),
    )
}

fn machine(simulator: &Simulator, command: &mut Command) {
    command
        .env_remove("AZURE_CLIENT_SECRET")
        .env_remove("AZURE_CLIENT_ID");
    command.env(
        "IDENTITY_ENDPOINT",
        format!("{}/msi/token", simulator.origin()),
    );
    command.env("IDENTITY_HEADER", &simulator.settings().identity_header);
}

fn settings() -> Vec<Row> {
    vec![
        row(
            "Nothing is set up and no account is signed in",
            |_, _, command| {
                command
                    .env_remove("AZURE_CLIENT_SECRET")
                    .env("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:1");
            },
        ),
        row(
            "The service principal has a secret, but no tenant",
            |_, _, command| {
                command.env_remove("AZURE_TENANT_ID");
            },
        ),
        setting(
            "`ACRSCOPED_CACHE` has an unknown value",
            "ACRSCOPED_CACHE",
            "keychain",
        ),
        setting(
            "`ACRSCOPED_TIMEOUT` is no number",
            "ACRSCOPED_TIMEOUT",
            "1h",
        ),
        setting(
            "The authority is given without TLS",
            "AZURE_AUTHORITY_HOST",
            "http://login.microsoftonline.com",
        ),
        setting(
            "The authority is unknown",
            "AZURE_AUTHORITY_HOST",
            "https://login.fabrikam.example",
        ),
        row("Others can change the config file", |home, _, command| {
            let file = home.write("config.toml", "");
            #[cfg(unix)]
            std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o666))
                .expect("our file");
            command.env("ACRSCOPED_CONFIG", file);
        }),
        setting(
            "The extra CA file is reached through `/proc`",
            "ACRSCOPED_CA_FILE",
            "/proc/self/cwd/ca.pem",
        ),
        setting(
            "The extra CA file is not there",
            "ACRSCOPED_CA_FILE",
            "/nowhere/ca.pem",
        ),
        row(
            "The extra CA file holds no certificate",
            |home, _, command| {
                command.env("ACRSCOPED_CA_FILE", home.write("ca.pem", "nothing\n"));
            },
        ),
        setting(
            "The system's CA file is not there",
            "SSL_CERT_FILE",
            "/nowhere/ca.pem",
        ),
        setting(
            "The federated token's file is not there",
            "AZURE_FEDERATED_TOKEN_FILE",
            "/nowhere/token",
        ),
    ]
}

fn sign_in() -> Vec<Row> {
    let consent = "The user or administrator has not consented to use the application.";
    vec![
        setting("The secret is wrong", "AZURE_CLIENT_SECRET", "wrong"),
        row("The secret has expired", |_, simulator, _| {
            simulator.change(|settings| settings.apps[0].secret_expired = true);
        }),
        setting(
            "The application does not exist",
            "AZURE_CLIENT_ID",
            "11111111-2222-3333-4444-555555555555",
        ),
        setting(
            "The tenant does not exist",
            "AZURE_TENANT_ID",
            "11111111-2222-3333-4444-555555555555",
        ),
        fault(
            "Conditional Access blocks the sign-in",
            FaultAt::Authority,
            entra(
                53003,
                "Access has been blocked by Conditional Access policies.",
            ),
        ),
        fault(
            "No one has consented to the application",
            FaultAt::Authority,
            entra(65001, consent),
        ),
        row(
            "The federated token is that of another workload",
            |home, simulator, command| {
                simulator.change(|settings| {
                    settings.apps[0].federated_credentials[0].subject = "this:workload".into();
                });
                command.env(
                    "AZURE_FEDERATED_TOKEN_FILE",
                    home.write("token", simulator.assertion("somebody:else")),
                );
            },
        ),
        fault(
            "Entra asks to wait for five minutes",
            FaultAt::Authority,
            FaultKind::too_many_requests(300),
        ),
        fault(
            "Entra is unavailable",
            FaultAt::Authority,
            FaultKind::status(503),
        ),
        row(
            "The Azure CLI requires a second factor",
            |home, _, command| {
                azure_cli(
                    home,
                    command,
                    "echo 'ERROR: AADSTS50076: You must use multi-factor authentication.' >&2; exit 1",
                );
            },
        ),
        row("The Azure CLI hangs", |home, _, command| {
            azure_cli(home, command, "sleep 300");
            command.env("ACRSCOPED_TIMEOUT", "1");
        }),
        row(
            "The Azure CLI gives a token that is not for registries",
            |home, _, command| {
                let payload = azure_core::base64::encode_url_safe(
                    r#"{"aud":"https://management.azure.com"}"#,
                );
                let token = format!("e30.{}.c2ln", payload.trim_end_matches('='));
                let answer = format!(
                    r#"{{"accessToken":"{token}","expires_on":4102444800,"tokenType":"Bearer"}}"#
                );
                azure_cli(home, command, &format!("echo '{answer}'"));
            },
        ),
        row(
            "The managed identity is not assigned to the machine",
            |_, simulator, command| {
                machine(simulator, command);
                command.env("AZURE_CLIENT_ID", "11111111-2222-3333-4444-555555555555");
            },
        ),
        row(
            "The header of the managed identity's endpoint is wrong",
            |_, simulator, command| {
                machine(simulator, command);
                command.env("IDENTITY_HEADER", "another");
            },
        ),
    ]
}

fn registry() -> Vec<Row> {
    let no_role = |shape| {
        move |_: &Home, simulator: &Simulator, _: &mut Command| {
            simulator.change(|settings| {
                settings.error_shape = shape;
                settings.registry_mut(REGISTRY).roles.clear();
            });
        }
    };
    vec![
        row(
            "The identity has no role on the registry",
            no_role(simulator::ErrorShape::Y2026),
        ),
        row(
            "The same, as registries said it in 2024",
            no_role(simulator::ErrorShape::Y2024),
        ),
        row(
            "The same, as registries said it in 2021",
            no_role(simulator::ErrorShape::Y2021),
        ),
        fault(
            "The token's audience, tenant or cloud is not the registry's",
            FaultAt::Exchange,
            status(
                401,
                r#"{"errors":[{"code":"UNAUTHORIZED","message":"token validation failed"}]}"#,
            ),
        ),
        row("A network rule blocks you", |_, simulator, _| {
            simulator.change(|settings| {
                settings.registry_mut(REGISTRY).firewall = Some("203.0.113.9".into());
            });
        }),
        fault(
            "The registry asks to wait for five minutes",
            FaultAt::Exchange,
            FaultKind::too_many_requests(300),
        ),
        fault(
            "The host is no container registry",
            FaultAt::Exchange,
            FaultKind::status(404),
        ),
        fault(
            "The registry is unavailable",
            FaultAt::Exchange,
            FaultKind::status(500),
        ),
        fault(
            "The registry answers with an error page of its own",
            FaultAt::Exchange,
            status(504, "<html><h1>504 Gateway Time-out</h1></html>"),
        ),
        fault(
            "The registry never answers",
            FaultAt::Exchange,
            FaultKind::Delay { ms: 60_000 },
        ),
        row(
            "The clock of this machine is wrong, and the registry refuses the token",
            |_, simulator, _| {
                simulator.change(|settings| {
                    settings.clock_skew = -7_200;
                    settings.registry_mut(REGISTRY).roles.clear();
                    settings.error_shape = simulator::ErrorShape::Y2024;
                });
            },
        ),
    ]
}

fn network() -> Vec<Row> {
    let certificate = |wrong, bad| fault(wrong, connect(), FaultKind::Certificate(bad));
    vec![
        setting(
            "The proxy is not there",
            "HTTPS_PROXY",
            "http://user:password@127.0.0.1:1",
        ),
        fault(
            "The proxy requires a password",
            connect(),
            FaultKind::status(407),
        ),
        fault(
            "The proxy does not let you to the registry",
            connect(),
            FaultKind::status(403),
        ),
        fault(
            "The proxy cannot reach the registry",
            connect(),
            FaultKind::status(502),
        ),
        fault(
            "The proxy never answers",
            FaultAt::Connect("*".into()),
            FaultKind::Delay { ms: 60_000 },
        ),
        certificate(
            "A proxy inspects TLS, and its CA is not trusted",
            BadCertificate::UnknownIssuer,
        ),
        certificate(
            "The registry's certificate has expired",
            BadCertificate::Expired,
        ),
        certificate(
            "The registry's certificate is that of another host",
            BadCertificate::OtherName,
        ),
        certificate(
            "The registry's certificate is its own issuer",
            BadCertificate::SelfSigned,
        ),
        fault(
            "The network requires a sign-in, and answers with its page instead of Entra",
            FaultAt::Authority,
            FaultKind::Html,
        ),
        fault(
            "The same for the registry",
            FaultAt::Exchange,
            FaultKind::Html,
        ),
        fault(
            "A redirect to another host",
            FaultAt::Exchange,
            FaultKind::Redirect {
                to: "http://portal.example/".into(),
            },
        ),
        fault(
            "Connections to the registry are reset",
            FaultAt::Exchange,
            FaultKind::Reset,
        ),
        fault(
            "The registry's answer breaks off",
            FaultAt::Exchange,
            bytes("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"refresh_token\":\""),
        ),
        fault(
            "Entra never answers",
            FaultAt::Authority,
            FaultKind::Delay { ms: 60_000 },
        ),
    ]
}

fn hostile() -> Vec<Row> {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    let slow = Raw {
        start: format!("{head}Content-Length: 1000\r\n\r\n").into(),
        then: b" ".to_vec(),
        times: 1_000,
        every_ms: 1_000,
        hold: true,
    };
    let said = r#"{"errors":[{"message":"\u001b[2J\u202egood\u0007\r\nnews"}]}"#;
    let long = format!(r#"{{"refresh_token":"{}"}}"#, "x".repeat(64 * 1024));
    vec![
        fault(
            "An answer without end",
            FaultAt::Exchange,
            FaultKind::EndlessBody,
        ),
        fault(
            "An answer of one byte a second",
            FaultAt::Exchange,
            FaultKind::Raw(slow),
        ),
        fault(
            "An answer with 10,000 headers",
            FaultAt::Exchange,
            bytes(format!("{head}{}\r\n", "X-A: b\r\n".repeat(10_000))),
        ),
        fault(
            "An answer that is not HTTP",
            FaultAt::Exchange,
            bytes("SSH-2.0-OpenSSH_9.2\r\n"),
        ),
        fault(
            "An answer that says it is compressed",
            FaultAt::Exchange,
            bytes(format!(
                "{head}Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x08\0"
            )),
        ),
        fault(
            "JSON 100,000 deep",
            FaultAt::Exchange,
            json(&"[".repeat(100_000)),
        ),
        fault(
            "JSON 100,000 deep from Entra",
            FaultAt::Authority,
            json(&"[".repeat(100_000)),
        ),
        fault(
            "A message that would drive a terminal",
            FaultAt::Exchange,
            status(403, said),
        ),
        fault("A refresh token of 64 KiB", FaultAt::Exchange, json(&long)),
        fault(
            "A refresh token with a line break in it",
            FaultAt::Exchange,
            json(r#"{"refresh_token":"a\nb"}"#),
        ),
        fault(
            "An empty refresh token",
            FaultAt::Exchange,
            json(r#"{"refresh_token":""}"#),
        ),
        fault(
            "Two refresh tokens",
            FaultAt::Exchange,
            json(r#"{"refresh_token":"a","refresh_token":"b"}"#),
        ),
        fault(
            "Entra leads to another host",
            FaultAt::Authority,
            FaultKind::Redirect {
                to: "https://evil.example/".into(),
            },
        ),
        fault(
            "Entra closes the connection without an answer",
            FaultAt::Authority,
            bytes(""),
        ),
    ]
}

/// The cell of a sentence: what differs from run to run is named instead.
fn cell(text: &str, home: &Home, simulator: &Simulator) -> String {
    let text = text
        .replace(&simulator.folder().display().to_string(), "…")
        .replace(&home.root().display().to_string(), "…")
        .replace(
            simulator.origin().trim_start_matches("http://"),
            "127.0.0.1:N",
        )
        .replace(CLIENT, "ID")
        .replace('|', "\\|");
    let words = text.split(' ').map(|word| {
        let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let is_time = bare.len() >= 9 && bare.bytes().all(|byte| byte.is_ascii_digit());
        let is_id = bare.len() == 36
            && bare
                .bytes()
                .all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        if is_id || is_time {
            word.replace(bare, if is_id { "ID" } else { "N" })
        } else {
            word.to_owned()
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// A hint in one line: its commands stand in backticks behind the sentence.
fn hint_in_a_cell(hint: &str) -> String {
    let (commands, sentences): (Vec<&str>, Vec<&str>) =
        hint.lines().partition(|line| line.starts_with("  "));
    let commands = commands.iter().map(|line| format!("`{}`", line.trim()));
    let parts = [sentences.join(" "), commands.collect::<Vec<_>>().join(", ")];
    let parts = parts.into_iter().filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(": ")
}

fn run(row: &Row) -> String {
    let (home, simulator) = world();
    let mut command = helper(&home, &simulator);
    (row.prepare)(&home, &simulator, &mut command);
    let answer: Answer = ask(command, "get", REGISTRY);
    assert_eq!(answer.code(), 1, "{}: {answer:#?}", row.wrong);
    let line = answer
        .stdout
        .strip_suffix('\n')
        .filter(|line| !line.contains('\n'));
    let line = line.unwrap_or_else(|| panic!("{}: not one line: {answer:#?}", row.wrong));
    // Warnings come before it.
    let start = format!("docker-credential-acrscoped: {line}");
    let whole = answer.stderr.lines().find(|it| it.starts_with(&start));
    let whole = whole.unwrap_or_else(|| panic!("{}: no message: {answer:#?}", row.wrong));
    let whole = whole.trim_start_matches("docker-credential-acrscoped: ");
    let hint = match answer.stderr.split_once("\nhint: ") {
        Some((_, hint)) => hint_in_a_cell(hint),
        None => "–".to_owned(),
    };
    format!(
        "| {} | {} | {} |\n",
        row.wrong,
        cell(whole, &home, &simulator),
        cell(&hint, &home, &simulator)
    )
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a test is a process edge of its own"
)]
fn the_page_of_faults_is_what_the_helper_says() {
    let mut page = INTRODUCTION.to_owned();
    let mut count = 0;
    for (title, rows) in [
        ("Settings", settings()),
        ("The sign-in", sign_in()),
        ("The registry", registry()),
        ("The network between", network()),
        (
            "Answers that are broken, or meant to break something",
            hostile(),
        ),
    ] {
        write!(
            page,
            "\n## {title}\n\n| what was wrong | what you read | hint |\n| --- | --- | --- |\n"
        )
        .expect("a string");
        let lines = in_parallel(&rows, run);
        count += lines.len();
        page.extend(lines);
    }
    write!(page, "\nThese {count} rows are written by `{AGAIN}`.\n").expect("a string");
    if std::env::var_os("ACRSCOPED_UPDATE_DOCS").is_some() {
        std::fs::write(PAGE, &page).expect("the folder docs");
    }
    let kept = std::fs::read_to_string(PAGE).unwrap_or_default();
    let changed: Vec<&str> = page
        .lines()
        .filter(|line| !kept.lines().any(|kept| kept == *line))
        .collect();
    assert!(
        kept == page,
        "docs/faults.md is not what the helper says; write it anew with\n  {AGAIN}\nit would say:\n{}",
        changed.join("\n")
    );
}
