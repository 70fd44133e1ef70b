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
    let report = run(command, "", LIMIT).succeeds().json();
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
            text(&finding["hint"])
        )
    };
    findings.map(line).collect()
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
    home.write("home/.docker/config.json", LOGIN);
    let found = findings(&home, &[REGISTRY], &[]);
    assert_has(
        &found,
        "warning: the login of contoso.azurecr.io in /home/.docker/config.json is no longer used, but it is a password \
         (`docker logout contoso.azurecr.io` removes it)",
    );
    let found = findings(&home, &["--remove"], &[]);
    assert_eq!(found, Vec::<String>::new());
    let found = findings(&home, &["--all"], &[]);
    assert_has(
        &found,
        "warning: docker no longer uses the login of contoso.azurecr.io in /home/.docker/config.json, but podman and its like do \
         (`docker logout contoso.azurecr.io` removes it)",
    );
    assert_has(
        &found,
        "warning: podman, buildah and skopeo have no helper for all hosts: they do not read `credsStore` (name each registry: \
         `docker-credential-acrscoped configure --containers contoso.azurecr.io`)",
    );
}

#[test]
fn a_login_in_the_runtime_folder_goes_before_the_helper() {
    let home = home();
    home.write("run/containers/auth.json", LOGIN);
    assert_has(
        &findings(&home, &[REGISTRY], &[]),
        "failed: the login of contoso.azurecr.io in /run/containers/auth.json goes before helpers in files that are read later \
         (`podman logout --authfile /run/containers/auth.json contoso.azurecr.io` removes it)",
    );
}

#[test]
fn another_credential_store_is_reported() {
    let home = home();
    for (store, words, expected) in [
        (
            "dev-containers-0f3c",
            &[REGISTRY][..],
            "warning: `docker-credential-dev-containers-0f3c`, which is `credsStore` in /home/.docker/config.json, is replaced by VS \
             Code whenever it attaches to the container (name each registry, and set `\"dev.containers.dockerCredentialHelper\": \
             false` in VS Code)",
        ),
        (
            "dev-containers-0f3c",
            &["--all"],
            "warning: `docker-credential-dev-containers-0f3c`, which is the `delegate`, is replaced by VS Code whenever it attaches \
             to the container (name each registry, and set `\"dev.containers.dockerCredentialHelper\": false` in VS Code)",
        ),
        (
            "other",
            &[REGISTRY],
            "ok: `credsStore` in /home/.docker/config.json is `other`, which keeps all other hosts; entries of \
             `credHelpers` go before it ()",
        ),
    ] {
        home.script("bin/docker-credential-other", "exit 0");
        home.write(
            "home/.docker/config.json",
            format!("{{\"credsStore\":\"{store}\"}}"),
        );
        assert_has(&findings(&home, words, &[]), expected);
        findings(&home, &["--remove"], &[]);
    }
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
        "warning: docker 28.3 and later takes the logins in `DOCKER_AUTH_CONFIG` before any helper (`unset DOCKER_AUTH_CONFIG`, or \
         take Azure's registries out of it)",
    );
    assert_has(
        &found,
        "warning: `sudo` runs this: it is about the files in /home, which `alice` does not use without `sudo` (run it without `sudo` \
         for the files of your own)",
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
        "warning: `https://contoso.azurecr.io` under `credHelpers` in /home/.docker/config.json is never looked up: clients look for \
         `contoso.azurecr.io` ()",
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
        assert!(
            planned
                .iter()
                .all(|finding| !finding.contains("asks no helper")
                    && !finding.contains("keeps all other hosts"))
        );
        findings(&home, &["--remove"], &[]);
    }
}

/// With a link to the user's file, anyone who can write there could run code as root.
#[test]
fn the_hint_for_sudo_copies_the_program_and_makes_no_link() {
    let home = home();
    let folder = home.path("it's here");
    std::fs::create_dir(&folder).unwrap();
    std::os::unix::fs::symlink(
        crate::support::binary(),
        folder.join("docker-credential-acrscoped"),
    )
    .unwrap();
    let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", folder.display());
    let hint = |path: &str| {
        let found = findings(&home, &[REGISTRY], &[("PATH", path)]);
        let hints: Vec<String> = found
            .into_iter()
            .filter(|finding| finding.contains("/usr/local/bin"))
            .collect();
        let [hint] = &hints[..] else {
            panic!("{hints:#?}")
        };
        hint.split_once(" (")
            .expect("a hint")
            .1
            .trim_end_matches(')')
            .to_owned()
    };
    let command = hint(&path);
    let found = r"'/it'\''s here/docker-credential-acrscoped'";
    assert_eq!(
        command,
        format!("sudo install -m 0755 {found} /usr/local/bin/docker-credential-acrscoped")
    );
    let command = command
        .replace("sudo ", "")
        .replace("'/it", "'./it")
        .replace("/usr/local/bin/", "./copy-of-");
    let mut shell = home.command("sh");
    shell.current_dir(home.root()).args(["-ec", &command]);
    run(shell, "", LIMIT).succeeds();
    let copy = std::fs::symlink_metadata(home.path("copy-of-docker-credential-acrscoped")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&copy.permissions());
    assert!(copy.is_file() && mode & 0o7777 == 0o755, "{copy:?}");
    // Without a folder of `PATH` that has it, it is this file.
    let own = crate::support::binary()
        .canonicalize()
        .unwrap()
        .display()
        .to_string();
    let expected = format!("sudo install -m 0755 {own} /usr/local/bin/docker-credential-acrscoped");
    assert_eq!(hint("/usr/sbin:/usr/bin:/sbin:/bin"), expected);
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
            .any(|finding| finding.starts_with("warning: clients call /other/")),
        "{found:#?}"
    );
    assert!(
        !found
            .iter()
            .any(|finding| finding.contains("/usr/local/bin/docker")),
        "{found:#?}"
    );
}
