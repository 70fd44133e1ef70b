//! `status`: prints which tokens and sign-ins are stored. It sends nothing to the network.

use super::{Context, Format, write_json};
use crate::error::{Error, printable};
use crate::logins::{self, Login};
use crate::service::CachedCredential;
use crate::terminal::Style;
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
    #[arg(skip)]
    pub(super) format: Format,
}

/// Prints the cached tokens and the sign-ins of `login`.
///
/// # Errors
///
/// If the settings are wrong, or the output cannot be written.
pub fn run(
    context: &Context<'_>,
    arguments: Arguments,
    mut output: impl Write,
) -> Result<(), Error> {
    let cached = context.service().status()?;
    let logins = logins(context);
    if arguments.format.json {
        let registries: Vec<_> = cached.iter().map(|it| token_json(context, it)).collect();
        let logins: Vec<_> = logins.iter().map(login_json).collect();
        let answer = json!({ "registries": registries, "logins": logins });
        return write_json(&mut output, &answer);
    }
    let mut text: String = cached.iter().map(|token| to_text(context, token)).collect();
    if cached.is_empty() {
        text = "No token is cached: the next pull or push of each registry signs in.\n".into();
    }
    for login in &logins {
        let (username, tenant) = (printable(&login.username), printable(&login.tenant));
        let host = login.host();
        let line = format!("signed in with `login`: {username} at {host}, tenant {tenant}");
        // Continuation lines are indented like the lines of a registry.
        let _ = writeln!(text, "{}", context.terminal.wrap(&line, 2).trim_start());
    }
    output.write_all(text.as_bytes()).map_err(Error::output)
}

/// Times are RFC 3339, in UTC. The identity is shown if it would also sign in now.
fn token_json(context: &Context<'_>, token: &CachedCredential) -> Value {
    let rfc3339 = |time: SystemTime| to_rfc3339(&OffsetDateTime::from(time));
    json!({
        "registry": token.registry.host(),
        "expires": token.expires.map(rfc3339),
        "renewedFrom": rfc3339(token.renew),
        "identity": token.identity.as_ref().map(ToString::to_string),
        "store": token.store,
        "profiles": context.settings.profiles(&token.registry),
    })
}

fn login_json(login: &Login) -> Value {
    json!({
        "username": login.username,
        "authority": login.authority,
        "tenant": login.tenant,
    })
}

fn to_text(context: &Context<'_>, token: &CachedCredential) -> String {
    let terminal = context.terminal;
    let now = (context.clock)();
    let until = token.expires.map(|expires| until(expires, now));
    let identity = token.identity.as_ref().map(ToString::to_string);
    let profiles = context.settings.profiles(&token.registry).join(", ");
    let profiles = Some(profiles).filter(|profiles| !profiles.is_empty());
    let mut text = terminal.paint(Style::Bold, token.registry.host()) + "\n";
    for (name, value) in [
        ("until", until.as_deref().unwrap_or("an unknown time")),
        (
            "identity",
            identity
                .as_deref()
                .unwrap_or("another than the current one"),
        ),
        ("kept in", &token.store),
        ("profile", profiles.as_deref().unwrap_or("none")),
    ] {
        let name = terminal.paint(Style::Dim, &format!("{name:<8}"));
        let _ = writeln!(text, "  {name}  {value}");
    }
    text
}

/// Returns the sign-ins of `login`. Empty if the settings or the file are wrong: a sign-in reports that.
pub(super) fn logins(context: &Context<'_>) -> Vec<Login> {
    let config = context.config(None).ok();
    let file = config.and_then(|config| config.sources.logins);
    file.and_then(|file| logins::read(&file).ok())
        .unwrap_or_default()
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
