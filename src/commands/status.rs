//! `status`: shows whether each known registry is ready to use. It sends nothing to the network.

use super::report::{Check, list};
use super::{Context, PROGRAM, configure, write_json};
use crate::config::CacheChoice;
use crate::error::{Error, sanitize_line};
use crate::logins::{Login, Logins};
use crate::registry::{CLOUDS, Registry};
use crate::service::CachedCredential;
use crate::terminal::{Status, Style};
use crate::text::shell_word;
use azure_core::time::{OffsetDateTime, to_rfc3339};
use serde_json::{Value, json};
use std::io::Write;
use std::process::ExitCode;
use std::time::SystemTime;
use time::UtcOffset;

/// The checks of one registry or saved sign-in, and what scripts read of it.
struct Section {
    checks: Vec<Check>,
    json: Value,
}

/// Prints the registries, the keyring and the saved sign-ins. The exit code is not 0 if a registry cannot be used.
///
/// # Errors
///
/// If the settings are wrong, or the output cannot be written.
pub fn run(context: &Context<'_>, mut output: impl Write) -> Result<ExitCode, Error> {
    context.warn_config_error();
    let registries = registries(context)?;
    let keyring = keyring(context)?;
    let logins = saved_sign_ins(context)?;
    let mut checks = registries.iter().flat_map(|section| &section.checks);
    let exit_code = ExitCode::from(u8::from(checks.any(Check::is_bad)));
    if context.is_json {
        let [registries, logins] = [registries, logins].map(|sections| {
            let sections = sections.into_iter();
            sections.map(|section| section.json).collect::<Vec<_>>()
        });
        let answer = json!({ "registries": registries, "keyring": keyring, "logins": logins });
        write_json(&mut output, &answer)?;
        return Ok(exit_code);
    }
    let terminal = context.terminal;
    let mut text = String::new();
    for section in &registries {
        let host = section.json["registry"].as_str().unwrap_or_default();
        text += &(terminal.paint(Style::Bold, host) + "\n");
        text.extend(section.checks.iter().map(|check| check.draw(terminal, 2)));
    }
    if registries.is_empty() {
        text = "No registry is configured, and no token is cached.\n".into();
    }
    text += &keyring.draw(terminal, 0);
    let logins = logins.iter().flat_map(|section| &section.checks);
    text.extend(logins.map(|check| check.draw(terminal, 0)));
    output.write_all(text.as_bytes()).map_err(Error::output)?;
    Ok(exit_code)
}

/// Returns the known registries, by host.
fn registries(context: &Context<'_>) -> Result<Vec<Section>, Error> {
    let mut cached = context.service().status()?;
    let known = configure::known_registries(context)?;
    let sections = known.iter().map(|registry| {
        let own = cached.extract_if(.., |cached| cached.registry == *registry);
        registry_section(context, registry, own.collect())
    });
    Ok(sections.collect())
}

/// Describes a registry. The token of the identity that signs in now comes first among the cached ones.
fn registry_section(
    context: &Context<'_>,
    registry: &Registry,
    cached: Vec<CachedCredential>,
) -> Section {
    let mut cached = cached.into_iter().peekable();
    let token = cached.next_if(|cached| cached.identity.is_some());
    let others = cached.count();
    let identity = context.service().identity(registry);
    let sign_in = match (&identity, &token) {
        (Err(error), _) => Check::failed("sign-in", error),
        (Ok(identity), None) if !configure::is_configured(identity) => {
            let text = "no identity is configured: the next pull or push would try the metadata service of a virtual machine";
            let hint = format!("sign in\n  {PROGRAM} login {registry}");
            Check::warning("sign-in", text).hint(hint)
        }
        (Ok(identity), None) => {
            let text =
                format!("no token is cached: the next pull or push signs in with {identity}");
            Check::skipped("sign-in", text)
        }
        (Ok(identity), Some(token)) => {
            let until = token
                .expires
                .map(|expires| until(expires, (context.clock)()));
            let until = until.as_deref().unwrap_or("an unknown time");
            let store = &token.store;
            let text = format!("{identity}: token in the {store} until {until}");
            Check::good("sign-in", text)
        }
    };
    let mut checks = vec![clients_check(&clients(context, registry)), sign_in];
    if others > 0 {
        let text = match others {
            1 => "1 cached token belongs to another identity".to_owned(),
            _ => format!("{others} cached tokens belong to other identities"),
        };
        checks.push(Check::skipped("other-tokens", text));
    }
    let rfc3339 = |time: SystemTime| to_rfc3339(&OffsetDateTime::from(time));
    let token = token.as_ref();
    let json = json!({
        "registry": registry.host(),
        "identity": identity.as_ref().ok().map(ToString::to_string),
        "expires": token.and_then(|token| token.expires).map(rfc3339),
        "renewedFrom": token.map(|token| rfc3339(token.renew)),
        "store": token.map(|token| &token.store),
        "profiles": context.settings.profiles(registry),
        "checks": checks,
    });
    Section { checks, json }
}

