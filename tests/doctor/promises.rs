//! What `doctor` promises whatever it finds.

use crate::golden::wired;
#[cfg(target_os = "linux")]
use crate::support::namespace::Namespace;
use crate::support::{Answer, Home, LIMIT, REGISTRY, helper, run, until, world};
use simulator::{BadCertificate, Endpoint, Fault, FaultAt, FaultKind, Simulator};
use std::process::Command;

/// `doctor` with these arguments.
fn doctor(home: &Home, simulator: &Simulator, arguments: &[&str]) -> Answer {
    let mut command = wired(home, simulator, REGISTRY);
    command.arg("doctor").args(arguments);
    run(command, "", LIMIT)
}

/// Whether anything in the journal has to do with Azure Resource Manager.
fn asks_arm(simulator: &Simulator) -> bool {
    simulator.journal().iter().any(|entry| {
        let audiences = [
            &entry.audience_requested,
            &entry.token.as_ref().map(|token| token.audience.clone()),
        ];
        entry.endpoint == Endpoint::Arm
            || audiences
                .into_iter()
                .flatten()
                .any(|audience| audience.contains("management."))
    })
}

#[test]
fn azure_resource_manager_is_asked_for_only_when_told_to_and_announced() {
    let (home, simulator) = world();
    doctor(&home, &simulator, &[REGISTRY, "--repository", "team/app"]).succeeds();
    assert!(!asks_arm(&simulator), "{:#?}", simulator.journal());
    let answer = doctor(&home, &simulator, &[REGISTRY, "--probe-arm"]).succeeds();
    assert!(asks_arm(&simulator));
    assert!(
        answer
            .stderr
            .starts_with("--probe-arm: if contoso.azurecr.io accepts an ACR-scoped token"),
        "{answer:#?}"
    );
}

#[test]
fn azure_resource_manager_is_not_asked_for_where_the_registry_refuses_the_identity_anyway() {
    let (home, simulator) = world();
    simulator.change(|settings| settings.registry_mut(REGISTRY).roles.clear());
    let options = [REGISTRY, "--probe-arm", "--plain", "--verbose"];
    let answer = doctor(&home, &simulator, &options).fails();
    assert!(!asks_arm(&simulator), "{:#?}", simulator.journal());
    let said = "skipped: arm-tokens: not checked, because Registry failed";
    assert!(answer.stdout.contains(said), "{answer:#?}");
}

#[test]
fn json_has_stable_words_and_names_the_cause() {
    let (home, simulator) = world();
    simulator.change(|settings| settings.registry_mut(REGISTRY).roles.clear());
    let answer = doctor(&home, &simulator, &[REGISTRY, "--json"]).fails();
    let json = answer.json();
    assert_eq!(
        (&json["registry"], &json["verdict"], &json["cause"]),
        (&REGISTRY.into(), &"failed".into(), &"exchange".into())
    );
    let checks = json["checks"].as_array().expect("a list");
    let status = |name: &str| {
        checks
            .iter()
            .find(|check| check["name"] == name)
            .map(|check| check["status"].clone())
    };
    for (name, word) in [
        ("tls", "ok"),
        ("exchange", "failed"),
        ("refresh-token", "skipped"),
        ("keyring", "skipped"),
    ] {
        assert_eq!(status(name), Some(word.into()), "{json:#}");
    }
    assert!(
        checks
            .iter()
            .all(|check| check["summary"].is_string() && check["details"].is_array())
    );
}

/// What is wrong, and what is set, in one report; every name that is planted begins with `zz` or is listed.
type Planted = fn(&Home, &Simulator, &mut Command);

