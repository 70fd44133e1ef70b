//! The program for Windows under wine, against the simulator: Credential Manager, `az.cmd`, one sign-in for many, and the files of a profile.
//!
//! wine is not Windows: what only Windows can show is listed in `docs/platforms.md`.
#![cfg(target_os = "linux")]
#![allow(
    clippy::disallowed_methods,
    reason = "tests are a process edge of their own"
)]

mod support;

use simulator::{Endpoint, Settings, Simulator, TENANT};
use std::collections::HashSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard};
use support::run::in_parallel_by;
use support::{Answer, LIMIT, NOT_OURS, REGISTRY, identify, run, until};

/// There is one Windows, with one Credential Manager.
static TURN: Mutex<()> = Mutex::new(());

/// Where wine keeps the entries of Credential Manager.
const CREDENTIALS: &str = r"HKCU\Software\Wine\Credential Manager";

/// A Windows on which nobody has done anything yet.
struct Windows {
    bin: tempfile::TempDir,
    simulator: Simulator,
    _turn: MutexGuard<'static, ()>,
}

fn binary() -> PathBuf {
    std::env::var_os("ACRSCOPED_WINDOWS_BINARY")
        .expect("run tests/platforms/windows")
        .into()
}

/// wine's folder, which takes a while to make and 700 MB, so that it is kept.
fn prefix() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("wine")
}

/// A path as Windows programs see it.
fn windows_path(path: &Path) -> String {
    format!("Z:{}", path.display()).replace('/', "\\")
}

impl Windows {
    fn new() -> Self {
        Self::with(Settings::default())
    }

    fn with(settings: Settings) -> Self {
        // Another test that failed has left it.
        let turn = TURN
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let bin = tempfile::Builder::new()
            .prefix("acrscoped-test-")
            .tempdir()
            .expect("a temporary folder");
        let simulator = Simulator::start(settings).expect("a simulator");
        let windows = Self {
            bin,
            simulator,
            _turn: turn,
        };
        run(windows.wine(&["wineboot", "--init"]), "", LIMIT).succeeds();
        // It fails where there are none.
        run(
            windows.wine(&["reg", "delete", CREDENTIALS, "/f"]),
            "",
            LIMIT,
        );
        for folder in [
            ".docker",
            ".azure",
            r"AppData/Local/docker-credential-acrscoped",
            "AppData/Roaming/docker-credential-acrscoped",
        ] {
            let folder = Windows::profile().join(folder);
            assert!(
                !folder.exists() || std::fs::remove_dir_all(&folder).is_ok(),
                "{}",
                folder.display()
            );
        }
        windows
    }

    /// The folder of the only user.
    fn profile() -> PathBuf {
        let users = std::fs::read_dir(prefix().join("drive_c/users")).expect("wine's folder");
        let mut users = users.map(|user| user.expect("wine's folder").path());
        users
            .find(|user| user.file_name().is_some_and(|name| name != "Public"))
            .expect("a user")
    }

    fn write(name: &str, content: &str) {
        let file = Self::profile().join(name);
        std::fs::create_dir_all(file.parent().expect("a folder"))
            .and_then(|()| std::fs::write(&file, content))
            .expect("our folder");
    }

