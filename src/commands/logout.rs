//! `logout`: forgets who signed in with `login`.

use super::Context;
use crate::cache::Key;
use crate::config::CacheChoice;
use crate::error::Error;
use crate::identity::{self, Identity};
use crate::logins::{self, Login};
use crate::registry::{CLOUDS, Registry};
use crate::service::TokenService;
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
pub fn run(
    context: &Context<'_>,
    arguments: &Arguments,
    mut output: impl Write,
) -> Result<(), Error> {
    let registry = arguments
        .registry
        .as_deref()
        .map(|text| context.registry(text))
        .transpose()?;
    let (forgotten, others) = if arguments.all {
        (all(context)?, vec![])
    } else {
        one(context, registry.as_ref())?
    };
    let names: Vec<String> = forgotten
        .iter()
        .map(|login| format!("{} at {}", login.username, login.host()))
        .collect();
    let text = match (&names[..], &registry) {
        ([], Some(registry)) => {
            format!("Nobody had signed in with `login`. Nothing of {registry} is cached any more.")
        }
        ([], None) if arguments.all => {
            "Nobody had signed in with `login`. Nothing is cached any more.".to_owned()
        }
        ([], None) => "Nobody had signed in with `login`: there is nothing to forget.".to_owned(),
        (names, _) => format!(
            "Forgot the login of {}, and the tokens that came of it.",
            names.join(", ")
        ),
    };
    let browser = (!names.is_empty()).then(|| BROWSER.to_owned());
    let mut hosts: Vec<String> = others.iter().map(Login::host).collect();
    hosts.sort();
    hosts.dedup();
    let more = (!hosts.is_empty()).then(|| {
        format!(
            "`logout --all` forgets those at {} too.",
            hosts.join(" and ")
        )
    });
    for text in [Some(text), browser, more].into_iter().flatten() {
        writeln!(output, "{}", context.terminal.wrap(&text, 0)).map_err(Error::output)?;
    }
    Ok(())
}

/// Everybody, and everything in every store.
fn all(context: &Context<'_>) -> Result<Vec<Login>, Error> {
    let config = context.settings.for_cloud(&CLOUDS[0])?;
    let stores = context.service().cache(CacheChoice::Auto, config.timeout);
    let mut result = stores.forget(|_| true).map(drop);
    let file = config.sources.logins.as_deref();
    // What cannot be understood is forgotten all the same.
    let logins = file
        .map(|file| logins::read(file).unwrap_or_default())
        .unwrap_or_default();
    for login in &logins {
        // Whose token may still be there stays written down, and nobody else.
        match (stores.forget_login(&login.key(), &login.stores), file) {
            (Ok(()), Some(file)) => logins::forget(file, login)?,
            (Ok(()), None) => (),
            (Err(error), _) => result = Err(error),
        }
    }
    result?;
    file.map_or(Ok(()), logins::forget_all)?;
    Ok(logins)
}

/// Who signs in to a registry, or to the public cloud; and who is still signed in then.
fn one(
    context: &Context<'_>,
    registry: Option<&Registry>,
) -> Result<(Vec<Login>, Vec<Login>), Error> {
    let config = match registry {
        Some(registry) => context.settings.for_registry(registry)?,
        None => context.settings.for_cloud(&CLOUDS[0])?,
    };
    let service = context.service();
    let stores = service.cache(CacheChoice::Auto, config.timeout);
    let account = identity::account(&config, registry)?;
    let mut others = vec![];
    if let (Some(account), Some(file)) = (&account, &config.sources.logins) {
        let login = &account.login;
        let own = login.key();
        let mut fingerprints = fingerprints(&service, registry, &own)?;
        // Those of before, with other settings.
        fingerprints.extend(login.fingerprints.iter().cloned());
        let tokens = stores.forget(|key| {
            fingerprints
                .iter()
                .any(|fingerprint| key.is_of(fingerprint))
        });
        stores.forget_login(&own, &login.stores)?;
        tokens?;
        logins::forget(file, login)?;
        others = logins::read(file)?;
    }
    if let Some(registry) = registry {
        stores.erase(registry, (context.clock)())?;
    }
    Ok((
        account.into_iter().map(|account| account.login).collect(),
        others,
    ))
}

/// The fingerprints under which tokens of a login are cached.
fn fingerprints(
    service: &TokenService<'_>,
    registry: Option<&Registry>,
    login: &Key,
) -> Result<Vec<String>, Error> {
    let cached = service.status()?;
    let mut identities: Vec<_> = cached.into_iter().filter_map(|it| it.identity).collect();
    // An access token may be there without a registry's.
    identities.extend(registry.and_then(|registry| service.identity(registry).ok()));
    let is_of_login = |identity: &&Identity| {
        identity
            .login()
            .is_some_and(|account| account.login.key() == *login)
    };
    Ok(identities
        .iter()
        .filter(is_of_login)
        .map(Identity::fingerprint)
        .collect())
}
