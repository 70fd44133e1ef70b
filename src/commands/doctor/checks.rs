//! Runs all checks.
//!
//! What does not depend on each other runs at the same time: the connection, the sign-in and the keyring. A check that needs the result
//! of one that failed is not made.

use super::connectivity::RegistryClient;
use super::progress::Progress;
use super::sign_in::SignIn;
use super::{Arguments, clients, connectivity, keyring, permissions, probe_arm, settings, sign_in};
use crate::cache::Cache;
use crate::commands::Context;
use crate::commands::report::{Area, Check, NOT_CHECKED, Report};
use crate::config::Config;
use crate::error::{Error, ErrorKind, Stage};
use crate::registry::Registry;
use crate::terminal::Status;

/// All checks by area, causes before what they cause: the first that failed is the cause of the others.
pub(super) const AREAS: [Area; 12] = [
    ("Network", "dns tcp tls clock challenge"),
    ("Settings", "configuration"),
    ("Sign-in", "identity access-token"),
    ("Registry", "registry exchange refresh-token registry-token"),
    ("Repository", "repository"),
    ("Anonymous", "anonymous-pull"),
    ("BuildKit", "buildkit"),
    ("ARM tokens", "arm-tokens"),
    ("Keyring", "keyring"),
    ("Docker", "docker"),
    ("Podman", "podman"),
    ("Clients", "variables logins path"),
];

/// Checks that are warnings by themselves, and the cause if a sign-in fails.
const SUSPECTS: [&str; 2] = [connectivity::CLOCK, settings::CONFIGURATION];

/// The registry whose settings stand for those of this machine.
const EXAMPLE: &str = "example.azurecr.io";

/// What the checks of one registry share.
pub(super) struct Target<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) registry: &'a Registry,
    pub(super) config: &'a Config,
    pub(super) arguments: &'a Arguments,
    /// One for all checks: the daemon of the Secret Service may not survive two clients in one process.
    pub(super) cache: Cache,
}

impl<'a> Target<'a> {
    /// Returns the repository whose permissions are checked.
    pub(super) fn repository(&self) -> Option<&'a str> {
        self.arguments.repository.as_deref()
    }
}

/// Checks everything between this machine and a registry; without one, this machine with the settings of the public cloud.
pub(super) async fn check(
    context: &Context<'_>,
    arguments: &Arguments,
    registry: &Result<Option<Registry>, Error>,
    progress: &Progress<'_>,
) {
    progress.add(context.config_error.map(settings::failed));
    let registry = match registry {
        Ok(registry) => registry.as_ref(),
        Err(error) => {
            progress.add([Check::failed(settings::REGISTRY, error)]);
            return;
        }
    };
    progress.add([settings::registry(registry)]);
    progress.add(clients::check(context, registry));
    if context.config_error.is_some() {
        return;
    }
    let example = Registry::parse(EXAMPLE, &[]).expect("it is a host of the public cloud");
    let target = registry.unwrap_or(&example);
    let client = context.settings.for_registry(target).and_then(|config| {
        let client = RegistryClient::new(&config, target, context.clock)?;
        Ok((config, client))
    });
    match client {
        Ok((config, client)) => {
            let target = Target {
                context,
                registry: target,
                config: &config,
                arguments,
                cache: context.service().cache(config.cache, config.timeout),
            };
            let client = registry.map(|_| &client);
            Box::pin(check_target(&target, client, progress)).await;
        }
        Err(error) if error.kind() == ErrorKind::Unreachable(Stage::Tls) => {
            progress.add([Check::failed(connectivity::TLS, &error)]);
        }
        Err(error) => {
            progress.add([settings::failed(&error)]);
        }
    }
}

async fn check_target(
    target: &Target<'_>,
    client: Option<&RegistryClient<'_>>,
    progress: &Progress<'_>,
) {
    let mut sign_in = SignIn::new(target);
    progress.redact(sign_in.secrets());
    progress.add([settings::check(target)]);
    let connection = async {
        match client {
            Some(client) => connectivity::check(client).await,
            None => vec![],
        }
    };
    let access_token = async {
        let checks = sign_in.request_access_token().await.into_iter();
        // No command to paste names the registry that only stands for the settings.
        let example = format!(" {EXAMPLE}");
        checks
            .map(|check| check.map(|text| text.replace(&example, "")))
            .collect()
    };
    let (is_reachable, ..) = tokio::join!(
        progress.step("the connection", connection),
        progress.step("the sign-in", access_token),
        progress.step("the keyring", async { vec![keyring::check(target).await] }),
    );
    if client.is_none() || !is_reachable {
        return;
    }
    progress.step("the registry", sign_in.exchange()).await;
    let permissions = Box::pin(permissions::check(target, &sign_in));
    progress.step("the permissions", permissions).await;
    if target.arguments.probe_arm && sign_in.refresh_token.is_some() {
        let check = Box::pin(async { vec![probe_arm::check(target).await] });
        progress.step("ARM tokens", check).await;
    }
}

