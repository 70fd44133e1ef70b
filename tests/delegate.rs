//! Hosts that are not Azure's, passed on to another helper: what it gets, and that its answer is ours, to the byte.
#![cfg(unix)]

mod support;

use std::process::Command;
use support::{Answer, Home, NOT_OURS, REGISTRY, ask, binary, helper, run, world};

/// A helper that notes how it was called and answers in a way of its own.
const OTHER: &str = r#"
echo "$1 $#" >> "$HOME/called"
cat > "$HOME/stdin-$1"
printf 'answer to %s\n\n\ttail' "$1"
echo 'a warning' >&2
exit "${OTHER_EXIT:-0}"
"#;

/// A home with a delegate of this script.
fn home_with(script: &str) -> Home {
    let home = Home::new();
    home.script("bin/docker-credential-other", script);
    home.write(
        "home/.config/docker-credential-acrscoped/config.toml",
        "delegate = \"other\"\n",
    );
    home
}

/// The helper with nothing but a home: other hosts need no more.
fn bare(home: &Home) -> Command {
    home.command(binary())
}

fn noted(home: &Home, name: &str) -> String {
    std::fs::read_to_string(home.path(&format!("home/{name}"))).unwrap_or_default()
}

#[test]
fn what_is_not_ours_is_passed_on_to_the_byte_and_comes_back_so() {
    let home = home_with(OTHER);
    let stored = "{ \"ServerURL\":\"https://index.docker.io/v1/\",\n\"Username\":\"bob\", \"Secret\":\"p\\u00e4ss\"}\n\n";
    for (action, message) in [
        ("get", "https://index.docker.io/v1/\n"),
        ("get", "contoso.azurecr.io.evil.example"),
        ("get", "localhost:5000"),
        ("erase", " docker.io \r\n"),
        ("store", stored),
    ] {
        for exit in ["0", "1", "3"] {
            let mut command = bare(&home);
            command.env("OTHER_EXIT", exit);
            let answer = ask(command, action, message);
            assert_eq!(answer.code().to_string(), exit, "{answer:#?}");
            assert_eq!(answer.stdout, format!("answer to {action}\n\n\ttail"));
            assert_eq!(answer.stderr, "a warning\n");
            assert_eq!(noted(&home, &format!("stdin-{action}")), message);
        }
    }
    assert!(
        noted(&home, "called")
            .lines()
            .all(|line| line.ends_with(" 1")),
        "one argument and no other"
    );
}

#[test]
fn the_words_after_which_clients_go_on_are_passed_on_too() {
    let home = home_with(&format!("cat >/dev/null; echo '{NOT_OURS}'; exit 1"));
    let answer = ask(bare(&home), "get", "docker.io");
    assert_eq!(
        (answer.code(), answer.stdout, answer.stderr),
        (1, format!("{NOT_OURS}\n"), String::new())
    );
}

