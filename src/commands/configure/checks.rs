//! Checks in the files of clients whether they will ask this helper for a registry. Changes nothing.

use super::client_config::ClientConfig;
use super::environment_checks::{program, variables};
use super::paths::{Clients, Paths, RUNTIME};
use super::plan::Plan;
use super::{CONFIGURE, HELPER};
use crate::commands::Context;
use crate::commands::report::Check;
use crate::registry::Registry;
use crate::terminal::Status;
use std::io::ErrorKind;
use std::path::Path;

/// Checks which helper Docker, Podman and their like ask for a registry, and whether they find this program.
pub(in crate::commands) fn check_cred_helpers(
    context: &Context<'_>,
    registry: &Registry,
) -> Vec<Check> {
    let paths = match Paths::new(context.settings) {
        Ok(paths) => paths,
        Err(error) => return vec![Check::failed("docker", &error)],
    };
    let mut checks = vec![
        check_docker(&paths, registry).named("docker"),
        check_containers(&paths, registry).named("podman"),
    ];
    let variables = variables(context.settings).into_iter();
    checks.extend(variables.map(|check| check.named("variables")));
    let mut notes = notes(&paths, registry, &[]);
    // The first two checks show the failures already.
    notes.retain(|note| !note.is_bad());
    checks.extend(notes.into_iter().map(|check| check.named("logins")));
    checks.push(program(context).named("path"));
    checks
}

fn check_docker(paths: &Paths, registry: &Registry) -> Check {
    let (clients, host) = (Clients::Docker, registry.host());
    if !paths.has(clients) {
        return not_installed(paths, clients);
    }
    let config = match ClientConfig::read(&paths.docker) {
        Ok(config) => config,
        Err(error) => return Check::failed("", &error),
    };
    if let Some(helper) = config.helper(host) {
        return asked(clients, host, helper, &config, "credHelpers");
    }
    if let Some(store) = config.store() {
        return asked(clients, host, store, &config, "credsStore");
    }
    let file = &config.file;
    bad(host, format!("docker asks no helper for {host}, by {file}"))
}

/// Checks Podman, Buildah and Skopeo: the first file that has anything for the registry decides.
fn check_containers(paths: &Paths, registry: &Registry) -> Check {
    let (clients, host) = (Clients::Containers, registry.host());
    if !paths.has(clients) {
        return not_installed(paths, clients);
    }
    let mut reason = "";
    for path in &paths.search_order {
        let config = match ClientConfig::read(path) {
            Ok(config) => config,
            Err(error) => return unreadable(path).unwrap_or_else(|| Check::failed("", &error)),
        };
        if let Some(helper) = config.helper(host) {
            return asked(clients, host, helper, &config, "credHelpers");
        }
        if !config.logins(registry).is_empty() {
            let file = &config.file;
            let text = format!("{clients} take the login of {host} in {file}, and ask no helper");
            let logout = logout(path, host, paths);
            return Check::bad("", text).hint(format!("  {logout}\n  {CONFIGURE} {host}"));
        }
        if config.store() == Some(HELPER) {
            reason = ": they do not read `credsStore`";
        }
    }
    bad(host, format!("{clients} ask no helper for {host}{reason}"))
}

/// Returns the check for clients that are not on this machine.
pub(super) fn not_installed(paths: &Paths, clients: Clients) -> Check {
    let (verb, file) = (clients.verb("is", "are"), paths.file(clients).display());
    let text = format!("{clients} {verb} not on `PATH`, and {file} does not exist");
    Check::unnamed(Status::Skipped, text)
}

/// Returns the check for clients that ask a helper: this one, or another.
fn asked(clients: Clients, host: &str, helper: &str, config: &ClientConfig, field: &str) -> Check {
    let (verb, file) = (clients.verb("asks", "ask"), &config.file);
    if helper == HELPER {
        let text = format!("{clients} {verb} this helper for {host}, by `{field}` in {file}");
        return Check::good("", text);
    }
    let text = format!("{clients} {verb} `docker-credential-{helper}` for {host}, by {file}");
    bad(host, text)
}

fn bad(host: &str, text: String) -> Check {
    Check::bad("", text).hint(format!("  {CONFIGURE} {host}"))
}

/// Warns of a file of Podman and its like in a folder that the user may not enter. Docker does not read it.
pub(super) fn unreadable(file: &Path) -> Option<Check> {
    let error = file.metadata().err()?;
    if error.kind() != ErrorKind::PermissionDenied {
        return None;
    }
    let (clients, path) = (Clients::Containers, file.display());
    let text = format!("{clients} cannot read {path}: Permission denied");
    let check = Check::warning("", text);
    // `su` and the like do not set the variable. Then the clients use this folder.
    if !file.starts_with(RUNTIME) {
        return Some(check);
    }
    let hint = "set `XDG_RUNTIME_DIR`: sign in to this machine with a session of your own (ssh, `machinectl shell`)";
    Some(check.hint(hint))
}

