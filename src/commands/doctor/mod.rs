//! `doctor`: why a registry cannot be pulled from or pushed to, and what to do.
//!
//! `checks` makes all checks, each in a module of its own, and every step that `get` takes by the code of `get`. `progress` keeps those that
//! are done, `fix` repairs what it can, and `report_file` writes the report for an issue.

mod certificate;
mod challenge;
mod checks;
mod clients;
mod connectivity;
mod dns;
mod fix;
mod keyring;
mod permissions;
mod probe_arm;
mod progress;
mod report_file;
mod settings;
mod sign_in;
mod versions;

pub(super) use permissions::REPOSITORY;

use super::report::{Check, Report};
use super::{Context, configure, repository, write_json};
use crate::config::Settings;
use crate::error::{Error, ErrorKind, Stage, sanitize_line};
use crate::registry::Registry;
use crate::runtime;
use crate::terminal::Status;
use crate::token::RefreshToken;
use checks::{AREAS, Target};
use clap::Args;
use progress::Progress;
use serde_json::{Value, json};
use sign_in::SignIn;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// The exit code of a program that the user interrupted.
const INTERRUPTED: u8 = 130;

/// `doctor [REGISTRY] [--repository R] [--verbose] [--fix] [--json | --plain] [--report FILE] [--probe-arm]`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct Arguments {
    /// The registry, such as contoso.azurecr.io, or an image in it.
    registry: Option<String>,
    /// Check what is granted in this repository, such as team/app.
    #[arg(long, value_parser = repository, requires = "registry")]
    repository: Option<String>,
    /// Show every check with its details and its time.
    #[arg(long)]
    verbose: bool,
    /// Fix what the helper can fix by itself, and check again.
    #[arg(long, requires = "registry")]
    fix: bool,
    /// Write a report without names, IDs and addresses to a new file, for an issue.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// If the registry accepts an ACR-scoped token, offer it an ARM-scoped one too, to see whether it accepts such tokens.
    #[arg(long, requires = "registry")]
    probe_arm: bool,
}

impl Arguments {
    /// Returns the registry that is named, or the only one that is known, and takes the repository of an image.
    fn find_registry(&mut self, context: &Context<'_>) -> Result<Option<Registry>, Error> {
        let Some(text) = &self.registry else {
            let mut known = configure::known_registries(context).unwrap_or_default();
            return Ok(known.pop().filter(|_| known.is_empty()));
        };
        let image = context.image(text)?;
        self.repository = self.repository.take().or(image.repository);
        Ok(Some(image.registry))
    }
}

/// Runs the checks and prints them. The exit code is not 0 if a check failed.
///
/// # Errors
///
/// The report's file cannot be created, or the output or the report cannot be written.
pub fn run(
    context: &Context<'_>,
    arguments: &Arguments,
    mut output: impl Write,
) -> Result<ExitCode, Error> {
    let mut arguments = arguments.clone();
    let registry = arguments.find_registry(context);
    let arguments = &arguments;
    // A file that cannot be created is reported before the checks.
    let file = arguments.report.as_deref().map(report_file::create);
    let file = file.transpose()?;
    let mut print = |text: &str| {
        let text = if context.is_json { "" } else { text };
        let written = output.write_all(text.as_bytes());
        written.and_then(|()| output.flush()).map_err(Error::output)
    };
    let subject = match (&registry, &arguments.registry) {
        (Ok(Some(registry)), _) => registry.host(),
        (_, Some(typed)) => &sanitize_line(typed),
        (_, None) => "this machine",
    };
    if !context.terminal.is_quiet() {
        let ellipsis = context.terminal.ellipsis();
        print(&format!("Checking {subject} {ellipsis}\n\n"))?;
    }
    if let (true, Ok(Some(registry))) = (arguments.probe_arm, &registry) {
        (context.print_error)(&probe_arm::announcement(registry));
    }
    let mut examination = examine(context, arguments, &registry)?;
    let mut fixes = vec![];
    if let (true, Ok(Some(registry))) = (arguments.fix, &registry) {
        fixes = fix::apply(context, registry, &examination.report);
    }
    if !fixes.is_empty() {
        let lines = fixes.iter().map(|check| check.draw(context.terminal, 0));
        print(&(lines.collect::<String>() + "\n"))?;
        // The config file may have changed.
        let settings = Settings::from_env();
        let settings = settings.as_ref().unwrap_or(context.settings);
        examination = examine(
            &Context {
                settings,
                ..*context
            },
            arguments,
            &registry,
        )?;
    }
    print(&examination.draw(context, arguments))?;
    let is_shared = context.is_json || file.is_some();
    let versions = is_shared.then(|| versions::all(context));
    let versions = versions.unwrap_or_default();
    if context.is_json {
        write_json(&mut output, &examination.json(&fixes, &versions))?;
    }
    if let (Some(path), Some(file)) = (&arguments.report, file) {
        report_file::write(path, file, &examination.report, &versions)?;
        (context.print_error)(&format!("The report is in {}.\n", path.display()));
    }
    Ok(examination.exit_code())
}

