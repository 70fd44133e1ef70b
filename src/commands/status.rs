//! `status`: shows whether each known registry is ready to use. It sends nothing to the network.

use super::report::{Check, list};
use super::{Context, Format, configure, write_json};
use crate::cache::SelfTest;
use crate::config::CacheChoice;
use crate::error::{Error, printable};
use crate::identity::Identity;
use crate::logins::{Login, Logins};
use crate::registry::Registry;
use crate::service::CachedCredential;
use crate::terminal::{Status, Style};
use azure_core::time::{OffsetDateTime, to_rfc3339};
use clap::Args;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::Write;
use std::time::SystemTime;
use time::UtcOffset;

/// `status [--json | --plain]`.
#[derive(Args, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arguments {
    #[command(flatten)]
    pub(super) format: Format,
}

/// What is known of one registry.
struct RegistryStatus {
    registry: Registry,
    /// The container clients on this machine, and whether they ask this helper.
    clients: Vec<(&'static str, Check)>,
    /// The identity that signs in, or why there is none.
    identity: Result<Identity, Error>,
    /// The cached token of that identity.
    token: Option<CachedCredential>,
    /// How many tokens of other identities are cached.
    others: usize,
}

/// What is known of one saved sign-in.
struct Account {
    login: Login,
    /// Whether it is the latest of its cloud.
    is_active: bool,
    /// Whether a keyring holds its token.
    is_usable: bool,
}

/// Prints the registries, the keyring and the saved sign-ins.
///
/// # Errors
///
/// If the settings are wrong, or the output cannot be written.
pub fn run(
    context: &Context<'_>,
    arguments: Arguments,
    mut output: impl Write,
) -> Result<(), Error> {
    context.warn_config_error();
    let registries = registries(context)?;
    let config = context.config(None)?;
    let keyrings = context
        .service()
        .cache(config.cache, config.timeout)
        .self_test();
    let accounts = accounts(context)?;
    if arguments.format.json {
        let keyrings = keyrings.iter().map(
            |keyring| json!({ "name": keyring.store, "problem": keyring.outcome.as_ref().err() }),
        );
        let answer = json!({
            "registries": registries.iter().map(|it| registry_json(context, it)).collect::<Vec<_>>(),
            "keyrings": keyrings.collect::<Vec<_>>(),
            "logins": accounts.iter().map(account_json).collect::<Vec<_>>(),
        });
        return write_json(&mut output, &answer);
    }
    let mut text: String = registries
        .iter()
        .map(|it| registry_text(context, it))
        .collect();
    if registries.is_empty() {
        text = "No registry is configured, and no token is cached.\n".into();
    }
    text += &keyring_text(context, config.cache, &keyrings);
    text.extend(
        accounts
            .iter()
            .map(|account| account_text(context, account)),
    );
    output.write_all(text.as_bytes()).map_err(Error::output)
}

/// Returns the registries that are configured or have a cached token, by host.
fn registries(context: &Context<'_>) -> Result<Vec<RegistryStatus>, Error> {
    let service = context.service();
    let mut cached = service.status()?;
    let mut known = configure::configured_registries(context.settings);
    known.extend(context.settings.registries_with_profiles());
    known.extend(cached.iter().map(|cached| cached.registry.clone()));
    known.sort_by(|one, other| one.host().cmp(other.host()));
    known.dedup();
    let statuses = known.into_iter().map(|registry| {
        let own = cached.extract_if(.., |cached| cached.registry == registry);
        let (mut current, others): (Vec<_>, Vec<_>) = own.partition(|it| it.identity.is_some());
        RegistryStatus {
            clients: clients(context, &registry),
            identity: service.identity(&registry),
            token: current.pop(),
            others: others.len() + current.len(),
            registry,
        }
    });
    Ok(statuses.collect())
}

/// Returns whether each container client on this machine asks this helper for a registry, by the checks of `configure`.
pub(super) fn clients(context: &Context<'_>, registry: &Registry) -> Vec<(&'static str, Check)> {
    let checks = configure::check_cred_helpers(context, registry);
    let clients = ["docker", "podman"].into_iter().zip(checks);
    clients
        .filter(|(_, check)| check.status != Status::Skipped)
        .collect()
}

/// Returns the saved sign-ins of all clouds.
fn accounts(context: &Context<'_>) -> Result<Vec<Account>, Error> {
    let config = context.config(None)?;
    let stores = context.service().cache(CacheChoice::Auto, config.timeout);
    let logins = Logins::new(&config).map_or(Ok(vec![]), |file| file.read())?;
    let accounts = logins.iter().enumerate().map(|(at, login)| Account {
        is_active: logins[at + 1..]
            .iter()
            .all(|later| later.authority != login.authority),
        is_usable: stores.login(&login.key(), (context.clock)()).is_some(),
        login: login.clone(),
    });
    Ok(accounts.collect())
}

/// Times are RFC 3339, in UTC. The names are documented in `help/status.txt`.
fn registry_json(context: &Context<'_>, status: &RegistryStatus) -> Value {
    let rfc3339 = |time: SystemTime| to_rfc3339(&OffsetDateTime::from(time));
    let token = status.token.as_ref();
    let clients = status
        .clients
        .iter()
        .map(|(name, check)| (*name, check.status == Status::Ok));
    json!({
        "registry": status.registry.host(),
        "clients": clients.collect::<std::collections::BTreeMap<_, _>>(),
        "identity": status.identity.as_ref().ok().map(ToString::to_string),
        "problem": status.identity.as_ref().err().map(ToString::to_string),
        "expires": token.and_then(|token| token.expires).map(rfc3339),
        "renewedFrom": token.map(|token| rfc3339(token.renew)),
        "store": token.map(|token| &token.store),
        "otherTokens": status.others,
        "profiles": context.settings.profiles(&status.registry),
    })
}

fn account_json(account: &Account) -> Value {
    let login = &account.login;
    json!({
        "username": login.username,
        "authority": login.authority,
        "tenant": login.tenant,
        "active": account.is_active,
        "usable": account.is_usable,
    })
}

fn registry_text(context: &Context<'_>, status: &RegistryStatus) -> String {
    let terminal = context.terminal;
    let clients = status.clients.iter();
    let clients =
        list(clients.map(|(name, check)| format!("{} {name}", terminal.mark(check.status))));
    let is_ready = status
        .clients
        .iter()
        .any(|(_, check)| check.status == Status::Ok);
    let clients = match (&*clients, is_ready) {
        ("", _) => "none on this machine".to_owned(),
        (_, true) => clients,
        (_, false) => format!(
            "{clients}; run `{} configure {}`",
            super::PROGRAM,
            status.registry
        ),
    };
    let identity = match (&status.identity, &status.token) {
        (Ok(identity), Some(_)) => identity.to_string(),
        (Ok(identity), None) => format!("{identity} (not tested)"),
        (Err(error), _) => format!("{} {error}", terminal.mark(Status::Failed)),
    };
    let now = (context.clock)();
    let mut token = match &status.token {
        Some(token) => {
            let until = token.expires.map(|expires| until(expires, now));
            let until = until.as_deref().unwrap_or("an unknown time");
            format!("in the {}, until {until}", token.store)
        }
        None => "not cached: the next pull or push signs in".to_owned(),
    };
    if status.others > 0 {
        let _ = write!(token, "; {} of another identity", status.others);
    }
    let profiles = context.settings.profiles(&status.registry).join(", ");
    let mut text = terminal.paint(Style::Bold, status.registry.host()) + "\n";
    for (name, value) in [
        ("clients", &clients),
        ("identity", &identity),
        ("token", &token),
        ("profile", &profiles),
    ] {
        if !value.is_empty() {
            let name = terminal.paint(Style::Dim, &format!("{name:<8}"));
            let _ = writeln!(text, "  {name}  {value}");
        }
    }
    text
}

/// Returns which keyring takes new tokens. The first that works does.
fn keyring_text(context: &Context<'_>, choice: CacheChoice, keyrings: &[SelfTest]) -> String {
    let works = keyrings.iter().find(|keyring| keyring.outcome.is_ok());
    let failed = keyrings.iter().filter_map(|keyring| {
        let problem = keyring.outcome.as_ref().err()?;
        Some(format!("{}: {problem}", keyring.store))
    });
    let (status, text) = match works {
        Some(keyring) => (Status::Ok, format!("the {} works", keyring.store)),
        None if choice == CacheChoice::None => (
            Status::Skipped,
            "`cache` is none: each pull and push signs in".to_owned(),
        ),
        None => {
            let text = format!(
                "no keyring works, so each pull and push signs in: {}",
                list(failed)
            );
            (Status::Warning, text)
        }
    };
    context.terminal.sentence(status, &text) + "\n"
}

fn account_text(context: &Context<'_>, account: &Account) -> String {
    let (login, terminal) = (&account.login, context.terminal);
    let active = if account.is_active { ", active" } else { "" };
    let mut text = format!(
        "signed in: {}{active}",
        login.describe(context.settings.clouds())
    );
    if account.is_usable {
        return terminal.sentence(Status::Ok, &text) + "\n";
    }
    let stores = if login.stores.is_empty() {
        "keyring".into()
    } else {
        list(&login.stores)
    };
    let _ = write!(
        text,
        "; its token is not in the {stores}, so pulls and pushes with it fail"
    );
    let tenant = printable(&login.tenant);
    let hint = format!(
        "unlock or start the keyring, or sign in again\n  {} login --tenant {tenant}",
        super::PROGRAM
    );
    Check::unnamed(Status::Warning, text)
        .hint(hint)
        .draw(terminal, 0)
}

/// Returns the saved sign-ins. Empty if the settings or the file are wrong: a sign-in reports that.
pub(super) fn logins(context: &Context<'_>) -> Vec<Login> {
    let logins = context
        .config(None)
        .ok()
        .and_then(|config| Logins::new(&config));
    logins.and_then(|file| file.read().ok()).unwrap_or_default()
}

/// Returns `19:22 (in 2 h 10 min)` in local time, with the date if it is not today.
pub(super) fn until(expires: SystemTime, now: SystemTime) -> String {
    let minutes = expires.duration_since(now).unwrap_or_default().as_secs() / 60;
    let left = match minutes {
        ..60 => format!("{minutes} min"),
        _ => format!("{} h {} min", minutes / 60, minutes % 60),
    };
    let offset = UtcOffset::local_offset_at(OffsetDateTime::from(expires));
    let zone = if offset.is_ok() { "" } else { " UTC" };
    let [expires, now] = [expires, now]
        .map(|time| OffsetDateTime::from(time).to_offset(offset.unwrap_or(UtcOffset::UTC)));
    let day = if expires.date() == now.date() {
        String::new()
    } else {
        format!("{} ", expires.date())
    };
    let (hour, minute) = (expires.hour(), expires.minute());
    format!("{day}{hour:02}:{minute:02}{zone} (in {left})")
}
