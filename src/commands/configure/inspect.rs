//! Whether clients will ask this helper: what their files say of a registry. Nothing is changed.

use super::HELPER;
use super::place::{Clients, Places, RUNTIME};
use super::plan::Plan;
use super::report::Finding;
use super::state::State;
use super::surroundings::{program, variables};
use crate::commands::Context;
use crate::config::Settings;
use crate::registry::Registry;
use crate::terminal::Mark;
use std::io::ErrorKind;
use std::path::Path;

const CONFIGURE: &str = concat!(env!("CARGO_PKG_NAME"), " configure");

/// What docker, podman and their like will do for a registry, and whether they find this program.
pub fn wiring(context: &Context<'_>, registry: &Registry) -> Vec<Finding> {
    let places = match Places::of(context.settings) {
        Ok(places) => places,
        Err(error) => return vec![Finding::of(&error)],
    };
    let mut findings = docker(&places, registry);
    findings.extend(containers(context.settings, &places, registry));
    findings.extend(variables(context.settings));
    // What is bad of them was told before.
    findings.extend(
        remarks(&places, registry, &[])
            .into_iter()
            .filter(|finding| finding.mark != Mark::Bad),
    );
    findings.push(program(context));
    findings
}

/// Whom docker asks.
fn docker(places: &Places, registry: &Registry) -> Vec<Finding> {
    if !places.has(Clients::Docker) {
        let text = format!(
            "docker is not on `PATH`, and {} does not exist",
            places.docker.display()
        );
        return vec![Finding::new(Mark::Skipped, text)];
    }
    let host = registry.host();
    let finding = match State::read(&places.docker) {
        Err(error) => Finding::of(&error),
        Ok(state) => match (state.helper(host), state.store.as_deref()) {
            (Some(HELPER), _) => good("docker", host, &state.file, "credHelpers"),
            (None, Some(HELPER)) => good("docker", "all hosts", &state.file, "credsStore"),
            (Some(other), _) | (None, Some(other)) => {
                let text = format!(
                    "docker asks `docker-credential-{other}` for {host}, by {}",
                    state.file
                );
                Finding::new(Mark::Bad, text).hint(configure(host))
            }
            (None, None) => Finding::new(
                Mark::Bad,
                format!("docker asks no helper for {host}, by {}", state.file),
            )
            .hint(configure(host)),
        },
    };
    vec![finding]
}

/// Whom podman, buildah and skopeo ask: the first file that says anything of the registry decides.
fn containers(settings: &Settings, places: &Places, registry: &Registry) -> Vec<Finding> {
    if !places.has(Clients::Containers) {
        let text = format!(
            "podman, buildah and skopeo are not on `PATH`, and {} does not exist",
            places.containers.display()
        );
        return vec![Finding::new(Mark::Skipped, text)];
    }
    let (clients, host) = (Clients::Containers.word(), registry.host());
    let mut has_store = false;
    for file in &places.in_turn {
        let state = match State::read(file) {
            Ok(state) => state,
            Err(error) => return vec![shut(settings, file).unwrap_or_else(|| Finding::of(&error))],
        };
        match state.helper(host) {
            Some(HELPER) => return vec![good(clients, host, &state.file, "credHelpers")],
            Some(other) => {
                let text = format!(
                    "{clients} ask `docker-credential-{other}` for {host}, by {}",
                    state.file
                );
                return vec![Finding::new(Mark::Bad, text).hint(configure(host))];
            }
            None if !state.logins(registry).is_empty() => {
                let text = format!(
                    "{clients} take the login of {host} in {}, and ask no helper",
                    state.file
                );
                let hint = format!(
                    "`{}`, then `{CONFIGURE} {host}`",
                    logout(file, host, places)
                );
                return vec![Finding::new(Mark::Bad, text).hint(hint)];
            }
            None => has_store |= state.store.as_deref() == Some(HELPER),
        }
    }
    let why = if has_store {
        ": they do not read `credsStore`"
    } else {
        ""
    };
    vec![
        Finding::new(
            Mark::Bad,
            format!("{clients} ask no helper for {host}{why}"),
        )
        .hint(configure(host)),
    ]
}

/// A file of podman and its like in a folder that the user may not enter: docker is not concerned.
pub(super) fn shut(settings: &Settings, file: &Path) -> Option<Finding> {
    let error = file.metadata().err()?;
    (error.kind() == ErrorKind::PermissionDenied).then(|| denied(settings, file))
}

fn denied(settings: &Settings, file: &Path) -> Finding {
    let text = format!(
        "{} cannot read {}: Permission denied",
        Clients::Containers.word(),
        file.display()
    );
    let finding = Finding::new(Mark::Warning, text);
    let is_set = settings
        .variables()
        .get("XDG_RUNTIME_DIR")
        .is_some_and(|folder| !folder.is_empty());
    match file.strip_prefix(RUNTIME).ok().and_then(|rest| rest.iter().next()) {
        Some(user) if !is_set => finding.hint(format!(
            "`XDG_RUNTIME_DIR` is not set: sign in with a session of your own (ssh, `machinectl shell`), or `export \
             XDG_RUNTIME_DIR=/run/user/{}`",
            user.display()
        )),
        _ => finding,
    }
}

