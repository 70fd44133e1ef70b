//! What must not happen: a foreign host that wakes anything, which is read off the system calls, and a secret that leaves.
#![cfg(target_os = "linux")]

mod support;

use simulator::{Fault, FaultAt, FaultKind};
use std::path::Path;
use support::trace::Trace;
use support::{NOT_OURS, REGISTRY, ask, binary, helper, world};

/// Hosts that an attacker would like to be taken for a registry.
const HOSTILE: &[&str] = &[
    "contoso.azurecr.io.evil.example",
    "evil-azurecr.io",
    "azurecr.io",
    "contoso.azurecr.io@evil.example",
    "https://contoso.azurecr.io:443@evil.example/",
    "contoso.azurecr.io%00.evil",
    "contoso.azurecr.io\\.evil.example",
    "evil.example/contoso.azurecr.io",
    "https://evil.example?contoso.azurecr.io",
    "https://evil.example#.azurecr.io",
    "contoso．azurecr．io",
    "contoso。azurecr.io",
    "cоntoso.azurecr.io",
    "xn--cntoso-0nf.azurecr.io",
    "contoso..azurecr.io",
    ".azurecr.io",
    "contoso.azurecr.io..",
    "a234567890123456789012345678901234567890123456789012345678901234.azurecr.io",
    "contoso.data.azurecr.io",
    "contoso.eastus.data.azurecr.io",
    "contoso.privatelink.azurecr.io",
    "contoso.azurecr.io:8443",
    "127.0.0.1",
    "[::1]:443",
    "169.254.169.254",
    "localhost",
    "docker.io",
];

