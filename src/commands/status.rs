//! `status`: prints which tokens and sign-ins are stored. It sends nothing to the network.

use super::{Context, Format, write_json};
use crate::error::{Error, printable};
use crate::logins::{self, Login};
use crate::service::CachedCredential;
use crate::terminal::Style;
use azure_core::time::{OffsetDateTime, to_rfc3339};
use clap::Args;
use serde::Serialize;
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

/// The output in JSON.
#[derive(Serialize)]
struct StatusOutput {
    registries: Vec<CachedToken>,
    logins: Vec<SavedLogin>,
}

/// A sign-in of `login`.
#[derive(Serialize)]
struct SavedLogin {
    username: String,
    authority: String,
    tenant: String,
}

/// A token of a registry.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CachedToken {
    registry: String,
    /// RFC 3339, in UTC.
    expires: Option<String>,
    renewed_from: String,
    /// The identity, if it would also sign in now.
    identity: Option<String>,
    store: String,
    /// The patterns of the matching profiles, the strongest first.
    profiles: Vec<String>,
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
        let registries = cached.into_iter().map(|token| to_json(context, token));
        let logins = logins.into_iter().map(|login| SavedLogin {
            username: login.username,
            authority: login.authority,
            tenant: login.tenant,
        });
        let answer = StatusOutput {
            registries: registries.collect(),
            logins: logins.collect(),
        };
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

fn to_json(context: &Context<'_>, token: CachedCredential) -> CachedToken {
    let rfc3339 = |time: SystemTime| to_rfc3339(&OffsetDateTime::from(time));
    let profiles = context.settings.profiles(&token.registry);
    CachedToken {
        profiles: profiles.into_iter().map(str::to_owned).collect(),
        registry: token.registry.host().to_owned(),
        expires: token.expires.map(rfc3339),
        renewed_from: rfc3339(token.renew),
        identity: token.identity.map(|identity| identity.to_string()),
        store: token.store,
    }
}

fn to_text(context: &Context<'_>, token: &CachedCredential) -> String {
    let terminal = context.terminal;
    let expires = token
        .expires
        .map_or("an unknown time".to_owned(), |expires| {
            until(expires, (context.clock)())
        });
    let identity = token.identity.as_ref().map_or_else(
        || "somebody else than who would sign in now".to_owned(),
        ToString::to_string,
    );
    let profiles = context.settings.profiles(&token.registry).join(", ");
    let profiles = if profiles.is_empty() {
        "none"
    } else {
        &profiles
    };
    let mut text = terminal.paint(Style::Bold, token.registry.host()) + "\n";
    for (name, value) in [
        ("until", expires.as_str()),
        ("identity", &identity),
        ("kept in", &token.store),
        ("profile", profiles),
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
