//! Files that cannot be written, or that belong to another user.

use crate::home::{configure, home_with, meanings, tree, typed};
use crate::support::{self, Answer, Home, LIMIT, REGISTRY, run};
use serde_json::json;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::process::Command;

#[test]
fn files_that_cannot_be_written_are_reported() {
    let home = home_with(b"{}");
    let docker = home.path("docker/config.json");
    fs::remove_file(&docker).unwrap();
    let assert_fails_with = |answer: Answer, text: &str| {
        let words = answer.text().replace("\n  ", " ");
        assert!(words.contains(text), "{text}: {words}");
    };
    symlink("nowhere", &docker).unwrap();
    assert_fails_with(
        configure(&home, &[REGISTRY, "--plain"]).fails(),
        "is a symbolic link to a file that does not exist",
    );
    fs::remove_file(&docker).unwrap();
    fs::create_dir(&docker).unwrap();
    assert_fails_with(
        configure(&home, &[REGISTRY, "--plain"]).fails(),
        "it is not a regular file",
    );
    fs::remove_dir(&docker).unwrap();
    fs::write(&docker, format!("{{\"a\":\"{}\"}}", "x".repeat(1 << 20))).unwrap();
    assert_fails_with(
        configure(&home, &[REGISTRY, "--plain"]).fails(),
        "it is longer than 1048576 bytes",
    );
    let mut relative = typed(&home, &[REGISTRY]);
    relative.env("DOCKER_CONFIG", "docker");
    assert_fails_with(
        run(relative, "", LIMIT).fails(),
        "`DOCKER_CONFIG` is \"docker\", expected an absolute path",
    );
}

/// Runs the command as the user who owns these files, and is not root.
fn as_user(home: &Home, words: &[&str]) -> Answer {
    run(user_command(home, words), "", LIMIT)
}

fn user_command(home: &Home, words: &[&str]) -> Command {
    let own = typed(home, words);
    if !is_root() {
        return own;
    }
    let mut command = home.command("setpriv");
    command.args([
        "--reuid",
        &USER.to_string(),
        "--regid",
        &USER.to_string(),
        "--clear-groups",
    ]);
    command
        .arg(own.get_program())
        .args(own.get_args())
        .env("ACRSCOPED_CACHE", "none");
    command
}

const USER: u32 = 54_321;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn give(home: &Home) {
    if is_root() {
        let owner = format!("{USER}:{USER}");
        // A program that the user may run.
        fs::remove_file(home.path("bin/docker-credential-acrscoped")).expect("our folder");
        home.install(&support::binary(), "bin/docker-credential-acrscoped");
        let given = Command::new("chown")
            .args(["-Rh", &owner])
            .arg(home.root())
            .status();
        assert!(given.expect("coreutils").success());
    }
}

#[test]
fn when_one_file_cannot_be_written_nothing_is_changed_at_all() {
    let home = Home::new();
    home.write("docker/config.json", "{\"credsStore\":\"pass\"}");
    home.write("locked/auth.json", "{}");
    for folder in ["home/.local/state", "home/.config"] {
        fs::create_dir_all(home.path(folder)).unwrap();
    }
    give(&home);
    fs::rename(home.path("auth.json"), home.path("unused")).ok();
    symlink("locked/auth.json", home.path("auth.json")).unwrap();
    let lock = |mode: u32| {
        fs::set_permissions(home.path("locked"), fs::Permissions::from_mode(mode)).unwrap();
    };
    let files = || tree(home.root());
    let assert_unchanged = |words: &[&str]| {
        let before = files();
        let answer = as_user(&home, words).fails();
        let text = "auth.json` cannot be written: Permission denied (os error 13); nothing in it was changed";
        assert!(answer.stderr.contains(text), "{}", answer.text());
        assert_eq!(files(), before, "{words:?}");
    };
    lock(0o500);
    assert_unchanged(&["--all", "--yes", REGISTRY]);
    assert_unchanged(&[REGISTRY]);
    lock(0o700);
    let clean = meanings(files());
    as_user(&home, &["--all", "--yes", REGISTRY]).succeeds();
    lock(0o500);
    assert_unchanged(&["--remove"]);
    assert_unchanged(&["--remove", REGISTRY]);
    lock(0o700);
    as_user(&home, &["--remove"]).succeeds();
    assert_eq!(meanings(files()), clean);
}

