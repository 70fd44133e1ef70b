//! What fixes a set-up: `--fix`, and the commands of hints, pasted into a shell.

use crate::golden::wired;
use crate::setups::{Row, registry, wiring};
use crate::support::run::in_parallel;
use crate::support::{Answer, Home, LIMIT, REGISTRY, run, world};
use simulator::{Role, Simulator};
use std::process::Command;

/// A set-up in which several commands are typed.
struct World {
    home: Home,
    simulator: Simulator,
    command: Command,
    arguments: String,
}

/// What `docker logout HOST` and `podman logout --authfile FILE HOST` do.
const DOCKER: &str = r#"[ "$1" = logout ] || exit 1
sed -i "s/\"$2\":{\"auth\":\"[^\"]*\"}//" "$DOCKER_CONFIG/config.json""#;
const PODMAN: &str = r#"[ "$1 $2" = "logout --authfile" ] || exit 1
sed -i "s/\"$4\":{\"auth\":\"[^\"]*\"}//" "$3""#;

/// Writes down what it is asked, a word a line.
const AZ: &str = r#"[ "$1 $2" = "acr show" ] && echo "id of $4" && exit
printf '%s\n' "$@" >"$HOME/asked""#;

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
        (row.prepare)(&home, &simulator, &mut command);
        // The programs that clients are recognised by. Those of the machine are not meant.
        home.script("bin/docker", DOCKER);
        home.script("bin/podman", PODMAN);
        home.script("bin/az", AZ);
        home.script("bin/timedatectl", AZ);
        home.script("bin/sudo", "exec \"$@\"");
        Self {
            home,
            simulator,
            command,
            arguments: row.arguments.join(" "),
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
            "docker-credential-acrscoped doctor {} {options}",
            self.arguments
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

/// What a command of a hint does here.
enum Here {
    /// It runs, with a docker or podman that only signs out.
    Runs,
    /// A program of its name writes down what it is asked, and the simulator does it.
    IsDoneBy(fn(&Simulator, &[&str])),
    /// It does not run here, for this reason.
    Cannot(&'static str),
}

/// The commands of all hints in `golden/`, by how they begin.
const COMMANDS: [(&str, Here); 16] = [
    ("docker-credential-acrscoped configure ", Here::Runs),
    ("docker-credential-acrscoped config set ", Here::Runs),
    (
        "docker-credential-acrscoped login",
        Here::Cannot("it needs a person and a keyring: tests/login"),
    ),
    ("docker logout ", Here::Runs),
    ("podman logout ", Here::Runs),
    ("mv ", Here::Runs),
    ("az role assignment create ", Here::IsDoneBy(assign_role)),
    ("az acr network-rule add ", Here::IsDoneBy(allow_address)),
    (
        "az acr config authentication-as-arm ",
        Here::IsDoneBy(refuse_arm_tokens),
    ),
    ("sudo timedatectl ", Here::IsDoneBy(set_clock)),
    (
        "sudo install ",
        Here::Cannot("it writes to a folder of the system"),
    ),
    ("az login", Here::Cannot("it needs a person: tests/clients")),
    ("az acr show ", Here::Cannot("it only shows something")),
    (
        "az acr check-health ",
        Here::Cannot("it only shows something"),
    ),
    (
        "az ad app credential reset ",
        Here::Cannot("it prints a secret, which a person sets"),
    ),
    (
        "export HTTPS_PROXY=",
        Here::Cannot("only a person knows what `USER` and `PASSWORD` stand for"),
    ),
];

fn here(command: &str) -> &'static Here {
    let row = COMMANDS
        .iter()
        .find(|(start, _)| command.starts_with(start));
    &row.unwrap_or_else(|| panic!("no row for {command}")).1
}

fn assign_role(simulator: &Simulator, asked: &[&str]) {
    let [
        _,
        _,
        _,
        "--assignee",
        assignee,
        "--role",
        role,
        "--scope",
        "id of contoso",
    ] = asked
    else {
        panic!("{asked:?}");
    };
    assert_eq!(*assignee, simulator::CLIENT_OBJECT);
    let is_pull = ["AcrPull", "Container Registry Repository Reader"].contains(role);
    assert!(is_pull, "{role}");
    let role = Role::new("*", "*", &["pull"]);
    simulator.change(|settings| settings.registry_mut(REGISTRY).roles.push(role));
}

fn allow_address(simulator: &Simulator, asked: &[&str]) {
    let rest = ["--name", "contoso", "--ip-address", "203.0.113.9"];
    assert_eq!(asked[3..], rest);
    simulator.change(|settings| settings.registry_mut(REGISTRY).firewall = None);
}

fn refuse_arm_tokens(simulator: &Simulator, asked: &[&str]) {
    assert_eq!(
        asked[3..],
        ["update", "--registry", "contoso", "--status", "disabled"]
    );
    simulator.change(|settings| settings.registry_mut(REGISTRY).accept_arm_tokens = false);
}

fn set_clock(simulator: &Simulator, asked: &[&str]) {
    assert_eq!(asked, ["set-ntp", "true"]);
    simulator.change(|settings| settings.clock_skew = 0);
}

/// The set-ups in which the first command of the verdict runs here, and does not help.
const NO_HELP: [(&str, &str); 2] = [
    (
        "registry-of-another-tenant",
        "the registry answers as if a role were missing",
    ),
    (
        "token-already-ended",
        "the clock of the simulator is right, its token is old",
    ),
];

/// The set-ups of `golden/` whose first command runs here. Every command has its row.
fn set_ups_to_fix() -> Vec<String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/doctor/golden");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path
            .file_stem()
            .and_then(|name| name.to_str())
            .expect("a name");
        let text = std::fs::read_to_string(&path).expect("a transcript");
        let lines = text.lines().skip_while(|line| !line.contains(". To fix "));
        let commands = lines.filter_map(|line| line.strip_prefix("  "));
        let commands: Vec<&Here> = commands.map(here).collect();
        let is_run = match commands.first() {
            Some(Here::Cannot(reason)) => {
                println!("{name}: the command does not run here: {reason}");
                false
            }
            first => first.is_some(),
        };
        let is_no_help = NO_HELP.iter().any(|(other, _)| *other == name);
        // The set-up of `direct.rs` needs a namespace.
        if is_run && !is_no_help && name != "private-endpoint-without-dns" {
            names.push(name.to_owned());
        }
    }
    names
}

