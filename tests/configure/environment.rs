//! Checks besides the edits: logins that take precedence, other stores, programs that are not found.
use crate::support::{Home, LIMIT, REGISTRY, run};
use serde_json::Value;

const LOGIN: &str = r#"{"auths":{"contoso.azurecr.io":{"auth":"ZXhhbXBsZTpleGFtcGxl","identitytoken":"ZXhhbXBsZQ=="}}}"#;

/// Returns the findings of `configure` as `status: summary (hint)`.
fn findings(home: &Home, words: &[&str], variables: &[(&str, &str)]) -> Vec<String> {
    let mut command = home.command(home.path("bin/docker-credential-acrscoped"));
    command
        .env_remove("REGISTRY_AUTH_FILE")
        .env_remove("DOCKER_CONFIG")
        .env("ACRSCOPED_CACHE", "none");
    command
        .args(["configure", "--json"])
        .args(words)
        .envs(variables.iter().copied());
    let answer = run(command, "", LIMIT);
    let report = answer.json();
    let findings = report["findings"].as_array().expect("findings").iter();
    let text = |value: &Value| {
        value
            .as_str()
            .unwrap_or_default()
            .replace(&home.root().display().to_string(), "")
    };
    let line = |finding: &Value| {
        format!(
            "{}: {} ({})",
            text(&finding["status"]),
            text(&finding["summary"]),
            text(&finding["hint"]).replace('\n', " |")
        )
    };
    let findings: Vec<String> = findings.map(line).collect();
    let has_failed = findings
        .iter()
        .any(|finding| finding.starts_with("failed:"));
    assert_eq!(answer.code(), i32::from(has_failed), "{findings:#?}");
    findings
}

#[track_caller]
fn assert_has(findings: &[String], expected: &str) {
    assert!(
        findings.iter().any(|finding| finding == expected),
        "{expected} is not among {findings:#?}"
    );
}

/// A home with podman, whether the machine has it or not.
fn home() -> Home {
    let home = Home::new();
    home.script("bin/podman", "exit 0");
    home
}

#[test]
fn a_login_of_az_acr_login_is_reported_with_the_command_that_removes_it() {
    let home = home();
    let auth = "MDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAwOng=";
    home.write(
        "home/.docker/config.json",
        LOGIN.replace("ZXhhbXBsZTpleGFtcGxl", auth),
    );
    let note = "warning: /home/.docker/config.json still holds a password for contoso.azurecr.io by `az acr login`, which Docker no \
                longer needs (  docker logout contoso.azurecr.io)";
    assert_has(&findings(&home, &[REGISTRY], &[]), note);
    assert_eq!(findings(&home, &["--remove"], &[]), Vec::<String>::new());
    let found = findings(&home, &["--all"], &[]);
    assert_has(&found, note);
    assert_has(
        &found,
        "warning: Podman, Buildah and Skopeo do not read `credsStore`: name each registry for them (for example |  \
         docker-credential-acrscoped configure --containers contoso.azurecr.io)",
    );
    home.write("home/.docker/config.json", LOGIN);
    assert_has(
        &findings(&home, &[REGISTRY], &[]),
        &note.replace(" by `az acr login`", ""),
    );
}

#[test]
fn a_login_in_the_runtime_folder_goes_before_the_helper() {
    let home = home();
    home.write("run/containers/auth.json", LOGIN);
    assert_has(
        &findings(&home, &[REGISTRY], &[]),
        "failed: Podman, Buildah and Skopeo use the login of contoso.azurecr.io in /run/containers/auth.json instead of a helper \
         (  podman logout --authfile /run/containers/auth.json contoso.azurecr.io)",
    );
}

#[test]
fn another_credential_store_is_reported() {
    let home = home();
    for (store, words, expected) in [
        (
            "dev-containers-0f3c",
            &[REGISTRY][..],
            "warning: VS Code replaces `docker-credential-dev-containers-0f3c` (`credsStore` in /home/.docker/config.json) when it \
             attaches (name each registry, and set `\"dev.containers.dockerCredentialHelper\": false` in VS Code)",
        ),
        (
            "dev-containers-0f3c",
            &["--all"],
            "warning: VS Code replaces `docker-credential-dev-containers-0f3c` (the `delegate`) when it attaches (name each registry, \
             and set `\"dev.containers.dockerCredentialHelper\": false` in VS Code)",
        ),
        (
            "missing",
            &[REGISTRY],
            "warning: `docker-credential-missing` (`credsStore` in /home/.docker/config.json) is not on `PATH`: Docker fails for every \
             other registry (install it (on WSL, turn on the integration of Docker Desktop), or delete that entry)",
        ),
    ] {
        home.write(
            "home/.docker/config.json",
            format!("{{\"credsStore\":\"{store}\"}}"),
        );
        assert_has(&findings(&home, words, &[]), expected);
        findings(&home, &["--remove"], &[]);
    }
}

