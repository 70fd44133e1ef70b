//! What is told of the registry's name and of the settings, and where each value comes from.

use crate::commands::report::{Check, list};
use crate::config::{Config, EffectiveSetting, Settings};
use crate::error::Error;
use crate::registry::{CLOUDS, Registry};

const REGISTRY: &str = "registry";
pub(super) const CONFIGURATION: &str = "configuration";

/// The name and its cloud.
pub(super) fn registry(registry: &Registry) -> Check {
    let issuer = (registry.login_server() != registry.host()).then(|| {
        format!(
            "a regional endpoint: {} issues its tokens",
            registry.login_server()
        )
    });
    Check::good(
        REGISTRY,
        format!("{registry} is a registry of {}", registry.cloud().name),
    )
    .with(issuer)
}

/// A name that is none of ours, or none at all.
pub(super) fn no_registry(error: Option<&Error>) -> Check {
    match error {
        Some(error) => Check::failed(REGISTRY, error),
        None => Check::skipped(REGISTRY, "none is named, and not exactly one is known"),
    }
}

/// The settings that hold for a registry. A setting that is suspect is a warning.
pub(super) fn configuration(settings: &Settings, registry: &Registry, config: &Config) -> Check {
    let explained = match settings.explain(Some(registry)) {
        Ok(explained) => explained,
        Err(error) => return Check::failed(CONFIGURATION, &error),
    };
    let set: Vec<String> = explained.iter().map(told).collect();
    let summary = match set.len() {
        0 => "nothing is set".to_owned(),
        1 => "one setting is set".to_owned(),
        count => format!("{count} settings are set"),
    };
    let misspelt = settings.unknown_variables();
    let check = match foreign_authority(registry, config) {
        Some((summary, hint)) => Check::warning(CONFIGURATION, summary)
            .hint(hint)
            .with(misspelt),
        None if misspelt.is_empty() => Check::good(CONFIGURATION, summary),
        None => {
            Check::warning(CONFIGURATION, list(&misspelt)).hint("unset it, or correct its name")
        }
    };
    let profiles = settings.profiles(registry);
    let profiles = (!profiles.is_empty())
        .then(|| format!("profiles, the strongest first: {}", list(profiles)));
    check
        .with(set)
        .with(profiles)
        .with(trust(settings, registry))
}

/// That the authority is the one of another cloud than the identity's.
fn foreign_authority(registry: &Registry, config: &Config) -> Option<(String, String)> {
    let (cloud, host) = (&config.identity_cloud, config.authority.host_str()?);
    let origin = config.authority_origin.as_ref()?;
    let other = CLOUDS
        .iter()
        .find(|other| other.is_authority(&config.authority) && *other != cloud)?;
    let whose = if registry.cloud() == cloud {
        "registry"
    } else {
        "identity"
    };
    let summary = format!(
        "the authority {host} by {origin} is that of {}, and the {whose} is of {}",
        other.name, cloud.name
    );
    Some((
        summary,
        format!(
            "unset `{}`, or set it to https://{}",
            origin.setting("authority"),
            cloud.authority
        ),
    ))
}

/// One setting, and who set it.
fn told(setting: &EffectiveSetting) -> String {
    format!(
        "`{}` is {} by {}",
        setting.name, setting.value, setting.origin
    )
}

/// That a registry of a cloud of the user's own is trusted like those of Azure.
fn trust(settings: &Settings, registry: &Registry) -> Option<String> {
    let cloud = registry.cloud();
    let file = settings.file().display();
    settings.clouds().contains(cloud).then(|| {
        format!(
            "`[cloud.{}]` in {file} extends trust: every host below {} is sent access tokens",
            cloud.name, cloud.suffix
        )
    })
}
