//! Checks in the files of clients whether they will ask this helper for a registry. Changes nothing.

use super::changes::remove_command;
use super::client_config::{ClientConfig, DEFAULT_STORE};
use super::environment_checks::{program, variables};
use super::file::FileEdit;
use super::paths::{Clients, Paths, RUNTIME};
use super::state::FileRecord;
use super::{CONFIGURE, HELPER};
use crate::commands::Context;
use crate::commands::report::{Check, list};
use crate::registry::{Cloud, Registry};
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
        Err(error) => return vec![Check::failed("docker", &error)],
    };
    let clients = [Clients::Docker, Clients::Containers].into_iter();
    let checks = clients.map(|clients| {
        if paths.has(clients) {
            check_client(&paths, clients, registry, &[])
        } else {
            not_installed(&paths, clients)
        }
    });
    let mut checks: Vec<Check> = checks
        .zip(["docker", "podman"])
        .map(|(check, name)| check.named(name))
        .collect();
    let variables = variables(context.settings).into_iter();
    checks.extend(variables.map(|check| check.named("variables")));
    let notes = notes(&paths, registry, &[], &checks).into_iter();
    checks.extend(notes.map(|check| check.named("logins")));
    checks.push(program(context).named("path"));
    checks
}

/// Checks which helper clients use for a registry once these edits are made: the first file that has anything for it decides.
pub(super) fn check_client(
    paths: &Paths,
    clients: Clients,
    registry: &Registry,
    edits: &[FileEdit],
) -> Check {
    let (host, is_docker) = (registry.host(), clients == Clients::Docker);
    let files = if is_docker {
        std::slice::from_ref(&paths.docker)
    } else {
        &paths.search_order
    };
    for path in files {
        let config = match ClientConfig::planned(path, edits) {
            Ok(config) => config,
            Err(error) => return unreadable(path).unwrap_or_else(|| Check::failed("", &error)),
        };
        let store = config.store().filter(|_| is_docker);
        if let Some(helper) = config.helper(host).or(store) {
            return check_helper(&config, host, helper);
        }
        let logins = config.logins(registry);
        if let Some(key) = logins.first().filter(|_| !is_docker) {
            let file = &config.file;
            let text = format!("{clients} use the login of {key} in {file} instead of a helper");
            let logout = logout(path, key, paths);
            return Check::bad("", text).hint(format!("  {logout}"));
        }
    }
    let file = paths.file(clients).display().to_string();
    not_used(&file, host, "")
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
    Check::bad("", text).hint(format!("  {CONFIGURE} {host}"))
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
///
/// A login that one of `checks` removes needs no note.
pub(super) fn notes(
    paths: &Paths,
    registry: &Registry,
    edits: &[FileEdit],
    checks: &[Check],
) -> Vec<Check> {
    let host = registry.host();
    let removed: Vec<&str> = checks.iter().filter_map(Check::command).collect();
    let mut notes = Vec::new();
    for path in &paths.search_order {
        let Ok(config) = ClientConfig::planned(path, edits) else {
            continue;
        };
        let file = &config.file;
        for key in config.logins(registry) {
            let is_of_az = config.is_of_azure_cli(key);
            let by = if is_of_az { " by `az acr login`" } else { "" };
            let text = format!(
                "{file} still holds a password for {key}{by}, which Docker no longer needs"
            );
            let logout = logout(path, key, paths);
            if !removed.contains(&&*logout) {
                notes.push(Check::warning("", text).hint(format!("  {logout}")));
            }
        }
        notes.extend(config.misspelled(registry).map(|key| {
            let text = format!("no client uses `{key}` in {file}: they look for `{host}`");
            Check::warning("", text)
        }));
    }
    notes
}

/// Warns of entries that stay when others are removed: `configure` has not set them, or Docker uses this helper for every registry.
pub(super) fn still_set(
    config: &ClientConfig,
    record: &FileRecord,
    clouds: &[Cloud],
) -> Option<Check> {
    let store = (config.store() == Some(HELPER)).then_some(DEFAULT_STORE);
    let helpers = config.helpers();
    let ours =
        helpers.filter(|(host, helper)| *helper == HELPER && !record.previous.contains_key(*host));
    let rest: Vec<&str> = store
        .into_iter()
        .chain(ours.map(|(host, _)| host))
        .collect();
    if rest.is_empty() {
        return None;
    }
    let of_all = store.map_or("", |_| ", so that Docker uses it for every registry");
    let text = format!(
        "{HELPER} is still set in {}: {}{of_all}",
        config.file,
        list(&rest)
    );
    let check = Check::warning("", text);
    // Only what `configure` could have set becomes part of a command.
    let is_target = |key: &&str| {
        *key == DEFAULT_STORE || Registry::parse(key, clouds).is_some_and(|it| it.host() == *key)
    };
    let targets: Vec<&str> = rest.into_iter().filter(is_target).collect();
    if targets.is_empty() {
        return Some(check);
    }
    let command = remove_command(targets);
    Some(check.hint(format!("remove it too\n  {command}")))
}

/// Returns the command that removes a login from exactly this file.
fn logout(file: &Path, key: &str, paths: &Paths) -> String {
    let key = shell_word(key);
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
            is_json: false,
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
                    "failed: ~/.docker/config.json does not use this helper for contoso.azurecr.io",
                    "failed: ~/.config/containers/auth.json does not use this helper for contoso.azurecr.io",
                ],
            ),
            (
                &[(".docker/config.json", named)],
                [
                    "ok: ~/.docker/config.json uses this helper for contoso.azurecr.io",
                    "ok: ~/.docker/config.json uses this helper for contoso.azurecr.io",
                ],
            ),
            (
                &[(".docker/config.json", r#"{"credsStore":"acrscoped"}"#)],
                [
                    "ok: ~/.docker/config.json uses this helper for contoso.azurecr.io",
                    "failed: ~/.config/containers/auth.json does not use this helper for contoso.azurecr.io",
                ],
            ),
            (
                &[
                    (".docker/config.json", r#"{"credsStore":"desktop"}"#),
                    (".config/containers/auth.json", named),
                    (
                        "run/containers/auth.json",
                        r#"{"credHelpers":{"contoso.azurecr.io":"pass"}}"#,
                    ),
                ],
                [
                    "failed: ~/.docker/config.json does not use this helper for contoso.azurecr.io, but `docker-credential-desktop`",
                    "failed: ~/run/containers/auth.json does not use this helper for contoso.azurecr.io, but `docker-credential-pass`",
                ],
            ),
            (
                &[
                    (".docker/config.json", "{,}"),
                    (".config/containers/auth.json", named),
                ],
                [
                    "failed: `~/.docker/config.json` cannot be used: it is not valid JSON (key must be a string at line 1 column 2)",
                    "ok: ~/.config/containers/auth.json uses this helper for contoso.azurecr.io",
                ],
            ),
        ] {
            assert_eq!(check_files(files), [expected[0], expected[1], FOUND]);
        }
    }

    #[test]
    fn a_login_in_a_file_is_reported() {
        let both = LOGIN.replace(
            "{\"auths\"",
            "{\"credHelpers\":{\"contoso.azurecr.io\":\"acrscoped\"},\"auths\"",
        );
        let lines = check_files(&[(".docker/config.json", &both)]);
        let note = "warning: ~/.docker/config.json still holds a password for contoso.azurecr.io, which Docker no longer needs";
        assert_eq!(lines[2], note);
        let lines = check_files(&[("run/containers/auth.json", LOGIN)]);
        let used = "failed: Podman, Buildah and Skopeo use the login of contoso.azurecr.io in ~/run/containers/auth.json instead of a helper";
        assert_eq!(lines[1], used);
    }

    #[test]
    fn no_key_of_a_file_runs_a_command_when_the_hint_is_pasted() {
        let home = tempfile::tempdir().unwrap();
        let settings = Settings::from_variables([].into(), Some(home.path().to_owned()));
        let paths = Paths::new(&settings).unwrap();
        let registry = Registry::parse("contoso.azurecr.io", &[]).unwrap();
        let [key, other] = ["contoso.azurecr.io/$(touch${IFS}pwned)", "a;reboot"];
        let text = serde_json::json!({
            "auths": { key: { "auth": "ZXhhbXBsZTpleGFtcGxl" } },
            "credHelpers": { other: HELPER, "contoso.azurecr.io": HELPER },
        });
        let config = ClientConfig::parse(&paths.docker, text.to_string()).unwrap();
        let logins = config.logins(&registry);
        let commands = logins.iter().map(|key| logout(&paths.docker, key, &paths));
        let still = still_set(&config, &FileRecord::default(), &[]).unwrap();
        let removal = format!("{CONFIGURE} --remove contoso.azurecr.io");
        assert_eq!(still.command(), Some(&*removal));
        assert!(commands.eq(logins.iter().map(|key| format!("docker logout '{key}'"))));
        let odd = remove_command([other]);
        assert_eq!(odd, format!("{CONFIGURE} --remove 'a;reboot'"));
    }
}