fn good(clients: &str, host: &str, file: &str, field: &str) -> Finding {
    let verb = if clients == "docker" { "asks" } else { "ask" };
    Finding::new(
        Mark::Good,
        format!("{clients} {verb} this helper for {host}, by `{field}` in {file}"),
    )
}

fn configure(host: &str) -> String {
    format!("`{CONFIGURE} {host}`")
}

/// What deserves attention whoever is asked, once these plans are carried out: logins that lie about, and names that nobody looks up.
pub(super) fn remarks(places: &Places, registry: &Registry, plans: &[Plan]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let host = registry.host();
    let mut seen: Vec<&Path> = Vec::new();
    // Whether a file that podman and its like read before says something of the registry.
    let mut is_decided = false;
    for file in &places.in_turn {
        let Ok(state) = State::planned(file, plans) else {
            continue;
        };
        if seen.contains(&file.as_path()) {
            continue;
        }
        seen.push(file);
        let logins = state.logins(registry);
        let has_helper = state.helper(host).is_some();
        for key in &logins {
            let remark = login(&state, key, *file == places.docker, has_helper, is_decided);
            findings.push(remark.hint(format!("`{}` removes it", logout(file, key, places))));
        }
        for key in state.misspelt(registry) {
            let text = format!(
                "`{key}` under `credHelpers` in {} is never looked up: clients look for `{host}`",
                state.file
            );
            findings.push(Finding::new(Mark::Warning, text));
        }
        is_decided |= has_helper || !logins.is_empty();
    }
    findings
}

/// Who uses a login that lies in a file.
fn login(
    state: &State,
    key: &str,
    is_dockers: bool,
    has_helper: bool,
    is_decided: bool,
) -> Finding {
    let file = &state.file;
    let for_docker = is_dockers && !has_helper && state.store.is_none();
    let for_containers = !has_helper && !is_decided;
    match (for_docker, for_containers) {
        (true, _) => {
            let text = format!("docker takes the login of {key} in {file}, and asks no helper");
            Finding::new(Mark::Bad, text)
        }
        (false, true) if is_dockers => {
            let text = format!(
                "docker no longer uses the login of {key} in {file}, but podman and its like do"
            );
            Finding::new(Mark::Warning, text)
        }
        (false, true) => {
            let text = format!(
                "the login of {key} in {file} goes before helpers in files that are read later"
            );
            Finding::new(Mark::Bad, text)
        }
        (false, false) => {
            let text = format!(
                "a former login of {key} lies in {file}: it is no longer used, but it is a password"
            );
            Finding::new(Mark::Warning, text)
        }
    }
}

/// What removes a login from exactly this file.
fn logout(file: &Path, key: &str, places: &Places) -> String {
    if file == places.docker {
        return format!("docker logout {key}");
    }
    format!("podman logout --authfile {} {key}", file.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::Terminal;
    use std::fs;

    /// What is told of `contoso.azurecr.io` with these files in a home where docker and podman are, as `mark: text`.
    fn told(files: &[(&str, &str)]) -> Vec<String> {
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
        let settings = Settings::of(variables.into_iter().collect(), Some(root.clone()));
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
        let findings = wiring(
            &context,
            &Registry::parse("contoso.azurecr.io", &[]).unwrap(),
        );
        let lines = findings
            .iter()
            .map(|finding| format!("{}: {}", finding.mark.word(), finding.text));
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
            assert_eq!(told(files), [expected[0], expected[1], FOUND]);
        }
    }

    #[test]
    fn a_login_that_nobody_uses_is_told_all_the_same() {
        let both = LOGIN.replace(
            "{\"auths\"",
            "{\"credHelpers\":{\"contoso.azurecr.io\":\"acrscoped\"},\"auths\"",
        );
        let told = told(&[(".docker/config.json", &both)]);
        let expected = "warning: a former login of contoso.azurecr.io lies in ~/.docker/config.json: it is no longer used, but it is a \
                        password";
        assert_eq!(told[2], expected);
    }

    #[test]
    fn a_folder_that_is_shut_is_told_with_the_variable_that_leads_elsewhere() {
        let told = |variables: &[(&str, &str)], file: &str| {
            let variables = variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).into()))
                .collect();
            let Finding { mark, text, hint } =
                denied(&Settings::of(variables, None), Path::new(file));
            assert_eq!(
                (mark, text),
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
        assert_eq!(told(&[], file).as_deref(), Some(hint));
        assert_eq!(
            told(&[("XDG_RUNTIME_DIR", "")], file).as_deref(),
            Some(hint)
        );
        assert_eq!(told(&[("XDG_RUNTIME_DIR", "/run/user/1000")], file), None);
        assert_eq!(told(&[], "/srv/auth.json"), None);
    }
}
