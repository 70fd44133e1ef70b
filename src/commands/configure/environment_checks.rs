//! Checks whether clients find this program, and what besides their files decides which helper they ask.

use crate::commands::Context;
use crate::commands::report::Check;
use crate::config::Settings;
use crate::files::canonicalize;
use crate::program::find;
use crate::text::shell_word;
use std::path::{Path, PathBuf};

const PROGRAM: &str = env!("CARGO_PKG_NAME");

fn warning(text: impl Into<String>, hint: impl Into<String>) -> Check {
    Check::warning("", text).hint(hint)
}

/// Checks whether clients find this program under its name: they have the same `PATH`.
pub(in crate::commands) fn program(context: &Context<'_>) -> Check {
    let Some(found) = find(PROGRAM, &context.settings.program_folders()) else {
        let text = format!("clients will not find `{PROGRAM}`: it is not on `PATH`");
        return Check::bad("", text).hint(path_hint(context));
    };
    let path = found.display();
    let Some(own) = other_program(context, &found) else {
        return Check::good("", format!("clients find this helper as {path}"));
    };
    let text = format!(
        "clients run {path} instead of this program ({})",
        own.display()
    );
    warning(text, "remove one of them, or change the order of `PATH`")
}

/// Returns the file of this program if the one that was found is another.
fn other_program(context: &Context<'_>, found: &Path) -> Option<PathBuf> {
    let own = canonicalize(context.program?).ok()?;
    let is_own = canonicalize(found).is_ok_and(|found| found == own);
    (!is_own).then_some(own)
}

/// Returns how to get this program into a folder of `PATH`.
fn path_hint(context: &Context<'_>) -> String {
    let own = context.program.filter(|_| !cfg!(windows));
    own.map_or("copy it to a folder of `PATH`".into(), install_hint)
}

/// Returns the command that copies a program to where all users find it. With a link to a user's file, anyone who can write there could run
/// code as root.
fn install_hint(program: &Path) -> String {
    let program = shell_word(&program.display().to_string());
    format!("install it for all users\n  sudo install -m 0755 {program} /usr/local/bin/{PROGRAM}")
}

/// Returns a variable that is set and not empty.
fn set(settings: &Settings, name: &str) -> Option<String> {
    let value = settings.variables().get(name)?.to_string_lossy();
    Some(value.into_owned()).filter(|value| !value.is_empty())
}

/// Warns of variables that decide instead of files, or decide whose files are used.
pub(super) fn variables(settings: &Settings) -> Vec<Check> {
    let logins = set(settings, "DOCKER_AUTH_CONFIG").map(|_| {
        warning(
            "Docker 28.3 and later uses the logins in `DOCKER_AUTH_CONFIG` before any helper",
            "unset it, or remove Azure's registries from it\n  unset DOCKER_AUTH_CONFIG",
        )
    });
    let sudo = set(settings, "SUDO_USER").zip(settings.home());
    let sudo = sudo.map(|(user, home)| {
        let home = home.display();
        let text = format!("this runs under `sudo`: it uses the files in {home}, which `{user}` does not use without `sudo`");
        warning(text, "run it without `sudo` for your own files")
    });
    logins.into_iter().chain(sudo).collect()
}

/// Warns of another credential helper for all registries: VS Code replaces its own, and clients cannot run one that is not on `PATH`.
pub(super) fn unreliable(settings: &Settings, name: &str, named_by: &str) -> Option<Check> {
    let program = format!("docker-credential-{name}");
    if is_of_vs_code(name) {
        let text = format!("VS Code replaces `{program}` ({named_by}) when it attaches");
        let hint = "name each registry, and set `\"dev.containers.dockerCredentialHelper\": false` in VS Code";
        return Some(warning(text, hint));
    }
    if find(&program, &settings.program_folders()).is_some() {
        return None;
    }
    let text =
        format!("`{program}` ({named_by}) is not on `PATH`: Docker fails for every other registry");
    let hint =
        "install it (on WSL, turn on the integration of Docker Desktop), or delete that entry";
    Some(warning(text, hint))
}

/// Returns whether VS Code has set this helper in a dev container.
pub(super) fn is_of_vs_code(name: &str) -> bool {
    name.starts_with("dev-containers-")
}