/// The report of a set-up.
fn report(prepare: Planted) -> String {
    let (home, simulator) = world();
    let file = home.path("report.md");
    let mut command = wired(&home, &simulator, REGISTRY);
    prepare(&home, &simulator, &mut command);
    command
        .args(["doctor", REGISTRY, "--repository", "team/app"])
        .arg(format!("--report={}", file.display()));
    let answer = run(command, "", LIMIT);
    let report =
        std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{error}: {answer:#?}"));
    assert!(
        answer.text().contains("zz") || answer.text().contains("ZZ"),
        "nothing is planted: {answer:#?}"
    );
    let own = [home.root(), simulator.ca_file().parent().expect("a folder")]
        .map(|path| path.display().to_string());
    let secret = simulator.settings().apps[0].secret.clone();
    let listed = [
        "zz",
        "team/app",
        "contoso",
        "0f9c",
        "5b8d",
        "72f9",
        "203.0.113.9",
        "10.9.8.7",
        simulator::TENANT,
        simulator::CLIENT,
        &secret,
    ];
    for name in listed.into_iter().chain(own.iter().map(String::as_str)) {
        assert!(
            !report.to_lowercase().contains(&name.to_lowercase()),
            "{name} in {report}"
        );
    }
    report
}

/// Names of people, hosts and files in every variable that can hold one.
fn plant_environment(home: &Home, simulator: &Simulator, command: &mut Command) {
    let certificates = std::fs::read(simulator.ca_file()).expect("certificates");
    let file = home.write("srv/Zz Corp/root ca.pem", certificates);
    command
        .env("ACRSCOPED_CA_FILE", &file)
        .env("SSL_CERT_FILE", &file);
    let proxy = simulator
        .origin()
        .replace("//", "//zzproxyuser:zzproxyword@");
    command.env("HTTPS_PROXY", proxy).env(
        "NO_PROXY",
        ".zzintra.example,zzbuild,10.9.8.7,*.zzlab.example",
    );
    command
        .env("SUDO_USER", "zzadmin")
        .env("USER", "zzalice")
        .env("LOGNAME", "zzlog")
        .env("HOSTNAME", "zzhost.zzcorp.example");
    command.env("ACRSCOPED_SUBSCRIPTION", "Zz Production");
    simulator
        .change(|settings| settings.registry_mut(REGISTRY).firewall = Some("203.0.113.9".into()));
}

/// All accounts that the Azure CLI knows, and what Entra says of them.
fn plant_people(home: &Home, _: &Simulator, command: &mut Command) {
    command
        .env_remove("AZURE_CLIENT_SECRET")
        .env_remove("AZURE_CLIENT_ID")
        .env_remove("AZURE_TENANT_ID");
    home.script(
        "bin/az",
        r#"echo "ERROR: AADSTS700016: Application with identifier '5b8d3e17-64c2-4f0a-9d15-7a2e8c40b6f1' was not found in the directory 'Zz Holding AG'. It is 'Secret Service' of root, room 4711 5512 9921. Ask Zz Alice at zzhelp.example, see https://zzwiki.example:8443/zz or //zzshare, or zzother.azurecr.io, or /srv/zzshare/zz, or zz.o'neil@zzmail.example of Zz Alice Ltd" >&2; exit 1"#,
    );
    home.write(
        "home/.azure/azureProfile.json",
        r#"{"subscriptions":[
            {"isDefault":true,"id":"0f9c7a52-3b1e-4d68-8a47-c5e2d1b60f93","name":"Zz Production","state":"Enabled","tenantId":"72f988bf-86f1-41af-91ab-2d7cd011db47",
             "tenantDisplayName":"Zz Alice Ltd","tenantDefaultDomain":"zzcorp.example","environmentName":"AzureCloud","user":{"name":"Zz Alice","type":"user"}},
            {"id":"0f9c7a52-3b1e-4d68-8a47-c5e2d1b60f94","name":"zz test","tenantId":"zztenant","environmentName":"AzureCloud","user":{"name":"zz"}}]}"#,
    );
}

fn plant_inspector(_: &Home, simulator: &Simulator, command: &mut Command) {
    // The issuer of its certificate is `CA of nobody`.
    let fault = Fault::always(
        FaultAt::Connect(REGISTRY.into()),
        FaultKind::Certificate(BadCertificate::UnknownIssuer),
    );
    simulator.change(|settings| settings.faults = vec![fault]);
    command.env("AZURE_CLIENT_ID", "zzclient");
}

