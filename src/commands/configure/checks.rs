//! Whether clients will ask this helper for a registry: what their files say. Nothing is changed.

use super::client_config::ClientConfig;
use super::environment_checks::{program, variables};
use super::paths::{Clients, Paths, RUNTIME};
use super::plan::Plan;
use super::{CONFIGURE, HELPER};
use crate::commands::Context;
use crate::commands::report::Check;
use crate::config::Settings;
use crate::registry::Registry;
use crate::terminal::Mark;
use std::io::ErrorKind;
use std::path::Path;

/// Checks which helper Docker, Podman and their like ask for a registry, and whether they find this program.
pub(in crate::commands) fn check_cred_helpers(
    context: &Context<'_>,
    registry: &Registry,
) -> Vec<Check> {
    let paths = match Paths::new(context.settings) {
        Ok(paths) => paths,
        Err(error) => return vec![Check::failed("", &error)],
    };
    let mut checks = vec![
        check_docker(&paths, registry),
        check_containers(context.settings, &paths, registry),
    ];
    checks.extend(variables(context.settings));
    let mut notes = notes(&paths, registry, &[]);
    // Those that failed are among the first two.
    notes.retain(|note| !note.is_bad());
    checks.extend(notes);
    checks.push(program(context));
    checks
}

fn check_docker(paths: &Paths, registry: &Registry) -> Check {
    if !paths.has(Clients::Docker) {
        return not_installed(paths, Clients::Docker);
    }
    let host = registry.host();
    let config = match ClientConfig::read(&paths.docker) {
        Ok(config) => config,
        Err(error) => return Check::failed("", &error),
    };
    match (config.helper(host), config.store()) {
        (Some(helper), _) => asked(Clients::Docker, host, helper, &config, "credHelpers"),
        (None, Some(HELPER)) => asked(Clients::Docker, "all hosts", HELPER, &config, "credsStore"),
        (None, Some(store)) => asked(Clients::Docker, host, store, &config, "credsStore"),
        (None, None) => {
            let file = &config.file;
            bad(host, format!("docker asks no helper for {host}, by {file}"))
        }
    }
}

/// Checks Podman, Buildah and Skopeo: the first file that has anything for the registry decides.
fn check_containers(settings: &Settings, paths: &Paths, registry: &Registry) -> Check {
    if !paths.has(Clients::Containers) {
        return not_installed(paths, Clients::Containers);
    }
    let (clients, host) = (Clients::Containers, registry.host());
    let mut has_store = false;
    for path in &paths.search_order {
        let config = match ClientConfig::read(path) {
            Ok(config) => config,
            Err(error) => {
                return unreadable(settings, path).unwrap_or_else(|| Check::failed("", &error));
            }
        };
        if let Some(helper) = config.helper(host) {
            return asked(Clients::Containers, host, helper, &config, "credHelpers");
        }
        if !config.logins(registry).is_empty() {
            let file = &config.file;
            let text = format!("{clients} take the login of {host} in {file}, and ask no helper");
            let logout = logout(path, host, paths);
            let hint = format!("`{logout}`, then `{CONFIGURE} {host}`");
            return Check::unnamed(Mark::Bad, text).hint(hint);
        }
        has_store |= config.store() == Some(HELPER);
    }
    let text = format!("{clients} ask no helper for {host}");
    bad(
        host,
        if has_store {
            text + ": they do not read `credsStore`"
        } else {
            text
        },
    )
}

/// Returns the check for clients that are not on this machine.
pub(super) fn not_installed(paths: &Paths, clients: Clients) -> Check {
    let (verb, file) = (clients.verb("is", "are"), paths.file(clients).display());
    let text = format!("{clients} {verb} not on `PATH`, and {file} does not exist");
    Check::unnamed(Mark::Skipped, text)
}

/// Returns the check for clients that ask a helper: this one, or another.
fn asked(clients: Clients, host: &str, helper: &str, config: &ClientConfig, field: &str) -> Check {
    let (verb, file) = (clients.verb("asks", "ask"), &config.file);
    if helper == HELPER {
        let text = format!("{clients} {verb} this helper for {host}, by `{field}` in {file}");
        return Check::unnamed(Mark::Good, text);
    }
    let text = format!("{clients} {verb} `docker-credential-{helper}` for {host}, by {file}");
    bad(host, text)
}

fn bad(host: &str, text: String) -> Check {
    Check::unnamed(Mark::Bad, text).hint(format!("`{CONFIGURE} {host}`"))
}

/// Warns of a file of Podman and its like in a folder that the user may not enter. It does not concern Docker.
pub(super) fn unreadable(settings: &Settings, file: &Path) -> Option<Check> {
    let error = file.metadata().err()?;
    (error.kind() == ErrorKind::PermissionDenied).then(|| permission_denied(settings, file))
}