/// Adds the checks that are expected and were not made because another one failed, or the user interrupted them. Without a registry none is
/// expected.
pub(super) fn complete(
    mut report: Report,
    arguments: &Arguments,
    has_registry: bool,
    is_interrupted: bool,
) -> Report {
    promote_cause(&mut report.checks);
    let is_expected = |name: &str| match name {
        permissions::REPOSITORY | permissions::ANONYMOUS => arguments.repository.is_some(),
        probe_arm::NAME => arguments.probe_arm,
        connectivity::CLOCK | clients::VARIABLES | clients::LOGINS => false,
        _ => has_registry,
    };
    let cause = report.cause().filter(|cause| cause.is_bad());
    let reason = match cause {
        _ if is_interrupted => Some("interrupted".to_owned()),
        cause => cause.map(|cause| format!("{NOT_CHECKED} {} failed", report.title(cause))),
    };
    if let Some(reason) = reason {
        let is_missing = |name: &&str| report.checks.iter().all(|check| check.name != *name);
        let names = AREAS.iter().flat_map(|(_, names)| names.split(' '));
        let missing = names.filter(|name| is_expected(name) && is_missing(name));
        let missing: Vec<Check> = missing.map(|name| Check::skipped(name, &*reason)).collect();
        report.checks.extend(missing);
    }
    Report::new(&AREAS, report.checks)
}

/// Turns the warnings of suspects into failures if no token was obtained.
fn promote_cause(checks: &mut [Check]) {
    let has_failed = |check: &Check| sign_in::CHECKS.contains(&check.name) && check.is_bad();
    if checks.iter().any(has_failed) {
        checks
            .iter_mut()
            .filter(|check| SUSPECTS.contains(&check.name) && check.status == Status::Warning)
            .for_each(|check| check.status = Status::Failed);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{challenge, dns};
    use super::*;

    #[test]
    fn clock_skew_is_the_cause_only_if_a_sign_in_fails() {
        for (exchange, expected) in [
            (
                Check::bad(sign_in::EXCHANGE, "refused"),
                connectivity::CLOCK,
            ),
            (Check::good(sign_in::EXCHANGE, "issued"), ""),
        ] {
            let mut checks = vec![Check::warning(connectivity::CLOCK, "far off"), exchange];
            promote_cause(&mut checks);
            let first = checks.iter().find(|check| check.is_bad());
            assert_eq!(first.map_or("", |check| check.name), expected);
        }
    }

    #[test]
    fn a_missing_check_names_the_first_failure() {
        let arguments = Arguments::default();
        let checks = vec![
            Check::good(keyring::NAME, "works"),
            Check::bad(sign_in::EXCHANGE, "refused"),
            Check::bad(dns::DNS, "not found"),
        ];
        let report = complete(Report::new(&AREAS, checks), &arguments, true, false);
        let tcp = report.checks.iter().find(|check| check.name == dns::TCP);
        assert_eq!(tcp.unwrap().summary, "not checked, because Network failed");
        let is_missing = |name| report.checks.iter().all(|check| check.name != name);
        assert!(is_missing(permissions::REPOSITORY) && is_missing(clients::LOGINS));
        let good = Report::new(&AREAS, vec![Check::good(dns::DNS, "found")]);
        let good = complete(good, &arguments, true, false);
        assert_eq!(good.checks.len(), 1);
    }

    #[test]
    fn every_check_has_its_place_and_a_name_of_its_own() {
        let names = AREAS.iter().flat_map(|(_, names)| names.split(' '));
        let mut names: Vec<&str> = names.collect();
        for name in [
            dns::DNS,
            dns::TCP,
            connectivity::TLS,
            connectivity::CLOCK,
            challenge::NAME,
            settings::CONFIGURATION,
            settings::REGISTRY,
            permissions::REPOSITORY,
            permissions::ANONYMOUS,
            permissions::REGISTRY_TOKEN,
            permissions::BUILDKIT,
            probe_arm::NAME,
            keyring::NAME,
            clients::DOCKER,
            clients::PODMAN,
            clients::VARIABLES,
            clients::LOGINS,
            clients::PATH,
        ]
        .into_iter()
        .chain(sign_in::CHECKS)
        {
            let at = names.iter().position(|other| *other == name);
            names.remove(at.unwrap_or_else(|| panic!("{name}")));
        }
        assert!(names.is_empty(), "{names:?}");
    }
}
