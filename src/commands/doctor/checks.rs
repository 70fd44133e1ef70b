//! Runs all checks.
//!
//! What does not depend on each other runs at the same time: the connection, the sign-in and the keyring. A check that needs the result
//! of one that failed is not made.

use super::connectivity::RegistryClient;
use super::sign_in::SignIn;
use super::{
    Arguments, challenge, clients, connectivity, dns, keyring, permissions, probe_arm, settings,
    sign_in,
};
use crate::cache::Cache;
use crate::commands::Context;
use crate::commands::report::Check;
use crate::config::Config;
use crate::error::{ErrorKind, Stage};
use crate::registry::Registry;
use crate::terminal::Status;

/// The names of all checks, causes before what they cause: the first that failed is the cause of the others.
const ORDER: [&str; 18] = [
    settings::REGISTRY,
    dns::DNS,
    dns::TCP,
    connectivity::TLS,
    challenge::NAME,
    connectivity::CLOCK,
    settings::CONFIGURATION,
    sign_in::IDENTITY,
    sign_in::ACCESS_TOKEN,
    sign_in::EXCHANGE,
    sign_in::REFRESH_TOKEN,
    permissions::REPOSITORY,
    permissions::ANONYMOUS,
    permissions::GUID,
    permissions::TOKEN,
    probe_arm::NAME,
    keyring::NAME,
    clients::NAME,
];

/// Checks that are warnings by themselves, and the cause if a sign-in fails.
const SUSPECTS: [&str; 2] = [connectivity::CLOCK, settings::CONFIGURATION];

/// The host whose settings stand for those of this machine.
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
    fn new(
        context: &'a Context<'a>,
        arguments: &'a Arguments,
        registry: &'a Registry,
        config: &'a Config,
    ) -> Self {
        Self {
            context,
            registry,
            config,
            arguments,
            cache: context.service().cache(config.cache, config.timeout),
        }
    }

    /// Returns the repository whose permissions are checked.
    pub(super) fn repository(&self) -> Option<&'a str> {
        self.arguments.repository.as_deref()
    }
}

/// Checks everything between this machine and a registry.
pub(super) async fn check_registry(
    context: &Context<'_>,
    arguments: &Arguments,
    registry: &Registry,
) -> Vec<Check> {
    let mut checks = vec![settings::registry(registry)];
    checks.extend(clients::check(context, registry));
    let client = context.settings.for_registry(registry).and_then(|config| {
        let client = RegistryClient::new(&config, registry, context.clock)?;
        Ok((config, client))
    });
    match client {
        Ok((config, client)) => {
            let target = Target::new(context, arguments, registry, &config);
            checks = Box::pin(check_target(&target, &client, checks)).await;
        }
        Err(error) if error.kind() == ErrorKind::Unreachable(Stage::Tls) => {
            checks.push(Check::failed(connectivity::TLS, &error));
        }
        Err(error) => checks.push(Check::failed(settings::CONFIGURATION, &error)),
    }
    let mut checks = complete(checks, |name| match name {
        permissions::REPOSITORY | permissions::ANONYMOUS => arguments.repository.is_some(),
        probe_arm::NAME => arguments.probe_arm,
        _ => true,
    });
    promote_cause(&mut checks);
    checks
}

async fn check_target(
    target: &Target<'_>,
    client: &RegistryClient<'_>,
    mut checks: Vec<Check>,
) -> Vec<Check> {
    let mut sign_in = SignIn::new(target);
    let (connection, access_token, keyring) = tokio::join!(
        connectivity::check(client),
        sign_in.request_access_token(),
        keyring::check(target),
    );
    let is_reachable = !connection.iter().any(Check::is_bad);
    checks.extend(connection);
    checks.push(settings::check(target));
    checks.extend(access_token);
    checks.push(keyring);
    if is_reachable {
        checks.extend(sign_in.exchange().await);
        checks.extend(Box::pin(permissions::check(target, &sign_in)).await);
    }
    if target.arguments.probe_arm && sign_in.refresh_token.is_some() {
        checks.push(probe_arm::check(target).await);
    }
    let redactor = sign_in.redactor();
    let redacted = checks.into_iter();
    redacted
        .map(|check| check.map(|text| redactor.redact(&text)))
        .collect()
}

/// Checks this machine: the settings and the identity of a registry of the public cloud, the keyring, and whether clients find the helper.
pub(super) async fn check_machine(
    context: &Context<'_>,
    arguments: &Arguments,
    registry: Check,
) -> Vec<Check> {
    let mut checks = vec![registry, clients::program(context)];
    let example = context
        .registry(EXAMPLE)
        .expect("it is a host of the public cloud");
    match context.settings.for_registry(&example) {
        Ok(config) => {
            let target = Target::new(context, arguments, &example, &config);
            checks.push(settings::check(&target));
            checks.push(SignIn::new(&target).identity);
            checks.push(keyring::check(&target).await);
        }
        Err(error) => checks.push(Check::failed(settings::CONFIGURATION, &error)),
    }
    complete(checks, |_| false)
}

/// Turns the warnings of suspects into failures if no token was obtained.
fn promote_cause(checks: &mut [Check]) {
    if checks
        .iter()
        .any(|check| sign_in::CHECKS.contains(&check.name) && check.is_bad())
    {
        checks
            .iter_mut()
            .filter(|check| SUSPECTS.contains(&check.name) && check.status == Status::Warning)
            .for_each(|check| check.status = Status::Failed);
    }
}

/// Sorts the checks, and adds those that are expected and were not made because another one failed.
fn complete(mut checks: Vec<Check>, is_expected: impl Fn(&str) -> bool) -> Vec<Check> {
    let place = |check: &Check| ORDER.iter().position(|name| *name == check.name);
    checks.sort_by_key(place);
    if let Some(cause) = checks.iter().find(|check| check.is_bad()) {
        let reason = format!("not checked, because {} failed", cause.name);
        let is_missing = |name: &&str| checks.iter().all(|check| check.name != *name);
        let missing = ORDER
            .into_iter()
            .filter(|name| is_expected(name) && is_missing(name));
        let missing: Vec<Check> = missing.map(|name| Check::skipped(name, &*reason)).collect();
        checks.extend(missing);
        checks.sort_by_key(place);
    }
    checks
}

#[cfg(test)]
mod tests {
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
    fn checks_are_sorted_and_a_missing_one_names_the_first_failure() {
        let checks = vec![
            Check::good(keyring::NAME, "works"),
            Check::bad(sign_in::EXCHANGE, "refused"),
            Check::bad(dns::DNS, "not found"),
        ];
        let is_expected = |name: &str| [dns::TCP, keyring::NAME].contains(&name);
        let checks = complete(checks, is_expected);
        let names: Vec<_> = checks.iter().map(|check| check.name).collect();
        assert_eq!(names, ["dns", "tcp", "exchange", "keyring"]);
        assert_eq!(checks[1].summary, "not checked, because dns failed");
        let good = complete(vec![Check::good(dns::DNS, "found")], is_expected);
        assert_eq!(good.len(), 1);
    }
}