#[test]
fn a_report_has_no_name_that_the_machine_knows() {
    let firewall = report(plant_environment);
    assert!(
        firewall.contains("NetworkRule: the network rules of … do not allow …\n"),
        "{firewall}"
    );
    assert!(firewall.contains("`NO_PROXY` is set to …"), "{firewall}");
    let people = report(plant_people);
    assert!(people.contains("SignIn: "), "{people}");
    assert!(people.contains("AADSTS700016: "), "{people}");
    for planted in ["Service", "root", "room", "4711"] {
        assert!(!people.contains(planted), "{people}");
    }
    let inspector = report(plant_inspector);
    assert!(
        !inspector.contains("CA of nobody") && inspector.contains("is signed by …"),
        "{inspector}"
    );
}

#[test]
fn a_report_names_the_versions_that_matter() {
    let report = report(|home, _, command| {
        command.env("AZURE_TENANT_ID", "zz.example");
        home.script("bin/docker", "echo Docker version 28.5.1, build zz");
        home.script("bin/podman", "echo 'podman version zz'; exit 1");
        home.script(
            "bin/az",
            r#"echo '{ "azure-cli": "2.91.0", "zz": "1.2.3" }'"#,
        );
    });
    let first = report.lines().next().expect("a line");
    assert!(first.ends_with(", docker 28.5.1, az 2.91.0"), "{first}");
    assert!(
        first.contains(", system linux ") || !cfg!(target_os = "linux"),
        "{first}"
    );
}

#[cfg(unix)]
#[test]
fn a_report_is_its_owners_and_overwrites_nothing() {
    use std::os::unix::fs::PermissionsExt;
    let (home, simulator) = world();
    let file = home.path("report.md");
    let option = format!("--report={}", file.display());
    let answer = doctor(&home, &simulator, &[REGISTRY, &option]).succeeds();
    assert!(
        answer
            .stderr
            .contains(&format!("The report is in {}.", file.display())),
        "{answer:#?}"
    );
    assert_eq!(
        std::fs::metadata(&file)
            .expect("the report")
            .permissions()
            .mode()
            & 0o777,
        0o600
    );
    let report = std::fs::read_to_string(&file).expect("the report");
    simulator.clear_journal();
    for option in [
        option,
        format!("--report={}", home.path("no/folder/report.md").display()),
    ] {
        let refused = doctor(&home, &simulator, &[REGISTRY, &option]).fails();
        assert!(
            refused.stderr.contains("could not create the report")
                && !refused.stderr.contains("os error"),
            "{refused:#?}"
        );
        assert_eq!(
            (refused.stdout.as_str(), simulator.journal().len()),
            ("", 0),
            "checks ran before: {refused:#?}"
        );
    }
    assert_eq!(std::fs::read_to_string(&file).expect("the report"), report);
}

#[cfg(unix)]
#[test]
fn checks_that_are_interrupted_show_and_report_those_that_were_done() {
    let (home, simulator) = world();
    let slow = FaultKind::Delay { ms: 60_000 };
    simulator.change(|settings| settings.faults = vec![Fault::always(FaultAt::Exchange, slow)]);
    let file = home.path("report.md");
    let mut command = wired(&home, &simulator, REGISTRY);
    command
        .args(["doctor", REGISTRY])
        .arg(format!("--report={}", file.display()))
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null());
    let child = command.spawn().expect("the helper");
    until("exchange", || {
        simulator
            .journal()
            .iter()
            .any(|entry| entry.endpoint == Endpoint::Exchange)
            .then_some(())
    });
    assert!(file.exists());
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::INT).expect("our child");
    let output = child.wait_with_output().expect("our child");
    assert_eq!(output.status.code(), Some(130));
    let shown = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(shown.contains("+ Sign-in     service principal"), "{shown}");
    // The form of the name says nothing of the registry.
    assert!(shown.contains("\n- Registry    interrupted\n"), "{shown}");
    assert!(
        shown.ends_with("\nInterrupted: the remaining checks did not run.\n"),
        "{shown}"
    );
    let report = std::fs::read_to_string(&file).expect("a report");
    assert!(report.contains("\nok: access-token ("), "{report}");
}

