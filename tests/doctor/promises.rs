//! What `doctor` promises whatever it finds.

use crate::golden::wired;
#[cfg(target_os = "linux")]
use crate::support::namespace::Namespace;
use crate::support::{Answer, Home, LIMIT, REGISTRY, helper, run, world};
use simulator::{Endpoint, Simulator};

/// `doctor` with these arguments.
fn doctor(home: &Home, simulator: &Simulator, arguments: &[&str]) -> Answer {
    let mut command = wired(home, simulator, REGISTRY);
    command.arg("doctor").args(arguments);
    run(command, "", LIMIT)
}

/// Whether anything in the journal has to do with Azure Resource Manager.
fn asks_arm(simulator: &Simulator) -> bool {
    simulator.journal().iter().any(|entry| {
        let audiences = [&entry.audience_requested, &entry.token.as_ref().map(|token| token.audience.clone())];
        entry.endpoint == Endpoint::Arm || audiences.into_iter().flatten().any(|audience| audience.contains("management."))
    })
}

#[test]
fn azure_resource_manager_is_asked_for_only_when_told_to_and_announced() {
    let (home, simulator) = world();
    doctor(&home, &simulator, &[REGISTRY, "--repository", "team/app"]).succeeds();
    assert!(!asks_arm(&simulator), "{:#?}", simulator.journal());
    let answer = doctor(&home, &simulator, &[REGISTRY, "--probe-arm"]).succeeds();
    assert!(asks_arm(&simulator));
    assert!(answer.stderr.starts_with("--probe-arm: if contoso.azurecr.io accepts an ACR-scoped token"), "{answer:#?}");
}

#[test]
fn azure_resource_manager_is_not_asked_for_where_the_registry_refuses_the_identity_anyway() {
    let (home, simulator) = world();
    simulator.change(|settings| settings.registry_mut(REGISTRY).roles.clear());
    let answer = doctor(&home, &simulator, &[REGISTRY, "--probe-arm", "--plain"]).fails();
    assert!(!asks_arm(&simulator), "{:#?}", simulator.journal());
    let said = "skipped: arm-tokens: not looked at: the helper requested no ARM-scoped token, because exchange failed";
    assert!(answer.stdout.contains(said), "{answer:#?}");
}

#[test]
fn json_has_stable_words_and_names_the_cause() {
    let (home, simulator) = world();
    simulator.change(|settings| settings.registry_mut(REGISTRY).roles.clear());
    let answer = doctor(&home, &simulator, &[REGISTRY, "--json"]).fails();
    let json = answer.json();
    assert_eq!((&json["registry"], &json["verdict"], &json["cause"]), (&REGISTRY.into(), &"failed".into(), &"exchange".into()));
    let checks = json["checks"].as_array().expect("a list");
    let status = |name: &str| checks.iter().find(|check| check["name"] == name).map(|check| check["status"].clone());
    for (name, word) in [("tls", "ok"), ("exchange", "failed"), ("refresh-token", "skipped"), ("keyring", "skipped")] {
        assert_eq!(status(name), Some(word.into()), "{json:#}");
    }
    assert!(checks.iter().all(|check| check["summary"].is_string() && check["details"].is_array()));
}

#[test]
fn a_report_names_nobody_and_overwrites_nothing() {
    let (home, simulator) = world();
    simulator.change(|settings| settings.registry_mut(REGISTRY).firewall = Some("203.0.113.9".into()));
    let file = home.path("report.md");
    let option = format!("--report={}", file.display());
    let answer = doctor(&home, &simulator, &[REGISTRY, &option]).fails();
    assert!(answer.stderr.contains(&format!("the report is in {}", file.display())), "{answer:#?}");
    let report = std::fs::read_to_string(&file).expect("the report");
    assert!(report.contains("failed: challenge: the firewall of <registry>.azurecr.io does not let <address> in"), "{report}");
    let own = home.path("home").display().to_string();
    for name in ["contoso", "203.0.113.9", simulator::TENANT, simulator::CLIENT, &own, &simulator.settings().apps[0].secret] {
        assert!(!report.contains(name), "{name} in {report}");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&file).expect("the report").permissions().mode() & 0o777, 0o600);
    }
    let again = doctor(&home, &simulator, &[REGISTRY, &option]).fails();
    assert!(again.stderr.contains("could not be written: File exists"), "{again:#?}");
    assert!(again.stderr.contains("remove it, or name another: `--report=FILE`"), "{again:#?}");
    assert_eq!(std::fs::read_to_string(&file).expect("the report"), report);
}

