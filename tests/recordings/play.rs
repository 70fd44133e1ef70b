//! One row: the recorded answers in their places, the command, and what it says.

use crate::answer::{Answers, login_server};
use crate::support::{Answer, Home, LIMIT, ask, helper, run};
use crate::table::Row;
use serde_json::Value;
use simulator::{
    CLIENT, CLIENT_OBJECT, Endpoint, Entry, Fault, FaultAt, FaultKind, Raw, Settings, Simulator,
    TENANT,
};
use std::process::Command;

/// What is played where a row names nothing else: a set that works. The simulator answers the sign-in, for the scope that is requested.
const WORKING: [(&str, &str); 6] = [
    ("exchange", "exchange-ok-2026-09"),
    ("/v2/", "v2-2026-09"),
    ("token anonymous", "token-401-get"),
    ("token basic", "token-ok-2026-01"),
    ("token password", "token-ok-2026-01"),
    ("token refresh_token", "token-ok-2026-01"),
];

/// More requests than a command sends: an answer that may be served so often is counted.
const MANY: u32 = 100;

/// Plays a row and returns it with what was read.
///
/// `to` is the request that gets the answer: `sign-in`, `/v2/`, `exchange`, `second exchange`, which is that of the probe, or `token` with
/// the grant, in the words of the simulator's journal.
pub(crate) fn play(answers: &Answers, row: &Row) -> Row {
    let home = Home::new();
    let simulator = Simulator::start(Settings::default()).expect("a simulator");
    let (own, others) = faults(answers, row);
    // Of the faults at a place the first happens: what the row names comes before what works.
    let first = others.iter().filter(|fault| fault.times.is_some()).cloned();
    let rest = others.iter().filter(|fault| fault.times.is_none()).cloned();
    simulator.change(|settings| settings.faults = first.chain([own.clone()]).chain(rest).collect());
    let words: Vec<&str> = row.command.split(' ').collect();
    let answer = if words[0] == "get" {
        ask(helper(&home, &simulator), "get", &row.host)
    } else {
        run(doctor(&home, &simulator, row, &words[1..]), "", LIMIT)
    };
    assert!(
        !simulator.settings().faults.contains(&own),
        "no request got the answer of {row}"
    );
    assert_asked(&simulator.journal(), row);
    let [read, hint, id] = if words[0] == "get" {
        of_get(&answer)
    } else {
        of_doctor(&answer, shown_besides(row))
    };
    let own = home.path("home").display().to_string();
    let names = [
        (CLIENT, "CLIENT"),
        (CLIENT_OBJECT, "OBJECT"),
        (TENANT, "TENANT"),
        (&own, "HOME"),
    ];
    let shown = |text: String| {
        names
            .iter()
            .fold(text, |text, (id, name)| text.replace(id, name))
    };
    Row {
        read: shown(read),
        hint: shown(hint.replace('\n', " ⏎ ")),
        id,
        exit: answer.code().to_string(),
        ..row.clone()
    }
}

/// What the row names, which is counted, and what else is played.
fn faults(answers: &Answers, row: &Row) -> (Fault, Vec<Fault>) {
    let service = login_server(&row.host);
    let fault = |to: &str, name: &str, times| {
        let (at, from) = match to {
            "sign-in" => (FaultAt::Authority, "login.microsoftonline.com"),
            "/v2/" => (FaultAt::Registry, row.host.as_str()),
            "exchange" | "second exchange" => (FaultAt::Exchange, service),
            other => match other.strip_prefix("token ") {
                Some(grant) => (FaultAt::TokenGrant(grant.to_owned()), row.host.as_str()),
                None => panic!("`{other}` is no request"),
            },
        };
        let kind = FaultKind::Raw(Raw {
            start: answers.get(name).bytes(from, service),
            ..Raw::default()
        });
        Fault { at, kind, times }
    };
    let first = (row.to == "second exchange").then(|| fault("exchange", WORKING[0].1, Some(1)));
    let rest = WORKING.iter().map(|(to, name)| {
        fault(
            to,
            if row.host.contains(".geo.") && *to == "/v2/" {
                "v2-geo"
            } else {
                name
            },
            None,
        )
    });
    (
        fault(&row.to, &row.answer, Some(MANY)),
        first.into_iter().chain(rest).collect(),
    )
}