#[test]
fn registries_of_azure_never_reach_the_other_helper() {
    let (_, simulator) = world();
    let home = home_with(OTHER);
    ask(helper(&home, &simulator), "get", REGISTRY).secret();
    ask(helper(&home, &simulator), "erase", REGISTRY).succeeds();
    let login = format!(
        r#"{{"ServerURL":"{REGISTRY}","Username":"{}","Secret":"s"}}"#,
        support::ZERO_GUID
    );
    ask(helper(&home, &simulator), "store", &login).succeeds();
    let password = format!(r#"{{"ServerURL":"{REGISTRY}","Username":"admin","Secret":"s"}}"#);
    ask(helper(&home, &simulator), "store", &password).fails();
    assert_eq!(noted(&home, "called"), "");
}

#[test]
fn the_lists_of_both_are_one() {
    let (_, simulator) = world();
    let home = home_with(
        r#"cat >/dev/null; echo '{"https://index.docker.io/v1/":"bob","contoso.azurecr.io":"stale","":"odd"}'"#,
    );
    let answer = ask(helper(&home, &simulator), "list", "unused").succeeds();
    assert_eq!(
        answer.json(),
        serde_json::json!({"https://index.docker.io/v1/": "bob", "": "odd"})
    );
}

#[test]
fn a_list_that_cannot_be_had_is_a_warning_since_builds_need_perhaps_only_ours() {
    let (_, simulator) = world();
    for (script, problem) in [
        (
            "cat >/dev/null; echo no bus; exit 1",
            "ended with exit code 1",
        ),
        (
            "cat >/dev/null; echo junk",
            "listed something that is no JSON object of texts",
        ),
        ("kill -SEGV $$", "was ended: signal: 11 (SIGSEGV)"),
        (
            "exec yes",
            "could not be called: more than 1048576 bytes of output",
        ),
    ] {
        let home = home_with(script);
        let answer = ask(helper(&home, &simulator), "list", "").succeeds();
        assert_eq!(answer.stdout, "{}\n");
        let warning = format!("warn: `docker-credential-other` {problem}");
        assert!(answer.stderr.contains(&warning), "{answer:#?}");
    }
    let missing = Home::new();
    missing.write(
        "home/.config/docker-credential-acrscoped/config.toml",
        "delegate = \"other\"\n",
    );
    let answer = ask(helper(&missing, &simulator), "list", "").succeeds();
    assert!(
        answer
            .stderr
            .contains("is in no absolute folder of `PATH`; only Azure's registries are listed"),
        "{answer:#?}"
    );
}

fn fails_with(answer: Answer, problem: &str) {
    let answer = answer.fails();
    assert_eq!(
        answer.stdout,
        format!("`docker-credential-other` {problem}\n")
    );
    assert!(answer.stderr.contains("  - set in "), "{answer:#?}");
}

#[test]
fn a_helper_that_is_not_there_crashes_or_hangs_is_said_to() {
    let missing = Home::new();
    missing.write(
        "home/.config/docker-credential-acrscoped/config.toml",
        "delegate = \"other\"\n",
    );
    fails_with(
        ask(bare(&missing), "get", "docker.io"),
        "is in no absolute folder of `PATH`",
    );
    let crashing = home_with("kill -SEGV $$");
    fails_with(
        ask(bare(&crashing), "get", "docker.io"),
        "was ended: signal: 11 (SIGSEGV)",
    );
    // What it starts would hold the stdout open, for the end of which the client waits.
    let hanging = home_with("sleep 300 2>&- & echo $$ > \"$HOME/pid\"; wait");
    let mut command = bare(&hanging);
    command.env("ACRSCOPED_TIMEOUT", "1");
    fails_with(
        ask(command, "get", "docker.io"),
        "did not answer within 1 s",
    );
    is_gone(&noted(&hanging, "pid"));
}

#[test]
#[cfg(target_os = "linux")]
fn the_other_helper_ends_with_this_one() {
    let home = home_with("echo $$ > \"$HOME/new\"; mv \"$HOME/new\" \"$HOME/pid\"; exec sleep 300");
    let host = std::fs::File::open(home.write("host", "docker.io")).unwrap();
    let mut command = bare(&home);
    let mut child = command
        .arg("get")
        .stdin(host)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let pid = support::until("other helper", || {
        std::fs::read_to_string(home.path("home/pid")).ok()
    });
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&child),
        rustix::process::Signal::TERM,
    )
    .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    is_gone(&pid);
}

/// A zombie waits for whoever inherited it: it runs no more.
fn is_gone(pid: &str) {
    let stat = format!("/proc/{}/stat", pid.trim());
    support::until("end of a process", || {
        match std::fs::read_to_string(&stat) {
            Ok(stat) => stat.contains(") Z ").then_some(()),
            Err(_) => Some(()),
        }
    });
}

#[test]
fn two_helpers_that_delegate_to_each_other_notice() {
    let home = home_with("exec docker-credential-acrscoped \"$1\"");
    let answer = ask(bare(&home), "get", "docker.io").fails();
    assert_eq!(
        answer.stdout,
        "`docker-credential-other` calls this helper, which calls it: each would wait for the other\n"
    );
}

#[test]
fn without_another_helper_nothing_changes() {
    let home = Home::new();
    for action in ["get", "erase"] {
        let answer = ask(bare(&home), action, "docker.io");
        assert_eq!(
            (answer.code(), answer.stdout, answer.stderr),
            (1, format!("{NOT_OURS}\n"), String::new())
        );
    }
}

/// A password that is a whole key, as Google's registry takes it, is longer than any host.
#[test]
fn a_long_password_is_passed_on_whole() {
    let home = home_with(OTHER);
    let stored = format!(
        r#"{{"ServerURL":"gcr.io","Username":"_json_key","Secret":"{}"}}"#,
        "k".repeat(60_000)
    );
    let mut command = bare(&home);
    command.arg("store");
    run(command, &stored, support::LIMIT).succeeds();
    assert_eq!(noted(&home, "stdin-store"), stored);
}