#[test]
fn the_commands_of_hints_fix_their_set_ups() {
    let names = set_ups_to_fix();
    assert!(names.len() >= 14, "{names:?}");
    in_parallel(&names, |name| {
        let world = World::new(name);
        let first = world.json();
        let mut json = first.clone();
        // Behind one problem there can be another.
        for _ in 0..3 {
            let typed = commands(&json).first().map(|command| {
                let answer = world.types(command);
                if let Here::IsDoneBy(act) = here(command) {
                    let asked = std::fs::read_to_string(world.home.path("home/asked"));
                    let asked = asked.unwrap_or_else(|error| panic!("{error}: {answer:#?}"));
                    act(&world.simulator, &asked.lines().collect::<Vec<_>>());
                }
                json = world.json();
            });
            if typed.is_none() {
                break;
            }
        }
        assert_ne!(json["cause"], first["cause"], "{name}: {first:#}\n{json:#}");
        assert_ne!(json["verdict"], "failed", "{name}: {json:#}");
    });
}

#[test]
fn a_file_that_cannot_be_read_is_one_problem_and_reported_once() {
    let world = World::new("docker-file-broken");
    let plain = world.doctor("--plain");
    assert!(plain.stdout.contains("\n1 problem. "), "{plain:#?}");
    let answer = world.doctor("--fix --plain");
    let (fixes, _) = answer
        .stdout
        .split_once("\nok: Network")
        .expect("two parts");
    assert_eq!(fixes.matches("is not valid JSON").count(), 1, "{answer:#?}");
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
    // Podman reads it, and `REGISTRY_AUTH_FILE` names another file to write.
    let missing = world.home.path("home/.config/containers/auth.json");
    let fixes = world.doctor("--fix --json").json()["fixes"].clone();
    assert!(!missing.exists(), "{fixes:#}");
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
    assert_eq!(
        docker.expect("a check")["commands"],
        serde_json::json!(["docker-credential-acrscoped configure contoso.azurecr.io"])
    );
    assert_eq!(json["versions"]["podman"], "5.4.0", "{json:#}");
    assert!(json["versions"]["docker"].is_null(), "{json:#}");
    assert!(json["versions"]["docker-credential-acrscoped"].is_string());
}