#[test]
fn a_report_shows_no_object_id_in_the_command_that_gives_a_role() {
    let (home, simulator) = world();
    simulator.change(|settings| settings.registry_mut(REGISTRY).roles.clear());
    let file = home.path("report.md");
    let option = format!("--report={}", file.display());
    let answer = doctor(&home, &simulator, &[REGISTRY, &option]).fails();
    let words: Vec<&str> = answer.stdout.split_whitespace().collect();
    assert!(
        words
            .join(" ")
            .contains(&format!("--assignee {}", simulator::CLIENT_OBJECT)),
        "{answer:#?}"
    );
    let report = std::fs::read_to_string(&file).expect("the report");
    assert!(
        report.contains("\n  az role assignment create --assignee … --role AcrPull --scope …"),
        "{report}"
    );
    assert!(
        !report.contains(simulator::CLIENT_OBJECT) && !report.contains("contoso"),
        "{report}"
    );
}

#[test]
fn a_report_shows_no_tenant_that_entra_names_without_quotes() {
    let (home, simulator) = world();
    let body = r#"{"error":"invalid_resource","error_description":"AADSTS500011: The resource principal named https://containerregistry.azure.net was not found in the tenant named Woodgrove Bank, Inc. This can happen if the application has not been installed by the administrator of the tenant. Trace ID: 03da4b8e-5ffe-48ca-9754-aff4276f0100"}"#;
    let refused = FaultKind::Status {
        code: 400,
        retry_after: None,
        body: body.into(),
        content_type: None,
    };
    simulator.change(|settings| settings.faults = vec![Fault::always(FaultAt::Authority, refused)]);
    let file = home.path("report.md");
    let answer = doctor(
        &home,
        &simulator,
        &[REGISTRY, "--plain", &format!("--report={}", file.display())],
    )
    .fails();
    assert!(
        answer
            .stdout
            .contains("the tenant named Woodgrove Bank, Inc. This can happen"),
        "{answer:#?}"
    );
    let report = std::fs::read_to_string(&file).expect("the report");
    assert!(report.contains("AADSTS500011: "), "{report}");
    assert!(
        !report.contains("Woodgrove") && !report.contains("Inc."),
        "{report}"
    );
}

#[test]
fn a_firewall_that_refuses_an_ipv6_address_gets_no_rule_for_it() {
    let (home, simulator) = world();
    simulator
        .change(|settings| settings.registry_mut(REGISTRY).firewall = Some("2603:1030::9".into()));
    let json = doctor(&home, &simulator, &[REGISTRY, "--json"])
        .fails()
        .json();
    let check = json["checks"]
        .as_array()
        .expect("checks")
        .iter()
        .find(|check| check["name"] == "challenge")
        .expect("a challenge");
    assert_eq!(
        check["hint"],
        "check the network rules\n  az acr network-rule list --name contoso"
    );
    assert!(
        check["details"]
            .to_string()
            .contains("network rules take IPv4 addresses only"),
        "{check}"
    );
}

#[test]
fn a_report_names_no_cloud_of_ones_own() {
    let (home, simulator) = world();
    let row = crate::setups::working()
        .into_iter()
        .find(|row| row.name == "works-private-cloud")
        .expect("a set-up");
    let mut command = wired(&home, &simulator, row.arguments[0]);
    (row.prepare)(&home, &simulator, &mut command);
    let file = home.path("report.md");
    command.args([
        "doctor",
        row.arguments[0],
        &format!("--report={}", file.display()),
    ]);
    run(command, "", LIMIT).succeeds();
    let report = std::fs::read_to_string(&file).expect("the report");
    assert!(
        report.contains("\nok: registry: … is a valid ACR name …\n"),
        "{report}"
    );
    assert!(
        !report.to_lowercase().contains("fabrikam") && !report.contains("contoso"),
        "{report}"
    );
}

