//! One set-up: what the doctor says of it, and which check it names as the cause.

use crate::setups::Row;
use crate::support::golden::{Golden, noon, transcript};
use crate::support::{Home, LIMIT, REGISTRY, helper, run, world};
use simulator::Simulator;
use std::process::Command;

/// Compares the transcript and the cause of a set-up with what is expected.
pub(crate) fn compare(
    golden: &mut Golden,
    row: &Row,
    (transcript, cause): &(String, Option<String>),
) {
    if cause.as_deref() != row.cause {
        golden.refuse(&format!(
            "{}: the cause is {cause:?}, not {:?}:\n{transcript}",
            row.name, row.cause
        ));
    }
    golden.keep(row.name, transcript);
}

/// Runs `doctor` in a set-up: its transcript, and the check that it names as the cause in JSON.
pub(crate) fn examine(row: &Row) -> (String, Option<String>) {
    let (home, simulator) = &world();
    let host = row.arguments.first().copied().unwrap_or(REGISTRY);
    let host = host.split('/').next().expect("a host");
    let mut command = wired(home, simulator, host);
    command.env("TZ", noon()).arg("doctor");
    (row.prepare)(home, simulator, &mut command);
    let json = with_json(&command, &row.arguments);
    command.args(&row.arguments);
    let answer = run(command, "", LIMIT);
    assert!(!answer.text().contains("eyJ"), "a token: {answer:#?}");
    let words = ["docker-credential-acrscoped", "doctor"].into_iter();
    let typed: Vec<&str> = words.chain(row.arguments.iter().copied()).collect();
    let shown = transcript(&typed.join(" "), &answer, home, simulator);
    let json = run(json, "", LIMIT);
    assert_eq!(json.code(), answer.code(), "{json:#?}");
    let json = json.json();
    let cause = json["cause"].as_str().map(str::to_owned);
    let checks = json["checks"].as_array().expect("checks");
    let check = checks.iter().find(|check| check["name"] == json["cause"]);
    let is_dead_end = check.is_some_and(|check| check["hint"].is_null());
    assert!(!is_dead_end, "a cause without a hint: {json:#}");
    (shown, cause)
}

/// The same command with these arguments, and JSON in place of plain text.
fn with_json(command: &Command, arguments: &[&str]) -> Command {
    let mut json = Command::new(command.get_program());
    json.args(command.get_args()).env_clear();
    json.args(arguments.iter().filter(|argument| **argument != "--plain"));
    json.arg("--json");
    if let Some(folder) = command.get_current_dir() {
        json.current_dir(folder);
    }
    for (name, value) in command.get_envs() {
        json.envs(value.map(|value| (name, value)));
    }
    json
}

/// The helper of a home where docker asks it for a host.
pub(crate) fn wired(home: &Home, simulator: &Simulator, host: &str) -> Command {
    home.write(
        "docker/config.json",
        format!(r#"{{"credHelpers":{{"{host}":"acrscoped"}}}}"#),
    );
    let mut command = helper(home, simulator);
    // Neither docker nor podman is looked for beyond what a set-up puts in place.
    command.env("PATH", home.path("bin"));
    command
}
