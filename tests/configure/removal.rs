//! `configure --remove`, and the files that it leaves.

use crate::home::{OTHER, configure, home_with, tree, typed};
use crate::support::{Home, LIMIT, REGISTRY, run};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::MetadataExt as _;

#[test]
fn created_files_and_folders_are_removed() {
    let home = Home::new();
    for folder in ["home/.local/state", "home/.config"] {
        fs::create_dir_all(home.path(folder)).unwrap();
    }
    home.script("bin/podman", "exit 0");
    let bare = |words: &[&str]| {
        let mut command = typed(&home, words);
        command
            .env_remove("DOCKER_CONFIG")
            .env_remove("REGISTRY_AUTH_FILE");
        run(command, "", LIMIT).succeeds()
    };
    let before = tree(home.root());
    bare(&[REGISTRY]);
    let expected = "{\n  \"credHelpers\": {\n    \"contoso.azurecr.io\": \"acrscoped\"\n  }\n}\n";
    for (path, mode) in [
        ("home/.docker/config.json", 0o600),
        ("home/.config/containers/auth.json", 0o600),
        ("home/.docker", 0o700),
    ] {
        let metadata = fs::metadata(home.path(path)).unwrap();
        assert_eq!(metadata.mode() & 0o777, mode, "{path}");
        assert!(
            metadata.is_dir() || fs::read_to_string(home.path(path)).unwrap() == expected,
            "{path}"
        );
    }
    bare(&["--remove"]);
    assert_eq!(tree(home.root()), before);
}

#[test]
fn changes_of_other_programs_stay() {
    let home = home_with(b"{}");
    configure(&home, &[REGISTRY, OTHER]).succeeds();
    // Docker rewrites it sorted and with tabs.
    let text = "{\n\t\"auths\": {\n\t\t\"ghcr.io\": {}\n\t},\n\t\"credHelpers\": {\n\t\t\"contoso.azurecr.io\": \"acrscoped\",\n\t\t\
                \"fabrikam.azurecr.us\": \"pass\"\n\t}\n}";
    fs::write(home.path("docker/config.json"), text).unwrap();
    let answer = configure(&home, &["--remove", "--plain"]).succeeds();
    assert!(
        answer
            .stdout
            .contains("contoso.azurecr.io -> acrscoped (removed)"),
        "{}",
        answer.stdout
    );
    assert!(
        answer
            .stdout
            .contains("warning: fabrikam.azurecr.us -> pass (set by another program, not changed)"),
        "{}",
        answer.stdout
    );
    let text = "{\n\t\"auths\": {\n\t\t\"ghcr.io\": {}\n\t},\n\t\"credHelpers\": {\n\t\t\"fabrikam.azurecr.us\": \"pass\"\n\t}\n}";
    assert_eq!(
        fs::read_to_string(home.path("docker/config.json")).unwrap(),
        text
    );
}

#[test]
fn the_former_helper_for_all_hosts_becomes_the_delegate_and_is_restored() {
    let config = "home/.config/docker-credential-acrscoped/config.toml";
    for former in [
        None,
        Some("log = \"info\"\n"),
        Some("# mine\r\n\r\n[registry.\"*.azurecr.us\"]\r\ntenant = \"t\"\r\n"),
    ] {
        let home = home_with(b"{\"credsStore\":\"secretservice\"}");
        if let Some(former) = former {
            home.write(config, former);
        }
        let before = tree(home.root());
        configure(&home, &["--all", "--yes"]).succeeds();
        assert_eq!(
            fs::read_to_string(home.path("docker/config.json")).unwrap(),
            "{\"credsStore\":\"acrscoped\"}"
        );
        let text = fs::read_to_string(home.path(config)).unwrap();
        assert!(
            text.starts_with("delegate = \"secretservice\"")
                && text.ends_with(former.unwrap_or("\n")),
            "{text:?}"
        );
        configure(&home, &["--remove"]).succeeds();
        assert_eq!(tree(home.root()), before);
    }
}

#[test]
fn a_store_that_another_program_has_set_since_becomes_the_delegate() {
    let config = "home/.config/docker-credential-acrscoped/config.toml";
    let home = home_with(b"{\"credsStore\":\"dev-containers-1\"}");
    home.write(config, "log = \"info\"\n");
    configure(&home, &["--all", "--yes"]).succeeds();
    fs::write(
        home.path("docker/config.json"),
        "{\"credsStore\":\"dev-containers-2\"}",
    )
    .unwrap();
    configure(&home, &["--all", "--yes"]).succeeds();
    assert_eq!(
        fs::read_to_string(home.path(config)).unwrap(),
        "delegate = \"dev-containers-2\"\nlog = \"info\"\n"
    );
    configure(&home, &["--remove"]).succeeds();
    assert_eq!(
        fs::read_to_string(home.path(config)).unwrap(),
        "log = \"info\"\n"
    );
    assert_eq!(
        fs::read_to_string(home.path("docker/config.json")).unwrap(),
        "{\"credsStore\":\"dev-containers-2\"}"
    );
    assert!(
        !home
            .path("home/.local/state/docker-credential-acrscoped")
            .exists()
    );
}

