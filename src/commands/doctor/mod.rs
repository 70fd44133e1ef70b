//! `doctor`: why a registry cannot be pulled from or pushed to, and what to do.
//!
//! `checks` makes all checks, each in a module of its own, and every step that `get` takes by the code of `get`. `report` prints them.

mod certificate;
mod challenge;
mod checks;
mod clients;
mod connectivity;
mod dns;
mod keyring;
mod permissions;
mod probe_arm;
mod redact;
mod report;
mod report_file;
mod settings;
mod sign_in;

use super::report::Check;
use super::{Context, Format, write_json};
use crate::error::Error;
use crate::registry::Registry;
use crate::runtime;
use clap::Args;
use report::Report;
use report_file::ReportFile;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The file of `--report` alone.
const DEFAULT_FILE: &str = "acrscoped-report.md";

/// `doctor [REGISTRY] [--repository R] [--json | --plain] [--report[=FILE]] [--probe-arm]`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    /// The registry, such as contoso.azurecr.io.
    registry: Option<String>,
    /// FILE of `--report FILE`. If `--report` took a value after a space, it would take the registry.
    #[arg(hide = true)]
    file: Option<String>,
    /// Check what is granted in this repository, such as team/app.
    #[arg(long, value_parser = repository, requires = "registry")]
    repository: Option<String>,
    /// Write a report without names, ids and addresses to a new file.
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = DEFAULT_FILE)]
    report: Option<PathBuf>,
    /// If the registry accepts an ACR-scoped token, offer it an ARM-scoped one too, to see whether it accepts such tokens.
    #[arg(long, requires = "registry")]
    probe_arm: bool,
    #[arg(skip)]
    pub(super) format: Format,
}

impl Arguments {
    /// Moves the file of `--report FILE` to its place.
    fn sorted(mut self, is_registry: impl Fn(&str) -> bool) -> Result<Self, Error> {
        let (Some(first), Some(second)) = (&self.registry, &self.file) else {
            return Ok(self);
        };
        if !self.has_default_file() {
            return Err(file_error(format!("`{second}` is one argument too many")));
        }
        if !is_registry(first) && is_registry(second) {
            std::mem::swap(&mut self.registry, &mut self.file);
        }
        self.report = self.file.take().map(PathBuf::from);
        Ok(self)
    }

    fn has_default_file(&self) -> bool {
        self.report.as_deref() == Some(Path::new(DEFAULT_FILE))
    }

    /// Returns the registry to check: the one that is named, or the only one that is known. Otherwise returns the check that says why not.
    fn registry(&self, context: &Context<'_>) -> Result<Result<Registry, Check>, Error> {
        let Some(text) = &self.registry else {
            let reason = "none is named, and not exactly one is known";
            let skipped = || Check::skipped(settings::REGISTRY, reason);
            return Ok(only_known(context).ok_or_else(skipped));
        };
        match context.registry(text) {
            // In `--report FILE`, FILE is in the place of the registry.
            Err(error) if self.has_default_file() => Err(file_error(error)),
            registry => Ok(registry.map_err(|error| Check::failed(settings::REGISTRY, &error))),
        }
    }
}

fn file_error(problem: impl std::fmt::Display) -> Error {
    Error::input(format!(
        "{problem}; a report's file is named by `--report=FILE`"
    ))
}

/// Parses a repository's name, as a registry scope has it (Docker registry API, "path component").
fn repository(text: &str) -> Result<String, String> {
    let is_component = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte)
            })
    };
    let is_name = text.len() <= 255 && text.split('/').all(is_component);
    is_name
        .then(|| text.to_owned())
        .ok_or_else(|| "expected the name alone, such as `team/app`".into())
}

/// Runs the checks and prints them.
///
/// # Errors
///
/// The arguments are wrong, the user interrupts the checks, or the output or the report cannot be written.
pub fn run(
    context: &Context<'_>,
    arguments: &Arguments,
    mut output: impl Write,
) -> Result<ExitCode, Error> {
    let arguments = arguments.clone();
    let arguments = &arguments.sorted(|text| context.registry(text).is_ok())?;
    let registry = arguments.registry(context)?;
    if let (true, Ok(registry)) = (arguments.probe_arm, &registry) {
        (context.print_error)(&probe_arm::announcement(registry));
    }
    let file = arguments.report.as_deref();
    let file = file.map(ReportFile::create).transpose()?;
    let report = check(context, arguments, registry)?;
    if arguments.format.json {
        write_json(&mut output, &report.json())?;
    } else {
        let text = report.draw(context.terminal);
        output.write_all(text.as_bytes()).map_err(Error::output)?;
    }
    if let Some(file) = file {
        let path = file.write(&report, context, arguments.repository.as_deref())?;
        (context.print_error)(&format!("the report is in {}\n", path.display()));
    }
    Ok(ExitCode::from(u8::from(!report.is_ok())))
}

/// Runs the checks of the registry, or else those of this machine.
fn check(
    context: &Context<'_>,
    arguments: &Arguments,
    registry: Result<Registry, Check>,
) -> Result<Report, Error> {
    let show_progress = |text: &str| {
        if context.is_stderr_terminal && !arguments.format.plain {
            (context.print_error)(text);
        }
    };
    let subject = registry.as_ref().map_or("this machine", Registry::host);
    show_progress(&format!("examining {subject} …"));
    let checks = runtime::run(Box::pin(async {
        Ok(match &registry {
            Ok(registry) => checks::check_registry(context, arguments, registry).await,
            Err(check) => checks::check_machine(context, arguments, check.clone()).await,
        })
    }));
    show_progress("\r\x1b[K");
    Ok(Report {
        registry: registry.ok(),
        checks: checks?,
    })
}

/// Returns the registry that has a cached token or a profile of its own, if there is exactly one.
fn only_known(context: &Context<'_>) -> Option<Registry> {
    let cached = context.service().status().unwrap_or_default();
    let mut known = context.settings.registries_with_profiles();
    known.extend(cached.into_iter().map(|cached| cached.registry));
    let first = known.first()?.clone();
    known.iter().all(|other| *other == first).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_has_neither_tag_nor_host() {
        for text in ["app", "team/app", "a.b_c-d/e1"] {
            assert_eq!(repository(text).as_deref(), Ok(text));
        }
        for text in [
            "",
            "App",
            "app:1",
            "app@sha256:1",
            "/app",
            "app/",
            "a b",
            "a,b",
            "contoso.azurecr.io/*",
            "app:pull,push",
        ] {
            assert!(repository(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_file_of_a_report_may_follow_a_space() {
        let arguments = |registry: &str, file: Option<&str>, report: Option<&str>| Arguments {
            registry: Some(registry.into()),
            file: file.map(Into::into),
            report: report.map(Into::into),
            repository: None,
            probe_arm: false,
            format: Format::default(),
        };
        let is_registry = |text: &str| text.ends_with(".azurecr.io");
        let host = "contoso.azurecr.io";
        for (first, second) in [(host, "r.txt"), ("r.txt", host)] {
            let sorted = arguments(first, Some(second), Some(DEFAULT_FILE)).sorted(is_registry);
            assert_eq!(sorted.unwrap(), arguments(host, None, Some("r.txt")));
        }
        let alone = arguments(host, None, Some(DEFAULT_FILE));
        assert_eq!(alone.clone().sorted(is_registry).unwrap(), alone);
        for report in [None, Some("other.txt")] {
            let error = arguments(host, Some("r.txt"), report)
                .sorted(is_registry)
                .unwrap_err()
                .to_string();
            assert!(error.contains("`--report=FILE`"), "{error}");
        }
    }
}
