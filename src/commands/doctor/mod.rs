//! `doctor`: why a registry cannot be pulled from or pushed to, and what to do.
//!
//! Checks stand in an order in which causes come before what they cause, so that the first failure is the cause of all. What does not
//! depend on each other runs side by side: the way to the registry, the sign-in, the keyring. What cannot succeed any more is not tried.
//! Every step that `get` takes is taken by the code of `get`.

mod address;
mod arm;
mod certificate;
mod challenge;
mod grants;
mod keyring;
mod reach;
mod redact;
mod report;
mod report_file;
mod setup;
mod sign_in;
mod wiring;

use super::report::Check;
use super::{Context, Format, write_json};
use crate::cache::Cache;
use crate::config::CacheChoice;
use crate::error::Error;
use crate::registry::Registry;
use crate::runtime;
use crate::terminal::Mark;
use crate::token::{AccessToken, RefreshToken};
use clap::Args;
use grants::Desk;
use report::Report;
use secrecy::ExposeSecret;
use sign_in::SignIn;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The registry in whose place the sources of an identity are looked at when there is none.
const ANY: &str = "example.azurecr.io";

/// The file of `--report` alone.
const REPORT: &str = "acrscoped-report.md";

/// What the help shows.
pub const EXAMPLES: &str = "\
The first cause stands on top. The exit code is 0 unless something failed.
Tokens are asked for registries alone, and none is shown. No token of a
registry, nor an access token, is used or kept; that of a login is renewed.

Without REGISTRY the only one that is known is examined: one with a cached
token, or one that has a profile of its own. If there is not exactly one, only
this machine is.

Examples:
  docker-credential-acrscoped doctor contoso.azurecr.io
  docker-credential-acrscoped doctor contoso.azurecr.io --repository team/app
  docker-credential-acrscoped doctor contoso.azurecr.io --report
  docker-credential-acrscoped doctor --json | jq -r .cause";

/// `doctor [REGISTRY] [--repository R] [--json | --plain] [--report[=FILE]] [--probe-arm]`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    /// The registry, such as contoso.azurecr.io.
    registry: Option<String>,
    /// FILE of `--report FILE`: clap would take a registry behind `--report` for it.
    #[arg(hide = true)]
    file: Option<String>,
    /// Tell what is granted in this repository, such as team/app.
    #[arg(long, value_parser = repository, requires = "registry")]
    repository: Option<String>,
    /// Write a report without names, ids and addresses to a new file.
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = REPORT)]
    report: Option<PathBuf>,
    /// If the registry accepts an ACR-scoped token, offer it an ARM-scoped one too, to see whether it accepts such tokens.
    #[arg(long, requires = "registry")]
    probe_arm: bool,
    #[command(flatten)]
    format: Format,
}

impl Arguments {
    /// With the file of `--report FILE` where it belongs, also when it stands before the registry.
    fn sorted(&self, is_registry: impl Fn(&str) -> bool) -> Result<Self, Error> {
        let (Some(first), Some(second)) = (&self.registry, &self.file) else {
            return Ok(self.clone());
        };
        if self.report.as_deref() != Some(Path::new(REPORT)) {
            let problem = format!(
                "`{second}` is one argument too many; a report's file is named by `--report=FILE`"
            );
            return Err(Error::input(problem));
        }
        let is_turned = !is_registry(first) && is_registry(second);
        let (registry, file) = if is_turned {
            (second, first)
        } else {
            (first, second)
        };
        Ok(Self {
            registry: Some(registry.clone()),
            file: None,
            report: Some(file.into()),
            ..self.clone()
        })
    }

    /// Whether it was told to draw nothing.
    pub(super) fn is_plain(&self) -> bool {
        self.format.plain
    }
}

/// A repository's name as it stands in a registry scope (Docker registry API, "path component").
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

