//! `configure`: sets this helper in the files of Docker, Podman and their like, and removes it again.
//!
//! | file | contents |
//! | --- | --- |
//! | `paths` | the files that clients read |
//! | `file` | reading files of the user, and replacing several as one |
//! | `client_config` | reading and editing the helpers and logins in a client's file |
//! | `changes` | the changes of helpers in one file: planned, recorded, and shown |
//! | `delegate` | the former default credential store, in our config file |
//! | `state` | the record of changes, for `--remove` |
//! | `checks`, `environment_checks` | whether clients will use this helper, for `doctor` too |
//! | `confirm` | asking before `--all` breaks something |
//! | `kubelet` | the output of `--kubelet` |

mod changes;
mod checks;
mod client_config;
mod confirm;
mod delegate;
mod environment_checks;
mod file;
mod kubelet;
mod paths;
mod state;

pub(super) use checks::check_cred_helpers;
pub(super) use environment_checks::program;

use super::report::{Check, list};
use super::{Context, PROGRAM, write_json};
use crate::config::SourceName;
use crate::error::{Error, ErrorKind, sanitize};
use crate::identity::Identity;
use crate::registry::Registry;
use crate::terminal::{Status, Style, Terminal};
use changes::Change;
use clap::Args;
use client_config::{ClientConfig, DEFAULT_STORE};
use environment_checks::is_of_vs_code;
use file::{FileEdit, FileSnapshot};
use paths::{Clients, Paths};
use serde::Serialize;
use state::State;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// The name of this helper in clients' files: what follows `docker-credential-`.
const HELPER: &str = "acrscoped";

/// This command, for hints.
const CONFIGURE: &str = concat!(env!("CARGO_PKG_NAME"), " configure");

/// `configure [REGISTRY…] [--all [--yes]] [--remove] [--docker | --containers] [--dry-run] [--json | --plain]`, or
/// `configure --kubelet [REGISTRY…] [--registry-mirror SOURCE:REGISTRY,…]`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of the command line"
)]
pub struct Arguments {
    /// The registries, such as contoso.azurecr.io. Without any: those with a cached token, a profile or a login.
    #[arg(value_name = "REGISTRY")]
    registries: Vec<String>,
    /// Make this helper Docker's default credential store. Your previous store keeps handling every other registry.
    #[arg(long)]
    all: bool,
    /// With --all: do not ask, even if other logins stop working.
    #[arg(long, requires = "all", conflicts_with = "remove")]
    yes: bool,
    /// Undo the changes, for these registries or for all.
    #[arg(long)]
    remove: bool,
    /// Change only the file that Docker, ORAS and Helm read.
    #[arg(long, conflicts_with = "containers")]
    docker: bool,
    /// Change only the file that Podman, Buildah and Skopeo read.
    #[arg(long)]
    containers: bool,
    /// Show what would change, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print the configuration with which kubelet calls this helper, for these registries or for all. Writes no file.
    #[arg(long, conflicts_with_all = ["all", "yes", "remove", "docker", "containers", "dry_run", "json", "plain"])]
    pub(super) kubelet: bool,
    /// With --kubelet: pull the images of a host through a registry.
    #[arg(
        long = "registry-mirror",
        value_name = "SOURCE:REGISTRY",
        value_delimiter = ',',
        requires = "kubelet",
        hide_short_help = true
    )]
    mirrors: Vec<String>,
}

/// Runs the command. All files are read and changed in memory before the first of them is written. The exit code is 1 if a check failed: a
/// client does not use this helper, or a file cannot be used.
///
/// # Errors
///
/// When an argument cannot be used, or a file cannot be written. Then no file was changed.
pub fn run(
    context: &Context<'_>,
    arguments: &Arguments,
    mut output: impl Write,
) -> Result<ExitCode, Error> {
    let named = arguments.registries.iter();
    let named: Result<Vec<_>, _> = named.map(|text| context.registry(text)).collect();
    let named = named?;
    if arguments.kubelet {
        kubelet::print(context, &named, &arguments.mirrors, output)?;
        return Ok(ExitCode::SUCCESS);
    }
    let report = Request::new(context, arguments)?.run(named)?;
    if context.is_json {
        write_json(&mut output, &report)?;
    } else {
        let text = report.draw(context.terminal);
        output.write_all(text.as_bytes()).map_err(Error::output)?;
    }
    let has_failed = report.checks.iter().any(Check::is_bad);
    Ok(ExitCode::from(u8::from(has_failed)))
}

