//! `configure`: names this helper in the files of Docker, Podman and their like, and takes the names out again.
//!
//! | file | duty |
//! | --- | --- |
//! | `paths` | which files clients read |
//! | `file` | reads a file with care, and writes it whole |
//! | `cred_helpers` | the names of this helper in a client's JSON text |
//! | `plan` | what changes in one file; applies several plans as one |
//! | `delegate` | the former helper for all hosts, in our config file |
//! | `state` | what was changed, for `--remove` |
//! | `client_config` | what a client's file says |
//! | `checks`, `environment_checks` | whether it will work; [`check_cred_helpers`] is for `doctor` too |
//! | `diff` | what `--dry-run` shows |
//! | `kubelet` | the configuration for kubelet, which is printed |

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
use crate::terminal::{Mark, Style, Terminal};
use clap::Args;
use client_config::ClientConfig;
use cred_helpers::Target;
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
    /// The registries, such as contoso.azurecr.io. Without any: those that have a token, a profile or a login already.
    #[arg(value_name = "REGISTRY")]
    registries: Vec<String>,
    /// Stand for all hosts in docker's file (`credsStore`), and pass those that are not Azure's on to the helper that stood there.
    #[arg(long)]
    all: bool,
    /// Undo what was done, for these registries or for all.
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
    /// Print the configuration with which kubelet calls this helper, for images of these registries or of all, and write no file.
    #[arg(long, conflicts_with_all = ["all", "remove", "docker", "containers", "dry_run", "json", "plain"])]
    kubelet: bool,
    /// With --kubelet: pull the images of a host through a registry.
    #[arg(
        long = "registry-mirror",
        value_name = "SOURCE:REGISTRY",
        value_delimiter = ',',
        requires = "kubelet"
    )]
    mirrors: Vec<String>,
    #[command(flatten)]
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
    let named = arguments
        .registries
        .iter()
        .map(|text| context.registry(text))
        .collect::<Result<Vec<_>, _>>()?;
    if arguments.kubelet {
        return kubelet::print(context, &named, &arguments.mirrors, output);
    }
    let request = Request {
        context,
        arguments,
        paths: Paths::new(context.settings)?,
        state: State::read(context.settings)?,
    };
    let (direction, (mut plans, checks)) = if arguments.remove {
        (Direction::Remove, request.remove(&named)?)
    } else {
        (Direction::Install, request.install(&named)?)
    };
    let is_dry_run = arguments.dry_run;
    if is_dry_run {
        plans.iter_mut().for_each(Plan::add_diff);
    } else {
        plan::apply(direction, &plans, request.state)?;
    }
    let report = Report {
        is_dry_run,
        plans,
        checks,
    };
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
    fn install(&self, named: &[Registry]) -> Result<(Vec<Plan>, Vec<Check>), Error> {
        let (arguments, paths) = (self.arguments, &self.paths);
        let registries = match named {
            [] if arguments.all => vec![],
            [] => self.known_registries()?,
            named => named.to_vec(),
        };
        let (mut plans, mut delegate, mut checks) = (Vec::new(), None, Vec::new());
        for clients in self.clients() {
            if clients == Clients::Containers && !(paths.has(clients) || arguments.containers) {
                let check = checks::not_installed(paths, clients);
                checks.push(check.hint("`--containers` makes it all the same"));
                continue;
            }
            let has_all = arguments.all && *paths.file(clients) == paths.docker;
            let targets = targets(has_all, &registries);
            if targets.is_empty() {
                checks.push(no_default_store());
                continue;
            }
            let path = paths.file(clients);
            let plan = Plan::new(Direction::Install, clients, path, &self.state, &targets)?;
            plans.push(plan);
            if has_all {
                delegate = self.plan_delegate(&mut checks)?;
            }
        }
        plans.extend(delegate);
        let registries = match &registries[..] {
            [] => self.known_registries().unwrap_or_default(),
            _ => registries,
        };
        checks.extend(self.check_environment(&registries, &plans));
        Ok((plans, checks))
    }

    /// Plans to take the names of this helper out.
    fn remove(&self, named: &[Registry]) -> Result<(Vec<Plan>, Vec<Check>), Error> {
        let targets = targets(self.arguments.all, named);
        let mut plans = Vec::new();
        for clients in self.clients() {
            let path = self.paths.file(clients);
            let plan = Plan::new(Direction::Remove, clients, path, &self.state, &targets)?;
            plans.push(plan);
        }
        let is_store = |plan: &Plan| plan.record.targets().contains(&Target::AllHosts);
        if self.clients().contains(&Clients::Docker) && !plans.iter().any(is_store) {
            plans.extend(delegate::remove(self.context.settings, &self.state)?);
        }
        let checks = plans.iter().filter_map(unrecorded).collect();
        Ok((plans, checks))
    }

    /// Returns whose files are meant; one that all clients read counts once.
    fn clients(&self) -> Vec<Clients> {
        let (only_docker, only_containers) = (self.arguments.docker, self.arguments.containers);
        let is_one = self.paths.docker == self.paths.containers;
        match (only_docker || is_one, only_containers) {
            (_, true) => vec![Clients::Containers],
            (true, false) => vec![Clients::Docker],
            (false, false) => vec![Clients::Docker, Clients::Containers],
        }
    }

    /// Returns the registries that have a cached token, a profile or an entry in a file.
    fn known_registries(&self) -> Result<Vec<Registry>, Error> {
        let settings = self.context.settings;
        let cached = self.context.service().status()?.into_iter();
        let mut known: Vec<Registry> = cached.map(|cached| cached.registry).collect();
        known.extend(settings.registries_with_profiles());
        for file in std::iter::once(&self.paths.docker).chain(&self.paths.search_order) {
            // A file that cannot be read is an error once it is to be written.
            let config = ClientConfig::read(file).ok();
            let hosts = config.iter().flat_map(ClientConfig::hosts);
            known.extend(hosts.filter_map(|host| Registry::parse(host, settings.clouds())));
        }
        known.sort_by(|one, other| one.host().cmp(other.host()));
        known.dedup();
        if known.is_empty() {
            let problem = "no registry is known yet: name one, as in";
            let problem = format!("{problem} `{CONFIGURE} contoso.azurecr.io`");
            return Err(Error::input(problem));
        }
        Ok(known)
    }

    /// Plans what becomes of the former helper for all hosts: it is the delegate from then on.
    fn plan_delegate(&self, checks: &mut Vec<Check>) -> Result<Option<Plan>, Error> {
        let settings = self.context.settings;
        let config = ClientConfig::read(&self.paths.docker)?;
        let Some(store) = config.store().filter(|store| *store != HELPER) else {
            checks.extend(self.check_unread_logins(&config)?);
            return Ok(None);
        };
        let plan = delegate::install(settings, &self.state, store)?;
        let file = settings.file().display();
        let text = format!("`{store}`, which was asked for all hosts, is the `delegate` in {file}");
        checks.push(Check::unnamed(Mark::Good, text));
        if store.starts_with("dev-containers-") {
            let text = format!(
                "`{store}` lasts until VS Code attaches to the container again, and then names another one"
            );
            let hint = "name the registries instead of `--all`, or set `\"dev.containers.dockerCredentialHelper\": false` in VS Code";
            checks.push(Check::unnamed(Mark::Warning, text).hint(hint));
        }
        let missing = environment_checks::missing(settings, store, "the `delegate`");
        checks.extend(missing);
        Ok(plan)
    }

    /// Warns of passwords in Docker's file: Docker does not read them once a helper is asked for all hosts.
    fn check_unread_logins(&self, config: &ClientConfig) -> Result<Option<Check>, Error> {
        let logins = config.foreign_logins(self.context.settings);
        if logins.is_empty() || self.context.settings.delegate()?.is_some() {
            return Ok(None);
        }
        let logins = list(logins);
        let text = format!(
            "docker no longer reads its logins of {logins} once a helper stands for all hosts"
        );
        let hint = "set a `delegate`, such as \"secretservice\", and sign in there again; or name the registries instead of `--all`";
        Ok(Some(Check::unnamed(Mark::Warning, text).hint(hint)))
    }

    /// Checks what else decides whether clients will ask this helper. A dry run finds the same as what is done then.
    fn check_environment(&self, registries: &[Registry], plans: &[Plan]) -> Vec<Check> {
        let (settings, paths) = (self.context.settings, &self.paths);
        let mut checks = Vec::new();
        if self.clients().contains(&Clients::Docker)
            && let Ok(config) = ClientConfig::planned(&paths.docker, plans)
        {
            checks.extend(environment_checks::store(settings, &config));
        }
        if self.clients().contains(&Clients::Containers) && paths.has(Clients::Containers) {
            // Files after the one that is written are not read.
            let files = paths.search_order.iter();
            let mut earlier = files.take_while(|file| **file != paths.containers);
            checks.extend(earlier.find_map(|file| checks::unreadable(settings, file)));
        }
        checks.extend(environment_checks::variables(settings));
        for registry in registries {
            checks.extend(checks::notes(paths, registry, plans));
        }
        checks.push(program(self.context));
        checks.extend(environment_checks::check_system_path(self.context));
        checks
    }
}

