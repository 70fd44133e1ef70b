//! What surrounds the files: whether clients find this program, and the stores that others have put in place.

use super::report::Finding;
use super::state::State;
use crate::commands::Context;
use crate::config::Settings;
use crate::files::canonicalize;
use crate::program::find;
use crate::terminal::Mark;
use crate::text::shell_word;
use std::path::{Path, PathBuf};

const PROGRAM: &str = env!("CARGO_PKG_NAME");

/// Where programs are looked for under sudo (`secure_path` of Debian's sudoers) and in systemd's units (systemd.exec(5)), be it in all
/// or in some of them.
const SYSTEM: [&str; 6] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

/// Whether clients find this program under its name: theirs is the same `PATH`.
pub fn program(context: &Context<'_>) -> Finding {
    let Some(found) = find(PROGRAM, &context.settings.program_folders()) else {
        let text = format!("`{PROGRAM}` is in no folder of `PATH`: clients will not find it");
        return Finding::new(Mark::Bad, text).hint(placing(context));
    };
    if let Some(own) = another(context, &found) {
        let text = format!(
            "clients call {}, and not this program, {}",
            found.display(),
            own.display()
        );
        return Finding::new(Mark::Warning, text)
            .hint("remove one of them, or change the order of `PATH`");
    }
    Finding::new(
        Mark::Good,
        format!("clients find this helper as {}", found.display()),
    )
}

/// That those who have another `PATH` do not find this program, where others do. `sudo` keeps the user's `PATH` on macOS, and there are no units.
pub(super) fn elsewhere(context: &Context<'_>) -> Option<Finding> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    let found = find(PROGRAM, &context.settings.program_folders())?;
    if system().is_some() || another(context, &found).is_some() {
        return None;
    }
    let text = format!(
        "under `sudo` and in systemd units clients do not find it: {} is not on their `PATH`",
        parent(&found)
    );
    Some(Finding::new(Mark::Warning, text).hint(installation(&found)))
}

/// The file of this program, when what was found is another one.
fn another(context: &Context<'_>, found: &Path) -> Option<PathBuf> {
    canonicalize(context.program?)
        .ok()
        .filter(|own| canonicalize(found).ok().as_ref() != Some(own))
}

/// This program where all users find it.
fn system() -> Option<PathBuf> {
    find(PROGRAM, &SYSTEM.map(PathBuf::from))
}

/// What puts this program into a folder of `PATH`.
fn placing(context: &Context<'_>) -> String {
    match (context.program, system()) {
        _ if cfg!(windows) => {
            let folder = context
                .program
                .map(|own| format!(", or add {} to it", parent(own)))
                .unwrap_or_default();
            format!("put it into a folder of `PATH`{folder}")
        }
        (_, Some(found)) => format!("add {} to `PATH`", parent(&found)),
        (Some(own), None) => installation(own),
        (None, None) => format!("put it into a folder of `PATH`, such as /usr/local/bin/{PROGRAM}"),
    }
}

/// The command that puts a copy of a program where all users find it. A link to a file of the user would let whatever can write there run as
/// root.
fn installation(program: &Path) -> String {
    format!(
        "sudo install -m 0755 {} /usr/local/bin/{PROGRAM}",
        shell_word(&program.display().to_string())
    )
}

fn parent(file: &Path) -> String {
    file.parent().unwrap_or(file).display().to_string()
}

/// Variables that decide in the place of files, or whose files are meant.
pub(super) fn variables(settings: &Settings) -> Vec<Finding> {
    let set = |name: &str| {
        settings
            .variables()
            .get(name)
            .map(|value| value.to_string_lossy())
            .filter(|value| !value.is_empty())
    };
    let mut findings = Vec::new();
    if set("DOCKER_AUTH_CONFIG").is_some() {
        let text =
            "docker 28.3 and later takes the logins in `DOCKER_AUTH_CONFIG` before any helper";
        findings.push(
            Finding::new(Mark::Warning, text)
                .hint("`unset DOCKER_AUTH_CONFIG`, or take Azure's registries out of it"),
        );
    }
    if let (Some(user), Some(home)) = (set("SUDO_USER"), settings.home()) {
        let text = format!(
            "`sudo` runs this: it is about the files in {}, which `{user}` does not use without `sudo`",
            home.display()
        );
        findings.push(
            Finding::new(Mark::Warning, text)
                .hint("run it without `sudo` for the files of your own"),
        );
    }
    findings
}

/// What the helper for all hosts in docker's file means, when others have put one there.
pub(super) fn store(settings: &Settings, state: &State) -> Option<Finding> {
    let store = state
        .store
        .as_deref()
        .filter(|store| *store != super::HELPER)?;
    let file = &state.file;
    if store.starts_with("dev-containers-") {
        let text = format!(
            "`credsStore` in {file} is `{store}`: VS Code writes it anew whenever it attaches to the container, to pass logins on \
             from outside; entries of `credHelpers` go before it"
        );
        let hint = "`\"dev.containers.dockerCredentialHelper\": false` in the settings of VS Code ends that";
        return Some(Finding::new(Mark::Warning, text).hint(hint));
    }
    if let Some(missing) = missing(settings, store, &format!("`credsStore` in {file}")) {
        return Some(missing);
    }
    let whose = match store {
        "desktop" => "the store of Docker Desktop",
        "desktop.exe" => "the store of Docker Desktop on Windows, outside of WSL",
        "wincred.exe" => "the store of Windows, outside of WSL",
        "osxkeychain" => "the keychain of macOS",
        "secretservice" => "the keyring of the desktop session",
        _ => "another helper",
    };
    let text = format!(
        "`credsStore` in {file} is `{store}`, {whose}: it keeps all other hosts; entries of `credHelpers` go before it"
    );
    Some(Finding::new(Mark::Good, text))
}

/// A helper for other hosts that cannot be called.
pub(super) fn missing(settings: &Settings, name: &str, named_by: &str) -> Option<Finding> {
    let program = format!("docker-credential-{name}");
    if find(&program, &settings.program_folders()).is_some() {
        return None;
    }
    let text = format!(
        "`{program}`, which is {named_by}, is not on `PATH`: docker fails for every other host"
    );
    let hint = match name {
        "desktop" | "desktop.exe" | "wincred.exe" => {
            "it is part of Docker Desktop or Windows: switch its integration with this distribution on, or take the name out"
        }
        _ => "install it, or take the name out",
    };
    Some(Finding::new(Mark::Warning, text).hint(hint))
}
