//! `configure`: names this helper in the files of docker, podman and their like, and takes the names out again.
//!
//! | file | duty |
//! | --- | --- |
//! | `place` | which files clients read |
//! | `disk` | a file, read with care and written whole |
//! | `json`, `edit` | JSON as text, and its smallest edits |
//! | `wire` | the names of this helper in such a text |
//! | `plan` | what is to be done to one file |
//! | `delegate` | the former helper for all hosts, in our config file |
//! | `record` | what was done, for `--remove` |
//! | `state` | what a file says |
//! | `inspect`, `surroundings` | whether it will work; [`wiring`] is for others too |
//! | `report`, `diff` | what is told |
//! | `kubelet` | the configuration for kubelet, which is printed |

mod delegate;
mod diff;
mod disk;
mod edit;
mod inspect;
mod json;
mod kubelet;
mod place;
mod plan;
#[cfg(test)]
mod properties;
mod record;
mod report;
mod state;
mod surroundings;
mod wire;

pub use inspect::wiring;
pub use report::Finding;
pub use surroundings::program;

use super::{Context, Format, write_json};
use crate::error::Error;
use crate::registry::Registry;
use crate::terminal::Mark;
use clap::Args;
use delegate::Edit;
use disk::Found;
use place::{Clients, Places};
use plan::{Plan, Wish};
use record::Record;
use report::Report;
use state::State;
use std::collections::BTreeSet;
use std::io::Write;

/// The name of this helper in clients' files: what follows `docker-credential-`.
const HELPER: &str = "acrscoped";

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

/// Does what was asked. All files are read and the changes made in memory before the first of them is written.
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
    let places = Places::of(context.settings)?;
    let job = Job {
        context,
        arguments,
        places: &places,
    };
    let report = if arguments.remove {
        job.remove(&named)?
    } else {
        job.wire(&named)?
    };
    if arguments.format.json {
        return write_json(&mut output, &report);
    }
    output
        .write_all(report.draw(context.terminal).as_bytes())
        .map_err(Error::output)
}

/// One call of the command.
struct Job<'a> {
    context: &'a Context<'a>,
    arguments: &'a Arguments,
    places: &'a Places,
}