/// Returns the targets of these registries, each host once.
fn targets(has_all: bool, registries: &[Registry]) -> Vec<Target> {
    let hosts: BTreeSet<&str> = registries.iter().map(Registry::host).collect();
    let hosts = hosts.into_iter().map(|host| Target::Host(host.into()));
    let all = has_all.then_some(Target::AllHosts);
    all.into_iter().chain(hosts).collect()
}

fn no_default_store() -> Check {
    let clients = Clients::Containers;
    let text = format!("{clients} have no helper for all hosts: they do not read `credsStore`");
    let command = format!("{CONFIGURE} --containers contoso.azurecr.io");
    Check::unnamed(Mark::Warning, text).hint(format!("name the registries for them: `{command}`"))
}

/// Warns of hosts for which this helper stays named, though `configure` has not named it.
fn unrecorded(plan: &Plan) -> Option<Check> {
    let recorded = plan.record.targets();
    let config = ClientConfig::planned(&plan.before.path, std::slice::from_ref(plan)).ok()?;
    let ours = config.helpers().filter(|(_, helper)| *helper == HELPER);
    let hosts = ours.map(|(host, _)| host);
    let is_recorded = |host: &str| recorded.contains(&Target::Host(host.to_owned()));
    let hosts: Vec<&str> = hosts.filter(|host| !is_recorded(host)).collect();
    if hosts.is_empty() {
        return None;
    }
    let named = list(&hosts);
    let text = format!("{HELPER} is named for {named}, which is not the work of `configure`");
    let hint = format!("`{CONFIGURE} --remove {}`", hosts.join(" "));
    Some(Check::unnamed(Mark::Warning, text).hint(hint))
}

/// The answer of the command.
#[derive(Debug, Serialize)]
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
            text.push_str("Nothing is written; this is what would be done.\n");
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
    // Tabs are part of what is shown.
    let line: Vec<String> = line.split('\t').map(visible).collect();
    terminal.paint(style, &line.join("\t")) + "\n"
}
