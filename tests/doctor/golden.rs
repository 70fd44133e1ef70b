//! Transcripts: what differs from run to run is taken out, the rest is compared with a file.

use crate::setups::Row;
use crate::support::{Answer, Home, LIMIT, REGISTRY, binary, helper, run, world};
use simulator::Simulator;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doctor/golden");

/// What did not agree.
#[derive(Default)]
pub(crate) struct Golden {
    problems: String,
}

impl Golden {
    /// Runs a set-up and compares its transcript and its cause.
    pub(crate) fn compare(&mut self, row: &Row) {
        let (home, simulator) = world();
        let (transcript, cause) = transcript(row, &home, &simulator);
        if cause.as_deref() != row.cause {
            let _ = writeln!(self.problems, "{}: the cause is {cause:?}, not {:?}:\n{transcript}", row.name, row.cause);
        }
        self.keep(row.name, &transcript);
    }

    #[expect(clippy::disallowed_methods, reason = "a test is a process edge of its own")]
    fn keep(&mut self, name: &str, transcript: &str) {
        let file = PathBuf::from(FOLDER).join(format!("{name}.txt"));
        if std::env::var_os("ACRSCOPED_UPDATE_DOCS").is_some() {
            std::fs::write(&file, transcript).expect("the folder of transcripts");
        }
        let kept = std::fs::read_to_string(&file).unwrap_or_default();
        if kept != transcript {
            let _ = writeln!(self.problems, "{name} is not as in {}; it says:\n{transcript}", file.display());
        }
    }

    /// Fails with everything that did not agree.
    #[track_caller]
    pub(crate) fn finish(self) {
        assert!(self.problems.is_empty(), "{}", self.problems);
    }
}

/// The transcript of a set-up and the name of the check on top.
fn transcript(row: &Row, home: &Home, simulator: &Simulator) -> (String, Option<String>) {
    // What BuildKit sends first is taken, so that only what is broken stands out.
    simulator.change(|settings| settings.password_grant = None);
    let mut command = wired(home, simulator, row.arguments.first().copied().unwrap_or(REGISTRY));
    command.env("TZ", noon());
    command.arg("doctor").args(&row.arguments);
    (row.prepare)(home, simulator, &mut command);
    let answer = run(command, "", LIMIT);
    assert!(!answer.text().contains("eyJ"), "a token: {answer:#?}");
    assert!(answer.took < Duration::from_secs(30), "too long: {answer:#?}");
    let typed: Vec<&str> = std::iter::once("doctor").chain(row.arguments.iter().copied()).collect();
    let said = normalised(&answer.stdout, home, simulator);
    let stderr: String =
        normalised(&answer.stderr, home, simulator).lines().fold(String::new(), |t, l| t + "stderr: " + l + "\n");
    let text = format!("$ docker-credential-acrscoped {}\n{said}{stderr}exit code: {}\n", typed.join(" "), answer.code());
    (text, cause(&answer))
}

/// The helper of a home where docker asks it for a host.
pub(crate) fn wired(home: &Home, simulator: &Simulator, host: &str) -> Command {
    home.write("docker/config.json", format!(r#"{{"credHelpers":{{"{host}":"acrscoped"}}}}"#));
    let mut command = helper(home, simulator);
    // Neither docker nor podman is looked for beyond what a set-up puts in place.
    command.env("PATH", home.path("bin"));
    command
}

/// The name of the check on top: `x name: …`, or `! … works, but name: …`.
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

/// A time zone in which it is about noon: a token that ends after midnight would be told with its day.
#[expect(clippy::disallowed_methods, reason = "a test is a process edge of its own")]
fn noon() -> String {
    let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
    let hour = i64::try_from(seconds / 3_600 % 24).expect("below 24");
    // POSIX counts westwards.
    format!("NOON{:+}", hour - 12)
}

fn normalised(text: &str, home: &Home, simulator: &Simulator) -> String {
    let program = binary().canonicalize().expect("the program under test");
    let text = text
        .replace(&simulator.folder().display().to_string(), "…")
        .replace(&home.root().display().to_string(), "…")
        .replace(&program.parent().expect("a folder").display().to_string(), "…")
        .replace(simulator.origin().trim_start_matches("http://"), "127.0.0.1:N");
    text.lines().map(line).fold(String::new(), |text, line| text + &line + "\n")
}

/// A line with its time, its ids and its hours named and not told.
fn line(line: &str) -> String {
    let (time, rest) = match line.split_once(" ms  ") {
        // Mark, name and time are a table.
        Some((head, rest)) if head.chars().count() == 22 => (head.trim_end_matches(|c: char| c.is_ascii_digit()), rest),
        _ => ("", line),
    };
    let time = if time.is_empty() { String::new() } else { format!("{:<21}N ms  ", time.trim_end()) };
    let mut previous = "";
    let words = rest.split(' ').map(|word| {
        let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let is_id = bare.len() == 36 && bare.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        let is_hour = bare.len() == 5 && bare.split_once(':').is_some_and(|(hour, minute)| is_digits(hour) && is_digits(minute));
        let is_moment = previous == "Timestamp:" || bare.len() == 9 && bare.ends_with('Z') && bare.matches(':').count() == 2;
        let is_part = matches!(previous, "(in" | "h") || word.starts_with('(');
        previous = word;
        match bare {
            _ if is_id => word.replace(bare, "ID"),
            _ if is_moment => "…".to_owned(),
            _ if bare.len() >= 9 && is_digits(bare) => word.replace(bare, "N"),
            _ if is_hour => word.replace(bare, "HH:MM"),
            _ if is_part && is_digits(bare) => word.replace(bare, "N"),
            _ => word.to_owned(),
        }
    });
    time + &words.collect::<Vec<_>>().join(" ")
}