/// Returns warnings for a registry once these plans are applied: logins in files, and keys that no client looks up.
pub(super) fn notes(paths: &Paths, registry: &Registry, plans: &[Plan]) -> Vec<Check> {
    let host = registry.host();
    let mut checks = Vec::new();
    // Whether an earlier file of Podman and its like has anything for the registry.
    let mut is_decided = false;
    for (at, path) in paths.search_order.iter().enumerate() {
        if paths.search_order[..at].contains(path) {
            continue;
        }
        let Ok(config) = ClientConfig::planned(path, plans) else {
            continue;
        };
        let (file, logins) = (&config.file, config.logins(registry));
        let has_helper = config.helper(host).is_some();
        let (is_docker, has_store) = (*path == paths.docker, config.store().is_some());
        for key in &logins {
            let login = format!("the login of {key} in {file}");
            let check = if is_docker && !has_helper && !has_store {
                Check::bad("", format!("docker takes {login}, and asks no helper"))
            } else if has_helper || is_decided {
                let text = format!("{login} is no longer used, but it is a password");
                Check::warning("", text)
            } else if is_docker {
                let text = format!("docker no longer uses {login}, but podman and its like do");
                Check::warning("", text)
            } else {
                let text = format!("{login} goes before helpers in files that are read later");
                Check::bad("", text)
            };
            checks.push(check.hint(format!("  {}", logout(path, key, paths))));
        }
        for key in config.misspelled(registry) {
            let text = format!(
                "`{key}` under `credHelpers` in {file} is never looked up: clients look for `{host}`"
            );
            checks.push(Check::warning("", text));
        }
        is_decided |= has_helper || !logins.is_empty();
    }
    checks
}

/// Returns the command that removes a login from exactly this file.
fn logout(file: &Path, key: &str, paths: &Paths) -> String {
    if file == paths.docker {
        return format!("docker logout {key}");
    }
    format!("podman logout --authfile {} {key}", file.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use crate::terminal::Terminal;
    use std::fs;

    /// Returns the checks of `contoso.azurecr.io` with these files in a home where docker and podman are, as `mark: text`.
    fn check_files(files: &[(&str, &str)]) -> Vec<String> {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().canonicalize().unwrap();
        let programs = ["docker", "podman", "docker-credential-acrscoped"]
            .map(|name| (format!("bin/{name}"), ""));
        let programs = programs
            .iter()
            .map(|(name, content)| (name.as_str(), *content));
        for (name, content) in files.iter().copied().chain(programs) {
            fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            fs::write(root.join(name), content).unwrap();
        }
        let variables = [("PATH", "bin"), ("XDG_RUNTIME_DIR", "run")];
        let variables =
            variables.map(|(name, folder)| (name.to_owned(), root.join(folder).into_os_string()));
        let settings =
            Settings::from_variables(variables.into_iter().collect(), Some(root.clone()));
        let terminal = Terminal::new(settings.variables(), false, true);
        let program = root.join("bin/docker-credential-acrscoped");
        let clock = || std::time::SystemTime::UNIX_EPOCH;
        let context = Context {
            settings: &settings,
            clock,
            terminal,
            program: Some(&program),
            is_stderr_terminal: false,
            print_error: |_| (),
            config_error: None,
        };
        let checks = check_cred_helpers(
            &context,
            &Registry::parse("contoso.azurecr.io", &[]).unwrap(),
        );
        let lines = checks
            .iter()
            .map(|check| format!("{}: {}", check.status.word(), check.summary));
        lines
            .map(|line| line.replace(&root.display().to_string(), "~"))
            .filter(|line| !line.contains("sudo"))
            .collect()
    }

    const FOUND: &str = "ok: clients find this helper as ~/bin/docker-credential-acrscoped";
    const LOGIN: &str = r#"{"auths":{"contoso.azurecr.io":{"auth":"ZXhhbXBsZTpleGFtcGxl"}}}"#;

    #[test]
    fn the_first_file_with_anything_for_the_registry_decides() {
        let named = r#"{"credHelpers":{"contoso.azurecr.io":"acrscoped"}}"#;
        for (files, expected) in [
            (
                &[][..],
                [
                    "failed: docker asks no helper for contoso.azurecr.io, by ~/.docker/config.json",
                    "failed: podman, buildah and skopeo ask no helper for contoso.azurecr.io",
                ],
            ),
            (
                &[(".docker/config.json", named)],
                [
                    "ok: docker asks this helper for contoso.azurecr.io, by `credHelpers` in ~/.docker/config.json",
                    "ok: podman, buildah and skopeo ask this helper for contoso.azurecr.io, by `credHelpers` in ~/.docker/config.json",
                ],
            ),
            (
                &[(".docker/config.json", r#"{"credsStore":"acrscoped"}"#)],
                [
                    "ok: docker asks this helper for contoso.azurecr.io, by `credsStore` in ~/.docker/config.json",
                    "failed: podman, buildah and skopeo ask no helper for contoso.azurecr.io: they do not read `credsStore`",
                ],
            ),
            (
                &[
                    (".docker/config.json", r#"{"credsStore":"desktop"}"#),
                    (".config/containers/auth.json", named),
                    ("run/containers/auth.json", LOGIN),
                ],
                [
                    "failed: docker asks `docker-credential-desktop` for contoso.azurecr.io, by ~/.docker/config.json",
                    "failed: podman, buildah and skopeo take the login of contoso.azurecr.io in ~/run/containers/auth.json, and ask no helper",
                ],
            ),
            (
                &[
                    (".docker/config.json", "{,}"),
                    (
                        "run/containers/auth.json",
                        r#"{"credHelpers":{"contoso.azurecr.io":"pass"}}"#,
                    ),
                ],
                [
                    "failed: `~/.docker/config.json` cannot be read: it is no valid JSON: key must be a string at line 1 column 2",
                    "failed: podman, buildah and skopeo ask `docker-credential-pass` for contoso.azurecr.io, by ~/run/containers/auth.json",
                ],
            ),
        ] {
            assert_eq!(check_files(files), [expected[0], expected[1], FOUND]);
        }
    }

    #[test]
    fn a_login_that_no_client_uses_is_reported() {
        let both = LOGIN.replace(
            "{\"auths\"",
            "{\"credHelpers\":{\"contoso.azurecr.io\":\"acrscoped\"},\"auths\"",
        );
        let lines = check_files(&[(".docker/config.json", &both)]);
        let expected = "warning: the login of contoso.azurecr.io in ~/.docker/config.json is no longer used, but it is a password";
        assert_eq!(lines[2], expected);
    }
}
