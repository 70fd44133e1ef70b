//! `configure`, from outside: the files of clients before, after, and when it is undone.
#![cfg(unix)]

mod support;

use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use support::{Answer, Home, LIMIT, REGISTRY, run};

const OTHER: &str = "fabrikam.azurecr.us";
const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/configure/corpus");
const BROKEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/configure/broken");

/// The command in a home, as somebody types it.
fn typed(home: &Home, words: &[&str]) -> Command {
    // By the name on `PATH`, as clients find it.
    let mut command = home.command(home.path("bin/docker-credential-acrscoped"));
    command.env("ACRSCOPED_CACHE", "none").arg("configure").args(words);
    command
}

fn configure(home: &Home, words: &[&str]) -> Answer {
    run(typed(home, words), "", LIMIT)
}

fn files(folder: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).expect("our folder").map(|entry| entry.expect("our folder").path()).collect();
    files.sort();
    files
}

/// Everything in a folder, by path: kind, mode and content.
fn tree(folder: &Path) -> Vec<(PathBuf, u32, String)> {
    let mut tree = Vec::new();
    for entry in fs::read_dir(folder).expect("our folder") {
        let path = entry.expect("our folder").path();
        let metadata = fs::symlink_metadata(&path).expect("our folder");
        if metadata.is_dir() {
            tree.extend(self::tree(&path));
        }
        let content = match () {
            () if metadata.is_symlink() => fs::read_link(&path).expect("our folder").into_os_string().into_encoded_bytes(),
            () if metadata.is_file() => fs::read(&path).expect("our folder"),
            () => vec![],
        };
        tree.push((path, metadata.mode(), content.escape_ascii().to_string()));
    }
    tree.sort();
    tree
}

/// A home in which both files hold this, each with another mode, and docker's is a link into a folder of dotfiles.
fn home_with(content: &[u8]) -> Home {
    let home = Home::new();
    let dotfile = home.write("dotfiles/docker.json", content);
    fs::set_permissions(&dotfile, fs::Permissions::from_mode(0o640)).expect("our folder");
    symlink("../dotfiles/docker.json", home.path("docker/config.json")).expect("our folder");
    let auth = home.write("auth.json", content);
    fs::set_permissions(auth, fs::Permissions::from_mode(0o600)).expect("our folder");
    // The folder of the record and of the config file stay.
    for folder in ["home/.local/state", "home/.config"] {
        fs::create_dir_all(home.path(folder)).expect("our folder");
    }
    home
}

/// What is not ours in a file.
fn rest(bytes: &[u8], is_for_all: bool) -> Value {
    let text = std::str::from_utf8(bytes).expect("UTF-8");
    let mut value: Value = if text.trim().is_empty() { json!({}) } else { serde_json::from_str(text).expect("JSON") };
    let object = value.as_object_mut().expect("an object");
    if is_for_all {
        object.retain(|key, _| !key.eq_ignore_ascii_case("credsStore"));
    }
    for (_, helpers) in object.iter_mut().filter(|(key, _)| key.eq_ignore_ascii_case("credHelpers")) {
        for host in [REGISTRY, OTHER] {
            helpers.as_object_mut().map(|helpers| helpers.remove(host));
        }
    }
    object.retain(|key, value| {
        !key.eq_ignore_ascii_case("credHelpers") || value.as_object().is_some_and(|object| !object.is_empty())
    });
    value
}

/// Whether all that was written is still there in its order, except for the names of helpers that were replaced.
fn is_kept(before: &[u8], after: &[u8]) -> bool {
    let mut before = String::from_utf8(before.to_vec()).expect("UTF-8");
    for former in ["\"acr-env\"", "\"acr\\u002denv\"", "\"pass\"", "null", "\"\""] {
        before = before.replace(former, "");
    }
    if let Some(at) = before.to_lowercase().find("\"credsstore\"") {
        let value = at + 12 + before[at + 12..].find(':').expect("a colon") + 1;
        let end = before[value..].find([',', '}', '\n']).expect("an end") + value;
        before.replace_range(value..end, "");
    }
    let mut after = after.iter();
    before.trim().bytes().all(|byte| after.any(|other| *other == byte))
}

fn corpus() -> Vec<(String, Vec<u8>)> {
    let files = files(CORPUS).into_iter();
    let corpus: Vec<_> = files.map(|path| (path.display().to_string(), fs::read(&path).expect("our folder"))).collect();
    assert!(corpus.len() >= 30);
    corpus
}