#[test]
fn a_file_of_another_user_is_not_touched_not_even_by_root() {
    if !is_root() {
        eprintln!("skipped: only root can give files away");
        return;
    }
    let home = home_with(b"{}");
    std::os::unix::fs::chown(home.path("auth.json"), Some(USER), None).unwrap();
    let auth = || {
        let metadata = fs::metadata(home.path("auth.json")).unwrap();
        (
            fs::read(home.path("auth.json")).unwrap(),
            metadata.mode(),
            metadata.uid(),
        )
    };
    let before = auth();
    let answer = configure(&home, &[REGISTRY, "--plain"]).fails();
    let text = "auth.json belongs to the user with id 54321, not to you or root";
    assert!(answer.stdout.contains(text), "{}", answer.text());
    assert!(
        answer
            .stdout
            .contains("run it as that user, without `sudo`"),
        "{}",
        answer.text()
    );
    assert_eq!(auth(), before);

    give(&home);
    std::os::unix::fs::chown(home.path("auth.json"), Some(0), None).unwrap();
    fs::set_permissions(home.path("auth.json"), fs::Permissions::from_mode(0o644)).unwrap();
    let answer = as_user(&home, &[REGISTRY, "--plain"]).fails();
    let text = "auth.json` cannot be used: it belongs to root";
    assert!(answer.stdout.contains(text), "{}", answer.text());
    let command = format!(
        "\n    sudo chown 54321 {}\n",
        home.path("auth.json").display()
    );
    assert!(answer.stdout.contains(&command), "{}", answer.text());
}

#[test]
fn nothing_is_created_in_the_home_of_another_user_not_even_by_root() {
    if !is_root() {
        eprintln!("skipped: only root can give folders away");
        return;
    }
    let home = Home::new();
    give(&home);
    let before = tree(home.root());
    for (first, words) in [
        ("home", &[REGISTRY][..]),
        ("home", &["--all", "--yes"]),
        ("docker", &[REGISTRY, "--docker"]),
    ] {
        let mut command = typed(&home, words);
        if first == "docker" {
            let state = tempfile::tempdir().unwrap();
            command.env("XDG_STATE_HOME", state.path());
        }
        let answer = run(command, "", LIMIT).fails();
        let text = format!(
            "cannot be written: {} belongs to the user with id 54321, not to you or root: run it as that user, without \
             `sudo`, or with `sudo -H`",
            home.path(first).display()
        );
        assert!(answer.stderr.contains(&text), "{}", answer.text());
        assert_eq!(tree(home.root()), before);
    }
}

#[test]
fn a_file_in_a_folder_that_the_user_may_not_enter_is_a_warning() {
    let home = Home::new();
    home.write("run/containers/auth.json", "{}");
    home.script("bin/podman", "exit 0");
    give(&home);
    fs::set_permissions(
        home.path("run/containers"),
        fs::Permissions::from_mode(0o000),
    )
    .unwrap();
    let mut command = user_command(&home, &[REGISTRY, "--json"]);
    command
        .env_remove("REGISTRY_AUTH_FILE")
        .env_remove("DOCKER_CONFIG");
    let report = run(command, "", LIMIT).succeeds().json();
    let summary = format!(
        "Podman, Buildah and Skopeo cannot read {}: permission denied",
        home.path("run/containers/auth.json").display()
    );
    let expected = json!({"status": "warning", "summary": summary, "hint": null, "command": null, "commands": []});
    assert!(
        report["findings"].as_array().unwrap().contains(&expected),
        "{report:#}"
    );
    fs::set_permissions(
        home.path("run/containers"),
        fs::Permissions::from_mode(0o700),
    )
    .unwrap();
}
