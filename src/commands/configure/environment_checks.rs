//! Checks whether clients find this program, and what besides their files decides which helper they ask.

use super::client_config::ClientConfig;
use crate::commands::Context;
use crate::commands::report::Check;
use crate::config::Settings;
use crate::files::canonicalize;
use crate::program::find;
use crate::text::shell_word;
use std::path::{Path, PathBuf};

const PROGRAM: &str = env!("CARGO_PKG_NAME");

/// The folders in which sudo (`secure_path` of Debian's sudoers) or systemd's units (systemd.exec(5)) look for programs.
const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

fn warning(text: impl Into<String>, hint: impl Into<String>) -> Check {
    Check::warning("", text).hint(hint)
}

/// Checks whether clients find this program under its name: they have the same `PATH`.
pub(in crate::commands) fn program(context: &Context<'_>) -> Check {
    let Some(found) = find(PROGRAM, &context.settings.program_folders()) else {
        let text = format!("`{PROGRAM}` is in no folder of `PATH`: clients will not find it");
        return Check::bad("", text).hint(path_hint(context));
    };
    let path = found.display();
    let Some(own) = other_program(context, &found) else {
        return Check::good("", format!("clients find this helper as {path}"));
    };
    let text = format!(
        "clients call {path}, and not this program, {}",
        own.display()
    );
    warning(text, "remove one of them, or change the order of `PATH`")
}

/// Warns if root or systemd, with the default `PATH`, would not find the helper. On macOS `sudo` keeps the user's `PATH`, and units do not
/// exist.
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
    match (find_in_system_path(), context.program) {
        (Some(found), _) => format!("add {} to `PATH`", parent(&found)),
        (None, Some(own)) if !cfg!(windows) => install_command(own),
        (None, _) => "copy it to a folder of `PATH`".into(),
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
    let logins = set("DOCKER_AUTH_CONFIG").map(|_| {
        warning(
            "docker 28.3 and later takes the logins in `DOCKER_AUTH_CONFIG` before any helper",
            "`unset DOCKER_AUTH_CONFIG`, or take Azure's registries out of it",
        )
    });
    let sudo = set("SUDO_USER").zip(settings.home()).map(|(user, home)| {
        let home = home.display();
        let text = format!("`sudo` runs this: it is about the files in {home}, which `{user}` does not use without `sudo`");
        warning(text, "run it without `sudo` for the files of your own")
    });
    logins.into_iter().chain(sudo).collect()
}

/// Checks another helper for all hosts in Docker's file.
pub(super) fn store(settings: &Settings, config: &ClientConfig) -> Option<Check> {
    let store = config.store().filter(|store| *store != super::HELPER)?;
    let field = format!("`credsStore` in {}", config.file);
    unreliable(settings, store, &field).or_else(|| {
        let text = format!(
            "{field} is `{store}`, which keeps all other hosts; entries of `credHelpers` go before it"
        );
        Some(Check::good("", text))
    })
}

/// Warns of a helper for other hosts that will be replaced, or that clients cannot run.
pub(super) fn unreliable(settings: &Settings, name: &str, named_by: &str) -> Option<Check> {
    let program = format!("docker-credential-{name}");
    let text = format!("`{program}`, which is {named_by},");
    if name.starts_with("dev-containers-") {
        return Some(warning(
            format!("{text} is replaced by VS Code whenever it attaches to the container"),
            "name each registry, and set `\"dev.containers.dockerCredentialHelper\": false` in VS Code",
        ));
    }
    if find(&program, &settings.program_folders()).is_some() {
        return None;
    }
    Some(warning(
        format!("{text} is not on `PATH`: docker fails for every other host"),
        "install it (on WSL, switch on the integration of Docker Desktop), or take the name out",
    ))
}
