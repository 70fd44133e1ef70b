//! `configure`: names this helper in the files of Docker, Podman and their like, and takes its name out again.
//!
//! | file | contents |
//! | --- | --- |
//! | `paths` | the files that clients read |
//! | `file` | reading a file of the user, and replacing it as a whole |
//! | `cred_helpers` | edits of helpers in a client's JSON text |
//! | `plan` | the change of one file, and applying several as one |
//! | `delegate` | the former helper for all hosts, in our config file |
//! | `state` | the record of changes, for `--remove` |
//! | `client_config` | the helpers and logins in a client's file |
//! | `checks`, `environment_checks` | whether clients will ask this helper, for `doctor` too |
//! | `diff` | the output of `--dry-run` |
//! | `kubelet` | the output of `--kubelet` |

mod checks;
mod client_config;
mod cred_helpers;
mod delegate;
mod diff;
mod environment_checks;
mod file;
mod kubelet;
mod paths;
mod plan;
mod state;

pub(super) use checks::check_cred_helpers;
pub(super) use environment_checks::program;

use super::report::{Check, list};
use super::{Context, Format, write_json};
use crate::error::{Error, visible};
use crate::registry::Registry;
use crate::terminal::{Style, Terminal};
use clap::Args;
use client_config::ClientConfig;
use cred_helpers::ALL_HOSTS;
use paths::{Clients, Paths};
use plan::{Direction, Plan};
use serde::Serialize;
use state::State;
use std::collections::BTreeSet;
use std::io::Write;

/// The name of this helper in clients' files: what follows `docker-credential-`.
const HELPER: &str = "acrscoped";

/// This command, for hints.
const CONFIGURE: &str = concat!(env!("CARGO_PKG_NAME"), " configure");

/// `configure [REGISTRY…] [--all] [--remove] [--docker | --containers] [--dry-run] [--json | --plain]`, or
/// `configure --kubelet [REGISTRY…] [--registry-mirror SOURCE:REGISTRY,…]`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of the command line"
)]
pub struct Arguments {
    /// The registries, such as contoso.azurecr.io. Without any: those with a cached token, a profile or a login.
    #[arg(value_name = "REGISTRY")]
    registries: Vec<String>,
    /// Handle all hosts in docker's file (`credsStore`). The former helper there becomes the delegate for other registries.
    #[arg(long)]
    all: bool,
    /// Undo the changes, for these registries or for all.
    #[arg(long)]
    remove: bool,
    /// Only the file of docker, oras, Helm and their like.
    #[arg(long, conflicts_with = "containers")]
    docker: bool,
    /// Only the file of podman, buildah and skopeo.
    #[arg(long)]
    containers: bool,
    /// Show what would change, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print kubelet's configuration for this helper. It is for these registries or for all, and no file is written.
    #[arg(long, conflicts_with_all = ["all", "remove", "docker", "containers", "dry_run", "json", "plain"])]
    kubelet: bool,
    /// With --kubelet: pull the images of a host through a registry.
    #[arg(
        long = "registry-mirror",
        value_name = "SOURCE:REGISTRY",
        value_delimiter = ',',
        requires = "kubelet",
        hide_short_help = true
    )]
    mirrors: Vec<String>,
    #[arg(skip)]
    pub(super) format: Format,
}

/// Runs the command. All files are read and changed in memory before the first of them is written.
///
/// # Errors
///
/// When an argument or file cannot be used, or a file cannot be written. Then no file was changed.
pub fn run(
    context: &Context<'_>,
    arguments: &Arguments,
    mut output: impl Write,
) -> Result<(), Error> {
    let named = arguments.registries.iter();
    let named: Result<Vec<_>, _> = named.map(|text| context.registry(text)).collect();
    let named = named?;
    if arguments.kubelet {
        return kubelet::print(context, &named, &arguments.mirrors, output);
    }
    let request = Request {
        context,
        arguments,
        paths: Paths::new(context.settings)?,
        state: State::read(context.settings)?,
    };
    let mut report = Report {
        is_dry_run: arguments.dry_run,
        ..Report::default()
    };
    let direction = if arguments.remove {
        request.remove(&named, &mut report)?;
        Direction::Remove
    } else {
        request.install(named, &mut report)?;
        Direction::Install
    };
    if report.is_dry_run {
        report.plans.iter_mut().for_each(Plan::add_diff);
    } else {
        plan::apply(direction, &report.plans, request.state)?;
    }
    if arguments.format.json {
        return write_json(&mut output, &report);
    }
    output
        .write_all(report.draw(context.terminal).as_bytes())
        .map_err(Error::output)
}