/// Asserts that every request for a token went to its host, for the login server as service.
fn assert_asked(journal: &[Entry], row: &Row) {
    let service = login_server(&row.host);
    for entry in journal {
        let host = match entry.endpoint {
            Endpoint::Exchange => service,
            Endpoint::RegistryToken => row.host.as_str(),
            _ => continue,
        };
        assert_eq!(
            (entry.host.as_str(), entry.service.as_deref()),
            (host, Some(service)),
            "{row}"
        );
    }
}

fn doctor(home: &Home, simulator: &Simulator, row: &Row, options: &[&str]) -> Command {
    home.write(
        "docker/config.json",
        format!(r#"{{"credHelpers":{{"{}":"acrscoped"}}}}"#, row.host),
    );
    let mut command = helper(home, simulator);
    command.env("PATH", home.path("bin"));
    // Docker sends this form for the user name of an identity token.
    if row.to == "token refresh_token" && !row.command.contains("--repository") {
        command.env("ACRSCOPED_USERNAME", "token");
    }
    command
        .arg("doctor")
        .arg(&row.host)
        .args(options)
        .arg("--json");
    command
}

fn of_get(answer: &Answer) -> [String; 3] {
    if answer.status.success() {
        assert!(!answer.secret().is_empty());
        return ["a credential".into(), "–".into(), "–".into()];
    }
    let line = answer
        .stdout
        .strip_suffix('\n')
        .filter(|line| !line.contains('\n'))
        .expect("one line");
    assert!(
        !answer.text().contains("credentials not found"),
        "{answer:#?}"
    );
    let whole = answer.stderr.lines().next().unwrap_or_default();
    let whole = whole.strip_prefix("docker-credential-acrscoped: ");
    let whole = whole.expect("a message");
    assert!(whole.starts_with(line), "{answer:#?}");
    let (_, hint) = answer.stderr.split_once("\nhint: ").unwrap_or(("", "–"));
    let ids = answer
        .stderr
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("correlation id: "));
    [
        whole.to_owned(),
        hint.trim_end().to_owned(),
        shown_once(ids, &answer.text()),
    ]
}

/// The check that a row shows besides the one on top.
fn shown_besides(row: &Row) -> Option<&'static str> {
    match row.to.as_str() {
        "token anonymous" => Some("anonymous-pull"),
        _ => row.command.contains("--probe-arm").then_some("arm-tokens"),
    }
}

fn of_doctor(answer: &Answer, besides: Option<&str>) -> [String; 3] {
    assert!(!answer.text().contains("eyJ"), "a token: {answer:#?}");
    let json = answer.json();
    let checks = json["checks"].as_array().expect("checks");
    let named = |name: &Value| checks.iter().find(|check| check["name"] == *name);
    let cause = named(&json["cause"]);
    let text = |check: &Value, key: &str| check[key].as_str().unwrap_or("–").to_owned();
    let said = |check: &Value| format!("{}: {}", text(check, "name"), text(check, "summary"));
    // That nothing is said of that check is a failure of its own.
    let besides = besides.map(|name| {
        checks
            .iter()
            .find(|check| check["name"] == name)
            .map_or_else(|| format!("{name}: –"), said)
    });
    let mut lines: Vec<String> = cause.map(said).into_iter().chain(besides).collect();
    lines.dedup();
    let details = cause
        .and_then(|check| check["details"].as_array())
        .map(Vec::as_slice)
        .unwrap_or_default();
    let ids = details
        .iter()
        .filter_map(|line| line.as_str()?.strip_prefix("correlation id: "));
    let read = if lines.is_empty() {
        "no problem".to_owned()
    } else {
        lines.join(" · ")
    };
    let of_cause = cause.map(Value::to_string).unwrap_or_default();
    [
        read,
        // A row of the table is one line.
        cause.map_or_else(
            || "–".into(),
            |check| text(check, "hint").replace('\n', " ").trim().to_owned(),
        ),
        shown_once(ids, &of_cause),
    ]
}

/// The beginning of the one id that is shown as one.
fn shown_once<'a>(ids: impl Iterator<Item = &'a str>, text: &str) -> String {
    let ids: Vec<&str> = ids.collect();
    let whole = match ids[..] {
        [] => {
            return if text.contains("CorrelationId") {
                "in the text".into()
            } else {
                "–".into()
            };
        }
        [id] => id,
        _ => return "twice".into(),
    };
    if text.contains("CorrelationId") {
        "twice".into()
    } else {
        whole[..8].to_owned()
    }
}