#[test]
fn nothing_but_our_names_changes_and_what_is_undone_is_the_same_to_the_byte() {
    for (name, content) in corpus() {
        for words in [&[REGISTRY][..], &[REGISTRY, OTHER], &["--all"], &["--all", REGISTRY]] {
            let home = home_with(&content);
            let is_for_all = words.contains(&"--all");
            let before = tree(home.root());
            configure(&home, &[words, &["--dry-run"]].concat()).succeeds();
            assert_eq!(tree(home.root()), before, "{name} {words:?}: a dry run writes nothing");

            configure(&home, words).succeeds();
            let docker = fs::read(home.path("docker/config.json")).unwrap();
            let containers = fs::read(home.path("auth.json")).unwrap();
            assert_eq!(rest(&docker, is_for_all), rest(&content, is_for_all), "{name} {words:?}");
            assert_eq!(rest(&containers, false), rest(&content, false), "{name} {words:?}");
            assert!(is_kept(&content, &docker), "{name} {words:?}: {}", String::from_utf8_lossy(&docker));
            assert!(is_kept(&content, &containers), "{name} {words:?}: {}", String::from_utf8_lossy(&containers));
            assert_eq!(fs::metadata(home.path("docker/config.json")).unwrap().mode() & 0o777, 0o640, "{name}");
            assert_eq!(fs::metadata(home.path("auth.json")).unwrap().mode() & 0o777, 0o600, "{name}");
            assert!(fs::symlink_metadata(home.path("docker/config.json")).unwrap().is_symlink(), "{name}");
            for (text, is_dockers) in [(docker, true), (containers, false)] {
                // Go takes the names of fields in any case of letters.
                let text = String::from_utf8(text).unwrap();
                let text = text.replace("CredHelpers", "credHelpers").replace("CredsStore", "credsStore");
                let value: Value = serde_json::from_str(if text.trim().is_empty() { "{}" } else { &text }).unwrap();
                for host in words.iter().filter(|word| !word.starts_with("--")) {
                    assert_eq!(value["credHelpers"][host], "acrscoped", "{name} {words:?}");
                }
                assert_eq!(
                    value["credsStore"] == "acrscoped",
                    is_for_all && is_dockers || name.contains("ours_for_all"),
                    "{name}"
                );
            }

            let done = tree(home.root());
            let identity = |path| fs::metadata(home.path(path)).map(|file| (file.ino(), file.mtime_nsec())).unwrap();
            let (docker, containers) = (identity("docker/config.json"), identity("auth.json"));
            configure(&home, words).succeeds();
            assert_eq!(tree(home.root()), done, "{name} {words:?}: once is as good as twice");
            assert_eq!((identity("docker/config.json"), identity("auth.json")), (docker, containers), "{name}");

            configure(&home, &["--remove"]).succeeds();
            assert_eq!(tree(home.root()), before, "{name} {words:?}: undone");
        }
    }
}

#[test]
fn what_was_added_one_by_one_is_undone_one_by_one_in_any_order() {
    for (name, content) in corpus().into_iter().filter(|(name, _)| !name.contains("by_hand")) {
        let home = home_with(&content);
        let before = tree(home.root());
        for words in [[REGISTRY].as_slice(), &["--all"], &[OTHER]] {
            configure(&home, words).succeeds();
        }
        for words in [["--remove", REGISTRY], ["--remove", "--all"], ["--remove", OTHER]] {
            configure(&home, &words).succeeds();
        }
        assert_eq!(tree(home.root()), before, "{name}");
    }
}

#[test]
fn a_broken_file_is_never_overwritten_nor_is_the_other_one() {
    for file in files(BROKEN) {
        let (name, content) = (file.file_stem().unwrap().to_string_lossy().into_owned(), fs::read(&file).unwrap());
        for place in ["docker/config.json", "auth.json"] {
            let home = home_with(b"{}");
            fs::write(home.path(place), &content).unwrap();
            let before = tree(home.root());
            for words in [&[REGISTRY][..], &["--all", REGISTRY], &["--remove"], &["--remove", REGISTRY]] {
                let answer = configure(&home, words);
                assert_eq!(tree(home.root()), before, "{name} {words:?}: {}", answer.text());
                if words == [REGISTRY] {
                    let answer = answer.fails();
                    assert!(answer.stderr.contains(place) && answer.stdout.is_empty(), "{name}: {}", answer.text());
                }
            }
        }
    }
}

#[test]
fn files_and_folders_that_were_made_go_again() {
    let home = Home::new();
    for folder in ["home/.local/state", "home/.config"] {
        fs::create_dir_all(home.path(folder)).unwrap();
    }
    home.script("bin/podman", "exit 0");
    let bare = |words: &[&str]| {
        let mut command = typed(&home, words);
        command.env_remove("DOCKER_CONFIG").env_remove("REGISTRY_AUTH_FILE");
        run(command, "", LIMIT).succeeds()
    };
    let before = tree(home.root());
    bare(&[REGISTRY]);
    let expected = "{\n\t\"credHelpers\": {\n\t\t\"contoso.azurecr.io\": \"acrscoped\"\n\t}\n}\n";
    for (path, mode) in
        [("home/.docker/config.json", 0o600), ("home/.config/containers/auth.json", 0o600), ("home/.docker", 0o700)]
    {
        let metadata = fs::metadata(home.path(path)).unwrap();
        assert_eq!(metadata.mode() & 0o777, mode, "{path}");
        assert!(metadata.is_dir() || fs::read_to_string(home.path(path)).unwrap() == expected, "{path}");
    }
    bare(&["--remove"]);
    assert_eq!(tree(home.root()), before);
}

