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

use super::report::{Check, Report};
use super::{Context, Format, write_json};
use crate::config::Settings;
use crate::error::{Error, ErrorKind, sanitize_line};
use crate::registry::Registry;
use crate::runtime;
use crate::terminal::Status;
use checks::AREAS;
use clap::Args;
use progress::Progress;
use serde_json::{Value, json};
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
    #[arg(skip)]
    pub(super) format: Format,
}

impl Arguments {
    /// Splits an image, such as `contoso.azurecr.io/team/app:v1`, into the registry and the repository.
    fn split_image(mut self) -> Self {
        let text = self.registry.as_deref().unwrap_or_default();
        let text = text.strip_prefix("https://").unwrap_or(text);
        let Some((host, path)) = text.split_once('/') else {
            return self;
        };
        let path = path.split('@').next().unwrap_or_default();
        let path = match path.rsplit_once(':') {
            Some((path, tag)) if !tag.contains('/') => path,
            _ => path,
        };
        // What is no repository stays as it is, and the registry's name is refused with it.
        if let Ok(path) = repository(path) {
            self.repository.get_or_insert(path);
            self.registry = Some(host.to_owned());
        }
        self
    }

    /// Returns the registry to check: the one that is named, or the only one that is known.
    fn registry(&self, context: &Context<'_>) -> Result<Option<Registry>, Error> {
        match &self.registry {
            Some(text) => context.registry(text).map(Some),
            None => Ok(only_known(context)),
        }
    }
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
    let arguments = &arguments.clone().split_image();
    // A file that cannot be created is reported before the checks.
    let file = arguments.report.as_deref().map(report_file::create);
    let file = file.transpose()?;
    let registry = arguments.registry(context);
    let mut print = |text: &str| {
        let text = if arguments.format.json { "" } else { text };
        let written = output.write_all(text.as_bytes());
        written.and_then(|()| output.flush()).map_err(Error::output)
    };
    let subject = match (&registry, &arguments.registry) {
        (Ok(Some(registry)), _) => registry.host(),
        (_, Some(typed)) => &sanitize_line(typed),
        (_, None) => "this machine",
    };
    print(&format!(
        "Checking {subject} {}\n\n",
        context.terminal.ellipsis()
    ))?;
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
    let is_shared = arguments.format.json || file.is_some();
    let versions = is_shared.then(|| versions::all(context));
    let versions = versions.unwrap_or_default();
    if arguments.format.json {
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
    let progress = Progress::new(context, arguments.format.plain);
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
    let report = Report::new(&AREAS, progress.finish());
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
            Some(cause) if !arguments.verbose => {
                let gap = if cause.command().is_some() { "\n" } else { "" };
                format!("{gap}Run again with --verbose to see every check and detail.\n")
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
    fn an_image_is_split_into_registry_and_repository() {
        let host = "contoso.azurecr.io";
        for (image, expected) in [
            ("", None),
            ("/app", Some("app")),
            ("/team/app:v1", Some("team/app")),
            ("/team/app:v1@sha256:0123", Some("team/app")),
            ("/app@sha256:0123", Some("app")),
        ] {
            for scheme in ["", "https://"] {
                let arguments = Arguments {
                    registry: Some(format!("{scheme}{host}{image}")),
                    ..Arguments::default()
                };
                let split = arguments.split_image();
                assert_eq!(split.repository.as_deref(), expected, "{image}");
                let registry = split.registry.unwrap();
                assert_eq!(registry.trim_start_matches("https://"), host, "{image}");
            }
        }
        let named = Arguments {
            registry: Some("contoso.azurecr.io/app:v1".into()),
            repository: Some("other".into()),
            ..Arguments::default()
        };
        assert_eq!(named.split_image().repository.as_deref(), Some("other"));
    }
}
