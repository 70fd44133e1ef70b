//! Checks in the files of clients whether they will ask this helper for a registry. Changes nothing.

use super::client_config::{ClientConfig, DEFAULT_STORE};
use super::environment_checks::{program, variables};
use super::paths::{Clients, Paths, RUNTIME};
use super::plan::{FileEdit, remove_command};
use super::state::FileRecord;
use super::{CONFIGURE, HELPER};
use crate::commands::Context;
use crate::commands::report::{Check, list};
use crate::error::Error;
use crate::registry::Registry;
use crate::terminal::Status;
use crate::text::shell_word;
use std::io::ErrorKind;
use std::path::Path;

/// Checks which helper Docker, Podman and their like use for a registry, and whether they find this program.
pub(in crate::commands) fn check_cred_helpers(
    context: &Context<'_>,
    registry: &Registry,
) -> Vec<Check> {
    let paths = match Paths::new(context.settings) {
        Ok(paths) => paths,
        Err(error) => return vec![Check::failed("", &error)],
    };
    let mut checks = vec![
        check_client(&paths, Clients::Docker, registry, &[]),
        check_client(&paths, Clients::Containers, registry, &[]),
    ];
    checks.extend(variables(context.settings));
    checks.extend(notes(&paths, registry, &[]));
    checks.push(program(context));
    checks
}

/// Checks which helper clients use for a registry once these edits are made.
pub(super) fn check_client(
    paths: &Paths,
    clients: Clients,
    registry: &Registry,
    edits: &[FileEdit],
) -> Check {
    if !paths.has(clients) && edits.is_empty() {
        return not_installed(paths, clients);
    }
    let check = match clients {
        Clients::Docker => check_docker(paths, registry, edits),
        Clients::Containers => check_containers(paths, registry, edits),
    };
    check.unwrap_or_else(|error| Check::failed("", &error))
}

fn check_docker(paths: &Paths, registry: &Registry, edits: &[FileEdit]) -> Result<Check, Error> {
    let (config, host) = (
        ClientConfig::planned(&paths.docker, edits)?,
        registry.host(),
    );
    Ok(match config.helper(host).or(config.store()) {
        Some(helper) => check_helper(&config, host, helper),
        None => not_used(&config.file, host, ""),
    })
}

/// Checks Podman, Buildah and Skopeo: the first file that has anything for the registry decides.
fn check_containers(
    paths: &Paths,
    registry: &Registry,
    edits: &[FileEdit],
) -> Result<Check, Error> {
    let (clients, host) = (Clients::Containers, registry.host());
    let mut reason = "";
    for path in &paths.search_order {
        if let Some(check) = unreadable(path) {
            return Ok(check);
        }
        let config = ClientConfig::planned(path, edits)?;
        if let Some(helper) = config.helper(host) {
            return Ok(check_helper(&config, host, helper));
        }
        if let Some(key) = config.logins(registry).first() {
            let file = &config.file;
            let text = format!("{clients} use the login of {key} in {file} instead of a helper");
            let logout = logout(path, key, paths);
            return Ok(Check::bad("", text).hint(format!("remove it\n  {logout}")));
        }
        if config.store() == Some(HELPER) {
            reason = ": they do not read `credsStore`";
        }
    }
    let file = paths.containers.display().to_string();
    Ok(not_used(&file, host, reason))
}

/// Returns the check for clients that are not on this machine.
pub(super) fn not_installed(paths: &Paths, clients: Clients) -> Check {
    let file = paths.file(clients).display();
    let text = format!("{clients}: not on `PATH`, and {file} does not exist");
    Check::unnamed(Status::Skipped, text)
}

/// Checks which helper a file has for a host.
fn check_helper(config: &ClientConfig, host: &str, helper: &str) -> Check {
    let file = &config.file;
    if helper == HELPER {
        return Check::good("", format!("{file} uses this helper for {host}"));
    }
    not_used(file, host, &format!(", but `docker-credential-{helper}`"))
}

fn not_used(file: &str, host: &str, reason: &str) -> Check {
    let text = format!("{file} does not use this helper for {host}{reason}");
    Check::bad("", text).hint(format!("use this helper\n  {CONFIGURE} {host}"))
}

/// Warns of a file of Podman and its like in a folder that the user may not enter. Docker does not read it.
fn unreadable(file: &Path) -> Option<Check> {
    let error = file.metadata().err()?;
    if error.kind() != ErrorKind::PermissionDenied {
        return None;
    }
    let (clients, path) = (Clients::Containers, file.display());
    let check = Check::warning(
        "",
        format!("{clients} cannot read {path}: permission denied"),
    );
    // `su` and the like do not set the variable. Then the clients use this folder.
    if !file.starts_with(RUNTIME) {
        return Some(check);
    }
    let hint = "set `XDG_RUNTIME_DIR`: sign in to this machine with a session of your own (ssh, `machinectl shell`)";
    Some(check.hint(hint))
}

/// Returns warnings for a registry once these edits are made: logins in files, and keys that no client looks up.
pub(super) fn notes(paths: &Paths, registry: &Registry, edits: &[FileEdit]) -> Vec<Check> {
    let host = registry.host();
    let mut checks = Vec::new();
    for (at, path) in paths.search_order.iter().enumerate() {
        if paths.search_order[..at].contains(path) {
            continue;
        }
        let Ok(config) = ClientConfig::planned(path, edits) else {
            continue;
        };
        let file = &config.file;
        for key in config.logins(registry) {
            let is_of_az = config.is_of_azure_cli(key);
            let by = if is_of_az { " by `az acr login`" } else { "" };
            let text = format!(
                "this helper replaces the login of {key}{by} in {file}, which holds a password"
            );
            let logout = logout(path, key, paths);
            checks.push(Check::warning("", text).hint(format!("remove it\n  {logout}")));
        }
        checks.extend(config.misspelled(registry).map(|key| {
            let text = format!("no client uses `{key}` in {file}: they look for `{host}`");
            Check::warning("", text)
        }));
    }
    checks
}

/// Warns of entries that stay when others are removed: `configure` has not set them, or Docker uses this helper for all hosts.
pub(super) fn still_set(config: &ClientConfig, record: &FileRecord) -> Option<Check> {
    let is_recorded = |host: &str| record.previous.contains_key(host);
    let helpers = config.helpers();
    let hosts = helpers.filter(|(host, helper)| *helper == HELPER && !is_recorded(host));
    let store = (config.store() == Some(HELPER)).then_some(DEFAULT_STORE);
    let rest: Vec<&str> = store
        .into_iter()
        .chain(hosts.map(|(host, _)| host))
        .collect();
    let (file, command) = (&config.file, remove_command(rest.iter().copied()));
    let text = if store.is_some() {
        format!(
            "Docker still uses this helper for every registry: it is the {DEFAULT_STORE} in {file}"
        )
    } else {
        format!(
            "{file} still uses this helper for {}: `configure` has not set it",
            list(&rest)
        )
    };
    let check = Check::warning("", text).hint(format!("remove it too\n  {command}"));
    (!rest.is_empty()).then_some(check)
}

/// Returns the command that removes a login from exactly this file.
fn logout(file: &Path, key: &str, paths: &Paths) -> String {
    if file == paths.docker {
        return format!("docker logout {key}");
    }
    let file = shell_word(&file.display().to_string());
    format!("podman logout --authfile {file} {key}")
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