#[test]
#[ignore = "needs strace: run tests/run"]
fn a_hostile_host_causes_no_lookup_connection_process_or_keyring_read() {
    let (home, simulator) = world();
    let mut command = helper(&home, &simulator);
    command.env("ACRSCOPED_CACHE", "auto");
    for host in HOSTILE {
        for action in ["get", "erase"] {
            let (answer, trace) = Trace::of(&home, &command, action, host);
            assert_eq!((answer.code(), answer.stdout.trim_end()), (1, NOT_OURS), "{host}");
            let forbidden =
                ["socket", "connect", "clone", "clone3", "fork", "vfork", "keyctl", "add_key", "request_key", "sendto"];
            assert_eq!(trace.calls(&forbidden), [] as [&str; 0], "{host}");
            assert_eq!(trace.calls(&["execve"]).len(), 1, "{host}");
            assert_eq!(trace.opened(), [] as [&str; 0], "{host}");
        }
    }
    assert!(simulator.journal().is_empty());
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).expect("our folder").map(|entry| entry.expect("our folder").path());
    entries.flat_map(|path| if path.is_dir() && !path.is_symlink() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn no_secret_is_printed_or_written_by_runs_that_fail() {
    let (home, simulator) = world();
    let subject = simulator.settings().apps[0].federated_credentials[0].subject.clone();
    let assertion = simulator.assertion(&subject);
    home.script("bin/az", r#"echo '{"accessToken":"CANARY-ACCESS","expires_on":4102444800,"tokenType":"Bearer"}'"#);
    let kinds = [
        FaultKind::status(500),
        FaultKind::Html,
        FaultKind::Reset,
        FaultKind::CutBody,
        FaultKind::Redirect { to: "https://evil.example/".into() },
        // Answers that are tokens, almost.
        answer(200, r#"{"refresh_token":"CANARY-REFRESH\n"}"#),
        answer(200, r#"{"refresh_token":["CANARY-REFRESH"]}"#),
        answer(200, r#"{"access_token":"CANARY-ACCESS"}"#),
        answer(200, r#"{"access_token":{"a":"CANARY-ACCESS"},"expires_in":1,"token_type":"Bearer"}"#),
        answer(200, r#"{"access_token":"CANARY-ACCESS","expires_in":"x"}"#),
    ];
    let secret = simulator.settings().apps[0].secret.clone();
    let canaries = ["CANARY-", &secret, &assertion, "eyJ", "PROXY-PASSWORD"];
    let mut runs = 0;
    for at in [FaultAt::Authority, FaultAt::Exchange] {
        for kind in &kinds {
            simulator.change(|settings| settings.faults = vec![Fault::always(at.clone(), kind.clone())]);
            for source in ["secret", "assertion", "az"] {
                let mut command = helper(&home, &simulator);
                command
                    .env("ACRSCOPED_LOG", "debug")
                    .env("ACRSCOPED_TIMEOUT", "4")
                    .env("RUST_BACKTRACE", "1")
                    .env("RUST_LOG", "trace");
                command.env("ALL_PROXY", "http://user:PROXY-PASSWORD@127.0.0.1:1");
                match source {
                    "assertion" => drop(command.env("AZURE_FEDERATED_TOKEN_FILE", home.write("token", &assertion)).get_args()),
                    "az" => {
                        command.env_remove("AZURE_CLIENT_SECRET").env("AZURE_CONFIG_DIR", home.path("azure"));
                        home.write("azure/azureProfile.json", "{\"subscriptions\":[{\"isDefault\":true}]}");
                    }
                    _ => {}
                }
                let answer = ask(command, "get", REGISTRY);
                if answer.status.success() {
                    // The fault was not in the way of this source.
                    assert_eq!((source, &at), ("az", &FaultAt::Authority));
                    continue;
                }
                runs += 1;
                std::fs::remove_file(home.path("token")).ok();
                for canary in canaries {
                    assert!(!answer.text().contains(canary), "{canary} in {answer:#?}");
                }
                for file in files(home.root()).iter().filter(|file| !file.starts_with(home.path("bin"))) {
                    let content = std::fs::read(file).unwrap();
                    let content = String::from_utf8_lossy(&content);
                    assert!(!canaries.iter().any(|canary| content.contains(canary)), "a secret in {}", file.display());
                    assert!(!canaries.iter().any(|canary| file.to_string_lossy().contains(canary)), "{}", file.display());
                }
            }
        }
    }
    assert!(runs >= 40, "{runs}");
}

#[test]
fn the_azure_cli_gets_no_secrets_of_other_sources() {
    let (home, simulator) = world();
    home.script("bin/az", r#"env > "$HOME/environment"; exit 1"#);
    home.write("home/.azure/azureProfile.json", "{\"subscriptions\":[{\"isDefault\":true}]}");
    let mut command = helper(&home, &simulator);
    command.env_remove("AZURE_CLIENT_SECRET").env("IDENTITY_HEADER", "CANARY").env("SYSTEM_ACCESSTOKEN", "CANARY");
    ask(command, "get", REGISTRY).fails();
    let environment = std::fs::read_to_string(home.path("home/environment")).unwrap();
    assert!(environment.contains("HTTPS_PROXY=") && !environment.contains("CANARY"), "{environment}");
}

fn answer(code: u16, body: &str) -> FaultKind {
    FaultKind::Status { code, retry_after: None, body: body.into(), content_type: None }
}

#[test]
fn the_command_line_of_no_child_holds_a_secret() {
    let (home, simulator) = world();
    home.script("bin/az", r#"echo "$0 $*" > "$HOME/argv"; cat /proc/$PPID/cmdline >> "$HOME/argv"; exit 1"#);
    home.write("home/.azure/azureProfile.json", "{\"subscriptions\":[{\"isDefault\":true}]}");
    let mut command = helper(&home, &simulator);
    command.env_remove("AZURE_CLIENT_SECRET");
    ask(command, "get", REGISTRY).fails();
    let argv = std::fs::read_to_string(home.path("home/argv")).unwrap();
    assert!(argv.contains("--scope https://containerregistry.azure.net/.default"), "{argv}");
    assert!(!argv.contains("eyJ") && !argv.contains(binary().file_name().unwrap().to_str().unwrap()), "{argv}");
}
