//! What shells, CI systems and service managers leave in the environment changes no answer, one variable at a time.
#![cfg(unix)]

mod support;

use simulator::Simulator;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use support::golden::{noon, transcript};
use support::run::in_parallel;
use support::{Home, LIMIT, REGISTRY, helper, run, world};

/// What a variable is set to.
#[derive(Debug)]
enum Value {
    Text(&'static str),
    /// A path in the folder of the test.
    Place(&'static str),
    Unset,
}
use Value::{Place, Text, Unset};

/// What Rust's standard library, C libraries, the loader, TLS libraries, resolvers and terminals read, and where files are.
const ODD: [(&str, Value); 39] = [
    ("RUST_BACKTRACE", Text("full")),
    ("RUST_BACKTRACE", Text("1")),
    ("RUST_LIB_BACKTRACE", Text("1")),
    ("RUST_LOG", Text("trace")),
    ("RUST_MIN_STACK", Text("1")),
    ("MALLOC_ARENA_MAX", Text("1")),
    ("MALLOC_PERTURB_", Text("165")),
    ("MALLOC_CHECK_", Text("3")),
    ("GLIBC_TUNABLES", Text("glibc.malloc.check=3")),
    ("LD_BIND_NOW", Text("1")),
    ("LD_LIBRARY_PATH", Text("/nonexistent:")),
    ("LD_PRELOAD", Text("/nonexistent/library.so")),
    ("LC_ALL", Text("xx")),
    ("LC_ALL", Text("")),
    ("LANG", Text("tr_TR.UTF-8")),
    ("LANGUAGE", Text("tr:de")),
    ("TZ", Text("nonsense/zone")),
    ("TERM", Text("dumb")),
    ("TERM", Text("no-such-terminal")),
    ("COLUMNS", Text("1")),
    ("NO_COLOR", Text("1")),
    ("CLICOLOR_FORCE", Text("1")),
    ("RES_OPTIONS", Text("ndots:15 timeout:1 attempts:1")),
    ("LOCALDOMAIN", Text("corp.example")),
    ("HOSTALIASES", Text("/nonexistent")),
    ("SSLKEYLOGFILE", Place("keys")),
    ("TMPDIR", Place("missing")),
    ("TMPDIR", Text("relative")),
    ("HOME", Place("missing")),
    ("HOME", Place("home/")),
    ("HOME", Place("an ödd home/")),
    ("HOME", Unset),
    ("XDG_RUNTIME_DIR", Place("open")),
    ("XDG_RUNTIME_DIR", Unset),
    ("XDG_STATE_HOME", Place("read-only")),
    ("XDG_STATE_HOME", Text("/proc/nowhere")),
    ("XDG_CONFIG_HOME", Place("missing")),
    ("XDG_CACHE_HOME", Text("/proc/nowhere")),
    ("XDG_DATA_HOME", Text("/proc/nowhere")),
];

type Variable = (&'static str, Value);

/// What `get`, `doctor` and `status` answer with this variable, with times, ids and tokens named and not shown.
fn answers(variable: Option<&Variable>) -> String {
    let (home, simulator) = world();
    for (folder, mode) in [
        ("an ödd home", 0o700),
        ("open", 0o777),
        ("read-only", 0o500),
    ] {
        let path = home.path(folder);
        fs::create_dir(&path).expect("a new folder");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("our folder");
    }
    home.write(
        "docker/config.json",
        format!(r#"{{"credHelpers":{{"{REGISTRY}":"acrscoped"}}}}"#),
    );
    let words = [&["get"][..], &["doctor", REGISTRY], &["status"]];
    let answers = words.map(|words| answer(&home, &simulator, variable, words));
    assert!(
        !home.path("keys").exists(),
        "the keys of a TLS session were written to a file"
    );
    answers.concat()
}

fn answer(
    home: &Home,
    simulator: &Simulator,
    variable: Option<&Variable>,
    words: &[&str],
) -> String {
    let mut command = helper(home, simulator);
    // What `tests/run` sets for all commands would be the same in both answers.
    for (name, _) in support::ODD {
        command.env_remove(name);
    }
    // Without `HOME` the home of the user who runs the tests is found, in which nothing is to be written.
    command
        .env("XDG_STATE_HOME", home.path("state"))
        .env("XDG_CONFIG_HOME", home.path("home/.config"));
    command
        .env("TMPDIR", home.path("run"))
        .env("PATH", home.path("bin"))
        .env("TZ", noon())
        .args(words);
    match variable {
        Some((name, Text(text))) => command.env(name, text),
        Some((name, Place(place))) => command.env(name, home.path(place)),
        Some((name, Unset)) => command.env_remove(name),
        None => &mut command,
    };
    let text = transcript(words[0], &run(command, REGISTRY, LIMIT), home, simulator);
    // The loader of a dynamic program says this before the program starts.
    text.split_inclusive('\n')
        .filter(|line| !line.starts_with("stderr: ERROR: ld.so: "))
        .collect()
}

/// Text without its line breaks, and without the day of a time: after 21:00 a token ends on the next day where `TZ` is one of the odd
/// variables.
fn unwrapped(text: &str) -> String {
    let words: Vec<&str> = text
        .split_whitespace()
        .filter(|word| *word != "DAY")
        .collect();
    words.join(" ")
}

#[test]
fn no_variable_of_the_surroundings_changes_an_answer() {
    let plain = answers(None);
    let signed_in = r#"{"ServerURL":"contoso.azurecr.io","Username":"00000000-0000-0000-0000-000000000000","Secret":"TOKEN"}"#;
    assert!(
        plain.contains(signed_in) && plain.contains("No problems found"),
        "{plain}"
    );
    let mut problems = String::new();
    let odd = in_parallel(&ODD, |variable| answers(Some(variable)));
    for (variable, odd) in ODD.iter().zip(odd) {
        if unwrapped(&odd) != unwrapped(&plain) {
            let _ = writeln!(problems, "with {variable:?}:\n{odd}");
        }
    }
    assert!(problems.is_empty(), "without:\n{plain}\n{problems}");
}
