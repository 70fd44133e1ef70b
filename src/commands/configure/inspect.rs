//! Whether clients will ask this helper: what their files say of a registry. Nothing is changed.

use super::HELPER;
use super::disk::Found;
use super::json::Object;
use super::place::{Clients, Places};
use super::report::Finding;
use super::surroundings::{program, variables};
use super::wire::{named, store};
use crate::commands::Context;
use crate::config::Settings;
use crate::error::Error;
use crate::registry::Registry;
use crate::terminal::Mark;
use serde_json::Value;
use std::path::Path;

const CONFIGURE: &str = concat!(env!("CARGO_PKG_NAME"), " configure");

/// What docker, podman and their like will do for a registry, and whether they find this program.
pub fn wiring(context: &Context<'_>, registry: &Registry) -> Vec<Finding> {
    let places = match Places::of(context.settings) {
        Ok(places) => places,
        Err(error) => return vec![Finding::of(&error)],
    };
    let mut findings = docker(&places, registry);
    findings.extend(containers(&places, registry));
    findings.extend(variables(context.settings));
    // What is bad of them was told before.
    findings.extend(remarks(&places, registry).into_iter().filter(|finding| finding.mark != Mark::Bad));
    findings.push(program(context));
    findings
}

/// Whom docker asks.
fn docker(places: &Places, registry: &Registry) -> Vec<Finding> {
    if !places.has(Clients::Docker) {
        let text = format!("docker is not on `PATH`, and {} does not exist", places.docker.display());
        return vec![Finding::new(Mark::Skipped, text)];
    }
    let host = registry.host();
    let finding = match State::read(&places.docker) {
        Err(error) => Finding::of(&error),
        Ok(state) => match (state.helper(host), state.store.as_deref()) {
            (Some(HELPER), _) => good("docker", host, &state.file, "credHelpers"),
            (None, Some(HELPER)) => good("docker", "all hosts", &state.file, "credsStore"),
            (Some(other), _) | (None, Some(other)) => {
                let text = format!("docker asks `docker-credential-{other}` for {host}, by {}", state.file);
                Finding::new(Mark::Bad, text).hint(configure(host))
            }
            (None, None) => {
                Finding::new(Mark::Bad, format!("docker asks no helper for {host}, by {}", state.file)).hint(configure(host))
            }
        },
    };
    vec![finding]
}

/// Whom podman, buildah and skopeo ask: the first file that says anything of the registry decides.
fn containers(places: &Places, registry: &Registry) -> Vec<Finding> {
    if !places.has(Clients::Containers) {
        let text = format!("podman, buildah and skopeo are not on `PATH`, and {} does not exist", places.containers.display());
        return vec![Finding::new(Mark::Skipped, text)];
    }
    let (clients, host) = (Clients::Containers.word(), registry.host());
    let mut has_store = false;
    for file in &places.in_turn {
        let state = match State::read(file) {
            Ok(state) => state,
            Err(error) => return vec![Finding::of(&error)],
        };
        match state.helper(host) {
            Some(HELPER) => return vec![good(clients, host, &state.file, "credHelpers")],
            Some(other) => {
                let text = format!("{clients} ask `docker-credential-{other}` for {host}, by {}", state.file);
                return vec![Finding::new(Mark::Bad, text).hint(configure(host))];
            }
            None if !state.logins(registry).is_empty() => {
                let text = format!("{clients} take the login of {host} in {}, and ask no helper", state.file);
                let hint = format!("`{}`, then `{CONFIGURE} {host}`", logout(file, host, places));
                return vec![Finding::new(Mark::Bad, text).hint(hint)];
            }
            None => has_store |= state.store.as_deref() == Some(HELPER),
        }
    }
    let why = if has_store { ": they do not read `credsStore`" } else { "" };
    vec![Finding::new(Mark::Bad, format!("{clients} ask no helper for {host}{why}")).hint(configure(host))]
}

fn good(clients: &str, host: &str, file: &str, field: &str) -> Finding {
    let verb = if clients == "docker" { "asks" } else { "ask" };
    Finding::new(Mark::Good, format!("{clients} {verb} this helper for {host}, by `{field}` in {file}"))
}

fn configure(host: &str) -> String {
    format!("`{CONFIGURE} {host}`")
}