/// Examines, and prints what was found.
pub fn run(
    context: &Context<'_>,
    arguments: &Arguments,
    mut output: impl Write,
) -> Result<ExitCode, Error> {
    let arguments = &arguments.sorted(|text| context.registry(text).is_ok())?;
    let named = arguments
        .registry
        .as_deref()
        .map(|text| context.registry(text));
    if let (Some(Err(error)), true) = (
        &named,
        arguments.report.as_deref() == Some(Path::new(REPORT)),
    ) {
        // `--report FILE` alone looks like a registry.
        return Err(Error::input(format!(
            "{error}; a report's file is named by `--report=FILE`"
        )));
    }
    let (registry, problem) = match named {
        Some(Ok(registry)) => (Some(registry), None),
        Some(Err(error)) => (None, Some(error)),
        None => (only_known(context), None),
    };
    if let (true, Some(registry)) = (arguments.probe_arm, &registry) {
        (context.tell)(&arm::announcement(registry));
    }
    let progress = |text: &str| {
        if context.is_watched && !arguments.format.plain {
            (context.tell)(text);
        }
    };
    progress(&format!(
        "examining {} …",
        registry.as_ref().map_or("this machine", Registry::host)
    ));
    let file = arguments
        .report
        .as_deref()
        .map(report_file::create)
        .transpose()?;
    let checks = runtime::run(Box::pin(async {
        Ok(examine(context, arguments, registry.as_ref(), problem.as_ref()).await)
    }));
    progress("\r\x1b[K");
    // An empty file would be in the way of the next report.
    let discard = || {
        arguments
            .report
            .iter()
            .for_each(|path| drop(std::fs::remove_file(path)));
    };
    let checks = checks.inspect_err(|_| discard())?;
    let report = Report {
        registry: registry.as_ref().map(|registry| registry.host().to_owned()),
        checks,
    };
    if arguments.format.json {
        write_json(&mut output, &report.json())?;
    } else {
        output
            .write_all(report.draw(context.terminal).as_bytes())
            .map_err(Error::output)?;
    }
    if let (Some(file), Some(path)) = (file, &arguments.report) {
        let repository = arguments.repository.as_deref();
        report_file::write(file, &report, context, registry.as_ref(), repository)
            .inspect_err(|_| discard())?;
        (context.tell)(&format!("the report is in {}\n", path.display()));
    }
    Ok(if report.is_well() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The one registry that has a cached token or a profile of its own.
fn only_known(context: &Context<'_>) -> Option<Registry> {
    let mut known = context.settings.registries_with_profiles();
    known.extend(
        context
            .service()
            .status()
            .unwrap_or_default()
            .into_iter()
            .map(|cached| cached.registry),
    );
    let first = known.first()?.clone();
    known.iter().all(|other| *other == first).then_some(first)
}

/// All checks, in their order.
async fn examine(
    context: &Context<'_>,
    arguments: &Arguments,
    registry: Option<&Registry>,
    problem: Option<&Error>,
) -> Vec<Check> {
    let settings = context.settings;
    let Some(registry) = registry else {
        return this_machine(context, problem).await;
    };
    let config = settings.for_registry(registry).and_then(|config| {
        match reach::problem(&config, registry, context.clock) {
            Some(error) => Err(error),
            None => Ok(config),
        }
    });
    let config = match config {
        Ok(config) => config,
        Err(error) => return unusable(context, arguments, registry, &error),
    };
    let repository = arguments.repository.as_deref();
    // One for all: the daemon of the Secret Service may not survive two clients of one process.
    let logins = context.service().cache(config.cache, config.timeout);
    let (sign_in, chosen) = SignIn::new(
        &config,
        registry,
        logins.clone(),
        context.clock,
        repository.is_some(),
    );
    let (mut way, (identity, access_token), keyring) = tokio::join!(
        reach::look(&config, registry, context.clock),
        sign_in.access_token(chosen),
        keyring(context, registry, config.cache, logins.clone()),
    );
    let obstacle = way
        .iter()
        .find(|check| check.is_bad())
        .map(|check| format!("{} failed", check.name));
    let (exchange, refresh_token) = match (&access_token, &obstacle) {
        (Some(token), None) => sign_in.exchange(token).await,
        (Some(_), Some(obstacle)) => (sign_in::not_exchanged(obstacle), None),
        (None, _) => (sign_in::not_exchanged("there is no access token"), None),
    };
    let grants = match (
        Desk::new(&config, registry, context.clock, access_token.as_ref()),
        &obstacle,
    ) {
        (Ok(desk), None) => Box::pin(desk.look(refresh_token.as_ref(), repository)).await,
        (_, Some(obstacle)) => grants::skipped(repository.is_some(), obstacle),
        (Err(error), None) => grants::skipped(repository.is_some(), &error.to_string()),
    };
    let mut checks = vec![setup::registry(registry)];
    checks.append(&mut way);
    checks.push(setup::configuration(settings, registry, &config));
    blame(&mut checks, identity.iter().chain(&exchange));
    checks.extend(identity.into_iter().chain(exchange).chain(grants));
    if arguments.probe_arm {
        checks.push(match (&refresh_token, &access_token, obstacle) {
            (Some(_), ..) => arm::look(settings, registry, logins, context.clock).await,
            (None, _, Some(obstacle)) => arm::not_offered(&obstacle),
            (None, Some(_), None) => arm::not_offered("exchange failed"),
            (None, None, None) => arm::not_offered("there is no access token"),
        });
    }
    checks.push(keyring);
    checks.extend(wiring::look(context, registry));
    // Entra may repeat a secret in the claims of its token, and a registry a token in those of its own.
    let secrets = sign_in.secrets();
    let tokens = [
        access_token.as_ref().map(AccessToken::secret),
        refresh_token.as_ref().map(RefreshToken::secret),
    ];
    tokens
        .into_iter()
        .flatten()
        .for_each(|token| secrets.add(token.expose_secret()));
    let redactor = secrets.redactor();
    checks
        .into_iter()
        .map(|check| check.map(|text| redactor.redact(&text)))
        .collect()
}

/// What can be said when the settings cannot be used.
fn unusable(
    context: &Context<'_>,
    arguments: &Arguments,
    registry: &Registry,
    error: &Error,
) -> Vec<Check> {
    let reason = "the configuration cannot be used";
    let mut checks = vec![setup::registry(registry)];
    checks.extend(reach::skipped(reason));
    checks.push(Check::failed(setup::CONFIGURATION, error));
    checks.extend(sign_in::skipped(reason));
    checks.extend(grants::skipped(arguments.repository.is_some(), reason));
    checks.extend(arguments.probe_arm.then(|| arm::not_offered(reason)));
    checks.push(Check::skipped(keyring::NAME, reason));
    checks.extend(wiring::look(context, registry));
    checks
}

/// What can be said without a registry: what would hold for one of the public cloud, the keyring, and whether clients find us.
async fn this_machine(context: &Context<'_>, problem: Option<&Error>) -> Vec<Check> {
    let mut checks = vec![setup::no_registry(problem)];
    let any = context
        .registry(ANY)
        .expect("it is spelt as a registry of the public cloud");
    match context.settings.for_registry(&any) {
        Ok(config) => {
            checks.push(setup::configuration(context.settings, &any, &config));
            checks.push(match context.service().identity(&any) {
                Ok(identity) => sign_in::identity(&identity),
                Err(error) => Check::failed(sign_in::IDENTITY, &error),
            });
            checks.push(
                keyring(
                    context,
                    &any,
                    config.cache,
                    context.service().cache(config.cache, config.timeout),
                )
                .await,
            );
        }
        Err(error) => checks.push(Check::failed(setup::CONFIGURATION, &error)),
    }
    checks.push(wiring::program(context));
    checks
}

async fn keyring(
    context: &Context<'_>,
    registry: &Registry,
    choice: CacheChoice,
    cache: Cache,
) -> Check {
    let explained = context.settings.explain(Some(registry)).unwrap_or_default();
    let set = explained
        .into_iter()
        .find(|explained| explained.name == "cache");
    keyring::look(choice, cache, set.as_ref()).await
}

/// A clock that is far off, or a setting that is suspect, is the cause when somebody could not be signed in. Of the clock `get` says so
/// too.
fn blame<'a>(checks: &mut [Check], mut later: impl Iterator<Item = &'a Check>) {
    if later.any(Check::is_bad) {
        let suspects = checks
            .iter_mut()
            .filter(|check| [reach::CLOCK, setup::CONFIGURATION].contains(&check.name));
        suspects
            .filter(|check| check.status == Mark::Warning)
            .for_each(|check| check.status = Mark::Bad);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_named_alone() {
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
    fn the_file_of_a_report_may_stand_behind_a_space() {
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
            let sorted = arguments(first, Some(second), Some(REPORT)).sorted(is_registry);
            assert_eq!(sorted.unwrap(), arguments(host, None, Some("r.txt")));
        }
        let alone = arguments(host, None, Some(REPORT));
        assert_eq!(alone.sorted(is_registry).unwrap(), alone);
        for report in [None, Some("other.txt")] {
            let error = arguments(host, Some("r.txt"), report)
                .sorted(is_registry)
                .unwrap_err()
                .to_string();
            assert!(error.contains("`--report=FILE`"), "{error}");
        }
    }

    #[test]
    fn a_clock_is_to_blame_only_when_somebody_was_refused() {
        let way = || {
            vec![
                Check::good("dns", "found"),
                Check::warning(reach::CLOCK, "far off"),
            ]
        };
        let mut blamed = way();
        blame(&mut blamed, [Check::bad("exchange", "refused")].iter());
        assert!(blamed[1].is_bad());
        let mut not_blamed = way();
        blame(&mut not_blamed, [Check::good("exchange", "given")].iter());
        assert!(!not_blamed[1].is_bad());
    }
}
