//! The registry's name, and the settings with the place where each value comes from.

use super::checks::Target;
use crate::commands::report::Check;
use crate::config::Config;
use crate::error::Error;
use crate::registry::{CLOUDS, Registry};

pub(super) const REGISTRY: &str = "registry";
pub(super) const CONFIGURATION: &str = "configuration";

/// Returns the check of a name, of which only the form is known.
pub(super) fn registry(registry: Option<&Registry>) -> Check {
    let Some(registry) = registry else {
        return Check::skipped(REGISTRY, "none is named: only this machine is checked");
    };
    let (host, login_server) = (registry.host(), registry.login_server());
    let regional = (login_server != host)
        .then(|| format!("a regional endpoint: {login_server} issues its tokens"));
    let summary = format!("{host} is a valid ACR name ({})", registry.cloud().name);
    Check::good(REGISTRY, summary).with(regional)
}

/// Returns the failed check of settings that cannot be used. Without a hint of its own, the error begins with what is to be corrected.
pub(super) fn failed(error: &Error) -> Check {
    let check = Check::failed(CONFIGURATION, error);
    if check.hint.is_some() {
        return check;
    }
    let name = check.summary.strip_prefix('`');
    let hint = match name.and_then(|rest| rest.split_once('`')) {
        Some((name, _)) => format!("correct `{name}`, or unset it"),
        None => format!(
            "correct {}",
            check.summary.split(": ").next().unwrap_or_default()
        ),
    };
    check.hint(hint)
}

/// Checks the settings of a registry. A suspicious one is a warning.
pub(super) fn check(target: &Target<'_>) -> Check {
    let (settings, registry) = (target.context.settings, target.registry);
    let effective = match settings.explain(Some(registry)) {
        Ok(effective) => effective,
        Err(error) => return failed(&error),
    };
    let misspelled = settings.unknown_variables();
    let check = if let Some((summary, hint)) = foreign_authority(target.config) {
        let check = Check::warning(CONFIGURATION, summary).hint(hint);
        check.with(misspelled)
    } else if misspelled.is_empty() {
        let names: Vec<&str> = effective.iter().map(|(name, _)| *name).collect();
        let names = names.join(", ");
        let summary = match &*names {
            "" => "no settings; defaults apply".to_owned(),
            names => format!("set: {names}"),
        };
        Check::good(CONFIGURATION, summary)
    } else {
        let check = Check::warning(CONFIGURATION, misspelled.join(", "));
        check.hint("unset it, or correct its name")
    };
    let profiles = settings.profiles(registry).join(", ");
    let profiles = (!profiles.is_empty())
        .then(|| format!("profiles, the one with precedence first: {profiles}"));
    let cloud = registry.cloud();
    let trust = settings.clouds().contains(cloud).then(|| {
        format!(
            "`[cloud.{}]` in {} extends trust: every host below {} is sent access tokens",
            cloud.name,
            settings.file().display(),
            cloud.suffix
        )
    });
    let effective = effective.into_iter();
    check
        .with(effective.map(|(name, set)| format!("`{name}` is {} by {}", set.value, set.origin)))
        .with(profiles)
        .with(trust)
}

/// Returns a warning and a hint if the authority is that of another cloud than the identity's.
fn foreign_authority(config: &Config) -> Option<(String, String)> {
    let (cloud, host) = (&config.identity_cloud, config.authority.host_str()?);
    let origin = config.authority_origin.as_ref()?;
    let other = CLOUDS
        .iter()
        .find(|other| other.is_authority(&config.authority) && *other != cloud)?;
    let summary = format!(
        "{origin} selects the authority of {} ({host}), but the identity belongs to {}",
        other.name, cloud.name
    );
    let (variable, authority) = (origin.setting("authority"), &cloud.authority);
    let hint = format!("unset `{variable}`, or set it to https://{authority}");
    Some((summary, hint))
}