impl Job<'_> {
    fn wire(&self, named: &[Registry]) -> Result<Report, Error> {
        let Self {
            context,
            arguments,
            places,
        } = self;
        let registries = if named.is_empty() && !arguments.all {
            self.known()?
        } else {
            named.to_vec()
        };
        let hosts = hosts(&registries);
        let mut record = Record::read(context.settings)?;
        let (mut plans, mut report) = (
            Vec::new(),
            Report {
                is_dry_run: arguments.dry_run,
                ..Report::default()
            },
        );
        let mut edit = None;
        for clients in self.clients() {
            let is_dockers = clients == Clients::Docker || places.docker == places.containers;
            let has_all = arguments.all && is_dockers;
            if clients == Clients::Containers && !(places.has(clients) || arguments.containers) {
                report.findings.push(self.absent());
                continue;
            }
            if hosts.is_empty() && !has_all {
                report.findings.push(nothing_for_all());
                continue;
            }
            let found = Found::read(places.file(clients))?;
            if has_all {
                let former = found
                    .text
                    .as_deref()
                    .filter(|text| !text.trim().is_empty())
                    .map(wire::store);
                let former = former
                    .transpose()
                    .map_err(|problem| disk::unusable(&found.path, problem))?
                    .flatten();
                if let Some(former) = former.filter(|former| former != HELPER) {
                    edit = delegate::keep(context.settings, &record, &former)?;
                    report.findings.extend(self.kept(&former));
                } else {
                    report.findings.extend(self.lost()?);
                }
            }
            plans.push(Plan::wire(
                clients,
                found,
                &record,
                Wish {
                    hosts: &hosts,
                    has_all,
                },
            )?);
        }
        if !arguments.dry_run {
            carry_out(Way::In, &plans, edit.as_ref(), &mut record)?;
        }
        self.tell(&mut report, &plans, edit.as_ref());
        let known = if registries.is_empty() {
            self.known().unwrap_or_default()
        } else {
            registries
        };
        self.look_around(&mut report, &known, &plans);
        Ok(report)
    }

    fn remove(&self, named: &[Registry]) -> Result<Report, Error> {
        let Self {
            context,
            arguments,
            places,
        } = self;
        let hosts = hosts(named);
        let wish = (!hosts.is_empty() || arguments.all).then_some(Wish {
            hosts: &hosts,
            has_all: arguments.all,
        });
        let mut record = Record::read(context.settings)?;
        let mut report = Report {
            is_dry_run: arguments.dry_run,
            ..Report::default()
        };
        let plans = self
            .clients()
            .into_iter()
            .map(|clients| Plan::unwire(clients, Found::read(places.file(clients))?, &record, wish))
            .collect::<Result<Vec<_>, _>>()?;
        let keeps_store = plans.iter().any(|plan| plan.deed.done.has_store())
            || !self.clients().contains(&Clients::Docker);
        let edit = if keeps_store {
            None
        } else {
            delegate::forget(context.settings, &record)?
        };
        if !arguments.dry_run {
            carry_out(Way::Out, &plans, edit.as_ref(), &mut record)?;
        }
        self.tell(&mut report, &plans, edit.as_ref());
        report.findings.extend(left(&plans));
        Ok(report)
    }

    /// The files that are meant; one that all clients read counts once.
    fn clients(&self) -> Vec<Clients> {
        let is_one = self.places.docker == self.places.containers;
        match (self.arguments.docker, self.arguments.containers) {
            (true, _) => vec![Clients::Docker],
            (_, true) => vec![Clients::Containers],
            _ if is_one => vec![Clients::Docker],
            _ => vec![Clients::Docker, Clients::Containers],
        }
    }

    /// The registries that have a cached token, a profile or an entry in a file already.
    fn known(&self) -> Result<Vec<Registry>, Error> {
        let settings = self.context.settings;
        let mut known: Vec<Registry> = self
            .context
            .service()
            .status()?
            .into_iter()
            .map(|cached| cached.registry)
            .collect();
        known.extend(settings.registries_with_profiles());
        for file in std::iter::once(&self.places.docker).chain(&self.places.in_turn) {
            // One that cannot be read is told when it is to be written.
            let hosts = State::read(file)
                .map(|state| state.hosts())
                .unwrap_or_default();
            known.extend(
                hosts
                    .iter()
                    .filter_map(|host| Registry::parse(host, settings.clouds())),
            );
        }
        known.sort_by(|one, other| one.host().cmp(other.host()));
        known.dedup();
        if known.is_empty() {
            return Err(Error::input(format!(
                "no registry is known yet: name one, as in `{} configure contoso.azurecr.io`",
                env!("CARGO_PKG_NAME")
            )));
        }
        Ok(known)
    }

    fn absent(&self) -> Finding {
        let (clients, file) = (Clients::Containers.word(), self.places.containers.display());
        let text = format!("{clients} are not on `PATH`, and {file} does not exist");
        Finding::new(Mark::Skipped, text).hint("`--containers` makes it all the same")
    }

    /// What becomes of the helper that stood for all hosts.
    fn kept(&self, former: &str) -> Vec<Finding> {
        let settings = self.context.settings;
        let text = format!(
            "`{former}`, which was asked for all hosts, is the `delegate` in {}",
            settings.file().display()
        );
        let mut findings = vec![Finding::new(Mark::Good, text)];
        if former.starts_with("dev-containers-") {
            let text = format!(
                "`{former}` lasts until VS Code attaches to the container again, and then names another one"
            );
            findings.push(Finding::new(Mark::Warning, text).hint(
                "name the registries instead of `--all`, or set `\"dev.containers.dockerCredentialHelper\": false` in VS Code",
            ));
        }
        findings.extend(surroundings::missing(settings, former, "the `delegate`"));
        findings
    }

    /// docker reads no password in its file any longer once a helper is asked for all hosts.
    fn lost(&self) -> Result<Option<Finding>, Error> {
        let logins = State::read(&self.places.docker)?.foreign_logins(self.context.settings);
        if logins.is_empty() || self.context.settings.delegate()?.is_some() {
            return Ok(None);
        }
        let text = format!(
            "docker no longer reads its logins of {} once a helper stands for all hosts",
            logins.join(", ")
        );
        let hint = "set a `delegate`, such as \"secretservice\", and sign in there again; or name the registries instead of `--all`";
        Ok(Some(Finding::new(Mark::Warning, text).hint(hint)))
    }

    fn tell(&self, report: &mut Report, plans: &[Plan], edit: Option<&Edit>) {
        report
            .files
            .extend(plans.iter().map(|plan| plan.report(self.arguments.dry_run)));
        report
            .files
            .extend(edit.map(|edit| edit.report(self.arguments.dry_run)));
    }

    /// What else decides whether clients will ask us. A dry run tells the same as what would be done.
    fn look_around(&self, report: &mut Report, registries: &[Registry], plans: &[Plan]) {
        let settings = self.context.settings;
        let mut findings = Vec::new();
        if self.clients().contains(&Clients::Docker) {
            findings.extend(
                State::planned(&self.places.docker, plans)
                    .ok()
                    .and_then(|state| surroundings::store(settings, &state)),
            );
        }
        if self.clients().contains(&Clients::Containers) && self.places.has(Clients::Containers) {
            // What is written decides, and those after it are not read.
            let mut earlier = self
                .places
                .in_turn
                .iter()
                .take_while(|file| **file != self.places.containers);
            findings.extend(earlier.find_map(|file| inspect::shut(settings, file)));
        }
        findings.extend(surroundings::variables(settings));
        findings.extend(
            registries
                .iter()
                .flat_map(|registry| inspect::remarks(self.places, registry, plans)),
        );
        findings.push(surroundings::program(self.context));
        findings.extend(surroundings::elsewhere(self.context));
        report.findings.extend(findings);
    }
}