/// What deserves attention whoever is asked: logins that lie about, and names that nobody looks up.
pub(super) fn remarks(places: &Places, registry: &Registry) -> Vec<Finding> {
    let mut findings = Vec::new();
    let host = registry.host();
    let mut seen: Vec<&Path> = Vec::new();
    // Whether a file that podman and its like read before says something of the registry.
    let mut is_decided = false;
    for file in &places.in_turn {
        let Ok(state) = State::read(file) else { continue };
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
            let text = format!("`{key}` under `credHelpers` in {} is never looked up: clients look for `{host}`", state.file);
            findings.push(Finding::new(Mark::Warning, text));
        }
        is_decided |= has_helper || !logins.is_empty();
    }
    findings
}

/// Who uses a login that lies in a file.
fn login(state: &State, key: &str, is_dockers: bool, has_helper: bool, is_decided: bool) -> Finding {
    let file = &state.file;
    let for_docker = is_dockers && !has_helper && state.store.is_none();
    let for_containers = !has_helper && !is_decided;
    match (for_docker, for_containers) {
        (true, _) => {
            let text = format!("docker takes the login of {key} in {file}, and asks no helper");
            Finding::new(Mark::Bad, text)
        }
        (false, true) if is_dockers => {
            let text = format!("docker no longer uses the login of {key} in {file}, but podman and its like do");
            Finding::new(Mark::Warning, text)
        }
        (false, true) => {
            let text = format!("the login of {key} in {file} goes before helpers in files that are read later");
            Finding::new(Mark::Bad, text)
        }
        (false, false) => {
            let text = format!("a former login of {key} lies in {file}: it is no longer used, but it is a password");
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

/// What one file says.
#[derive(Debug)]
pub(super) struct State {
    /// Its path.
    pub(super) file: String,
    text: String,
    helpers: Vec<(String, String)>,
    /// The helper for all hosts.
    pub(super) store: Option<String>,
}

impl State {
    /// A file that does not exist says nothing.
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        let found = Found::read(path)?;
        let text = found.text.filter(|text| !text.trim().is_empty()).unwrap_or_else(|| "{}".into());
        let broken = |problem: String| super::disk::unusable(path, format!("cannot be read: {problem}"));
        let (helpers, store) = (named(&text).map_err(broken)?, store(&text).map_err(broken)?);
        Ok(Self { file: path.display().to_string(), text, helpers, store })
    }

    /// The helper for one host.
    fn helper(&self, host: &str) -> Option<&str> {
        self.helpers.iter().find(|(name, _)| name == host).map(|(_, helper)| helper.as_str())
    }

    /// The entries of `auths` with a password or token, and whose they are.
    fn secrets(&self) -> Vec<String> {
        let Some(auths) = Object::parse(&self.text)
            .ok()
            .and_then(|root| root.field("auths").ok()?.and_then(|(_, member)| member.object(&self.text)))
        else {
            return vec![];
        };
        let holds = |value: &Value| {
            let filled = |name: &str| value.get(name).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
            ["auth", "identitytoken", "registrytoken", "password"].into_iter().any(filled)
        };
        let holding = auths.members.iter().filter(|member| holds(&member.value(&self.text)));
        holding.map(|member| member.name.clone()).collect()
    }

    /// The hosts of `auths`, be their entries empty or not.
    pub(super) fn hosts(&self) -> Vec<String> {
        let root = Object::parse(&self.text).ok();
        let auths = root.and_then(|root| root.field("auths").ok()?.and_then(|(_, member)| member.object(&self.text)));
        auths.map(|auths| auths.members.into_iter().map(|member| member.name).collect()).unwrap_or_default()
    }

    /// The logins of a registry.
    fn logins(&self, registry: &Registry) -> Vec<String> {
        let clouds = [registry.cloud().clone()];
        let mut logins = self.secrets();
        logins.retain(|key| Registry::parse(key, &clouds).is_some_and(|other| other.host() == registry.host()));
        logins
    }

    /// The logins of all hosts that are not Azure's.
    pub(super) fn foreign_logins(&self, settings: &Settings) -> Vec<String> {
        let mut logins = self.secrets();
        logins.retain(|key| Registry::parse(key, settings.clouds()).is_none());
        logins
    }

    /// The keys that mean a registry, and under which no client looks.
    fn misspelt(&self, registry: &Registry) -> Vec<String> {
        let clouds = [registry.cloud().clone()];
        let means = |key: &str| Registry::parse(key, &clouds).is_some_and(|other| other.host() == registry.host());
        let keys = self.helpers.iter().map(|(key, _)| key).filter(|key| key.contains('/') && means(key));
        keys.cloned().collect()
    }
}
