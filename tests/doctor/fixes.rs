//! What fixes a set-up: `--fix`, and the commands of hints, pasted into a shell.

use crate::golden::wired;
use crate::setups::{Row, registry, wiring};
use crate::support::{Answer, Home, LIMIT, REGISTRY, run, world};
use simulator::Simulator;
use std::process::Command;

/// A set-up in which several commands are typed.
struct World {
    home: Home,
    _simulator: Simulator,
    command: Command,
}

impl World {
    fn new(name: &str) -> Self {
        let rows: Vec<Row> = wiring().into_iter().chain(registry()).collect();
        let row = rows.into_iter().find(|row| row.name == name);
        let row = row.expect("a set-up of this name");
        let (home, simulator) = world();
        let mut command = wired(&home, &simulator, REGISTRY);
        command.env(
            "PATH",
            format!("{}:/usr/bin:/bin", home.path("bin").display()),
        );
        // The programs that clients are recognised by. Those of the machine are not meant.
        home.script("bin/docker", "exit 1");
        home.script("bin/podman", "exit 1");
        (row.prepare)(&home, &simulator, &mut command);
        Self {
            home,
            _simulator: simulator,
            command,
        }
    }

    /// Types a line of a shell.
    fn types(&self, line: &str) -> Answer {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", line]).env_clear();
        shell.current_dir(self.home.path("work"));
        for (name, value) in self.command.get_envs() {
            shell.envs(value.map(|value| (name, value)));
        }
        run(shell, "", LIMIT)
    }

    fn doctor(&self, options: &str) -> Answer {
        self.types(&format!(
            "docker-credential-acrscoped doctor {REGISTRY} {options}"
        ))
    }

    fn json(&self) -> serde_json::Value {
        self.doctor("--json").json()
    }
}

/// The commands of the checks that need attention, the first cause first.
fn commands(json: &serde_json::Value) -> Vec<String> {
    let checks = json["checks"].as_array().expect("checks").iter();
    let checks = checks.filter(|check| check["status"] == "failed" || check["status"] == "warning");
    let hints = checks.map(|check| check["hint"].as_str().unwrap_or_default());
    let lines = hints.flat_map(str::lines);
    lines
        .filter_map(|line| line.strip_prefix("  "))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_command_of_a_hint_fixes_its_set_up() {
    for name in [
        "docker-not-wired",
        "docker-asks-another",
        "podman-not-wired",
    ] {
        let world = World::new(name);
        let before = world.json();
        assert_eq!(before["verdict"], "failed", "{name}: {before:#}");
        let command = &commands(&before)[0];
        assert_eq!(
            command,
            "docker-credential-acrscoped configure contoso.azurecr.io"
        );
        let typed = world.types(command);
        let after = world.json();
        assert_ne!(after["verdict"], "failed", "{name}: {typed:#?}\n{after:#}");
    }
}

#[test]
fn fix_repairs_client_files_and_the_user_name_and_checks_again() {
    for (name, changed) in [
        (
            "docker-not-wired",
            "docker/config.json does not use this helper for",
        ),
        ("docker-asks-another", "but `docker-credential-desktop`"),
        ("podman-not-wired", "auth.json does not use this helper for"),
        (
            "podman-stale-login",
            "x Podman, Buildah and Skopeo use the login",
        ),
        (
            "stale-login",
            "docker/config.json still holds a password for",
        ),
        ("buildkit-gives-up", "! cannot use the default user name"),
    ] {
        let world = World::new(name);
        let cause = world.json()["cause"].clone();
        assert!(cause.is_string(), "{name}");
        let answer = world.doctor("--fix").succeeds();
        // What was wrong and what was changed stands between the first checks and the second.
        assert!(answer.stdout.contains(changed), "{name}: {answer:#?}");
        assert!(answer.stdout.contains("\n+ "), "{name}: {answer:#?}");
        let after = world.json();
        assert_ne!(after["cause"], cause, "{name}: {answer:#?}\n{after:#}");
        assert_ne!(after["verdict"], "failed", "{name}: {after:#}");
    }
}

/// A login of a token with a scope map may be the only copy of its password.
#[test]
fn fix_keeps_a_password_that_it_cannot_restore() {
    let world = World::new("podman-stale-login");
    let file = world.home.path("auth.json");
    let login = r#"{"auths":{"contoso.azurecr.io":{"auth":"YTpi"}}}"#;
    std::fs::write(&file, login).expect("our file");
    let fixes = world.doctor("--fix --json").json()["fixes"].to_string();
    assert!(fixes.contains("podman logout --authfile "), "{fixes}");
    assert!(!fixes.contains("removed the login"), "{fixes}");
    let text = std::fs::read_to_string(&file).expect("our file");
    assert!(text.contains(r#""auth":"YTpi""#), "{text}");
}

#[test]
fn fix_reports_each_removal_and_a_broken_file_stops_nothing() {
    let world = World::new("podman-stale-login");
    let file = world.home.path("docker/config.json");
    std::fs::write(&file, "{,}").expect("our file");
    let answer = world.doctor("--fix --json").fails();
    let fixes = answer.json()["fixes"].to_string();
    for words in [
        "removed the login of contoso.azurecr.io from",
        "cannot be used: it is not valid JSON",
        "auth.json: contoso.azurecr.io -> acrscoped (added)",
    ] {
        assert!(fixes.contains(words), "{words}: {fixes}");
    }
    assert_eq!(std::fs::read_to_string(&file).expect("our file"), "{,}");
}

#[test]
fn fix_keeps_other_logins_and_changes_nothing_where_all_is_well() {
    let world = World::new("stale-login");
    let file = world.home.path("docker/config.json");
    let both = r#"{"credHelpers":{"contoso.azurecr.io":"acrscoped"},"auths":{"contoso.azurecr.io":{"auth":"MDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAwOng="},"ghcr.io":{"auth":"YTpi"}}}"#;
    std::fs::write(&file, both).expect("our file");
    let fixes = world.doctor("--fix --json").json()["fixes"].clone();
    assert!(
        fixes
            .to_string()
            .contains("removed the login of contoso.azurecr.io from"),
        "{fixes:#}"
    );
    let text = std::fs::read_to_string(&file).expect("our file");
    assert!(
        text.contains("ghcr.io") && !text.contains(r#""contoso.azurecr.io":{"#),
        "{text}"
    );
    let again = world.doctor("--fix --json").json();
    assert_eq!(again["fixes"], serde_json::json!([]), "{again:#}");
    assert_eq!(std::fs::read_to_string(&file).expect("our file"), text);
}

#[test]
fn json_has_a_command_for_each_fix_and_the_versions() {
    let world = World::new("docker-not-wired");
    world.home.script("bin/podman", "echo podman version 5.4.0");
    let json = world.json();
    let checks = json["checks"].as_array().expect("checks");
    let mut names: Vec<&str> = checks
        .iter()
        .map(|check| check["name"].as_str().expect("a name"))
        .collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "{json:#}");
    for name in ["docker", "podman", "path"] {
        assert!(names.contains(&name), "{json:#}");
    }
    let docker = checks.iter().find(|check| check["name"] == "docker");
    assert_eq!(
        docker.expect("a check")["command"],
        "docker-credential-acrscoped configure contoso.azurecr.io"
    );
    assert_eq!(json["versions"]["podman"], "5.4.0", "{json:#}");
    assert!(json["versions"]["docker"].is_null(), "{json:#}");
    assert!(json["versions"]["docker-credential-acrscoped"].is_string());
}