#[test]
fn a_report_shows_no_object_id_in_the_command_that_gives_a_role() {
    let (home, simulator) = world();
    simulator.change(|settings| settings.registry_mut(REGISTRY).roles.clear());
    let file = home.path("report.md");
    let option = format!("--report={}", file.display());
    let answer = doctor(&home, &simulator, &[REGISTRY, &option]).fails();
    assert!(answer.stdout.contains(&format!("--assignee {}", simulator::CLIENT_OBJECT)), "{answer:#?}");
    let report = std::fs::read_to_string(&file).expect("the report");
    assert!(report.contains("hint: az role assignment create --assignee c2a6"), "{report}");
    assert!(!report.contains(simulator::CLIENT_OBJECT) && !report.contains("contoso"), "{report}");
}

#[test]
fn a_report_names_no_cloud_of_ones_own() {
    let (home, simulator) = world();
    let row = crate::setups::working().into_iter().find(|row| row.name == "works-private-cloud").expect("a set-up");
    let mut command = wired(&home, &simulator, row.arguments[0]);
    (row.prepare)(&home, &simulator, &mut command);
    let file = home.path("report.md");
    command.args(["doctor", row.arguments[0], &format!("--report={}", file.display())]);
    run(command, "", LIMIT).succeeds();
    let report = std::fs::read_to_string(&file).expect("the report");
    assert!(report.contains("ok: registry: <registry>.<suffix> is a registry of <cloud>"), "{report}");
    assert!(!report.to_lowercase().contains("fabrikam") && !report.contains("contoso"), "{report}");
}

#[test]
fn the_file_of_a_report_may_stand_behind_a_space() {
    let (home, simulator) = world();
    let file = home.path("report.md").display().to_string();
    doctor(&home, &simulator, &[REGISTRY, "--report", &file]).succeeds();
    assert!(std::fs::read_to_string(&file).expect("the report").contains("<registry>.azurecr.io"));
    let alone = doctor(&home, &simulator, &["--report", &file]).fails();
    assert!(alone.stderr.contains("`--report=FILE`"), "{alone:#?}");
}

#[test]
fn no_token_is_shown() {
    let (home, simulator) = world();
    for arguments in [&[REGISTRY][..], &[REGISTRY, "--json"], &[REGISTRY, "--repository", "team/app", "--plain"]] {
        let answer = doctor(&home, &simulator, arguments).succeeds();
        let text = answer.text();
        assert!(!text.contains("eyJ") && !text.contains(&simulator.settings().apps[0].secret), "{text}");
    }
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "needs user namespaces and keyutils: run tests/run"]
fn a_keyring_is_tried_and_left_as_it_was() {
    let (home, simulator) = world();
    let namespace = Namespace::new();
    let ask = |arguments: &[&str]| {
        let mut command = namespace.enter(&helper(&home, &simulator));
        command.args(arguments);
        run(command, "", LIMIT)
    };
    let json = ask(&["doctor", REGISTRY, "--json"]).json();
    let checks = json["checks"].as_array().expect("a list");
    let keyring = checks.iter().find(|check| check["name"] == "keyring").expect("a check of the keyring");
    assert_eq!(keyring["summary"], "kernel keyring took, gave back and dropped a token of 2 KiB", "{json:#}");
    assert_eq!(ask(&["list"]).succeeds().json(), serde_json::json!({}));
    assert!(ask(&["status"]).succeeds().stdout.starts_with("No token is cached"));
}