fn permission_denied(settings: &Settings, file: &Path) -> Check {
    let (clients, path) = (Clients::Containers, file.display());
    let text = format!("{clients} cannot read {path}: Permission denied");
    let check = Check::unnamed(Mark::Warning, text);
    let runtime_folder = settings.variables().get("XDG_RUNTIME_DIR");
    let is_set = runtime_folder.is_some_and(|folder| !folder.is_empty());
    let user = file.strip_prefix(RUNTIME).ok();
    match user.and_then(|rest| rest.iter().next()) {
        Some(user) if !is_set => check.hint(format!(
            "`XDG_RUNTIME_DIR` is not set: sign in with a session of your own (ssh, `machinectl shell`), or `export \
             XDG_RUNTIME_DIR=/run/user/{}`",
            user.display()
        )),
        _ => check,
    }
}

/// Returns what deserves attention once these plans are carried out: logins in files, and keys that no client looks up.
pub(super) fn notes(paths: &Paths, registry: &Registry, plans: &[Plan]) -> Vec<Check> {
    let host = registry.host();
    let mut checks = Vec::new();
    // Whether a file that Podman and its like read before has anything for the registry.
    let mut is_decided = false;
    for (at, path) in paths.search_order.iter().enumerate() {
        if paths.search_order[..at].contains(path) {
            continue;
        }
        let Ok(config) = ClientConfig::planned(path, plans) else {
            continue;
        };
        let logins = config.logins(registry);
        let has_helper = config.helper(host).is_some();
        for key in &logins {
            let user = match (*path == paths.docker, has_helper) {
                (true, false) if config.store().is_none() => User::Docker,
                (true, false) if !is_decided => User::ContainersOfDockersFile,
                (false, false) if !is_decided => User::Containers,
                _ => User::None,
            };
            let hint = format!("`{}` removes it", logout(path, key, paths));
            checks.push(login(key, &config.file, user).hint(hint));
        }
        for key in config.misspelled(registry) {
            let file = &config.file;
            let text = format!(
                "`{key}` under `credHelpers` in {file} is never looked up: clients look for `{host}`"
            );
            checks.push(Check::unnamed(Mark::Warning, text));
        }
        is_decided |= has_helper || !logins.is_empty();
    }
    checks
}

/// Who uses a login in a file.
#[derive(Clone, Copy)]
enum User {
    Docker,
    /// Podman and its like, though the file is Docker's.
    ContainersOfDockersFile,
    Containers,
    None,
}

fn login(key: &str, file: &str, user: User) -> Check {
    let it = format!("the login of {key} in {file}");
    let (status, text) = match user {
        User::Docker => (Mark::Bad, format!("docker takes {it}, and asks no helper")),
        User::ContainersOfDockersFile => {
            let text = format!("docker no longer uses {it}, but podman and its like do");
            (Mark::Warning, text)
        }
        User::Containers => {
            let text = format!("{it} goes before helpers in files that are read later");
            (Mark::Bad, text)
        }
        User::None => {
            let text = format!("a former login of {key} lies in {file}: it is no longer used, ");
            (Mark::Warning, text + "but it is a password")
        }
    };
    Check::unnamed(status, text)
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
            is_watched: false,
            tell: |_| (),
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
    fn the_first_file_that_says_anything_decides_whom_clients_ask() {
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
                    "ok: docker asks this helper for all hosts, by `credsStore` in ~/.docker/config.json",
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
        let expected = "warning: a former login of contoso.azurecr.io lies in ~/.docker/config.json: it is no longer used, but it is a \
                        password";
        assert_eq!(lines[2], expected);
    }

    #[test]
    fn a_folder_that_cannot_be_entered_is_reported_with_the_variable_that_names_another() {
        let hint_for = |variables: &[(&str, &str)], file: &str| {
            let variables = variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).into()))
                .collect();
            let Check {
                status,
                summary,
                hint,
                ..
            } = permission_denied(&Settings::from_variables(variables, None), Path::new(file));
            assert_eq!(
                (status, summary),
                (
                    Mark::Warning,
                    format!("podman, buildah and skopeo cannot read {file}: Permission denied")
                )
            );
            hint
        };
        let file = "/run/containers/1000/auth.json";
        let hint = "`XDG_RUNTIME_DIR` is not set: sign in with a session of your own (ssh, `machinectl shell`), or `export \
                    XDG_RUNTIME_DIR=/run/user/1000`";
        assert_eq!(hint_for(&[], file).as_deref(), Some(hint));
        assert_eq!(
            hint_for(&[("XDG_RUNTIME_DIR", "")], file).as_deref(),
            Some(hint)
        );
        assert_eq!(
            hint_for(&[("XDG_RUNTIME_DIR", "/run/user/1000")], file),
            None
        );
        assert_eq!(hint_for(&[], "/srv/auth.json"), None);
    }
}
