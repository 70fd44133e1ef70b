//! Files as clients write them: only the names of helpers change, and after `--remove` they mean the same as before.

use crate::home::{BROKEN, CORPUS, OTHER, configure, files, home_with, meanings, tree};
use crate::support::REGISTRY;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::MetadataExt as _;

/// Returns the content of a file without our names.
fn rest(bytes: &[u8], is_for_all: bool) -> Value {
    let text = std::str::from_utf8(bytes).expect("UTF-8");
    let mut value: Value = if text.trim().is_empty() {
        json!({})
    } else {
        serde_json::from_str(text).expect("JSON")
    };
    let object = value.as_object_mut().expect("an object");
    if is_for_all {
        object.retain(|key, _| !key.eq_ignore_ascii_case("credsStore"));
    }
    for (_, helpers) in object
        .iter_mut()
        .filter(|(key, _)| key.eq_ignore_ascii_case("credHelpers"))
    {
        for host in [REGISTRY, OTHER] {
            helpers.as_object_mut().map(|helpers| helpers.remove(host));
        }
    }
    object.retain(|key, value| {
        !key.eq_ignore_ascii_case("credHelpers")
            || value.as_object().is_some_and(|object| !object.is_empty())
    });
    value
}

/// Returns whether every byte but blanks is still there in its order, except for the names of helpers that were replaced.
fn is_kept(before: &[u8], after: &[u8]) -> bool {
    let mut before = String::from_utf8(before.to_vec()).expect("UTF-8");
    for former in [
        "\"acr-env\"",
        "\"acr\\u002denv\"",
        "\"pass\"",
        "null",
        "\"\"",
    ] {
        before = before.replace(former, "");
    }
    if let Some(at) = before.to_lowercase().find("\"credsstore\"") {
        let value = at + 12 + before[at + 12..].find(':').expect("a colon") + 1;
        let end = before[value..].find([',', '}', '\n']).expect("an end") + value;
        before.replace_range(value..end, "");
    }
    let mut after = after.iter();
    before
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .all(|byte| after.any(|other| *other == byte))
}

fn corpus() -> Vec<(String, Vec<u8>)> {
    let files = files(CORPUS).into_iter();
    let corpus: Vec<_> = files
        .map(|path| {
            (
                path.display().to_string(),
                fs::read(&path).expect("our folder"),
            )
        })
        .collect();
    assert!(corpus.len() >= 30);
    corpus
}