    /// A program of Windows, of which nothing of the environment the tests run in is known.
    fn wine(&self, words: &[&str]) -> Command {
        let mut command = Command::new("wine");
        command
            .args(words)
            .env_clear()
            .current_dir(self.bin.path())
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.bin.path())
            .env("WINEPREFIX", prefix())
            .env("WINEPATH", windows_path(self.bin.path()))
            .env("WINEDEBUG", "-all")
            // Neither .NET nor a browser is asked for.
            .env("WINEDLLOVERRIDES", "mscoree,mshtml=");
        command
    }

    /// The helper with these words and no identity.
    fn command(&self, line: &str) -> Command {
        let mut command = self.wine(&[]);
        command
            .arg(binary())
            .args(line.split_whitespace())
            .env("HTTPS_PROXY", self.simulator.origin())
            .env("SSL_CERT_FILE", windows_path(&self.simulator.ca_file()))
            .env("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:1");
        command
    }

    /// The helper with these words as a service principal.
    fn signed_in(&self, line: &str) -> Command {
        let mut command = self.command(line);
        identify(&mut command, &self.simulator).env("ACRSCOPED_CACHE", "auto");
        command
    }

    fn ask(&self, line: &str, stdin: &str) -> Answer {
        run(self.signed_in(line), stdin, LIMIT)
    }

    /// From now on nothing answers.
    fn disconnect(&self) {
        self.simulator.change(|settings| {
            let gone = simulator::FaultKind::Reset;
            settings.faults = [simulator::FaultAt::Authority, simulator::FaultAt::Exchange]
                .map(|at| simulator::Fault::always(at, gone.clone()))
                .into();
        });
    }

    fn count(&self, endpoint: Endpoint) -> usize {
        self.simulator
            .journal()
            .iter()
            .filter(|entry| entry.endpoint == endpoint)
            .count()
    }

    /// What Credential Manager has of ours.
    fn credentials(&self) -> usize {
        let all = run(self.wine(&["reg", "query", CREDENTIALS]), "", LIMIT).text();
        all.lines()
            .filter(|line| line.contains("docker-credential-acrscoped"))
            .count()
    }

    /// An `az.cmd`, and somebody who is signed in to it. Beside it stands the shell script that the real one has there, too.
    fn fake_azure_cli(&self, lines: &str) {
        std::fs::write(self.bin.path().join("az"), "#!/bin/sh\nexit 9\n").expect("our folder");
        let script = format!("@echo off\r\necho %* >> \"%~dp0arguments\"\r\n{lines}\r\n");
        std::fs::write(self.bin.path().join("az.cmd"), script).expect("our folder");
        let profile = format!(
            "\u{feff}{{\"subscriptions\":[{{\"id\":\"a84f2b6d-1c90\",\"isDefault\":true,\"environmentName\":\"AzureCloud\",\
             \"tenantId\":\"{TENANT}\",\"user\":{{\"name\":\"alice\"}}}}]}}"
        );
        Self::write(".azure/azureProfile.json", &profile);
    }

    /// An access token for registries, as the simulator gives it to virtual machines.
    fn access_token(&self) -> String {
        let mut stream = TcpStream::connect(self.simulator.origin().trim_start_matches("http://"))
            .expect("the simulator");
        let query = "api-version=2018-02-01&resource=https%3A%2F%2Fcontainerregistry.azure.net";
        let request = format!(
            "GET /metadata/identity/oauth2/token?{query} HTTP/1.1\r\nHost: 169.254.169.254\r\nMetadata: true\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).expect("the simulator");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the simulator");
        let token = answer
            .split_once("\"access_token\":\"")
            .and_then(|(_, rest)| rest.split_once('"'));
        token.unwrap_or_else(|| panic!("{answer}")).0.to_owned()
    }
}

#[test]
#[ignore = "needs wine and mingw: run tests/platforms/windows"]
fn a_token_is_kept_in_credential_manager_listed_and_erased() {
    let windows = Windows::new();
    let first = windows.ask("get", REGISTRY).succeeds().secret();
    windows.disconnect();
    assert_eq!(windows.ask("get", REGISTRY).succeeds().secret(), first);
    // As bazel's helper for Windows sends it.
    assert_eq!(
        windows
            .ask("get", &format!("{REGISTRY} \r\n"))
            .succeeds()
            .secret(),
        first
    );
    assert_eq!(
        windows.ask("list", "unused").succeeds().json()[REGISTRY],
        support::ZERO_GUID
    );
    let status = windows.ask("status --plain", "").succeeds().stdout;
    assert!(
        status.contains("Credential Manager") && status.contains(REGISTRY),
        "{status}"
    );
    assert!(windows.credentials() > 0);
    windows.ask("erase", &format!("{REGISTRY}\r\n")).succeeds();
    windows.ask("erase", REGISTRY).succeeds();
    assert_eq!(
        (
            windows.credentials(),
            windows.ask("list", "").succeeds().json()
        ),
        (0, serde_json::json!({}))
    );
    windows.ask("get", REGISTRY).fails();
}