/// Sets this helper for one registry in the files of the clients that are there. Returns what was changed, and what is wrong besides.
///
/// # Errors
///
/// When a file cannot be written. Then no file was changed.
pub(super) fn apply(context: &Context<'_>, registry: &Registry) -> Result<Vec<Check>, Error> {
    let arguments = Arguments::default();
    let report = Request::new(context, &arguments)?.run(vec![registry.clone()])?;
    let changes = report.changes.iter().map(|change| {
        let check = change.check(context.terminal.arrow(), false);
        check.map(|text| format!("{}: {text}", change.path))
    });
    let mut checks: Vec<Check> = changes.collect();
    checks.extend(report.checks);
    checks.retain(|check| check.status != Status::Skipped);
    let named = checks.into_iter().map(|check| check.named("clients"));
    Ok(named.collect())
}

/// Removes the logins of `az acr login` from all files that clients read: a login there is used before a helper in a later file, or by no
/// client. Any other login may be the only copy of a password, and stays: [`apply`] reports it. Returns what was removed, and which files cannot be
/// used.
///
/// # Errors
///
/// When a file cannot be written. Then no file was changed.
pub(super) fn remove_logins(
    context: &Context<'_>,
    registry: &Registry,
) -> Result<Vec<Check>, Error> {
    let paths = Paths::new(context.settings)?;
    let (mut checks, mut edits) = (Vec::new(), Vec::<FileEdit>::new());
    for path in &paths.search_order {
        let planned = FileSnapshot::read(path).and_then(|before| {
            let text = before.text.clone().unwrap_or_default();
            Ok((before, ClientConfig::parse(path, text)?))
        });
        let (before, mut config) = match planned {
            Ok(planned) => planned,
            Err(error) => {
                checks.push(Check::failed("", &error));
                continue;
            }
        };
        let is_planned = edits.iter().any(|edit| edit.before.real == before.real);
        let removed = config.remove_logins_of_azure_cli(registry);
        if is_planned || removed.is_empty() {
            continue;
        }
        let (logins, file) = (list(removed), &config.file);
        let text = format!("removed the login of {logins} from {file}");
        checks.push(Check::good("", text));
        edits.push(FileEdit {
            before,
            after: Some(config.text),
            folders: vec![],
        });
    }
    file::write_all(&edits)?;
    Ok(checks)
}

/// Returns the registries that have a cached token, a profile or an entry in a file, in the order of hosts.
///
/// # Errors
///
/// When settings are wrong.
pub(super) fn known_registries(context: &Context<'_>) -> Result<Vec<Registry>, Error> {
    let settings = context.settings;
    let cached = context.service().status()?.into_iter();
    let mut known: Vec<Registry> = cached.map(|cached| cached.registry).collect();
    known.extend(settings.registries_with_profiles());
    for file in &Paths::new(settings)?.search_order {
        // An unreadable file is reported when it is planned.
        let config = ClientConfig::planned(file, &[]).ok();
        let hosts = config.iter().flat_map(ClientConfig::hosts);
        known.extend(hosts.filter_map(|host| Registry::parse(host, settings.clouds())));
    }
    known.sort_by(|one, other| one.host().cmp(other.host()));
    known.dedup();
    Ok(known)
}

/// Returns what to type next: `login` if no identity is configured, else a pull. Makes no connection.
fn next_step(context: &Context<'_>, registry: &Registry) -> String {
    if has_identity(context, registry) {
        return pull_command(context, registry, "IMAGE");
    }
    format!("{PROGRAM} login {registry}")
}

/// Returns the pull of an image by a client that is there.
pub(super) fn pull_command(context: &Context<'_>, registry: &Registry, image: &str) -> String {
    let paths = Paths::new(context.settings).ok();
    let clients = [Clients::Docker, Clients::Containers].into_iter();
    let mut programs = clients.filter_map(|clients| paths.as_ref()?.program(clients));
    let program = programs.find(|program| ["docker", "podman"].contains(program));
    format!("{} pull {registry}/{image}", program.unwrap_or("docker"))
}

/// Returns whether an identity is configured for a registry.
fn has_identity(context: &Context<'_>, registry: &Registry) -> bool {
    match context.service().identity(registry) {
        Ok(identity) => is_configured(&identity),
        Err(error) => error.kind() != ErrorKind::NoIdentity,
    }
}