/// The result of all checks.
struct Examination {
    registry: Option<Registry>,
    report: Report,
    /// Whether the user interrupted the checks. Then the report has those that were done.
    is_interrupted: bool,
}

/// Runs the checks of the registry, or else those of this machine.
fn examine(
    context: &Context<'_>,
    arguments: &Arguments,
    registry: &Result<Option<Registry>, Error>,
) -> Result<Examination, Error> {
    let terminal = context.terminal;
    let progress = Progress::new(context, terminal.is_plain() || terminal.is_quiet());
    let checks = async {
        Box::pin(checks::check(context, arguments, registry, &progress)).await;
        Ok(())
    };
    let done = runtime::run(progress.show_during(checks));
    let is_interrupted = done
        .as_ref()
        .is_err_and(|error| error.kind() == ErrorKind::Interrupted);
    if !is_interrupted {
        done?;
    }
    let registry = registry.as_ref().ok().cloned().flatten();
    let mut report = Report::new(&AREAS, progress.finish());
    let unresolved = Some(ErrorKind::Unreachable(Stage::Name));
    let mut checks = report.checks.iter_mut();
    if let Some(registry) = &registry
        && let Some(dns) = checks.find(|check| check.name == dns::DNS && check.kind == unresolved)
    {
        dns.hint = context.similar_known(registry).or(dns.hint.take());
    }
    let report = checks::complete(report, arguments, registry.is_some(), is_interrupted);
    Ok(Examination {
        registry,
        report,
        is_interrupted,
    })
}

impl Examination {
    fn draw(&self, context: &Context<'_>, arguments: &Arguments) -> String {
        let (report, terminal) = (&self.report, context.terminal);
        let checks = if arguments.verbose {
            report.draw_checks(terminal)
        } else {
            report.draw_areas(terminal)
        };
        if self.is_interrupted {
            return format!("{checks}\nInterrupted: the remaining checks did not run.\n");
        }
        let verdict = report.draw_verdict(terminal);
        let advice = match report.cause() {
            Some(_) if !arguments.verbose => {
                "\nRun again with --verbose to see every check and detail.\n".into()
            }
            None if self.registry.is_none() => "No registry was checked: name one.\n".into(),
            _ => String::new(),
        };
        format!("{checks}\n{verdict}{advice}")
    }

    fn json(&self, fixes: &[Check], versions: &[(&str, String)]) -> Value {
        let cause = self.report.cause();
        json!({
            "registry": self.registry.as_ref().map(Registry::host),
            "verdict": cause.map_or(Status::Ok, |check| check.status).word(),
            "cause": cause.map(|check| check.name),
            "checks": self.report.checks,
            "fixes": fixes,
            "versions": versions.iter().cloned().collect::<BTreeMap<_, _>>(),
        })
    }

    fn exit_code(&self) -> ExitCode {
        if self.is_interrupted {
            return INTERRUPTED.into();
        }
        u8::from(!self.report.is_ok()).into()
    }
}

/// Checks for `setup` what the credential of a `get` allows: to pull from a repository, and its use by Docker and BuildKit. Returns the first,
/// and of the others what is wrong.
///
/// # Errors
///
/// If settings are wrong.
pub(super) fn check_credential(
    context: &Context<'_>,
    registry: &Registry,
    repository: Option<String>,
    token: RefreshToken,
) -> Result<Vec<Check>, Error> {
    let config = context.settings.for_registry(registry)?;
    let arguments = Arguments {
        repository,
        ..Arguments::default()
    };
    let target = Target {
        context,
        registry,
        config: &config,
        arguments: &arguments,
        cache: context.service().cache(config.cache, config.timeout),
    };
    runtime::run(async {
        let mut sign_in = SignIn::new(&target);
        sign_in.refresh_token = Some(token);
        let mut checks = Box::pin(permissions::check(&target, &sign_in)).await;
        let is_repository = |check: &Check| check.name == permissions::REPOSITORY;
        if checks
            .iter()
            .any(|check| is_repository(check) && check.is_bad())
        {
            // The command that assigns a role needs the object ID, which only the access token has.
            sign_in.request_access_token().await;
            checks = Box::pin(permissions::check(&target, &sign_in)).await;
        }
        checks.retain(|check| is_repository(check) || check.is_problem());
        // There are no titles.
        for check in &mut checks {
            check.took = None;
            let title = match check.name {
                REPOSITORY if !check.is_problem() => "granted: ",
                permissions::BUILDKIT => "BuildKit ",
                _ => "",
            };
            check.summary.insert_str(0, title);
        }
        Ok(checks)
    })
}