fn nothing_for_all() -> Finding {
    let text = format!(
        "{} have no helper for all hosts: they do not read `credsStore`",
        Clients::Containers.word()
    );
    let example = format!(
        "`{} configure --containers contoso.azurecr.io`",
        env!("CARGO_PKG_NAME")
    );
    Finding::new(Mark::Warning, text).hint(format!("name the registries for them: {example}"))
}

fn hosts(registries: &[Registry]) -> Vec<String> {
    let hosts: BTreeSet<&str> = registries.iter().map(Registry::host).collect();
    hosts.into_iter().map(str::to_owned).collect()
}

/// Whether names are put into files or taken out of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    In,
    Out,
}

/// Writes everything, or takes back what was written. What is noted and not done is found out later; what is done and not noted could
/// not be undone, so that the record comes first on the way in and last on the way out. The delegate is named as long as files name this
/// helper for all hosts.
fn carry_out(
    way: Way,
    plans: &[Plan],
    edit: Option<&Edit>,
    record: &mut Record,
) -> Result<(), Error> {
    let before = record.clone();
    let deeds = plans
        .iter()
        .map(|plan| (&plan.found, &plan.deed))
        .chain(edit.map(|edit| (&edit.found, &edit.deed)));
    deeds.for_each(|(found, deed)| record.note(found, deed.clone()));
    let delegate = || edit.map_or(Ok(()), Edit::carry_out);
    let files = || plans.iter().try_for_each(Plan::carry_out);
    let written = match way {
        Way::In => record
            .write()
            .and_then(|()| delegate())
            .and_then(|()| files()),
        Way::Out => files()
            .and_then(|()| delegate())
            .and_then(|()| record.write()),
    };
    if written.is_err() {
        plans
            .iter()
            .filter(|plan| plan.is_change())
            .for_each(Plan::take_back);
        edit.into_iter().for_each(Edit::take_back);
        record.go_back(before)?;
    }
    written
}

/// Names of this helper that somebody else wrote: they are no deeds of ours.
fn left(plans: &[Plan]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for plan in plans.iter().filter(|plan| !plan.text().trim().is_empty()) {
        let named = wire::named(plan.text()).unwrap_or_default();
        let hosts: Vec<String> = named
            .into_iter()
            .filter(|(_, helper)| helper == HELPER)
            .map(|(host, _)| host)
            .collect();
        let unrecorded: Vec<&str> = hosts
            .iter()
            .map(String::as_str)
            .filter(|host| plan.deed.done.hosts().all(|done| done != *host))
            .collect();
        if !unrecorded.is_empty() {
            let text = format!(
                "{} is named for {}, which is not the work of `configure`",
                HELPER,
                unrecorded.join(", ")
            );
            let hint = format!(
                "`{} configure --remove {}`",
                env!("CARGO_PKG_NAME"),
                unrecorded.join(" ")
            );
            findings.push(Finding::new(Mark::Warning, text).hint(hint));
        }
    }
    findings
}