#[test]
#[ignore = "needs wine and mingw: run tests/platforms/windows"]
fn a_token_longer_than_an_entry_comes_back_whole_and_goes_whole() {
    let windows = Windows::with(Settings {
        refresh_token_bytes: 7_000,
        ..Settings::default()
    });
    let first = windows.ask("get", REGISTRY).succeeds().secret();
    assert!(first.len() >= 7_000);
    windows.disconnect();
    assert_eq!(windows.ask("get", REGISTRY).succeeds().secret(), first);
    windows.ask("erase", REGISTRY).succeeds();
    assert_eq!(windows.credentials(), 0);
}

#[test]
#[ignore = "needs wine and mingw: run tests/platforms/windows"]
fn the_azure_cli_is_az_cmd_and_is_told_whose_token_is_meant() {
    let windows = Windows::new();
    let token = windows.access_token();
    let answer = format!(
        "{{\"accessToken\":\"{token}\",\"expires_on\":4102444800,\"tokenType\":\"Bearer\"}}"
    );
    std::fs::write(windows.bin.path().join("answer.json"), answer).unwrap();
    windows.fake_azure_cli("type \"%~dp0answer.json\"");
    run(windows.command("get"), REGISTRY, LIMIT)
        .succeeds()
        .secret();
    let arguments = std::fs::read_to_string(windows.bin.path().join("arguments")).unwrap();
    let expected = "account get-access-token -o json --scope https://containerregistry.azure.net/.default --subscription \"a84f2b6d-1c90\"";
    assert_eq!(arguments.trim(), expected);
}

#[test]
#[ignore = "needs wine and mingw: run tests/platforms/windows"]
fn an_azure_cli_that_hangs_is_ended_with_all_it_started() {
    let windows = Windows::new();
    windows.fake_azure_cli("ping -n 300 127.0.0.1");
    let mut command = windows.command("get");
    command.env("ACRSCOPED_TIMEOUT", "5");
    let answer = run(command, REGISTRY, LIMIT).fails();
    assert_eq!(
        answer.stdout,
        "timed out after 5 s waiting for an access token from the Azure CLI\n"
    );
    assert!(windows.bin.path().join("arguments").exists(), "it did run");
    until("end of what az.cmd started", || {
        (!is_running("ping")).then_some(())
    });
}

/// Whether some process has this word among its arguments.
fn is_running(word: &str) -> bool {
    let processes = std::fs::read_dir("/proc")
        .expect("Linux")
        .filter_map(Result::ok);
    processes
        .filter_map(|process| std::fs::read(process.path().join("cmdline")).ok())
        .any(|line| {
            let line = String::from_utf8_lossy(&line).into_owned();
            line.contains(word) && line.contains("300")
        })
}

#[test]
#[ignore = "needs wine and mingw: run tests/platforms/windows"]
fn twenty_at_once_cost_one_sign_in_and_one_exchange() {
    let windows = Windows::new();
    let answers = in_parallel_by(20, 20, |_| {
        let mut command = windows.signed_in("get");
        command.env("ACRSCOPED_TIMEOUT", "120");
        // A wine that hangs fails the test, and is ended.
        run(command, REGISTRY, LIMIT * 2)
    });
    let failures: Vec<_> = answers
        .iter()
        .filter(|answer| !answer.status.success())
        .collect();
    assert!(failures.is_empty(), "{failures:?}");
    assert_eq!(
        answers
            .iter()
            .map(|answer| &answer.stdout)
            .collect::<HashSet<_>>()
            .len(),
        1
    );
    assert_eq!(
        (
            windows.count(Endpoint::EntraToken),
            windows.count(Endpoint::Exchange)
        ),
        (1, 1)
    );
}