/// One call of the command.
struct Request<'a> {
    context: &'a Context<'a>,
    arguments: &'a Arguments,
    paths: Paths,
    state: State,
}

impl Request<'_> {
    /// Plans to name this helper, and checks whether clients will ask it then.
    fn install(&self, mut registries: Vec<Registry>, report: &mut Report) -> Result<(), Error> {
        let (arguments, paths) = (self.arguments, &self.paths);
        if registries.is_empty() && !arguments.all {
            registries = self.known_registries()?;
        }
        for &clients in self.clients() {
            if clients == Clients::Containers && !(paths.has(clients) || arguments.containers) {
                let check = checks::not_installed(paths, clients);
                let check = check.hint("`--containers` configures them anyway");
                report.checks.push(check);
                continue;
            }
            let path = paths.file(clients);
            let has_all = arguments.all && *path == paths.docker;
            let targets = targets(has_all, &registries);
            if targets.is_empty() {
                report.checks.push(no_default_store(clients));
                continue;
            }
            let plan = Plan::edit(Direction::Install, clients, path, &self.state, &targets)?;
            report.plans.push(plan);
            if has_all {
                self.plan_delegate(report)?;
            }
        }
        if registries.is_empty() {
            registries = self.known_registries().unwrap_or_default();
        }
        self.check_environment(&registries, report);
        Ok(())
    }

    /// Plans to take the names of this helper out.
    fn remove(&self, named: &[Registry], report: &mut Report) -> Result<(), Error> {
        let targets = targets(self.arguments.all, named);
        for &clients in self.clients() {
            let path = self.paths.file(clients);
            let plan = Plan::edit(Direction::Remove, clients, path, &self.state, &targets)?;
            report.checks.extend(unrecorded(&plan));
            report.plans.push(plan);
        }
        let is_store = |plan: &Plan| plan.record.previous.contains_key(ALL_HOSTS);
        if !self.arguments.containers && !report.plans.iter().any(is_store) {
            let delegate = delegate::remove(self.context.settings, &self.state)?;
            report.plans.extend(delegate);
        }
        Ok(())
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

    /// Returns the registries that have a cached token, a profile or an entry in a file.
    fn known_registries(&self) -> Result<Vec<Registry>, Error> {
        let settings = self.context.settings;
        let cached = self.context.service().status()?.into_iter();
        let mut known: Vec<Registry> = cached.map(|cached| cached.registry).collect();
        known.extend(settings.registries_with_profiles());
        for file in std::iter::once(&self.paths.docker).chain(&self.paths.search_order) {
            // An unreadable file is reported when it is planned.
            let config = ClientConfig::read(file).ok();
            let hosts = config.iter().flat_map(ClientConfig::hosts);
            known.extend(hosts.filter_map(|host| Registry::parse(host, settings.clouds())));
        }
        known.sort_by(|one, other| one.host().cmp(other.host()));
        known.dedup();
        if known.is_empty() {
            let example = format!("`{CONFIGURE} contoso.azurecr.io`");
            let problem = format!("no registry is known yet: name one, as in {example}");
            return Err(Error::input(problem));
        }
        Ok(known)
    }

    /// Plans to make the former helper for all hosts the delegate.
    fn plan_delegate(&self, report: &mut Report) -> Result<(), Error> {
        let settings = self.context.settings;
        let config = ClientConfig::read(&self.paths.docker)?;
        let Some(store) = config.store().filter(|store| *store != HELPER) else {
            report.checks.extend(self.check_unread_logins(&config)?);
            return Ok(());
        };
        let plan = delegate::install(settings, &self.state, store)?;
        report.plans.extend(plan);
        let problem = environment_checks::unreliable(settings, store, "the `delegate`");
        report.checks.extend(problem);
        Ok(())
    }

    /// Warns of passwords in Docker's file: Docker does not read them once a helper is asked for all hosts.
    fn check_unread_logins(&self, config: &ClientConfig) -> Result<Option<Check>, Error> {
        let logins = config.foreign_logins(self.context.settings);
        if logins.is_empty() || self.context.settings.delegate()?.is_some() {
            return Ok(None);
        }
        let logins = list(logins);
        let text = format!(
            "docker no longer reads its logins of {logins}: it asks this helper for all hosts"
        );
        let hint = "set a `delegate`, such as \"secretservice\", and sign in there again; or name the registries instead of `--all`";
        Ok(Some(Check::warning("", text).hint(hint)))
    }

    /// Checks what else decides whether clients will ask this helper. A dry run gives the same result as the real one.
    fn check_environment(&self, registries: &[Registry], report: &mut Report) {
        let (context, paths, plans) = (self.context, &self.paths, &report.plans);
        let checks = &mut report.checks;
        if self.clients().contains(&Clients::Docker)
            && let Ok(config) = ClientConfig::planned(&paths.docker, plans)
        {
            checks.extend(environment_checks::store(context.settings, &config));
        }
        if self.clients().contains(&Clients::Containers) && paths.has(Clients::Containers) {
            // Files after the one that is written are not read.
            let files = paths.search_order.iter();
            let mut earlier = files.take_while(|file| **file != paths.containers);
            checks.extend(earlier.find_map(|file| checks::unreadable(file)));
        }
        checks.extend(environment_checks::variables(context.settings));
        for registry in registries {
            checks.extend(checks::notes(paths, registry, plans));
        }
        checks.push(program(context));
        checks.extend(environment_checks::check_system_path(context));
    }
}

