//! Whether clients find this program, and what else than their files decides which helper they ask.

use super::client_config::ClientConfig;
use crate::commands::Context;
use crate::commands::report::Check;
use crate::config::Settings;
use crate::files::canonicalize;
use crate::program::find;
use crate::terminal::Mark;
use crate::text::shell_word;
use std::path::{Path, PathBuf};

const PROGRAM: &str = env!("CARGO_PKG_NAME");

/// Where programs are looked for under sudo (`secure_path` of Debian's sudoers) and in systemd's units (systemd.exec(5)), be it in all
/// or in some of them.
const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

fn warning(text: impl Into<String>, hint: impl Into<String>) -> Check {
    Check::unnamed(Mark::Warning, text).hint(hint)
}

/// Checks whether clients find this program under its name: they have the same `PATH`.
pub(in crate::commands) fn program(context: &Context<'_>) -> Check {
    let Some(found) = find(PROGRAM, &context.settings.program_folders()) else {
        let text = format!("`{PROGRAM}` is in no folder of `PATH`: clients will not find it");
        return Check::unnamed(Mark::Bad, text).hint(path_hint(context));
    };
    let path = found.display();
    let Some(own) = other_program(context, &found) else {
        return Check::unnamed(Mark::Good, format!("clients find this helper as {path}"));
    };
    let text = format!(
        "clients call {path}, and not this program, {}",
        own.display()
    );
    warning(text, "remove one of them, or change the order of `PATH`")
}

/// Warns if root or systemd, with the default `PATH`, would not find the helper. On macOS `sudo` keeps the user's `PATH`, and there are no
/// units.
pub(super) fn check_system_path(context: &Context<'_>) -> Option<Check> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    let found = find(PROGRAM, &context.settings.program_folders())?;
    if find_in_system_path().is_some() || other_program(context, &found).is_some() {
        return None;
    }
    let text = "under `sudo` and in systemd units clients do not find it";
    let text = format!("{text}: {} is not on their `PATH`", parent(&found));
    Some(warning(text, install_command(&found)))
}

/// Returns the file of this program if the one that was found is another.
fn other_program(context: &Context<'_>, found: &Path) -> Option<PathBuf> {
    let own = canonicalize(context.program?).ok()?;
    let is_own = canonicalize(found).is_ok_and(|found| found == own);
    (!is_own).then_some(own)
}

fn find_in_system_path() -> Option<PathBuf> {
    let folders: Vec<PathBuf> = SYSTEM_PATH.split(':').map(PathBuf::from).collect();
    find(PROGRAM, &folders)
}

/// Returns how to get this program into a folder of `PATH`.
fn path_hint(context: &Context<'_>) -> String {
    match (context.program, find_in_system_path()) {
        (Some(own), _) if cfg!(windows) => {
            let folder = parent(own);
            format!("put it into a folder of `PATH`, or add {folder} to it")
        }
        (None, _) if cfg!(windows) => "put it into a folder of `PATH`".into(),
        (_, Some(found)) => format!("add {} to `PATH`", parent(&found)),
        (Some(own), None) => install_command(own),
        (None, None) => format!("put it into a folder of `PATH`, such as /usr/local/bin/{PROGRAM}"),
    }
}

/// Returns the command that copies a program to where all users find it. With a link to a user's file, anyone who can write there could run
/// code as root.
fn install_command(program: &Path) -> String {
    let program = shell_word(&program.display().to_string());
    format!("sudo install -m 0755 {program} /usr/local/bin/{PROGRAM}")
}

fn parent(file: &Path) -> String {
    file.parent().unwrap_or(file).display().to_string()
}

/// Warns of variables that decide instead of files, or decide whose files are meant.
pub(super) fn variables(settings: &Settings) -> Vec<Check> {
    let set = |name: &str| {
        let value = settings.variables().get(name)?.to_string_lossy();
        Some(value).filter(|value| !value.is_empty())
    };
    let mut checks = Vec::new();
    if set("DOCKER_AUTH_CONFIG").is_some() {
        checks.push(warning(
            "docker 28.3 and later takes the logins in `DOCKER_AUTH_CONFIG` before any helper",
            "`unset DOCKER_AUTH_CONFIG`, or take Azure's registries out of it",
        ));
    }
    if let (Some(user), Some(home)) = (set("SUDO_USER"), settings.home()) {
        let home = home.display();
        checks.push(warning(
            format!("`sudo` runs this: it is about the files in {home}, which `{user}` does not use without `sudo`"),
            "run it without `sudo` for the files of your own",
        ));
    }
    checks
}

/// Returns what another helper for all hosts in Docker's file means.
pub(super) fn store(settings: &Settings, config: &ClientConfig) -> Option<Check> {
    let store = config.store().filter(|store| *store != super::HELPER)?;
    let field = format!("`credsStore` in {}", config.file);
    let precedence = "entries of `credHelpers` go before it";
    if store.starts_with("dev-containers-") {
        let text = format!(
            "{field} is `{store}`: VS Code writes it anew whenever it attaches to the container, to pass logins on from outside; {precedence}"
        );
        let hint = "`\"dev.containers.dockerCredentialHelper\": false` in the settings of VS Code ends that";
        return Some(warning(text, hint));
    }
    if let Some(check) = missing(settings, store, &field) {
        return Some(check);
    }
    let whose = match store {
        "desktop" => "the store of Docker Desktop",
        "desktop.exe" => "the store of Docker Desktop on Windows, outside of WSL",
        "wincred.exe" => "the store of Windows, outside of WSL",
        "osxkeychain" => "the keychain of macOS",
        "secretservice" => "the keyring of the desktop session",
        _ => "another helper",
    };
    let text = format!("{field} is `{store}`, {whose}: it keeps all other hosts; {precedence}");
    Some(Check::unnamed(Mark::Good, text))
}

/// Warns if a helper for other hosts cannot be called.
pub(super) fn missing(settings: &Settings, name: &str, named_by: &str) -> Option<Check> {
    let program = format!("docker-credential-{name}");
    if find(&program, &settings.program_folders()).is_some() {
        return None;
    }
    let hint = match name {
        "desktop" | "desktop.exe" | "wincred.exe" => {
            "it is part of Docker Desktop or Windows: switch its integration with this distribution on, or take the name out"
        }
        _ => "install it, or take the name out",
    };
    let text = format!("`{program}`, which is {named_by}, is not on `PATH`");
    Some(warning(text + ": docker fails for every other host", hint))
}