/// Returns whether an identity is more than the attempt to find a managed identity of a virtual machine, after all sources were skipped.
pub(super) fn is_configured(identity: &Identity) -> bool {
    identity.skipped().len() < SourceName::ALL.len()
}

/// One call of the command, and its result.
struct Request<'a> {
    context: &'a Context<'a>,
    arguments: &'a Arguments,
    paths: Paths,
    state: State,
    edits: Vec<FileEdit>,
    report: Report,
}

impl<'a> Request<'a> {
    fn new(context: &'a Context<'a>, arguments: &'a Arguments) -> Result<Self, Error> {
        Ok(Self {
            context,
            arguments,
            paths: Paths::new(context.settings)?,
            state: State::read(context.settings)?,
            edits: vec![],
            report: Report {
                is_dry_run: arguments.dry_run,
                ..Report::default()
            },
        })
    }

    /// Plans all edits, and makes them unless it is a dry run.
    ///
    /// Write-ahead: on install the record is written before the files, on removal after them, so that a crash never leaves an unrecorded
    /// change. The delegate is set as long as Docker's file has this helper for all hosts, by the same order.
    fn run(mut self, registries: Vec<Registry>) -> Result<Report, Error> {
        if self.arguments.remove {
            self.remove(&registries)?;
        } else {
            self.install(registries)?;
        }
        self.edits.push(self.state.edit()?);
        if !self.arguments.remove {
            self.edits.reverse();
        }
        if !self.arguments.dry_run {
            file::write_all(&self.edits)?;
        }
        Ok(self.report)
    }

    /// Plans to set this helper, and checks whether clients will use it then.
    fn install(&mut self, mut registries: Vec<Registry>) -> Result<(), Error> {
        let is_named = !registries.is_empty();
        if !is_named {
            registries = known_registries(self.context)?;
        }
        let targets = if is_named || !self.arguments.all {
            &registries[..]
        } else {
            &[]
        };
        if targets.is_empty() && !self.arguments.all {
            let hint = format!("name one\n  {CONFIGURE} contoso.azurecr.io");
            return Err(Error::input("which registry? None is configured yet").with_hint(hint));
        }
        for &clients in self.clients() {
            self.install_in(clients, targets)?;
        }
        self.check_environment();
        for registry in &registries {
            let checks = &self.report.checks;
            let notes = checks::notes(&self.paths, registry, &self.edits, checks);
            self.report.checks.extend(notes);
        }
        let has_failed = self.report.checks.iter().any(Check::is_bad);
        if let Some(registry) = registries.first()
            && !(has_failed || self.arguments.dry_run)
        {
            self.report.next = Some(next_step(self.context, registry));
        }
        Ok(())
    }

    /// Plans to set this helper in the file of these clients. A file that cannot be used does not stop the others.
    fn install_in(&mut self, clients: Clients, registries: &[Registry]) -> Result<(), Error> {
        let path = self.paths.file(clients).to_owned();
        if !(clients == Clients::Docker || self.arguments.containers || self.paths.has(clients)) {
            self.report
                .checks
                .push(checks::not_installed(&self.paths, clients));
            return Ok(());
        }
        let has_all = self.arguments.all && path == self.paths.docker;
        let targets = targets(has_all, registries);
        if targets.is_empty() {
            let text = format!("{clients} do not read `credsStore`: name each registry for them");
            let hint = format!("for example\n  {CONFIGURE} --containers contoso.azurecr.io");
            self.report.checks.push(Check::warning("", text).hint(hint));
        } else if self.plan(&path, targets) {
            if has_all {
                self.replace_default_store()?;
            }
            for registry in registries {
                let check = checks::check_client(&self.paths, clients, registry, &self.edits);
                let problem = Some(check).filter(|check| check.status != Status::Ok);
                self.report.checks.extend(problem);
            }
        }
        Ok(())
    }

    /// Plans the edit of a client's file. Returns false if the file cannot be used, which becomes a failed check.
    fn plan(&mut self, path: &Path, targets: Vec<String>) -> bool {
        match changes::edit_client(path, &mut self.state, self.arguments.remove, targets) {
            Ok((edit, changes)) => {
                self.edits.push(edit);
                self.report.changes.extend(changes);
                true
            }
            Err(error) => {
                self.report.checks.push(Check::failed("", &error));
                false
            }
        }
    }

