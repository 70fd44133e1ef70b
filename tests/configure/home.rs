//! A user's files, before and after.

use crate::support::{Answer, Home, LIMIT, run};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) const OTHER: &str = "fabrikam.azurecr.us";
pub(crate) const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/configure/corpus");
pub(crate) const BROKEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/configure/broken");

/// The command in a home, as somebody types it.
pub(crate) fn typed(home: &Home, words: &[&str]) -> Command {
    // By the name on `PATH`, as clients find it.
    let mut command = home.command(home.path("bin/docker-credential-acrscoped"));
    command
        .env("ACRSCOPED_CACHE", "none")
        .arg("configure")
        .args(words);
    command
}

pub(crate) fn configure(home: &Home, words: &[&str]) -> Answer {
    run(typed(home, words), "", LIMIT)
}

pub(crate) fn files(folder: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .expect("our folder")
        .map(|entry| entry.expect("our folder").path())
        .collect();
    files.sort();
    files
}

/// Everything in a folder, by path: kind, mode and content.
pub(crate) fn tree(folder: &Path) -> Vec<(PathBuf, u32, String)> {
    let mut tree = Vec::new();
    for entry in fs::read_dir(folder).expect("our folder") {
        let path = entry.expect("our folder").path();
        let metadata = fs::symlink_metadata(&path).expect("our folder");
        if metadata.is_dir() {
            tree.extend(self::tree(&path));
        }
        let content = match () {
            () if metadata.is_symlink() => fs::read_link(&path)
                .expect("our folder")
                .into_os_string()
                .into_encoded_bytes(),
            // A program.
            () if metadata.len() > 1 << 21 => metadata.len().to_string().into_bytes(),
            () if metadata.is_file() => fs::read(&path).expect("our folder"),
            () => vec![],
        };
        tree.push((path, metadata.mode(), content.escape_ascii().to_string()));
    }
    tree.sort();
    tree
}

/// A home in which both files hold this, each with another mode, and docker's is a link into a folder of dotfiles.
pub(crate) fn home_with(content: &[u8]) -> Home {
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

/// What clients read in each file, and the modes: `--remove` may leave other blanks than there were, and no empty `credHelpers` or
/// `credsStore`.
pub(crate) fn meanings(tree: Vec<(PathBuf, u32, String)>) -> Vec<(PathBuf, u32, Value)> {
    let is_empty = |value: &Value| {
        value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty) || value == ""
    };
    let meaning = |path: &PathBuf, content: String| {
        let is_client_file = path.extension().is_some_and(|it| it == "json") && !path.is_symlink();
        if !is_client_file {
            return Value::String(content);
        }
        let text = fs::read_to_string(path).expect("our folder");
        let mut value: Value = serde_json::from_str(&text).unwrap_or_else(|_| json!({}));
        let fields = value.as_object_mut().expect("an object");
        fields.retain(|key, value| {
            !(["credhelpers", "credsstore"].contains(&key.to_lowercase().as_str())
                && is_empty(value))
        });
        value
    };
    tree.into_iter()
        .map(|(path, mode, content)| {
            let meaning = meaning(&path, content);
            (path, mode, meaning)
        })
        .collect()
}