#[test]
#[ignore = "needs wine and mingw: run tests/platforms/windows"]
fn other_hosts_go_to_a_helper_that_is_found_with_its_ending() {
    let windows = Windows::new();
    assert_eq!(
        windows.ask("get", "docker.io").fails().stdout.trim_end(),
        NOT_OURS
    );
    let other =
        "@echo off\r\necho {\"ServerURL\":\"docker.io\",\"Username\":\"u\",\"Secret\":\"s\"}\r\n";
    std::fs::write(
        windows.bin.path().join("docker-credential-other.cmd"),
        other,
    )
    .unwrap();
    let mut command = windows.signed_in("get");
    command.env("ACRSCOPED_DELEGATE", "other");
    assert_eq!(
        run(command, "docker.io", LIMIT).succeeds().json()["Secret"],
        "s"
    );
    let store =
        format!("{{\"ServerURL\":\"{REGISTRY}\",\"Username\":\"<token>\",\"Secret\":\"t\"}}");
    windows.ask("store", &store).succeeds();
    assert_eq!(
        windows.credentials(),
        0,
        "only what we obtained ourselves is kept"
    );
}

#[test]
#[ignore = "needs wine and mingw: run tests/platforms/windows"]
fn configure_writes_the_file_of_docker_in_the_profile_and_takes_it_back() {
    let windows = Windows::new();
    let file = Windows::profile().join(".docker/config.json");
    Windows::write(".docker/config.json", "{\r\n\t\"auths\": {}\r\n}\r\n");
    // The program is not on `PATH`, which is a failed check.
    windows
        .ask(&format!("configure {REGISTRY} --plain"), "")
        .fails();
    let text = std::fs::read_to_string(&file).unwrap();
    let config: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(config["credHelpers"][REGISTRY], "acrscoped", "{text}");
    windows
        .ask(&format!("configure --remove {REGISTRY} --plain"), "")
        .succeeds();
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        "{\r\n\t\"auths\": {}\r\n}\r\n"
    );
}

#[test]
#[ignore = "needs wine and mingw: run tests/platforms/windows"]
fn the_config_file_is_that_of_the_profile_and_names_stores_of_windows_only() {
    let windows = Windows::new();
    let file = "AppData/Roaming/docker-credential-acrscoped/config.toml";
    Windows::write(file, "cache = 'keychain'\r\n");
    let mut command = windows.signed_in("get");
    command.env_remove("ACRSCOPED_CACHE");
    let answer = run(command, REGISTRY, LIMIT).fails();
    assert!(
        answer.stdout.contains(
            "`cache` cannot be \"keychain\": allowed values are auto, credential-manager, none"
        ),
        "{answer:?}"
    );
    Windows::write(file, "cache = 'credential-manager'\r\n");
    let mut command = windows.signed_in("get");
    command.env_remove("ACRSCOPED_CACHE");
    run(command, REGISTRY, LIMIT).succeeds();
    assert!(windows.credentials() > 0);
}

#[test]
#[ignore = "needs wine and mingw: run tests/platforms/windows"]
fn a_login_is_kept_in_credential_manager_and_forgotten() {
    let windows = Windows::new();
    let answer = run(
        windows.command(&format!("login {REGISTRY} --device-code")),
        "",
        LIMIT,
    )
    .succeeds();
    assert!(
        answer
            .stdout
            .contains("Saved in the Credential Manager. It expires after 90 days without use."),
        "{answer:?}"
    );
    run(windows.command("erase"), REGISTRY, LIMIT).succeeds();
    run(windows.command("get"), REGISTRY, LIMIT)
        .succeeds()
        .secret();
    run(windows.command(&format!("logout {REGISTRY}")), "", LIMIT).succeeds();
    assert_eq!(windows.credentials(), 0);
    run(windows.command("get"), REGISTRY, LIMIT).fails();
}
