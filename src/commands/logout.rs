//! `logout`: deletes sign-ins of `login`, and their cached tokens.

use super::Context;
use super::report::list;
use crate::cache::Key;
use crate::config::CacheChoice;
use crate::error::Error;
use crate::identity::{self, Identity};
use crate::logins::{self, Login};
use crate::registry::Registry;
use crate::service::TokenService;
use clap::Args;
use std::collections::BTreeSet;
use std::io::Write;

/// `logout [REGISTRY | --all]`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    /// The registry, such as contoso.azurecr.io: deletes its sign-in and its cached tokens. Without it, the sign-in of the public cloud.
    registry: Option<String>,
    /// Delete all sign-ins, and all cached tokens of all registries.
    #[arg(long, conflicts_with = "registry")]
    all: bool,
}

/// Printed after a sign-in was deleted: the browser has its own session.
const BROWSER_HINT: &str = "The browser may stay signed in: sign out there, too, if others use it.";

/// Deletes the sign-ins and prints their names.
///
/// # Errors
///
/// If a token cannot be deleted.
pub fn run(
    context: &Context<'_>,
    arguments: &Arguments,
    mut output: impl Write,
) -> Result<(), Error> {
    let registry = context.optional_registry(arguments.registry.as_deref())?;
    let (forgotten, others) = if arguments.all {
        (forget_all(context)?, vec![])
    } else {
        forget_one(context, registry.as_ref())?
    };
    let mut lines = vec![summary(&forgotten)];
    if !forgotten.is_empty() {
        lines.push(BROWSER_HINT.to_owned());
    } else if let Some(registry) = registry {
        lines.push(format!("No token of {registry} is cached any more."));
    } else if arguments.all {
        lines.push("No token is cached any more.".to_owned());
    }
    let hosts: BTreeSet<String> = others.iter().map(Login::host).collect();
    if !hosts.is_empty() {
        let hosts = list(hosts);
        lines.push(format!("`logout --all` deletes those at {hosts} too."));
    }
    for line in lines {
        writeln!(output, "{}", context.terminal.wrap(&line, 0)).map_err(Error::output)?;
    }
    Ok(())
}

fn summary(forgotten: &[Login]) -> String {
    if forgotten.is_empty() {
        return "There was no sign-in of `login` to delete.".to_owned();
    }
    let names = forgotten
        .iter()
        .map(|login| format!("{} at {}", login.username, login.host()));
    let names = list(names);
    format!("Deleted the sign-in of {names}, and its cached tokens.")
}

/// Deletes all sign-ins, and all tokens in all stores. Returns the sign-ins.
fn forget_all(context: &Context<'_>) -> Result<Vec<Login>, Error> {
    let config = context.config(None)?;
    let stores = context.service().cache(CacheChoice::Auto, config.timeout);
    let mut result = stores.forget(|_| true);
    let Some(file) = config.sources.logins.as_deref() else {
        return result.map(|()| vec![]);
    };
    // A file that cannot be parsed is deleted, too.
    let logins = logins::read(file).unwrap_or_default();
    for login in &logins {
        // The file keeps only those whose token may still exist.
        match stores.forget_login(&login.key(), &login.stores) {
            Ok(()) => logins::remove(file, login)?,
            Err(error) => result = Err(error),
        }
    }
    result?;
    logins::remove_all(file)?;
    Ok(logins)
}

/// Deletes the sign-in for a registry or the public cloud. Returns it, and the others.
fn forget_one(
    context: &Context<'_>,
    registry: Option<&Registry>,
) -> Result<(Vec<Login>, Vec<Login>), Error> {
    let config = context.config(registry)?;
    let service = context.service();
    let stores = service.cache(CacheChoice::Auto, config.timeout);
    let account = identity::account(&config)?;
    let mut others = vec![];
    if let (Some(account), Some(file)) = (&account, &config.sources.logins) {
        let login = &account.login;
        let own = login.key();
        let mut fingerprints = fingerprints(&service, registry, &own)?;
        // Other settings gave other fingerprints before.
        fingerprints.extend(login.fingerprints.iter().cloned());
        let tokens = stores.forget(|key| fingerprints.iter().any(|it| key.is_of(it)));
        stores.forget_login(&own, &login.stores)?;
        tokens?;
        logins::remove(file, login)?;
        others = logins::read(file)?;
    }
    if let Some(registry) = registry {
        stores.erase(registry, (context.clock)())?;
    }
    let forgotten = account.into_iter().map(|account| account.login);
    Ok((forgotten.collect(), others))
}

/// Returns the fingerprints under which tokens of a sign-in are cached.
fn fingerprints(
    service: &TokenService<'_>,
    registry: Option<&Registry>,
    login: &Key,
) -> Result<Vec<String>, Error> {
    let cached = service.status()?;
    let mut identities: Vec<_> = cached.into_iter().filter_map(|it| it.identity).collect();
    // An Entra access token may be cached although no token of the registry is.
    identities.extend(registry.and_then(|registry| service.identity(registry).ok()));
    let is_of_login = |identity: &&Identity| {
        let account = identity.login();
        account.is_some_and(|account| account.login.key() == *login)
    };
    let identities = identities.iter().filter(is_of_login);
    Ok(identities.map(Identity::fingerprint).collect())
}