    /// Plans to make the former default credential store the delegate. Asks first if other registries would stop working.
    fn replace_default_store(&mut self) -> Result<(), Error> {
        let settings = self.context.settings;
        let config = ClientConfig::planned(&self.paths.docker, &[])?;
        let loss = match config.store() {
            None => confirm::ending_logins(&config, settings),
            Some(HELPER) => None,
            Some(store) => {
                self.plan_delegate(Some(store))?;
                environment_checks::unreliable(settings, store, "the `delegate`")
            }
        };
        if let Some(loss) = loss {
            let is_accepted = self.arguments.dry_run || self.arguments.yes;
            if !is_accepted && config.store().is_none_or(|store| !is_of_vs_code(store)) {
                confirm::ask(self.context, &loss)?;
            }
            self.report.checks.push(loss);
        }
        Ok(())
    }

    fn plan_delegate(&mut self, store: Option<&str>) -> Result<(), Error> {
        if let Some((edit, change)) = delegate::edit(self.context.settings, &mut self.state, store)?
        {
            self.edits.push(edit);
            self.report.changes.push(change);
        }
        Ok(())
    }

    /// Plans to remove this helper.
    fn remove(&mut self, named: &[Registry]) -> Result<(), Error> {
        let targets = targets(self.arguments.all, named);
        for &clients in self.clients() {
            let path = self.paths.file(clients).to_owned();
            if self.plan(&path, targets.clone())
                && let Some(edit) = self.edits.last()
            {
                let config = ClientConfig::planned(&path, &self.edits)?;
                let record = self.state.record(&edit.before);
                self.report.checks.extend(checks::still_set(
                    &config,
                    &record,
                    self.context.settings.clouds(),
                ));
            }
        }
        // The delegate stays as long as another file of Docker has this helper for all hosts.
        if self.state.has(DEFAULT_STORE) {
            return Ok(());
        }
        self.plan_delegate(None)
    }

    /// Returns the clients to configure. A file that all of them read counts once.
    fn clients(&self) -> &'static [Clients] {
        let (only_docker, only_containers) = (self.arguments.docker, self.arguments.containers);
        let is_one = self.paths.docker == self.paths.containers;
        match (only_docker || is_one, only_containers) {
            (_, true) => &[Clients::Containers],
            (true, false) => &[Clients::Docker],
            (false, false) => &[Clients::Docker, Clients::Containers],
        }
    }

    /// Checks what else decides whether clients will use this helper, as it will be then.
    fn check_environment(&mut self) {
        let settings = self.context.settings;
        let checks = &mut self.report.checks;
        if !self.arguments.containers
            && let Ok(config) = ClientConfig::planned(&self.paths.docker, &self.edits)
            && let Some(store) = config.store().filter(|store| *store != HELPER)
        {
            let named_by = format!("`credsStore` in {}", config.file);
            checks.extend(environment_checks::unreliable(settings, store, &named_by));
        }
        checks.extend(environment_checks::variables(settings));
        let program = program(self.context);
        checks.extend(Some(program).filter(|check| check.status != Status::Ok));
    }
}

/// Returns the targets for these registries.
fn targets(has_all: bool, registries: &[Registry]) -> Vec<String> {
    let hosts: BTreeSet<String> = registries.iter().map(|it| it.host().to_owned()).collect();
    let all = has_all.then(|| DEFAULT_STORE.to_owned());
    all.into_iter().chain(hosts).collect()
}

/// The result of the command.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    is_dry_run: bool,
    changes: Vec<Change>,
    #[serde(rename = "findings")]
    checks: Vec<Check>,
    /// The command to type next.
    next: Option<String>,
}

impl Report {
    fn draw(&self, terminal: Terminal) -> String {
        let mut text = String::new();
        if self.is_dry_run {
            text.push_str("Dry run: nothing is written.\n");
        }
        for file in self.changes.chunk_by(|one, next| one.path == next.path) {
            let path = terminal.shorten(&sanitize(&file[0].path));
            text.extend([&terminal.paint(Style::Bold, &path), "\n"]);
            let checks = file
                .iter()
                .map(|change| change.check(terminal.arrow(), self.is_dry_run));
            text.extend(checks.map(|check| check.draw(terminal, 2)));
        }
        if self.changes.is_empty() && self.checks.is_empty() {
            text.push_str("Nothing to change.\n");
        }
        text.extend(self.checks.iter().map(|check| check.draw(terminal, 0)));
        text.extend(self.next.iter().map(|next| format!("Next:\n  {next}\n")));
        text
    }
}
