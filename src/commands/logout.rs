//! `logout`: forgets who signed in with `login`.

use super::Context;
use crate::cache::Key;
use crate::error::Error;
use crate::helper::Helper;
use crate::identity::{self, Identity};
use crate::logins;
use crate::registry::{CLOUDS, Registry};
use clap::Args;
use std::io::Write;

/// `logout [REGISTRY | --all]`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    /// The registry, such as contoso.azurecr.io: who signs in to it, and its cached tokens, are forgotten; without it who signed in
    /// to the public cloud.
    registry: Option<String>,
    /// Forget everybody who signed in, and all cached tokens of all registries.
    #[arg(long, conflicts_with = "registry")]
    all: bool,
}

/// Said when somebody was forgotten: a session of the browser is not ours to end.
const BROWSER: &str = "The browser may stay signed in: sign out there, too, if others use it.";

/// Forgets, and says whom.
pub fn run(context: &Context<'_>, arguments: &Arguments, mut output: impl Write) -> Result<(), Error> {
    let registry = arguments.registry.as_deref().map(|text| context.registry(text)).transpose()?;
    let forgotten = if arguments.all { all(context)? } else { one(context, registry.as_ref())? };
    let text = match (&forgotten[..], &registry) {
        ([], Some(registry)) => format!("Nobody had signed in with `login`. Nothing of {registry} is cached any more."),
        ([], None) if arguments.all => "Nobody had signed in with `login`. Nothing is cached any more.".to_owned(),
        ([], None) => "Nobody had signed in with `login`: there is nothing to forget.".to_owned(),
        (names, _) => format!("Forgot the login of {}, and the tokens that came of it.\n{BROWSER}", names.join(", ")),
    };
    writeln!(output, "{text}").map_err(Error::Output)
}

/// Everybody, and everything in every store.
fn all(context: &Context<'_>) -> Result<Vec<String>, Error> {
    let config = context.settings.for_cloud(&CLOUDS[0])?;
    context.helper().every_store(&config).forget(|_| true)?;
    let Some(file) = &config.sources.logins else { return Ok(vec![]) };
    // What cannot be understood is forgotten all the same.
    let names = logins::read(file).unwrap_or_default().into_iter().map(|login| login.username).collect();
    logins::forget_all(file)?;
    Ok(names)
}

/// Who signs in to a registry, or to the public cloud.
fn one(context: &Context<'_>, registry: Option<&Registry>) -> Result<Vec<String>, Error> {
    let config = match registry {
        Some(registry) => context.settings.for_registry(registry)?,
        None => context.settings.for_cloud(&CLOUDS[0])?,
    };
    let helper = context.helper();
    let account = identity::account(&config, registry)?;
    if let (Ok(account), Some(file)) = (&account, &config.sources.logins) {
        let own = account.login.key();
        let fingerprints = fingerprints(&helper, registry, &own)?;
        let is_of_login = |key: &Key| *key == own || fingerprints.iter().any(|fingerprint| key.is_of(fingerprint));
        helper.every_store(&config).forget(is_of_login)?;
        logins::forget(file, &account.login)?;
    }
    if let Some(registry) = registry {
        helper.erase(registry)?;
    }
    Ok(account.into_iter().map(|account| account.login.username).collect())
}

/// The fingerprints under which tokens of a login are cached.
fn fingerprints(helper: &Helper<'_>, registry: Option<&Registry>, login: &Key) -> Result<Vec<String>, Error> {
    let mut identities = helper.identities()?;
    // An access token may be there without a registry's.
    identities.extend(registry.and_then(|registry| helper.identity(registry).ok()));
    let is_of_login = |identity: &&Identity| identity.login().is_some_and(|account| account.login.key() == *login);
    Ok(identities.iter().filter(is_of_login).map(Identity::fingerprint).collect())
}