#[test]
fn only_names_of_helpers_change_and_remove_undoes_it() {
    for (name, content) in corpus() {
        for words in [&[REGISTRY][..], &["--all", "--yes", REGISTRY, OTHER]] {
            let home = home_with(&content);
            let is_for_all = words.contains(&"--all");
            let before = tree(home.root());
            let meant = meanings(before.clone());
            configure(&home, &[words, &["--dry-run"]].concat()).succeeds();
            assert_eq!(
                tree(home.root()),
                before,
                "{name} {words:?}: a dry run writes nothing"
            );

            configure(&home, words).succeeds();
            let docker = fs::read(home.path("docker/config.json")).unwrap();
            let containers = fs::read(home.path("auth.json")).unwrap();
            assert_eq!(
                rest(&docker, is_for_all),
                rest(&content, is_for_all),
                "{name} {words:?}"
            );
            assert_eq!(
                rest(&containers, false),
                rest(&content, false),
                "{name} {words:?}"
            );
            assert!(
                is_kept(&content, &docker),
                "{name} {words:?}: {}",
                String::from_utf8_lossy(&docker)
            );
            assert!(
                is_kept(&content, &containers),
                "{name} {words:?}: {}",
                String::from_utf8_lossy(&containers)
            );
            assert_eq!(
                fs::metadata(home.path("docker/config.json"))
                    .unwrap()
                    .mode()
                    & 0o777,
                0o640,
                "{name}"
            );
            assert_eq!(
                fs::metadata(home.path("auth.json")).unwrap().mode() & 0o777,
                0o600,
                "{name}"
            );
            assert!(
                fs::symlink_metadata(home.path("docker/config.json"))
                    .unwrap()
                    .is_symlink(),
                "{name}"
            );
            for (text, is_dockers) in [(docker, true), (containers, false)] {
                // Go takes the names of fields in any case of letters.
                let text = String::from_utf8(text).unwrap();
                let text = text
                    .replace("CredHelpers", "credHelpers")
                    .replace("CredsStore", "credsStore");
                let value: Value =
                    serde_json::from_str(if text.trim().is_empty() { "{}" } else { &text })
                        .unwrap();
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
            let identity = |path| {
                fs::metadata(home.path(path))
                    .map(|file| (file.ino(), file.mtime_nsec()))
                    .unwrap()
            };
            let (docker, containers) = (identity("docker/config.json"), identity("auth.json"));
            configure(&home, words).succeeds();
            assert_eq!(
                tree(home.root()),
                done,
                "{name} {words:?}: once is as good as twice"
            );
            assert_eq!(
                (identity("docker/config.json"), identity("auth.json")),
                (docker, containers),
                "{name}"
            );

            configure(&home, &["--remove"]).succeeds();
            assert_eq!(
                meanings(tree(home.root())),
                meant,
                "{name} {words:?}: undone"
            );
        }
    }
}

#[test]
fn registries_can_be_removed_one_by_one_in_any_order() {
    for (name, content) in corpus()
        .into_iter()
        .filter(|(name, _)| !name.contains("by_hand"))
    {
        let home = home_with(&content);
        let before = meanings(tree(home.root()));
        for words in [[REGISTRY].as_slice(), &["--all", "--yes"], &[OTHER]] {
            configure(&home, words).succeeds();
        }
        for words in [
            ["--remove", REGISTRY],
            ["--remove", "--all"],
            ["--remove", OTHER],
        ] {
            configure(&home, &words).succeeds();
        }
        assert_eq!(meanings(tree(home.root())), before, "{name}");
    }
}

#[test]
fn a_broken_file_is_reported_and_stays_and_the_other_is_configured() {
    for file in files(BROKEN) {
        let (name, content) = (
            file.file_stem().unwrap().to_string_lossy().into_owned(),
            fs::read(&file).unwrap(),
        );
        for (place, other) in [
            ("docker/config.json", "auth.json"),
            ("auth.json", "docker/config.json"),
        ] {
            let home = home_with(b"{}");
            fs::write(home.path(place), &content).unwrap();
            let answer = configure(&home, &[REGISTRY, "--json"]);
            assert_eq!(answer.code(), 1, "{name}: {}", answer.text());
            let report = answer.json();
            let failed = report["findings"]
                .as_array()
                .unwrap()
                .iter()
                .find(|finding| finding["status"] == "failed")
                .expect("a failure");
            assert!(
                failed["summary"].as_str().unwrap().contains(place),
                "{name}: {failed}"
            );
            assert!(
                failed["hint"].is_string() || name == "not_utf8",
                "{name}: {failed}"
            );
            assert_eq!(report["next"], Value::Null, "{name}");
            assert_eq!(fs::read(home.path(place)).unwrap(), content, "{name}");
            let set = |path| {
                let text = fs::read_to_string(home.path(path)).unwrap();
                text.contains("acrscoped")
            };
            assert!(set(other), "{name}");

            let answer = configure(&home, &["--remove"]);
            assert_eq!(answer.code(), 1, "{name}: {}", answer.text());
            assert!(!set(other), "{name}");
            assert_eq!(fs::read(home.path(place)).unwrap(), content, "{name}");
        }
    }
}

#[test]
fn the_default_credential_store_is_not_set_in_a_broken_file() {
    for file in files(BROKEN) {
        let home = home_with(b"{}");
        fs::write(home.path("docker/config.json"), fs::read(&file).unwrap()).unwrap();
        let before = tree(home.root());
        configure(&home, &["--all", "--yes"]).fails();
        assert_eq!(tree(home.root()), before, "{}", file.display());
    }
}