/// Returns the targets for these registries.
fn targets(has_all: bool, registries: &[Registry]) -> Vec<String> {
    let hosts: BTreeSet<String> = registries.iter().map(|it| it.host().to_owned()).collect();
    let all = has_all.then(|| ALL_HOSTS.to_owned());
    all.into_iter().chain(hosts).collect()
}

fn no_default_store(clients: Clients) -> Check {
    let text = format!("{clients} have no helper for all hosts: they do not read `credsStore`");
    let hint = format!("name each registry: `{CONFIGURE} --containers contoso.azurecr.io`");
    Check::warning("", text).hint(hint)
}

/// Warns of hosts for which this helper stays named, because `configure` has not named it.
fn unrecorded(plan: &Plan) -> Option<Check> {
    let config = ClientConfig::planned(&plan.before.path, std::slice::from_ref(plan)).ok()?;
    let helpers = config.helpers();
    let hosts = helpers
        .filter(|(host, helper)| *helper == HELPER && !plan.record.previous.contains_key(*host));
    let hosts: Vec<&str> = hosts.map(|(host, _)| host).collect();
    if hosts.is_empty() {
        return None;
    }
    let named = list(&hosts);
    let text = format!("{HELPER} is still named for {named}, but not by `configure`");
    let hint = format!("`{CONFIGURE} --remove {}`", hosts.join(" "));
    Some(Check::warning("", text).hint(hint))
}

/// The result of the command.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    is_dry_run: bool,
    #[serde(rename = "files")]
    plans: Vec<Plan>,
    #[serde(rename = "findings")]
    checks: Vec<Check>,
}

impl Report {
    fn draw(&self, terminal: Terminal) -> String {
        let mut text = String::new();
        if self.is_dry_run {
            text.push_str("Dry run: nothing is written.\n");
        }
        for plan in &self.plans {
            let path = terminal.paint(Style::Bold, &visible(&plan.path));
            text.extend([&path, " (", &plan.clients, ")\n"]);
            text.extend(plan.checks.iter().map(|check| check.draw(terminal, 2)));
            let diff = plan.diff.iter().flat_map(|diff| diff.lines());
            text.extend(diff.map(|line| draw_diff_line(line, terminal)));
        }
        text.extend(self.checks.iter().map(|check| check.draw(terminal, 0)));
        text
    }
}

fn draw_diff_line(line: &str, terminal: Terminal) -> String {
    let style = match line.as_bytes().first() {
        Some(b'+') => Style::Green,
        Some(b'-') => Style::Red,
        _ => Style::Dim,
    };
    // Tabs stay, because files are indented with them.
    let line: Vec<String> = line.split('\t').map(visible).collect();
    terminal.paint(style, &line.join("\t")) + "\n"
}