#[test]
fn all_asks_before_other_registries_stop_working() {
    let home = home();
    let command = |words: &[&str]| {
        let mut command = home.command(home.path("bin/docker-credential-acrscoped"));
        command.env_remove("REGISTRY_AUTH_FILE");
        command
            .env_remove("DOCKER_CONFIG")
            .arg("configure")
            .args(words);
        command
    };
    let file = |content: &str| home.write("home/.docker/config.json", content);
    for (content, loss) in [
        (
            r#"{"auths":{"ghcr.io":{"auth":"ZXhhbXBsZTpleGFtcGxl"},"contoso.azurecr.io":{"auth":"ZTpl"},"quay.io":{}}}"#,
            "Docker will stop using its saved logins for ghcr.io: it asks `acrscoped` for every registry",
        ),
        (
            r#"{"credsStore":"missing"}"#,
            "`docker-credential-missing` (the `delegate`) is not on `PATH`: Docker fails for every other registry",
        ),
    ] {
        let path = file(content);
        let answer = run(command(&["--all"]), "y\n", LIMIT).fails();
        assert_eq!(answer.stdout, "", "{loss}");
        for line in [
            loss,
            "\n  docker-credential-acrscoped configure --all --yes\n",
        ] {
            assert!(answer.stderr.contains(line), "{line}: {}", answer.stderr);
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
        let record = "home/.local/state/docker-credential-acrscoped/configured.json";
        assert!(!home.path(record).exists());

        // At a terminal, it asks, and no is the default.
        for (typed, is_set) in [("", false), ("n", false), ("yes", true)] {
            let program = home.path("bin/docker-credential-acrscoped");
            let line = format!("'{}' configure --all", program.display());
            let mut terminal = home.command("/usr/bin/script");
            terminal
                .env_remove("REGISTRY_AUTH_FILE")
                .env_remove("DOCKER_CONFIG");
            terminal.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
            let answer = run(terminal, &format!("{typed}\n"), LIMIT);
            let question = answer.stdout.replace("\r\n", " ");
            assert!(
                question.contains(&format!("{loss}. Continue? [y/N] ")),
                "{question}"
            );
            assert_eq!(answer.code(), i32::from(!is_set), "{question}");
            let last = "docker-credential-acrscoped: nothing was changed ";
            assert_eq!(question.ends_with(last), !is_set, "{question}");
            let now = std::fs::read_to_string(&path).unwrap();
            assert_eq!(now != content, is_set, "{now}");
        }
        run(command(&["--remove"]), "", LIMIT).succeeds();

        let path = file(content);
        run(command(&["--all", "--yes"]), "", LIMIT).succeeds();
        let now = std::fs::read_to_string(&path).unwrap();
        assert!(
            now.contains(r#""credsStore": "acrscoped""#)
                || now.contains(r#""credsStore":"acrscoped""#),
            "{now}"
        );
        // Nothing is left to lose.
        run(command(&["--all"]), "", LIMIT).succeeds();
        run(command(&["--remove"]), "", LIMIT).succeeds();
    }
}

#[test]
fn a_program_that_clients_do_not_find_is_a_failure() {
    let home = home();
    let found = findings(&home, &[REGISTRY], &[("PATH", "/nowhere")]);
    let own = crate::support::binary().canonicalize().unwrap();
    let command = format!(
        "sudo install -m 0755 {} /usr/local/bin/docker-credential-acrscoped",
        own.display()
    );
    assert_has(
        &found,
        &format!(
            "failed: clients will not find `docker-credential-acrscoped`: it is not on `PATH` (install it for all users |  {command})"
        ),
    );
}

#[test]
fn the_output_ends_with_the_next_step() {
    let home = home();
    let next = |words: &[&str], variables: &[(&str, &str)]| {
        let mut command = home.command(home.path("bin/docker-credential-acrscoped"));
        command.args(["configure", "--json"]).args(words);
        command.envs(variables.iter().copied());
        // The machine's own docker is not on it.
        command.env("PATH", home.path("bin"));
        run(command, "", LIMIT).json()["next"].clone()
    };
    let secret = [
        ("AZURE_TENANT_ID", "t.example"),
        ("AZURE_CLIENT_ID", "00000000-0000-0000-0000-000000000001"),
        ("AZURE_CLIENT_SECRET", "example"),
    ];
    assert_eq!(
        next(&[REGISTRY], &[]),
        "docker-credential-acrscoped login contoso.azurecr.io"
    );
    assert_eq!(
        next(&[REGISTRY], &secret),
        "podman pull contoso.azurecr.io/IMAGE"
    );
    home.script("bin/docker", "exit 0");
    assert_eq!(
        next(&[REGISTRY], &secret),
        "docker pull contoso.azurecr.io/IMAGE"
    );
    assert_eq!(next(&[REGISTRY, "--dry-run"], &secret), Value::Null);
    assert_eq!(next(&["--remove"], &secret), Value::Null);
}

#[test]
fn variables_that_override_files_are_reported() {
    let home = home();
    let found = findings(
        &home,
        &[REGISTRY],
        &[("DOCKER_AUTH_CONFIG", "{}"), ("SUDO_USER", "alice")],
    );
    assert_has(
        &found,
        "warning: Docker 28.3 and later uses the logins in `DOCKER_AUTH_CONFIG` before any helper (unset it, or remove Azure's \
         registries from it |  unset DOCKER_AUTH_CONFIG)",
    );
    assert_has(
        &found,
        "warning: this runs under `sudo`: it uses the files in /home, which `alice` does not use without `sudo` (run it without \
         `sudo` for your own files)",
    );
}

#[test]
fn a_key_that_no_client_looks_up_is_reported() {
    let home = home();
    home.write(
        "home/.docker/config.json",
        r#"{"credHelpers":{"https://contoso.azurecr.io":"acrscoped"}}"#,
    );
    assert_has(
        &findings(&home, &[REGISTRY], &[]),
        "warning: no client uses `https://contoso.azurecr.io` in /home/.docker/config.json: they look for `contoso.azurecr.io` ()",
    );
}

#[test]
fn a_dry_run_reports_the_same_as_the_real_run() {
    let home = home();
    home.script("bin/docker-credential-secretservice", "exit 0");
    for (content, words) in [
        (LOGIN, &[REGISTRY][..]),
        ("{\"credsStore\":\"secretservice\"}", &["--all"]),
        ("{\"credsStore\":\"secretservice\"}", &["--all", REGISTRY]),
        (LOGIN, &["--all", REGISTRY]),
    ] {
        home.write("home/.docker/config.json", content);
        let planned = findings(&home, &[words, &["--dry-run"]].concat(), &[]);
        assert_eq!(planned, findings(&home, words, &[]), "{words:?}");
        let is_after = |finding: &String| !finding.contains("does not use this helper");
        assert!(planned.iter().all(is_after), "{planned:#?}");
        findings(&home, &["--remove"], &[]);
    }
}

/// With a link to the user's file, anyone who can write there could run code as root.
#[test]
fn the_hint_for_path_copies_the_program_and_makes_no_link() {
    let home = home();
    let folder = home.path("it's here");
    std::fs::create_dir(&folder).unwrap();
    let program = home.install(
        &crate::support::binary(),
        "it's here/docker-credential-acrscoped",
    );
    let mut configure = home.command(&program);
    configure
        .env("PATH", "/usr/bin:/bin")
        .args(["configure", REGISTRY, "--plain"]);
    let answer = run(configure, "", LIMIT).fails();
    let command = answer
        .stdout
        .lines()
        .find(|line| line.contains("sudo install"));
    let command = command.expect("a hint").trim();
    let found = program.display().to_string().replace('\'', r"'\''");
    assert_eq!(
        command,
        format!("sudo install -m 0755 '{found}' /usr/local/bin/docker-credential-acrscoped")
    );
    let command = command
        .replace("sudo ", "")
        .replace("/usr/local/bin/", "./copy-of-");
    let mut shell = home.command("sh");
    shell.current_dir(home.root()).args(["-ec", &command]);
    run(shell, "", LIMIT).succeeds();
    let copy = std::fs::symlink_metadata(home.path("copy-of-docker-credential-acrscoped")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&copy.permissions());
    assert!(copy.is_file() && mode & 0o7777 == 0o755, "{copy:?}");
}

/// What `sudo` finds is checked when it is run under `sudo`: most users never do that.
#[test]
fn nothing_is_said_of_sudo_where_clients_find_the_program() {
    let found = findings(&home(), &[REGISTRY], &[]);
    assert!(
        !found.iter().any(|finding| finding.contains("sudo")),
        "{found:#?}"
    );
}

#[test]
fn another_program_of_this_name_is_not_suggested_for_root() {
    let home = home();
    home.script("other/docker-credential-acrscoped", "exit 1");
    let path = format!(
        "{}:/usr/sbin:/usr/bin:/sbin:/bin",
        home.path("other").display()
    );
    let found = findings(&home, &[REGISTRY], &[("PATH", &path)]);
    assert!(
        found
            .iter()
            .any(|finding| finding.starts_with("warning: clients run /other/")),
        "{found:#?}"
    );
    assert!(
        !found
            .iter()
            .any(|finding| finding.contains("/usr/local/bin/docker")),
        "{found:#?}"
    );
}

#[test]
fn the_configuration_of_kubelet_and_its_instructions_fit_80_columns() {
    let home = home();
    let mut command = home.command(home.path("bin/docker-credential-acrscoped"));
    command.args(["configure", "--kubelet", REGISTRY]);
    let answer = run(command, "", LIMIT).succeeds();
    for line in answer.text().lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let steps: Vec<&str> = answer
        .stderr
        .lines()
        .filter(|line| !line.starts_with(' '))
        .collect();
    let numbers: Vec<_> = steps.iter().map(|line| &line[..3]).collect();
    assert_eq!(numbers, ["1. ", "2. ", "3. "]);
}