#[test]
fn what_others_wrote_meanwhile_stays_when_ours_is_taken_out() {
    let home = home_with(b"{}");
    configure(&home, &[REGISTRY, OTHER]).succeeds();
    // As docker rewrites it: sorted, with tabs.
    let text = "{\n\t\"auths\": {\n\t\t\"ghcr.io\": {}\n\t},\n\t\"credHelpers\": {\n\t\t\"contoso.azurecr.io\": \"acrscoped\",\n\t\t\
                \"fabrikam.azurecr.us\": \"pass\"\n\t}\n}";
    fs::write(home.path("docker/config.json"), text).unwrap();
    let answer = configure(&home, &["--remove", "--plain"]).succeeds();
    assert!(answer.stdout.contains("contoso.azurecr.io: this helper is no longer named"), "{}", answer.stdout);
    assert!(
        answer.stdout.contains("warning: fabrikam.azurecr.us: `docker-credential-pass` is named by now"),
        "{}",
        answer.stdout
    );
    let text =
        "{\n\t\"auths\": {\n\t\t\"ghcr.io\": {}\n\t},\n\t\"credHelpers\": {\n\t\t\"fabrikam.azurecr.us\": \"pass\"\n\t}\n}";
    assert_eq!(fs::read_to_string(home.path("docker/config.json")).unwrap(), text);
}

#[test]
fn the_former_helper_of_all_hosts_becomes_the_delegate_and_comes_back() {
    let config = "home/.config/docker-credential-acrscoped/config.toml";
    for former in [None, Some("log = \"info\"\n"), Some("# mine\r\n\r\n[registry.\"*.azurecr.us\"]\r\ntenant = \"t\"\r\n")] {
        let home = home_with(b"{\"credsStore\":\"secretservice\"}");
        if let Some(former) = former {
            home.write(config, former);
        }
        let before = tree(home.root());
        configure(&home, &["--all"]).succeeds();
        assert_eq!(fs::read_to_string(home.path("docker/config.json")).unwrap(), "{\"credsStore\":\"acrscoped\"}");
        let text = fs::read_to_string(home.path(config)).unwrap();
        assert!(text.starts_with("delegate = \"secretservice\"") && text.ends_with(former.unwrap_or("\n")), "{text:?}");
        configure(&home, &["--remove"]).succeeds();
        assert_eq!(tree(home.root()), before);
    }
}

#[test]
fn another_delegate_is_not_replaced() {
    let home = home_with(b"{\"credsStore\":\"secretservice\"}");
    home.write("home/.config/docker-credential-acrscoped/config.toml", "delegate = \"pass\"\n");
    let before = tree(home.root());
    let answer = configure(&home, &["--all"]).fails();
    assert!(answer.stderr.contains("`delegate` is `pass` by ") && answer.stderr.contains("`credsStore` is `secretservice`"));
    assert_eq!(tree(home.root()), before);
}

#[test]
fn places_that_cannot_be_written_are_told() {
    let home = home_with(b"{}");
    let docker = home.path("docker/config.json");
    fs::remove_file(&docker).unwrap();
    let told = |answer: Answer, text: &str| assert!(answer.stderr.contains(text), "{text}: {}", answer.text());
    symlink("nowhere", &docker).unwrap();
    told(configure(&home, &[REGISTRY]).fails(), "is a symbolic link to a file that does not exist");
    fs::remove_file(&docker).unwrap();
    fs::create_dir(&docker).unwrap();
    told(configure(&home, &[REGISTRY]).fails(), "is a folder, where a file was expected");
    fs::remove_dir(&docker).unwrap();
    fs::write(&docker, format!("{{\"a\":\"{}\"}}", "x".repeat(1 << 20))).unwrap();
    told(configure(&home, &[REGISTRY]).fails(), "it is longer than 1048576 bytes");
    let mut relative = typed(&home, &[REGISTRY]);
    relative.env("DOCKER_CONFIG", "docker");
    told(run(relative, "", LIMIT).fails(), "`DOCKER_CONFIG` is \"docker\", expected an absolute path");
}

