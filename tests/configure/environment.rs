//! Checks of what surrounds the files: logins that take precedence, other stores, programs that are not found.
use crate::support::{Home, LIMIT, REGISTRY, run};
use serde_json::Value;

const LOGIN: &str = r#"{"auths":{"contoso.azurecr.io":{"auth":"ZXhhbXBsZTpleGFtcGxl","identitytoken":"ZXhhbXBsZQ=="}}}"#;

/// The findings of `configure` without the words that are the same for all, as `mark: text (hint)`.
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
fn assert_told(findings: &[String], expected: &str) {
    assert!(
        findings.iter().any(|finding| finding == expected),
        "{expected} is not among {findings:#?}"
    );
}

/// A home with podman, whatever is on the machine.
fn home() -> Home {
    let home = Home::new();
    home.script("bin/podman", "exit 0");
    home
}

#[test]
fn a_login_that_az_acr_login_left_is_named_with_what_removes_it() {
    let home = home();
    home.write("home/.docker/config.json", LOGIN);
    let told = findings(&home, &[REGISTRY], &[]);
    assert_told(
        &told,
        "warning: a former login of contoso.azurecr.io lies in /home/.docker/config.json: it is no longer used, but it is a password \
         (`docker logout contoso.azurecr.io` removes it)",
    );
    let told = findings(&home, &["--remove"], &[]);
    assert_eq!(told, Vec::<String>::new());
    let told = findings(&home, &["--all"], &[]);
    assert_told(
        &told,
        "warning: docker no longer uses the login of contoso.azurecr.io in /home/.docker/config.json, but podman and its like do \
         (`docker logout contoso.azurecr.io` removes it)",
    );
    assert_told(
        &told,
        "warning: podman, buildah and skopeo have no helper for all hosts: they do not read `credsStore` (name the registries for \
         them: `docker-credential-acrscoped configure --containers contoso.azurecr.io`)",
    );
}

#[test]
fn a_login_in_the_runtime_folder_goes_before_the_helper() {
    let home = home();
    home.write("run/containers/auth.json", LOGIN);
    assert_told(
        &findings(&home, &[REGISTRY], &[]),
        "failed: the login of contoso.azurecr.io in /run/containers/auth.json goes before helpers in files that are read later \
         (`podman logout --authfile /run/containers/auth.json contoso.azurecr.io` removes it)",
    );
}

#[test]
fn stores_of_others_are_named_for_what_they_are() {
    let home = home();
    for (store, words, expected) in [
        (
            "dev-containers-0f3c",
            &[REGISTRY][..],
            "warning: `credsStore` in /home/.docker/config.json is `dev-containers-0f3c`: VS Code writes it anew whenever it attaches \
             to the container, to pass logins on from outside; entries of `credHelpers` go before it \
             (`\"dev.containers.dockerCredentialHelper\": false` in the settings of VS Code ends that)",
        ),
        (
            "dev-containers-0f3c",
            &["--all"],
            "warning: `dev-containers-0f3c` lasts until VS Code attaches to the container again, and then names another one (name \
             the registries instead of `--all`, or set `\"dev.containers.dockerCredentialHelper\": false` in VS Code)",
        ),
        (
            "other",
            &[REGISTRY],
            "ok: `credsStore` in /home/.docker/config.json is `other`, another helper: it keeps all other hosts; entries of \
             `credHelpers` go before it ()",
        ),
    ] {
        home.script("bin/docker-credential-other", "exit 0");
        home.write(
            "home/.docker/config.json",
            format!("{{\"credsStore\":\"{store}\"}}"),
        );
        assert_told(&findings(&home, words, &[]), expected);
        findings(&home, &["--remove"], &[]);
    }
}

#[test]
fn variables_that_decide_in_place_of_files_are_told() {
    let home = home();
    let told = findings(
        &home,
        &[REGISTRY],
        &[("DOCKER_AUTH_CONFIG", "{}"), ("SUDO_USER", "alice")],
    );
    assert_told(
        &told,
        "warning: docker 28.3 and later takes the logins in `DOCKER_AUTH_CONFIG` before any helper (`unset DOCKER_AUTH_CONFIG`, or \
         take Azure's registries out of it)",
    );
    assert_told(
        &told,
        "warning: `sudo` runs this: it is about the files in /home, which `alice` does not use without `sudo` (run it without `sudo` \
         for the files of your own)",
    );
}

#[test]
fn a_name_that_no_client_looks_up_is_told() {
    let home = home();
    home.write(
        "home/.docker/config.json",
        r#"{"credHelpers":{"https://contoso.azurecr.io":"acrscoped"}}"#,
    );
    assert_told(
        &findings(&home, &[REGISTRY], &[]),
        "warning: `https://contoso.azurecr.io` under `credHelpers` in /home/.docker/config.json is never looked up: clients look for \
         `contoso.azurecr.io` ()",
    );
}

#[test]
fn a_dry_run_tells_the_same_as_what_is_done_then() {
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

/// A link to the user's file would let whoever takes over the user's files run as root.
#[test]
fn for_sudo_the_program_is_copied_by_one_command_that_names_it_as_it_was_found() {
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
        let told = findings(&home, &[REGISTRY], &[("PATH", path)]);
        let hints: Vec<String> = told
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
fn another_program_of_this_name_is_not_to_be_installed_for_root() {
    let home = home();
    home.script("other/docker-credential-acrscoped", "exit 1");
    let path = format!(
        "{}:/usr/sbin:/usr/bin:/sbin:/bin",
        home.path("other").display()
    );
    let told = findings(&home, &[REGISTRY], &[("PATH", &path)]);
    assert!(
        told.iter()
            .any(|finding| finding.starts_with("warning: clients call /other/")),
        "{told:#?}"
    );
    assert!(
        !told
            .iter()
            .any(|finding| finding.contains("/usr/local/bin/docker")),
        "{told:#?}"
    );
}
