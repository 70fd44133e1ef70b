//! One set-up: what the doctor says of it, and which check it names as the cause.

use crate::setups::Row;
use crate::support::golden::{Golden, noon, transcript};
use crate::support::{Answer, Home, LIMIT, REGISTRY, helper, run, world};
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

/// Runs `doctor` in a set-up: its transcript, and the name of the check in the first line.
pub(crate) fn examine(row: &Row) -> (String, Option<String>) {
    let (home, simulator) = &world();
    let mut command = wired(
        home,
        simulator,
        row.arguments.first().copied().unwrap_or(REGISTRY),
    );
    command.env("TZ", noon());
    command.arg("doctor").args(&row.arguments);
    (row.prepare)(home, simulator, &mut command);
    let answer = run(command, "", LIMIT);
    assert!(!answer.text().contains("eyJ"), "a token: {answer:#?}");
    let typed: Vec<&str> = ["docker-credential-acrscoped", "doctor"]
        .into_iter()
        .chain(row.arguments.iter().copied())
        .collect();
    (
        transcript(&typed.join(" "), &answer, home, simulator),
        cause(&answer),
    )
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

/// The name of the check in the first line: `x name: …`, or `! … works, but name: …`.
fn cause(answer: &Answer) -> Option<String> {
    let first = answer.stdout.lines().next()?;
    let (mark, rest) = first.split_once(' ')?;
    let rest = match mark {
        "x" | "failed:" => rest,
        "!" | "warning:" => rest.split_once("works, but ")?.1,
        _ => return None,
    };
    Some(rest.split(':').next()?.to_owned())
}