#[test]
fn a_report_is_a_file_that_is_named() {
    let (home, simulator) = world();
    let file = home.path("report.md").display().to_string();
    doctor(&home, &simulator, &[REGISTRY, "--report", &file]).succeeds();
    let report = std::fs::read_to_string(&file).expect("the report");
    assert!(report.contains("\nok: exchange ("), "{report}");
    let alone = doctor(&home, &simulator, &[REGISTRY, "--report"]).fails();
    assert!(alone.stderr.contains("--report <FILE>"), "{alone:#?}");
}

#[test]
fn no_token_is_shown() {
    let (home, simulator) = world();
    for arguments in [
        &[REGISTRY][..],
        &[REGISTRY, "--json"],
        &[REGISTRY, "--repository", "team/app", "--plain"],
    ] {
        let answer = doctor(&home, &simulator, arguments).succeeds();
        let text = answer.text();
        assert!(
            !text.contains("eyJ") && !text.contains(&simulator.settings().apps[0].secret),
            "{text}"
        );
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
    let keyring = checks
        .iter()
        .find(|check| check["name"] == "keyring")
        .expect("a check of the keyring");
    assert_eq!(
        keyring["summary"], "kernel keyring: stored, read and deleted a test token of 2 KiB",
        "{json:#}"
    );
    assert_eq!(ask(&["list"]).succeeds().json(), serde_json::json!({}));
    assert!(
        ask(&["status"])
            .succeeds()
            .stdout
            .starts_with("No registry is configured, and no token is cached")
    );
}

/// A terminal of 60 columns, which is script(1)'s.
#[test]
#[ignore = "needs script(1): run tests/run"]
fn a_terminal_shows_the_step_that_runs_and_lines_are_as_wide_as_it() {
    let (home, simulator) = world();
    let slow = FaultKind::Delay { ms: 1_500 };
    simulator.change(|settings| settings.faults = vec![Fault::always(FaultAt::Exchange, slow)]);
    let shown = |locale: &str| {
        let line =
            format!("stty rows 24 cols 60 && exec docker-credential-acrscoped doctor {REGISTRY}");
        let doctor = wired(&home, &simulator, REGISTRY);
        let mut command = Command::new("/usr/bin/script");
        command
            .args(["--quiet", "--return", "--command", &line, "/dev/null"])
            .env_clear()
            .current_dir(home.path("work"));
        for (name, value) in doctor.get_envs() {
            command.envs(value.map(|value| (name, value)));
        }
        let path = format!("{}:/usr/bin:/bin", home.path("bin").display());
        command.env("PATH", path).env("SHELL", "/bin/sh");
        command
            .env("LC_ALL", locale)
            .env("TERM", "xterm")
            .env("NO_COLOR", "1");
        run(command, "", LIMIT).succeeds().stdout
    };
    let text = shown("C.UTF-8");
    assert!(
        text.contains("\r\x1b[KChecking: the registry … 1 s\r"),
        "{text:?}"
    );
    assert!(text.contains("\r\x1b[K✓ Network "), "{text:?}");
    // A path is not broken.
    let lines: Vec<&str> = text.lines().filter(|line| !line.contains('/')).collect();
    let columns = |line: &&str| {
        let shown = line.rsplit('\r').find(|part| !part.is_empty());
        shown
            .unwrap_or_default()
            .replace("\x1b[K", "")
            .chars()
            .count()
    };
    let longest = lines.iter().map(columns).max();
    assert!(
        longest.is_some_and(|columns| (50..=60).contains(&columns)),
        "{longest:?} {text}"
    );
    let ascii = shown("C");
    assert!(
        ascii.contains("Checking: the registry ... 1 s\r"),
        "{ascii:?}"
    );
    assert!(ascii.is_ascii(), "{ascii:?}");
}