/// Returns the container clients on this machine, and whether each asks this helper for a registry, by the checks of `configure`.
pub(super) fn clients(context: &Context<'_>, registry: &Registry) -> Vec<(&'static str, Check)> {
    let checks = configure::check_cred_helpers(context, registry);
    let clients = ["docker", "podman"].into_iter().zip(checks);
    clients
        .filter(|(_, check)| check.status != Status::Skipped)
        .collect()
}

fn is_ok(check: &Check) -> bool {
    check.status == Status::Ok
}

/// Sums up which clients ask this helper, with what to do about the first that does not.
fn clients_check(clients: &[(&'static str, Check)]) -> Check {
    const NAME: &str = "clients";
    let (users, others): (Vec<_>, Vec<_>) = clients.iter().partition(|(_, check)| is_ok(check));
    let names = |clients: &[&(&str, Check)]| list(clients.iter().map(|(name, _)| *name));
    let mut check = match (&*names(&users), &*names(&others)) {
        ("", "") => Check::skipped(NAME, "no container client is installed"),
        ("", others) => Check::bad(NAME, format!("not used by {others}")),
        (users, "") => Check::good(NAME, format!("used by {users}")),
        (users, others) => Check::warning(NAME, format!("used by {users}, not by {others}")),
    };
    check.hint = others.first().and_then(|(_, other)| other.hint.clone());
    check
}

/// Tests which keyring takes new tokens: the first that works does.
fn keyring(context: &Context<'_>) -> Result<Check, Error> {
    const NAME: &str = "keyring";
    let config = context.config(None)?;
    let cache = context.service().cache(config.cache, config.timeout);
    Ok(match cache.working_store() {
        _ if config.cache == CacheChoice::None => {
            Check::skipped(NAME, "`cache` is none: each pull and push signs in")
        }
        Ok(store) => Check::good(NAME, format!("tokens are cached in the {store}")),
        Err(problems) => {
            let text = "no keyring works, so each pull and push signs in";
            Check::warning(NAME, format!("{text}: {}", list(problems)))
                .hint("unlock or start the keyring")
        }
    })
}

/// Returns the saved sign-ins of all clouds, and whether a keyring still has the token of each.
fn saved_sign_ins(context: &Context<'_>) -> Result<Vec<Section>, Error> {
    let config = context.config(None)?;
    let stores = context.service().cache(CacheChoice::Auto, config.timeout);
    let logins = Logins::of(&config)?;
    let sections = logins.iter().enumerate().map(|(at, login)| {
        let mut later = logins[at + 1..].iter();
        let is_active = later.all(|later| later.authority != login.authority);
        let is_usable = stores.login(&login.key(), (context.clock)()).is_some();
        let json = json!({
            "username": login.username,
            "authority": login.authority,
            "tenant": login.tenant,
            "active": is_active,
            "usable": is_usable,
        });
        let checks = vec![login_check(context, login, is_active, is_usable)];
        Section { checks, json }
    });
    Ok(sections.collect())
}

fn login_check(context: &Context<'_>, login: &Login, is_active: bool, is_usable: bool) -> Check {
    let active = if is_active { ", active" } else { "" };
    let account = login.describe(context.settings.clouds());
    let text = format!("saved sign-in: {account}{active}");
    if is_usable {
        return Check::good("", text);
    }
    let mut hint = "unlock or start the keyring, or sign in again".to_owned();
    // In another cloud a sign-in needs the name of a registry.
    if login.cloud_name(&[]) == CLOUDS[0].name {
        let tenant = shell_word(&sanitize_line(&login.tenant));
        hint += &["\n  ", PROGRAM, " login --tenant ", &tenant].concat();
    }
    let stores = list(&login.stores);
    Check::warning("", format!("{text}; its token is not found in: {stores}")).hint(hint)
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
