//! `logout`: deletes saved sign-ins of `login`, and their cached tokens.

use super::report::list;
use super::{Context, login_json, write_json};
use crate::cache::Cache;
use crate::config::CacheChoice;
use crate::error::Error;
use crate::identity::{self, Account, Identity};
use crate::logins::{Login, Logins};
use crate::registry::{CLOUDS, Registry};
use clap::Args;
use serde_json::json;
use std::collections::BTreeSet;
use std::io::Write;

/// `logout [ACCOUNT | REGISTRY | --all]`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    /// The account, by user name or tenant, or a registry that it signs in to. Default: the active account of the public cloud.
    #[arg(value_name = "ACCOUNT|REGISTRY")]
    target: Option<String>,
    /// Delete all sign-ins, and all cached tokens of all registries.
    #[arg(long, conflicts_with = "target")]
    all: bool,
}

/// What is deleted.
struct Target {
    logins: Vec<Login>,
    /// The registry that was named. Its tokens of other identities are deleted, too.
    registry: Option<Registry>,
}

/// Deletes the sign-ins and prints what ended.
///
/// # Errors
///
/// If a token cannot be deleted.
pub fn run(
    context: &Context<'_>,
    arguments: &Arguments,
    mut output: impl Write,
) -> Result<(), Error> {
    context.warn_config_error();
    let config = context.config(None)?;
    let service = context.service();
    let stores = service.cache(CacheChoice::Auto, config.timeout);
    let logins = Logins::new(&config);
    let target = find_target(context, arguments, Logins::of(&config))?;
    let cached = service.status().unwrap_or_default().into_iter();
    let cached: Vec<Registry> = cached.map(|cached| cached.registry).collect();
    let mut result = Ok(());
    if arguments.all {
        result = stores.delete_entries(|_| true);
    }
    for login in &target.logins {
        // The file keeps only those whose token may still exist.
        let ended = sign_out(
            context,
            &stores,
            login,
            cached.iter().chain(&target.registry),
        )
        .and_then(|()| logins.as_ref().map_or(Ok(()), |file| file.remove(login)));
        result = ended.and(result);
    }
    if let Some(registry) = &target.registry {
        result = result.and(stores.erase(registry, (context.clock)()));
    }
    result?;
    if let Some(file) = logins.as_ref().filter(|_| arguments.all) {
        file.remove_all()?;
    }
    let left = Logins::of(&config)?;
    if context.is_json {
        let [ended, left] = [&target.logins, &left].map(|logins| {
            let logins = logins.iter();
            logins.map(login_json).collect::<Vec<_>>()
        });
        let registry = target.registry.as_ref().map(Registry::host);
        let answer = json!({ "signedOut": ended, "signedIn": left, "registry": registry });
        return write_json(&mut output, &answer);
    }
    for line in summary(context, arguments, &target, &cached, &left) {
        writeln!(output, "{}", context.terminal.wrap(&line, 0)).map_err(Error::output)?;
    }
    Ok(())
}

/// Returns the sign-ins that the arguments mean: all, the account with this name, or the one that signs in to a registry.
fn find_target(
    context: &Context<'_>,
    arguments: &Arguments,
    saved: Result<Vec<Login>, Error>,
) -> Result<Target, Error> {
    if arguments.all {
        // A file that cannot be parsed is deleted, too.
        let (logins, registry) = (saved.unwrap_or_default(), None);
        return Ok(Target { logins, registry });
    }
    let saved = saved?;
    if let Some(name) = &arguments.target {
        let named: Vec<_> = saved.iter().filter(|login| login.is_named(name)).collect();
        match named[..] {
            [login] => {
                let (logins, registry) = (vec![login.clone()], None);
                return Ok(Target { logins, registry });
            }
            [] if !name.contains('@') => (),
            _ => return Err(context.not_one_account(Some(name), &saved)),
        }
    }
    let registry = context.optional_registry(arguments.target.as_deref())?;
    let account = identity::account(&context.config(registry.as_ref())?)?;
    let logins = account.into_iter().map(|account| account.login).collect();
    Ok(Target { logins, registry })
}

/// Deletes the tokens of a sign-in: those of registries, the Entra access tokens, and the Entra refresh token.
fn sign_out<'r>(
    context: &Context<'_>,
    stores: &Cache,
    login: &Login,
    registries: impl Iterator<Item = &'r Registry>,
) -> Result<(), Error> {
    // Tokens may be cached under other settings than today's: those fingerprints were noted.
    let mut fingerprints: BTreeSet<String> = login.fingerprints.iter().cloned().collect();
    fingerprints.extend(registries.filter_map(|registry| {
        let config = context.settings.for_registry(registry).ok()?;
        let account = Account::saved(login.clone(), &config);
        let identity = Identity::of_login(account, &config, Some(registry));
        (config.authority.as_str() == login.authority).then(|| identity.fingerprint())
    }));
    let tokens = stores.delete_entries(|key| fingerprints.iter().any(|it| key.is_of(it)));
    stores.delete_login(&login.key(), &login.stores).and(tokens)
}

/// Returns what ended, and what did not, a sentence each.
fn summary(
    context: &Context<'_>,
    arguments: &Arguments,
    target: &Target,
    cached: &[Registry],
    left: &[Login],
) -> Vec<String> {
    let clouds = context.settings.clouds();
    let mut lines: Vec<String> = vec![];
    for login in &target.logins {
        let (username, cloud) = (&login.username, login.cloud_name(clouds));
        lines.push(format!(
            "Signed out {username} from all registries in {cloud} and deleted their cached tokens."
        ));
    }
    if target.logins.iter().any(|login| login.browser) {
        let hint = "The browser may stay signed in: sign out there, too, if others use it.";
        lines.push(hint.to_owned());
    }
    let registry = target.registry.as_ref();
    if target.logins.is_empty() {
        let cloud = &registry.map_or(&CLOUDS[0], Registry::cloud).name;
        let cloud = if arguments.all { "any cloud" } else { cloud };
        lines.push(format!("No account was signed in to {cloud}."));
    }
    lines.extend(match registry {
        Some(registry) if cached.contains(registry) => {
            Some(format!("Deleted the cached tokens for {registry}."))
        }
        Some(registry) => Some(format!("{registry} had no cached tokens.")),
        None if cached.is_empty() => arguments.all.then(|| "No tokens were cached.".into()),
        None => arguments.all.then(|| "Deleted all cached tokens.".into()),
    });
    if !left.is_empty() {
        let left = list(left.iter().map(|login| login.describe(clouds)));
        lines.push(format!("Still signed in: {left}."));
    }
    lines
}