/// Runs the command as a user who is not root and to whom these files were given.
fn as_somebody(home: &Home, words: &[&str]) -> Answer {
    let own = typed(home, words);
    if !is_root() {
        return run(own, "", LIMIT);
    }
    let mut command = home.command("setpriv");
    command.args(["--reuid", &SOMEBODY.to_string(), "--regid", &SOMEBODY.to_string(), "--clear-groups"]);
    command.arg(own.get_program()).args(own.get_args()).env("ACRSCOPED_CACHE", "none");
    run(command, "", LIMIT)
}

const SOMEBODY: u32 = 54_321;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn give(home: &Home) {
    if is_root() {
        let owner = format!("{SOMEBODY}:{SOMEBODY}");
        // A program that somebody may start.
        fs::remove_file(home.path("bin/docker-credential-acrscoped")).expect("our folder");
        home.install(&support::binary(), "bin/docker-credential-acrscoped");
        let given = Command::new("chown").args(["-Rh", &owner]).arg(home.root()).status();
        assert!(given.expect("coreutils").success());
    }
}

#[test]
fn when_one_file_cannot_be_written_nothing_is_changed_at_all() {
    let home = Home::new();
    home.write("docker/config.json", "{\"credsStore\":\"pass\"}");
    home.write("locked/auth.json", "{}");
    give(&home);
    fs::set_permissions(home.path("locked"), fs::Permissions::from_mode(0o500)).unwrap();
    fs::rename(home.path("auth.json"), home.path("unused")).ok();
    symlink("locked/auth.json", home.path("auth.json")).unwrap();
    let before: Vec<_> = tree(home.root()).into_iter().filter(|(path, ..)| !path.starts_with(home.path("home"))).collect();
    for words in [&["--all", REGISTRY][..], &[REGISTRY]] {
        let answer = as_somebody(&home, words).fails();
        let told = "auth.json` cannot be written: Permission denied (os error 13); nothing in it was changed";
        assert!(answer.stderr.contains(told), "{}", answer.text());
        let after: Vec<_> = tree(home.root()).into_iter().filter(|(path, ..)| !path.starts_with(home.path("home"))).collect();
        assert_eq!(after, before);
        for path in ["home/.config/docker-credential-acrscoped", "home/.local/state/docker-credential-acrscoped"] {
            assert!(!home.path(path).exists(), "{path}");
        }
    }
}

#[test]
fn a_file_of_another_user_is_not_touched_not_even_by_root() {
    if !is_root() {
        eprintln!("skipped: only root can give files away");
        return;
    }
    let home = home_with(b"{}");
    std::os::unix::fs::chown(home.path("auth.json"), Some(SOMEBODY), None).unwrap();
    let before = tree(home.root());
    let answer = configure(&home, &[REGISTRY]).fails();
    let told = "auth.json` belongs to the user with id 54321, and this program runs as 0: run it as that user, without `sudo`";
    assert!(answer.stderr.contains(told), "{}", answer.text());
    assert_eq!(tree(home.root()), before);
}

#[test]
fn registries_that_are_known_already_need_not_be_typed() {
    let home = home_with(b"{}");
    let answer = configure(&home, &[]).fails();
    let told = "no registry is known yet: name one, as in `docker-credential-acrscoped configure contoso.azurecr.io`";
    assert!(answer.stderr.contains(told), "{}", answer.stderr);
    home.write(
        "home/.config/docker-credential-acrscoped/config.toml",
        "[registry.\"fabrikam.azurecr.us\"]\nsource = \"azure-cli\"\n",
    );
    fs::write(home.path("auth.json"), "{\"auths\":{\"https://contoso.azurecr.io\":{},\"ghcr.io\":{}}}").unwrap();
    configure(&home, &[]).succeeds();
    let value: Value = serde_json::from_str(&fs::read_to_string(home.path("docker/config.json")).unwrap()).unwrap();
    assert_eq!(value, json!({"credHelpers": {REGISTRY: "acrscoped", OTHER: "acrscoped"}}));
}

#[test]
fn a_dry_run_shows_a_diff_without_secrets() {
    let home = home_with(b"{\n  \"auths\": {\n    \"ghcr.io\": {\n      \"auth\": \"ZXhhbXBsZTpleGFtcGxl\"\n    }\n  }\n}\n");
    let answer = configure(&home, &[REGISTRY, "--dry-run", "--docker"]).succeeds();
    let path = home.path("docker/config.json").display().to_string();
    let diff = format!(
        "--- {path}\n+++ {path}\n@@ -3,5 +3,8 @@\n     \"ghcr.io\": {{\n       \"auth\": \"…\"\n     }}\n+  }},\n+  \
         \"credHelpers\": {{\n+    \"contoso.azurecr.io\": \"acrscoped\"\n   }}\n }}\n"
    );
    assert!(answer.stdout.contains(&diff), "{}", answer.stdout);
}
