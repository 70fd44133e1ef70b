//! Peers that misbehave in every way that fits on the wire: each ends in bounded time and memory with a sentence, no token goes
//! anywhere else, and the terminal receives nothing that drives it.
#![cfg(target_os = "linux")]

mod support;

use simulator::{BadCertificate, Endpoint, Fault, FaultAt, FaultKind, Raw, Simulator};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use support::run::in_parallel;
use support::{Answer, Home, LIMIT, REGISTRY, ask, helper, run, world, wrap};

const AUTHORITY: &str = "login.microsoftonline.com";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
const PIECE: usize = 64 * 1024;

/// What a peer's answer comes to.
enum Outcome {
    /// The connection is at fault, for this reason.
    Broken(&'static str),
    /// It never comes to an end.
    Late,
    /// It is whole, but there is no token in it.
    NoToken,
    /// It is nothing but a status.
    Status(u16),
    /// It is a web page.
    Page(u16),
    /// It is a redirect to this place.
    Redirect(&'static str),
}
use Outcome::{Broken, Late, NoToken, Page, Redirect, Status};

fn bytes(start: impl Into<Vec<u8>>) -> Raw {
    Raw {
        start: start.into(),
        ..Raw::default()
    }
}

/// A head, then pieces without end.
fn flood(start: impl Into<Vec<u8>>, then: impl Into<Vec<u8>>) -> Raw {
    Raw {
        then: then.into(),
        times: u64::MAX,
        ..bytes(start)
    }
}

fn trickle(start: impl Into<Vec<u8>>) -> Raw {
    Raw {
        then: b"H".to_vec(),
        times: 1_000,
        every_ms: 1_000,
        hold: true,
        ..bytes(start)
    }
}

fn json(body: impl AsRef<[u8]>) -> Raw {
    let body = body.as_ref();
    bytes(
        [
            format!("{OK}Content-Length: {}\r\n\r\n", body.len()).as_bytes(),
            body,
        ]
        .concat(),
    )
}

fn status(line: &str, more: &str) -> Raw {
    bytes(format!(
        "HTTP/1.1 {line}\r\n{more}Content-Length: 0\r\n\r\n"
    ))
}

/// Three quarters of a gibibyte of zeros, in less than one of the mebibytes that are read.
fn gzip_bomb() -> Raw {
    let output = Command::new("sh")
        .args(["-c", "head -c 67108864 /dev/zero | gzip -9"])
        .output()
        .expect("gzip");
    let body = output.stdout.repeat(12);
    let head = format!(
        "{OK}Content-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    bytes([head.as_bytes(), &body].concat())
}

/// Answers that are wrong below or at the level of HTTP.
fn broken_answers() -> Vec<(&'static str, Raw, Outcome)> {
    let chunked = format!("{OK}Transfer-Encoding: chunked\r\n\r\n");
    let gibibyte = Raw {
        then: vec![b'A'; PIECE],
        times: 16 * 1024,
        ..bytes(format!("{OK}Content-Length: 1073741824\r\n\r\n"))
    };
    let too_long = "the answer is longer than 1048576 bytes";
    let large_head = "message head is too large";
    vec![
        (
            "a body without end",
            flood(format!("{OK}\r\n"), vec![b'A'; PIECE]),
            Broken(too_long),
        ),
        ("a gibibyte", gibibyte, Broken(too_long)),
        (
            "a body of one byte a second",
            trickle(format!("{OK}Content-Length: 1000\r\n\r\n")),
            Late,
        ),
        ("a head of one byte a second", trickle(""), Late),
        (
            "silence",
            Raw {
                hold: true,
                ..bytes("")
            },
            Late,
        ),
        // Paced, since a debug build that reads without a pause does not come to look at the clock.
        (
            "continue without end",
            Raw {
                every_ms: 1,
                ..flood("", b"HTTP/1.1 100 Continue\r\n\r\n".repeat(10))
            },
            Late,
        ),
        (
            "fewer bytes than announced",
            bytes(format!("{OK}Content-Length: 1000\r\n\r\n{{}}")),
            Broken("end of file before message length reached"),
        ),
        (
            "more bytes than announced",
            bytes(format!(
                "{OK}Content-Length: 10\r\n\r\n{{\"refresh_token\":\"x\"}}"
            )),
            NoToken,
        ),
        (
            "a negative length",
            bytes(format!("{OK}Content-Length: -1\r\n\r\n{{}}")),
            Broken("invalid content-length parsed"),
        ),
        (
            "two lengths",
            bytes(format!(
                "{OK}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{{}}"
            )),
            Broken("invalid content-length parsed"),
        ),
        (
            "a length near 2^64",
            bytes(format!(
                "{OK}Content-Length: 18446744073709551615\r\n\r\n{{}}"
            )),
            Broken(large_head),
        ),
        ("a gzip bomb", gzip_bomb(), NoToken),
        (
            "10,000 headers",
            bytes(format!("{OK}{}\r\n{{}}", "X-A: b\r\n".repeat(10_000))),
            Broken(large_head),
        ),
        (
            "one header of 4 MiB",
            bytes(format!("{OK}X-A: {}\r\n\r\n{{}}", "b".repeat(4 << 20))),
            Broken(large_head),
        ),
        (
            "a header without end",
            flood(format!("{OK}X-A: "), vec![b'A'; PIECE]),
            Broken(large_head),
        ),
        (
            "another protocol",
            bytes("SSH-2.0-OpenSSH_9.2\r\n"),
            Broken("invalid HTTP version parsed"),
        ),
        (
            "a connection closed at once",
            bytes(""),
            Broken("connection closed before message completed"),
        ),
        (
            "chunks of a few bytes",
            flood(
                chunked.as_str(),
                b"20\r\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n".repeat(1_000),
            ),
            Broken(too_long),
        ),
        (
            "a chunk of more than 2^64 bytes",
            bytes(format!("{chunked}FFFFFFFFFFFFFFFFFFF\r\nA")),
            Broken("invalid chunk size: overflow"),
        ),
        (
            "a chunk extension without end",
            flood(format!("{chunked}1;"), vec![b'A'; PIECE]),
            Broken("chunk extensions over limit"),
        ),
        (
            "trailers without end",
            flood(format!("{chunked}0\r\n"), b"A: b\r\n".repeat(1_000)),
            Broken("chunk trailers count overflow"),
        ),
        (
            "a status that is none",
            status("099 Odd", ""),
            Broken("invalid HTTP status-code parsed"),
        ),
        (
            "a header with control characters",
            bytes(
                b"HTTP/1.1 302 F\r\nLocation: https://x/\x1b[31m\xe2\x80\xae\xff\r\n\r\n"
                    .as_slice(),
            ),
            Broken("invalid HTTP header parsed"),
        ),
    ]
}

/// Answers that are good HTTP and no token.
fn whole_answers() -> Vec<(&'static str, Raw, Outcome)> {
    let page = "\r\n<!DOCTYPE html><html><h1>Please sign in</h1></html>";
    vec![
        (
            "another protocol agreed on",
            bytes("HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n{}"),
            Status(101),
        ),
        ("a status nobody knows", status("999 Odd", ""), Status(999)),
        ("no body", json(""), NoToken),
        (
            "text that is no UTF-8",
            json(b"\xff\xfe{\"refresh_token\":\"a\"}"),
            NoToken,
        ),
        (
            "JSON 100,000 deep",
            json(format!("{{\"refresh_token\":{}", "[".repeat(100_000))),
            NoToken,
        ),
        (
            "JSON 100,000 deep beside",
            json(format!("{{\"x\":{}", "[".repeat(100_000))),
            NoToken,
        ),
        (
            "objects 100,000 deep",
            json("{\"a\":".repeat(100_000)),
            NoToken,
        ),
        ("a null", json("null"), NoToken),
        ("a number", json("7"), NoToken),
        (
            "a redirect to http",
            status("307 T", &to("http://contoso.azurecr.io/x")),
            Redirect("http://contoso.azurecr.io/x"),
        ),
        (
            "a redirect to another host",
            status("308 P", &to("https://evil.example/")),
            Redirect("https://evil.example/"),
        ),
        (
            "a redirect to itself",
            status("302 F", &to("/oauth2/exchange")),
            Redirect("/oauth2/exchange"),
        ),
        (
            "a redirect in two directions",
            status("302 F", &to("https://x/\u{202e}abc\u{9b}31m")),
            Redirect("https://x/abc31m"),
        ),
        (
            "a web page",
            bytes(format!("HTTP/1.1 200 OK\r\n{page}")),
            Page(200),
        ),
        (
            "a page to sign in to the network",
            bytes(format!("HTTP/1.1 511 N\r\n{page}")),
            Page(511),
        ),
    ]
}

fn to(location: &str) -> String {
    format!("Location: {location}\r\n")
}

/// Whom the helper asks, in its words.
struct Peer {
    at: FaultAt,
    /// Host, or host and port.
    host: String,
    /// Who gives no access token, unless this is the registry.
    source: Option<&'static str>,
}

const PRINCIPAL: &str = "service principal 5b8d3e17-64c2-4f0a-9d15-7a2e8c40b6f1";
const MANAGED: &str = "the system-assigned managed identity";

impl Peer {
    fn line(&self, outcome: &Outcome, limit: u64) -> String {
        let (host, refused) = (
            &self.host,
            self.source
                .map(|source| format!("could not get an access token from {source}:")),
        );
        match (outcome, refused) {
            // No proxy is in play on the way to an endpoint of the machine itself.
            (Broken(cause), Some(refused)) if host != AUTHORITY => {
                format!("{refused} incomplete response from {host}: {cause}")
            }
            (Broken(cause), _) => format!("incomplete response from {host}: {cause}"),
            (Late, None) => {
                format!("timed out after {limit} s waiting for a refresh token from {host}")
            }
            (Late, Some(_)) => {
                format!(
                    "timed out after {limit} s waiting for an access token from {}",
                    self.source.unwrap_or_default()
                )
            }
            (NoToken, None) => {
                format!("{host} answered the exchange with something other than a refresh token")
            }
            (NoToken, Some(refused)) => format!("{refused} the answer holds no token"),
            (Status(code), None) => format!("{host} answered the exchange with {code}"),
            (Status(code), Some(refused)) => format!("{refused} it answered with {code}"),
            (Page(code), None) => {
                format!("{host} answered the exchange with a web page: {code}")
            }
            (Page(code), Some(refused)) => {
                format!("{refused} the answer was a web page: {code}")
            }
            (Redirect(to), None) => format!(
                "{host} answered the exchange with a redirect to `{to}`, which is not followed"
            ),
            (Redirect(to), Some(refused)) => {
                format!("{refused} the answer was a redirect to `{to}`, which is not followed")
            }
        }
    }
}

/// The helper with at most 24 MiB of memory of its own, and a trap for requests in the clear. The binary and libc come on top.
fn bounded(home: &Home, simulator: &Simulator, at: &FaultAt) -> Command {
    let mut command = helper(home, simulator);
    command.env("HTTP_PROXY", simulator.origin());
    if matches!(at, FaultAt::AppService | FaultAt::Imds) {
        command
            .env_remove("AZURE_CLIENT_SECRET")
            .env_remove("AZURE_CLIENT_ID");
    }
    if matches!(at, FaultAt::AppService) {
        command.env(
            "IDENTITY_ENDPOINT",
            format!("{}/msi/token", simulator.origin()),
        );
        command.env("IDENTITY_HEADER", &simulator.settings().identity_header);
    }
    wrap(
        &["sh", "-c", r#"ulimit -d 24576; exec "$0" "$@""#],
        &command,
    )
}

/// Nothing that a terminal would obey.
#[track_caller]
fn is_harmless(answer: &Answer) {
    for c in answer.text().chars().filter(|c| *c != '\n') {
        let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        assert!(!c.is_control() && !turns, "{c:?} in {answer:#?}");
    }
}

/// Every token that went out went to the exchange of the registry, and nobody else was asked for anything.
#[track_caller]
fn no_token_went_elsewhere(simulator: &Simulator) {
    for entry in simulator.journal() {
        let is_exchange = entry.endpoint == Endpoint::Exchange && entry.host == REGISTRY;
        let is_source = matches!(
            entry.endpoint,
            Endpoint::EntraToken | Endpoint::AppService | Endpoint::Imds
        );
        let is_tunnel = entry.endpoint == Endpoint::Connect
            && [AUTHORITY, REGISTRY].contains(&entry.host.as_str());
        assert!(is_exchange || is_source || is_tunnel, "{entry:?}");
        assert!(entry.token.is_none() || is_exchange, "{entry:?}");
    }
}

/// Runs every answer at one place.
fn meet(at: &FaultAt, source: Option<&'static str>) {
    let rows: Vec<_> = broken_answers()
        .into_iter()
        .chain(whole_answers())
        .collect();
    in_parallel(&rows, |(what, raw, outcome)| {
        is_told_and_costs_little(at, source, what, raw, outcome);
    });
}

fn is_told_and_costs_little(
    at: &FaultAt,
    source: Option<&'static str>,
    what: &str,
    raw: &Raw,
    outcome: &Outcome,
) {
    let (home, simulator) = world();
    let host = match at {
        FaultAt::Exchange => REGISTRY.to_owned(),
        FaultAt::Authority => AUTHORITY.to_owned(),
        _ => simulator.origin().trim_start_matches("http://").to_owned(),
    };
    let at = at.clone();
    let peer = Peer { at, host, source };
    let limit = if matches!(outcome, Late) { 1 } else { 60 };
    simulator.change(|settings| {
        settings.faults = vec![
            // The question whether there is a metadata service at all, answered as it should be.
            Fault::once(FaultAt::Imds, FaultKind::status(400)),
            Fault::always(peer.at.clone(), FaultKind::Raw(raw.clone())),
        ];
    });
    let mut command = bounded(&home, &simulator, &peer.at);
    command.env("ACRSCOPED_TIMEOUT", limit.to_string());
    let answer = ask(command, "get", REGISTRY);
    assert_eq!(answer.code(), 1, "{what}: {answer:#?}");
    assert_eq!(
        answer.stdout,
        format!("{}\n", peer.line(outcome, limit)),
        "{what}: {answer:#?}"
    );
    is_harmless(&answer);
    no_token_went_elsewhere(&simulator);
    let exchanges = simulator
        .journal()
        .iter()
        .filter(|entry| entry.endpoint == Endpoint::Exchange)
        .count();
    assert_eq!(exchanges > 0, peer.source.is_none(), "{what}");
}

#[test]
fn an_authority_that_misbehaves_is_told_and_costs_little() {
    meet(&FaultAt::Authority, Some(PRINCIPAL));
}

#[test]
fn a_registry_that_misbehaves_is_told_and_costs_little() {
    meet(&FaultAt::Exchange, None);
}

#[test]
fn an_identity_endpoint_that_misbehaves_is_told_and_costs_little() {
    meet(&FaultAt::AppService, Some(MANAGED));
}

#[test]
fn a_metadata_service_that_misbehaves_is_told_and_costs_little() {
    meet(&FaultAt::Imds, Some(MANAGED));
}

/// Runs one `get` with one fault.
fn get_with(at: &FaultAt, kind: FaultKind) -> (Answer, Simulator) {
    let (home, simulator) = world();
    simulator.change(|settings| settings.faults = vec![Fault::always(at.clone(), kind)]);
    let answer = ask(bounded(&home, &simulator, at), "get", REGISTRY);
    is_harmless(&answer);
    no_token_went_elsewhere(&simulator);
    (answer, simulator)
}

fn replies(at: &FaultAt, body: &str) -> Answer {
    get_with(at, FaultKind::Raw(json(body))).0
}

#[test]
fn what_a_peer_says_cannot_drive_a_terminal() {
    let said = r"a\u001b[31m\u202eb\u0007\u009b\r\nc\u0000\u200f\u2066";
    for (at, line) in [
        (
            FaultAt::Authority,
            format!("could not get an access token from {PRINCIPAL}: AADSTS7000215: a[31mb\n"),
        ),
        (
            FaultAt::AppService,
            format!("could not get an access token from {MANAGED}: AADSTS7000215: a[31mb\n"),
        ),
        (
            FaultAt::Exchange,
            "contoso.azurecr.io refused the access token: 403, a[31mb c\n".into(),
        ),
    ] {
        let body = format!(
            r#"{{"error":"invalid_client","error_description":"AADSTS7000215: {said}","errors":[{{"code":"DENIED","message":"{said}"}}]}}"#
        );
        let headers = "X-Ms-Correlation-Request-Id: \u{202e}a\u{9b}31mb\r\nDate: \u{202e}soon\r\n";
        let raw = bytes(format!(
            "HTTP/1.1 403 F\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        assert_eq!(get_with(&at, FaultKind::Raw(raw)).0.stdout, line);
    }
}

#[test]
fn a_refresh_token_that_cannot_be_one_is_not_handed_out() {
    let long = "x".repeat(64 * 1024);
    let unfit = [
        "",
        &long,
        r"a\nb",
        r"a\r\nX-Header: b",
        r"a\u0000b",
        "a b",
        "\u{202e}a",
        "ä",
        r"a\u007fb",
        "x';>y;'",
        "a%0Ab",
    ];
    for token in unfit {
        let answer = replies(
            &FaultAt::Exchange,
            &format!(r#"{{"refresh_token":"{token}"}}"#),
        );
        assert_eq!(answer.code(), 1);
        assert_eq!(
            answer.stdout,
            "contoso.azurecr.io answered the exchange with a malformed refresh token\n"
        );
    }
    for body in [
        r#"{"refresh_token":7}"#,
        r#"{"refresh_token":"a","refresh_token":"b"}"#,
        "[]",
    ] {
        let answer = replies(&FaultAt::Exchange, body);
        assert_eq!(
            answer.stdout,
            "contoso.azurecr.io answered the exchange with something other than a refresh token\n"
        );
    }
}

/// What the help says to run: `eval "$(… token --format env REGISTRY)"`.
#[test]
fn no_answer_of_a_registry_runs_a_command_in_the_users_shell() {
    for format in ["env", "raw"] {
        let (home, simulator) = world();
        let kind = FaultKind::Raw(json(r#"{"refresh_token":"x';>PWNED;'"}"#));
        simulator.change(|settings| settings.faults = vec![Fault::always(FaultAt::Exchange, kind)]);
        let script = r#"eval "$("$0" token --format "$1" contoso.azurecr.io)""#;
        let mut shell = wrap(&["sh", "-c", script], &helper(&home, &simulator));
        shell.arg(format);
        let answer = run(shell, "", LIMIT);
        assert!(!home.path("PWNED").exists(), "{format}: {answer:#?}");
        let line = "docker-credential-acrscoped: contoso.azurecr.io answered the exchange with a malformed refresh token\n";
        assert!(answer.stderr.starts_with(line), "{answer:#?}");
    }
}

/// A registry's token whose `exp` is this JSON.
fn token_until(exp: &str) -> String {
    let payload = azure_core::base64::encode_url_safe(format!("{{{exp}}}"));
    format!("e30.{}.c2ln", payload.trim_end_matches('='))
}

/// When a token ends, and whether it may be kept.
const ENDS: [(&str, bool); 12] = [
    (r#""exp":4102444800"#, true),
    (r#""exp":32503679999"#, true),
    (r#""exp":32503680000"#, false),
    (r#""exp":253402300800"#, false),
    (r#""exp":1"#, false),
    (r#""exp":-5"#, false),
    (r#""exp":18446744073709551615"#, false),
    (r#""exp":99999999999999999999999"#, false),
    (r#""exp":4102444800.5"#, false),
    (r#""exp":"4102444800""#, false),
    (r#""exp":null"#, false),
    ("", false),
];

#[test]
fn a_token_that_says_odd_things_of_its_end_is_handed_out_once() {
    for (exp, is_kept) in ENDS {
        let (home, simulator) = world();
        let token = token_until(exp);
        let kind = FaultKind::Raw(json(format!(r#"{{"refresh_token":"{token}"}}"#)));
        simulator.change(|settings| settings.faults = vec![Fault::always(FaultAt::Exchange, kind)]);
        let mut command = bounded(&home, &simulator, &FaultAt::Exchange);
        command.env("ACRSCOPED_LOG", "debug");
        let answer = ask(command, "get", REGISTRY);
        assert_eq!(answer.secret(), token, "{exp}");
        assert_eq!(
            !answer.stderr.contains("the token is not cached"),
            is_kept,
            "{exp}: {}",
            answer.stderr
        );
    }
}

#[test]
fn no_end_of_a_token_breaks_what_people_are_shown() {
    for exp in [
        4_102_444_800,
        32_503_679_999,
        32_503_680_000,
        253_402_300_799,
        253_402_300_800,
        u64::MAX / 2,
        u64::MAX,
    ] {
        let (home, simulator) = world();
        let token = token_until(&format!(r#""exp":{exp}"#));
        let kind = FaultKind::Raw(json(format!(r#"{{"refresh_token":"{token}"}}"#)));
        simulator.change(|settings| settings.faults = vec![Fault::always(FaultAt::Exchange, kind)]);
        let call = |arguments: &[&str]| {
            let mut command = helper(&home, &simulator);
            command.env("TZ", "Pacific/Kiritimati").args(arguments);
            run(command, "", LIMIT)
        };
        let end = call(&["token", REGISTRY]).succeeds().json()["expiresOn"].clone();
        let is_known = end.as_str().is_some_and(|end| end.starts_with('2'));
        assert!(
            if exp < 32_503_680_000 {
                is_known
            } else {
                end.is_null()
            },
            "{exp}: {end}"
        );
        let answer = call(&["doctor", "--plain", "--verbose", REGISTRY]);
        assert!(
            answer.stdout.contains("refresh-token: "),
            "{exp}: {answer:#?}"
        );
        assert!(!answer.stderr.contains("panicked"), "{exp}: {answer:#?}");
    }
}

#[test]
fn a_token_too_deep_to_be_read_is_handed_out_once_and_the_doctor_says_so() {
    let (home, simulator) = world();
    let token = token_until(&format!(
        r#""a":{}{},"exp":4102444800"#,
        "[".repeat(5_000),
        "]".repeat(5_000)
    ));
    let kind = FaultKind::Raw(json(format!(r#"{{"refresh_token":"{token}"}}"#)));
    simulator.change(|settings| settings.faults = vec![Fault::always(FaultAt::Exchange, kind)]);
    let mut command = bounded(&home, &simulator, &FaultAt::Exchange);
    command.env("ACRSCOPED_LOG", "debug");
    let answer = ask(command, "get", REGISTRY);
    assert_eq!(answer.secret(), token);
    assert!(
        answer.stderr.contains("the token is not cached"),
        "{answer:#?}"
    );
    let mut command = helper(&home, &simulator);
    command.args(["doctor", "--plain", REGISTRY]);
    assert!(
        run(command, "", LIMIT)
            .stdout
            .contains("the refresh token has no expiry, so that it is not cached")
    );
}

/// A user namespace has a user keyring of its own.
#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn only_a_token_that_tells_its_end_is_kept() {
    for (exp, is_kept) in ENDS {
        let (home, simulator) = world();
        let kind = FaultKind::Raw(json(format!(
            r#"{{"refresh_token":"{}"}}"#,
            token_until(exp)
        )));
        simulator.change(|settings| settings.faults = vec![Fault::always(FaultAt::Exchange, kind)]);
        let script =
            r#"printf contoso.azurecr.io | "$0" get && printf contoso.azurecr.io | "$0" get"#;
        let words = ["unshare", "--user", "--map-root-user", "sh", "-c", script];
        let mut twice = wrap(&words, &helper(&home, &simulator));
        twice.env("ACRSCOPED_CACHE", "keyutils");
        run(twice, "", LIMIT).succeeds();
        let exchanges = simulator
            .journal()
            .iter()
            .filter(|entry| entry.endpoint == Endpoint::Exchange)
            .count();
        assert_eq!(exchanges, if is_kept { 1 } else { 2 }, "{exp}");
    }
}

/// A good access token, as the simulated App Service gives it.
fn access_token(simulator: &Simulator) -> String {
    let address = simulator.origin();
    let mut stream =
        TcpStream::connect(address.trim_start_matches("http://")).expect("a simulator");
    let page = "/msi/token?api-version=2019-08-01&resource=https://containerregistry.azure.net";
    let header = &simulator.settings().identity_header;
    write!(
        stream,
        "GET {page} HTTP/1.1\r\nHost: x\r\nX-Identity-Header: {header}\r\nConnection: close\r\n\r\n"
    )
    .expect("a socket");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("a socket");
    let body = answer.split_once("\r\n\r\n").expect("an answer").1;
    let answer: serde_json::Value = serde_json::from_str(body).expect("JSON");
    answer["access_token"].as_str().expect("a token").to_owned()
}

#[test]
fn whatever_a_source_says_of_its_tokens_end_the_program_does_not_break() {
    for (at, source) in [
        (FaultAt::Authority, PRINCIPAL),
        (FaultAt::AppService, MANAGED),
    ] {
        for life in [
            "3599",
            "0",
            "-1",
            "18446744073709551615",
            "9223372036854775807",
            "1e300",
            "1.5",
            "\"3599\"",
            "\"\"",
            "null",
            "{}",
        ] {
            let (home, simulator) = world();
            let token = access_token(&simulator);
            let body = format!(
                r#"{{"token_type":"Bearer","access_token":"{token}","expires_in":{life},"ext_expires_in":{life},"expires_on":{life}}}"#
            );
            simulator.change(|settings| {
                settings.faults = vec![Fault::always(at.clone(), FaultKind::Raw(json(body)))];
            });
            let answer = ask(bounded(&home, &simulator, &at), "get", REGISTRY);
            is_harmless(&answer);
            // Where the end cannot be read the token may be refused, never the program fail.
            let refused =
                format!("could not get an access token from {source}: the answer holds no token\n");
            assert!(
                answer.code() == 0 || answer.stdout == refused,
                "{at:?} {life}: {answer:#?}"
            );
            assert!(answer.code() == 0 || life != "3599", "{answer:#?}");
        }
    }
}

#[test]
fn an_access_token_that_cannot_be_one_is_sent_nowhere_else() {
    let long = "x".repeat(64 * 1024);
    for (at, source) in [
        (FaultAt::Authority, PRINCIPAL),
        (FaultAt::AppService, MANAGED),
    ] {
        for token in [
            &long,
            r"a\nb",
            r"a\r\nX-Header: b",
            r"a\u0000b",
            "\u{202e}a",
            "a'b",
            "a b",
            "a&service=b",
        ] {
            let body =
                format!(r#"{{"token_type":"Bearer","access_token":"{token}","expires_in":3599}}"#);
            let (answer, simulator) = get_with(&at, FaultKind::Raw(json(body)));
            assert_eq!(answer.code(), 1, "{answer:#?}");
            assert_eq!(
                answer.stdout,
                format!(
                    "could not get an access token from {source}: the token in the answer is malformed\n"
                )
            );
            assert!(
                simulator
                    .journal()
                    .iter()
                    .all(|entry| entry.endpoint != Endpoint::Exchange),
                "{token}"
            );
        }
    }
}

/// Messages end in logs that others read.
#[test]
fn a_token_that_a_registry_repeats_is_not_shown_whole_or_in_pieces() {
    let (home, simulator) = world();
    let token = access_token(&simulator);
    let given = json(format!(
        r#"{{"token_type":"Bearer","access_token":"{token}","expires_in":3599}}"#
    ));
    let pieces = |separator: &str| -> String {
        let pieces = token.as_bytes()[10..]
            .chunks(40)
            .map(|piece| std::str::from_utf8(piece).expect("ASCII"));
        pieces.take(5).collect::<Vec<_>>().join(separator)
    };
    for said in [token.clone(), pieces(" "), pieces(", "), pieces("\\n")] {
        for (status, header) in [
            (403, String::new()),
            (500, String::new()),
            (
                307,
                format!("Location: https://evil.example/{}\r\n", pieces("/")),
            ),
        ] {
            let body = format!(r#"{{"errors":[{{"code":"DENIED","message":"not you: {said}"}}]}}"#);
            let raw = bytes(format!(
                "HTTP/1.1 {status} F\r\n{header}Content-Length: {}\r\n\r\n{body}",
                body.len()
            ));
            simulator.change(|settings| {
                settings.faults = vec![
                    Fault::always(FaultAt::Authority, FaultKind::Raw(given.clone())),
                    Fault::always(FaultAt::Exchange, FaultKind::Raw(raw)),
                ];
            });
            let mut command = bounded(&home, &simulator, &FaultAt::Authority);
            command.env("ACRSCOPED_LOG", "debug");
            let answer = ask(command, "get", REGISTRY);
            assert_eq!(answer.code(), 1, "{answer:#?}");
            assert!(
                answer.stdout.contains(if status == 307 {
                    "redirect"
                } else {
                    "not you: …"
                }),
                "{answer:#?}"
            );
            shows_no_part_of(&answer.text(), &token);
        }
    }
}

#[test]
fn a_piece_of_a_token_in_a_correlation_id_is_not_shown() {
    let (home, simulator) = world();
    let token = access_token(&simulator);
    let given = json(format!(
        r#"{{"token_type":"Bearer","access_token":"{token}","expires_in":3599}}"#
    ));
    let hex = token[40..56]
        .bytes()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    let id = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ]
    .join("-");
    for id in [id, hex.repeat(2), token[40..56].to_owned()] {
        let head = format!(
            "HTTP/1.1 403 F\r\nX-Ms-Correlation-Request-Id: {id}\r\nContent-Length: 0\r\n\r\n"
        );
        simulator.change(|settings| {
            settings.faults = vec![
                Fault::always(FaultAt::Authority, FaultKind::Raw(given.clone())),
                Fault::always(FaultAt::Exchange, FaultKind::Raw(bytes(head))),
            ];
        });
        let answer = ask(helper(&home, &simulator), "get", REGISTRY).fails();
        assert!(!answer.text().contains(&id), "{answer:#?}");
    }
}

/// The refresh token, which `doctor` presents in several ways.
#[test]
fn a_refresh_token_that_a_registry_repeats_is_not_shown_by_the_doctor() {
    let (home, simulator) = world();
    let token = access_token(&simulator);
    let given = json(format!(r#"{{"refresh_token":"{token}"}}"#));
    let in_pieces = format!("{} {}", &token[10..50], &token[50..90]);
    for user in [support::ZERO_GUID, "<token>", ""] {
        let basic = azure_core::base64::encode(format!("{user}:{token}"));
        let hex = token
            .bytes()
            .fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        for (said, secret) in [
            (in_pieces.clone(), &token),
            (format!("Basic {basic}"), &basic),
            (hex.clone(), &hex),
        ] {
            let body = format!(r#"{{"errors":[{{"code":"DENIED","message":"not you: {said}"}}]}}"#);
            let raw = bytes(format!(
                "HTTP/1.1 403 F\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ));
            simulator.change(|settings| {
                settings.faults = vec![
                    Fault::always(FaultAt::Exchange, FaultKind::Raw(given.clone())),
                    Fault::always(FaultAt::Token, FaultKind::Raw(raw)),
                ];
            });
            let file = home.path("report.md");
            let mut command = helper(&home, &simulator);
            command
                .args(["doctor", "--plain", "contoso.azurecr.io/team/app"])
                .arg(format!("--report={}", file.display()));
            let answer = run(command, "", LIMIT);
            assert!(answer.text().contains("not you:"), "{answer:#?}");
            let report = std::fs::read_to_string(&file).expect("a report");
            std::fs::remove_file(file).expect("our file");
            // What is before the token in `user:token` is not secret.
            let start = if *secret == basic {
                (user.len() + 1).div_ceil(3) * 4
            } else {
                0
            };
            for text in [answer.text(), report] {
                shows_no_part_of(&text, &secret[start..]);
            }
        }
    }
}

/// The doctor shows the claims of a token, and a registry puts what it likes into those of its own.
#[test]
fn an_access_token_in_the_claims_of_a_refresh_token_is_not_shown_by_the_doctor() {
    let (home, simulator) = world();
    let token = access_token(&simulator);
    let given = json(format!(
        r#"{{"token_type":"Bearer","access_token":"{token}","expires_in":3599}}"#
    ));
    let claims = format!(
        r#""exp":4102444800,"permissions":{{"actions":["read","{}"]}}"#,
        &token[10..60]
    );
    let returned = json(format!(r#"{{"refresh_token":"{}"}}"#, token_until(&claims)));
    simulator.change(|settings| {
        settings.faults = vec![
            Fault::always(FaultAt::Authority, FaultKind::Raw(given)),
            Fault::always(FaultAt::Exchange, FaultKind::Raw(returned)),
        ];
    });
    for format in ["--plain", "--json"] {
        let mut command = helper(&home, &simulator);
        command.args(["doctor", format, "--verbose", REGISTRY]);
        let answer = run(command, "", LIMIT);
        assert!(
            answer.stdout.contains("permissions: read, …"),
            "{answer:#?}"
        );
        shows_no_part_of(&answer.text(), &token);
    }
}

/// A JWT with these claims.
fn jwt(claims: &serde_json::Value) -> String {
    format!(
        "e30.{}.c2ln",
        azure_core::base64::encode_url_safe(claims.to_string()).trim_end_matches('=')
    )
}

/// The helper shows the audience and the tenant of a token, and an authority puts what it likes into them.
#[test]
fn a_client_secret_in_the_claims_of_an_access_token_is_not_shown() {
    let secret = "n5~8Q.hunter2-Sesame_oPen0AndMore";
    let hex = secret
        .bytes()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    let tenant = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..32],
    ]
    .join("-");
    let audience = "https://containerregistry.azure.net";
    for claims in [
        serde_json::json!({"aud": secret}),
        serde_json::json!({"aud": hex}),
        serde_json::json!({"aud": audience, "tid": tenant, "upn": secret}),
    ] {
        let (home, simulator) = world();
        let given = serde_json::json!({"token_type": "Bearer", "access_token": jwt(&claims), "expires_in": 3599}).to_string();
        simulator.change(|settings| {
            settings.faults = vec![
                Fault::always(FaultAt::Authority, FaultKind::Raw(json(given))),
                Fault::always(FaultAt::Exchange, FaultKind::status(401)),
            ];
        });
        for line in ["get", "doctor --plain contoso.azurecr.io"] {
            let mut command = helper(&home, &simulator);
            command
                .env("AZURE_CLIENT_SECRET", secret)
                .args(line.split(' '));
            let answer = run(command, REGISTRY, LIMIT).fails();
            assert!(answer.text().contains('…'), "{answer:#?}");
            shows_no_part_of(&answer.text(), secret);
            shows_no_part_of(&answer.text().replace('-', ""), &hex);
        }
    }
}

#[test]
fn a_mebibyte_of_words_of_an_authority_costs_little() {
    let words = format!(
        "{} AADSTS7000215: Invalid client secret provided.",
        "word ".repeat(200_000)
    );
    let refused =
        serde_json::json!({"error": "invalid_client", "error_description": words}).to_string();
    let answer = replies(&FaultAt::Authority, &refused);
    assert!(
        answer
            .stdout
            .starts_with(&format!("could not get an access token from {PRINCIPAL}: ")),
        "{answer:#?}"
    );
}

/// The assertion of a CI job is made for one sign-in.
#[test]
fn an_assertion_of_a_job_that_the_authority_repeats_in_pieces_is_not_shown() {
    let (home, simulator) = world();
    let assertion = jwt(
        &serde_json::json!({"iss": "https://issuer.example", "sub": "repo:contoso/app:ref:refs/heads/main"}),
    );
    let minted = serde_json::json!({"value": assertion}).to_string();
    let pieces: Vec<&str> = assertion
        .as_bytes()
        .chunks(19)
        .map(|piece| std::str::from_utf8(piece).expect("ASCII"))
        .collect();
    let words = format!("AADSTS700212: no {}", pieces.join(", "));
    let refused =
        serde_json::json!({"error": "invalid_client", "error_description": words}).to_string();
    simulator.change(|settings| {
        settings.faults = vec![
            Fault::always(FaultAt::Oidc, FaultKind::Raw(json(minted))),
            Fault::always(FaultAt::Authority, FaultKind::Raw(json(refused))),
        ];
    });
    let mut command = helper(&home, &simulator);
    let url = "https://pipelines.actions.githubusercontent.com/oidc/github?api-version=2.0";
    command
        .env_remove("AZURE_CLIENT_SECRET")
        .env("ACTIONS_ID_TOKEN_REQUEST_URL", url);
    command.env(
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
        &simulator.settings().oidc_request_token,
    );
    let answer = ask(command, "get", REGISTRY);
    assert!(answer.stdout.contains("AADSTS700212: no …"), "{answer:#?}");
    shows_no_part_of(&answer.text().replace(", ", ""), &assertion);
}

/// Text of an authority about a federated token.
#[test]
fn a_federated_token_that_the_authority_repeats_is_not_shown() {
    let (home, simulator) = world();
    let claims = serde_json::json!({"iss": "https://issuer.example", "sub": "system:serviceaccount:team:app", "jti": "0c1d~9"});
    let assertion = jwt(&claims);
    let file = home.path("federated");
    std::fs::write(&file, &assertion).expect("our folder");
    let pieces = assertion
        .as_bytes()
        .chunks(2)
        .map(|piece| std::str::from_utf8(piece).expect("ASCII"));
    let base64 = azure_core::base64::encode(&assertion);
    for said in [
        base64.clone(),
        base64
            .as_bytes()
            .chunks(60)
            .map(|it| std::str::from_utf8(it).expect("ASCII"))
            .collect::<Vec<_>>()
            .join(" "),
        pieces.collect::<Vec<_>>().join(" "),
        assertion[assertion.len() - 80..].to_owned(),
    ] {
        let refused = serde_json::json!({"error": "invalid_client", "error_description": format!("AADSTS700211: no {said}")});
        simulator.change(|settings| {
            settings.faults = vec![Fault::always(
                FaultAt::Authority,
                FaultKind::Raw(json(refused.to_string())),
            )];
        });
        let mut command = helper(&home, &simulator);
        command
            .env_remove("AZURE_CLIENT_SECRET")
            .env("AZURE_FEDERATED_TOKEN_FILE", &file);
        let answer = ask(command, "get", REGISTRY);
        assert!(answer.stdout.contains("AADSTS700211: no …"), "{answer:#?}");
        shows_no_part_of(&answer.text().replace(' ', ""), &assertion);
        shows_no_part_of(&answer.text().replace(' ', ""), &base64);
    }
}

#[track_caller]
fn shows_no_part_of(text: &str, token: &str) {
    let shown = |at: usize| text.contains(&token[at..at + 16]);
    assert!(!(0..token.len() - 16).any(shown), "{text}");
}

#[test]
fn a_source_that_gives_an_empty_token_or_two_gave_none() {
    for (at, source) in [
        (FaultAt::Authority, PRINCIPAL),
        (FaultAt::AppService, MANAGED),
    ] {
        for body in [
            r#"{"token_type":"Bearer","access_token":"","expires_in":3599}"#,
            r#"{"token_type":"Bearer","access_token":"a","access_token":"b","expires_in":3599}"#,
            r#"{"token_type":"Bearer","expires_in":3599}"#,
            "[]",
            "{}",
        ] {
            let (answer, simulator) = get_with(&at, FaultKind::Raw(json(body)));
            assert_eq!(
                answer.stdout,
                format!("could not get an access token from {source}: the answer holds no token\n"),
                "{body}"
            );
            assert!(
                simulator
                    .journal()
                    .iter()
                    .all(|entry| entry.endpoint != Endpoint::Exchange),
                "{body}"
            );
        }
    }
}

#[test]
fn a_redirect_without_a_place_to_go_is_told_by_its_status() {
    for (code, line) in [
        (304, "contoso.azurecr.io answered the exchange with 304\n"),
        (302, "contoso.azurecr.io answered the exchange with 302\n"),
    ] {
        assert_eq!(
            get_with(&FaultAt::Exchange, FaultKind::status(code))
                .0
                .stdout,
            line
        );
    }
}

#[test]
fn a_certificate_that_proves_nothing_gets_no_token() {
    for host in [AUTHORITY, REGISTRY] {
        for (bad, cause) in [
            (
                BadCertificate::UnknownIssuer,
                "this machine does not trust the issuer of its certificate",
            ),
            (
                BadCertificate::SelfSigned,
                "this machine does not trust the issuer of its certificate",
            ),
            (BadCertificate::Expired, "its certificate has expired"),
            (
                BadCertificate::OtherName,
                "its certificate is for another name",
            ),
        ] {
            let (answer, simulator) =
                get_with(&FaultAt::Connect(host.into()), FaultKind::Certificate(bad));
            let line = format!("no trusted TLS connection to {host}: {cause}\n");
            assert!(answer.stdout == line && answer.code() == 1, "{answer:#?}");
            let asked: Vec<_> = simulator
                .journal()
                .into_iter()
                .filter(|entry| entry.endpoint != Endpoint::Connect)
                .collect();
            assert!(asked.iter().all(|entry| entry.host != host), "{asked:?}");
        }
    }
}

/// GNU time is small itself, so that it does not blur the figure.
#[test]
#[ignore = "needs GNU time: run tests/run"]
fn the_worst_peers_cost_at_most_32_mebibytes() {
    let worst = [
        "a body without end",
        "a gibibyte",
        "one header of 4 MiB",
        "a gzip bomb",
        "chunks of a few bytes",
    ];
    let rows = broken_answers()
        .into_iter()
        .filter(|(what, ..)| worst.contains(what));
    for (what, raw, _) in rows.chain(
        whole_answers()
            .into_iter()
            .filter(|(what, ..)| what.contains("100,000")),
    ) {
        let (home, simulator) = world();
        simulator.change(|settings| {
            settings.faults = vec![Fault::always(FaultAt::Exchange, FaultKind::Raw(raw))];
        });
        let peak = home.path("peak");
        let words = ["--quiet", "--format", "%M", "--output"];
        let mut words = [&["/usr/bin/time"], &words[..]].concat();
        words.push(peak.to_str().expect("UTF-8"));
        let measured = wrap(&words, &helper(&home, &simulator));
        ask(measured, "get", REGISTRY).fails();
        let peak: u64 = std::fs::read_to_string(&peak)
            .expect("a report")
            .trim()
            .parse()
            .expect("KiB");
        println!("{what}: {} MiB", peak / 1024);
        assert!(peak <= 32 * 1024, "{what}: {peak} KiB");
    }
}