#[test]
fn another_delegate_is_not_replaced() {
    let home = home_with(b"{\"credsStore\":\"secretservice\"}");
    home.write(
        "home/.config/docker-credential-acrscoped/config.toml",
        "delegate = \"pass\"\n",
    );
    let before = tree(home.root());
    let answer = configure(&home, &["--all"]).fails();
    assert!(
        answer.stderr.contains("`delegate` is `pass` by ")
            && answer.stderr.contains("`credsStore` is `secretservice`")
    );
    assert_eq!(tree(home.root()), before);
}

#[test]
fn without_a_registry_all_known_ones_are_configured() {
    let home = home_with(b"{}");
    configure(&home, &[]).fails();
    home.write(
        "home/.config/docker-credential-acrscoped/config.toml",
        "[registry.\"fabrikam.azurecr.us\"]\nsource = \"azure-cli\"\n",
    );
    fs::write(
        home.path("auth.json"),
        "{\"auths\":{\"https://contoso.azurecr.io\":{},\"ghcr.io\":{}}}",
    )
    .unwrap();
    configure(&home, &[]).succeeds();
    let value: Value =
        serde_json::from_str(&fs::read_to_string(home.path("docker/config.json")).unwrap())
            .unwrap();
    assert_eq!(
        value,
        json!({"credHelpers": {REGISTRY: "acrscoped", OTHER: "acrscoped"}})
    );
}

#[test]
fn a_dry_run_shows_what_would_change_and_no_secret() {
    let home = home_with(
        r#"{"auths":{"ghcr.io":{"auth":"ZXhhbXBsZTpleGFtcGxl"}},"credHelpers":{"contoso.azurecr.io":"acr-env"}}"#.as_bytes(),
    );
    let before = tree(home.root());
    let assert_says = |words: &[&str], lines: &[&str]| {
        let answer = configure(&home, &[words, &["--docker"]].concat()).succeeds();
        for line in lines {
            assert!(answer.stdout.contains(line), "{words:?}: {}", answer.stdout);
        }
        assert!(!answer.stdout.contains("ZXhhbXBsZTpleGFtcGxl"));
    };
    let dry = "Dry run: nothing is written.\n";
    assert_says(
        &[REGISTRY, OTHER, "--dry-run"],
        &[
            dry,
            "contoso.azurecr.io -> acrscoped (would replace acr-env)\n",
            "fabrikam.azurecr.us -> acrscoped (would be added)\n",
        ],
    );
    assert_eq!(tree(home.root()), before);
    assert_says(
        &[REGISTRY, OTHER],
        &[
            "contoso.azurecr.io -> acrscoped (replaces acr-env)\n",
            "\n      docker-credential-acrscoped configure --remove contoso.azurecr.io\n",
            "fabrikam.azurecr.us -> acrscoped (added)\n",
        ],
    );
    let configured = tree(home.root());
    assert_says(
        &["--remove", "--dry-run"],
        &[
            dry,
            "contoso.azurecr.io -> acr-env (would be restored)\n",
            "fabrikam.azurecr.us -> acrscoped (would be removed)\n",
        ],
    );
    assert_says(
        &[REGISTRY, "--dry-run"],
        &["contoso.azurecr.io -> acrscoped (already set)\n"],
    );
    assert_eq!(tree(home.root()), configured);
    assert_says(
        &["--remove"],
        &[
            "contoso.azurecr.io -> acr-env (restored)\n",
            "fabrikam.azurecr.us -> acrscoped (removed)\n",
        ],
    );
    assert_says(&["--remove"], &["Nothing to change.\n"]);
}

#[test]
fn a_registry_that_the_default_credential_store_still_covers_is_reported() {
    let home = home_with(b"{}");
    configure(&home, &["--all", REGISTRY]).succeeds();
    let answer = configure(&home, &["--remove", REGISTRY, "--plain"]).succeeds();
    let path = home.path("docker/config.json").display().to_string();
    let warning = format!(
        "warning: acrscoped is still set in {path}: default credential store, so that Docker uses it for every registry\n"
    );
    assert!(answer.stdout.contains(&warning), "{}", answer.stdout);
    let command = "docker-credential-acrscoped configure --remove --all";
    assert!(
        answer.stdout.contains(&format!("\n    {command}\n")),
        "{}",
        answer.stdout
    );
    // The command that it shows does it.
    let answer = configure(&home, &["--remove", "--all"]).succeeds();
    assert!(!answer.stdout.contains("still"), "{}", answer.stdout);
    assert_eq!(
        fs::read_to_string(home.path("docker/config.json")).unwrap(),
        "{}"
    );
}

#[test]
fn the_delegate_stays_while_another_file_of_docker_needs_it() {
    let config = "home/.config/docker-credential-acrscoped/config.toml";
    let home = home_with(b"{\"credsStore\":\"secretservice\"}");
    let before = tree(home.root());
    configure(&home, &["--all", "--yes"]).succeeds();
    let delegate = fs::read_to_string(home.path(config)).unwrap();
    let mut elsewhere = typed(&home, &["--remove"]);
    elsewhere.env("DOCKER_CONFIG", home.path("other"));
    run(elsewhere, "", LIMIT).succeeds();
    assert_eq!(fs::read_to_string(home.path(config)).unwrap(), delegate);
    configure(&home, &["--remove"]).succeeds();
    assert_eq!(tree(home.root()), before);
}
