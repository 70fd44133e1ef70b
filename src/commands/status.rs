//! `status`: what is cached, for whom and until when. Nothing leaves the machine.

use super::{Context, Format, write_json};
use crate::error::{Error, printable};
use crate::logins::{self, Login};
use crate::registry::CLOUDS;
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

/// The answer in JSON.
#[derive(Serialize)]
struct Answer {
    registries: Vec<Row>,
    logins: Vec<SignedIn>,
}

/// Somebody who signed in with `login`, in JSON.
#[derive(Serialize)]
struct SignedIn {
    username: String,
    authority: String,
    tenant: String,
}

/// One token in JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    registry: String,
    /// RFC 3339, in UTC.
    expires: Option<String>,
    renewed_from: String,
    /// Who it was issued to; null for somebody else than who would sign in now.
    identity: Option<String>,
    store: String,
    /// The patterns of the profiles that hold, the strongest first.
    profiles: Vec<String>,
}

/// Prints a table of the registries with a cached token, and who signed in with `login`.
pub fn run(
    context: &Context<'_>,
    arguments: Arguments,
    mut output: impl Write,
) -> Result<(), Error> {
    let cached = context.service().status()?;
    let logins = logins(context);
    let profiles = |cached: &CachedCredential| -> Vec<String> {
        context
            .settings
            .profiles(&cached.registry)
            .into_iter()
            .map(str::to_owned)
            .collect()
    };
    if arguments.format.json {
        let rfc3339 = |time: SystemTime| to_rfc3339(&OffsetDateTime::from(time));
        let registries: Vec<Row> = cached
            .into_iter()
            .map(|cached| Row {
                profiles: profiles(&cached),
                registry: cached.registry.host().to_owned(),
                expires: cached.expires.map(rfc3339),
                renewed_from: rfc3339(cached.renew),
                identity: cached.identity.map(|identity| identity.to_string()),
                store: cached.store,
            })
            .collect();
        let logins = logins.into_iter().map(
            |Login {
                 username,
                 authority,
                 tenant,
                 ..
             }| SignedIn {
                username,
                authority,
                tenant,
            },
        );
        return write_json(
            &mut output,
            &Answer {
                registries,
                logins: logins.collect(),
            },
        );
    }
    let now = (context.clock)();
    let terminal = context.terminal;
    let mut text = String::new();
    for cached in &cached {
        let until = cached
            .expires
            .map_or("an unknown time".to_owned(), |expires| until(expires, now));
        let identity = cached.identity.as_ref().map_or_else(
            || "somebody else than who would sign in now".to_owned(),
            ToString::to_string,
        );
        let profiles = profiles(cached);
        let profile = if profiles.is_empty() {
            "none".to_owned()
        } else {
            profiles.join(", ")
        };
        let host = terminal.paint(Style::Bold, cached.registry.host());
        let rows = [
            ("until", until),
            ("identity", identity),
            ("kept in", cached.store.clone()),
            ("profile", profile),
        ];
        let _ = writeln!(text, "{host}");
        for (name, value) in rows {
            let _ = writeln!(
                text,
                "  {}  {value}",
                terminal.paint(Style::Dim, &format!("{name:<8}"))
            );
        }
    }
    if cached.is_empty() {
        text = "No token is cached: the next pull or push of each registry signs in.\n".into();
    }
    for login in &logins {
        let (who, host, tenant) = (
            printable(&login.username),
            login.host(),
            printable(&login.tenant),
        );
        let signed_in = format!("signed in with `login`: {who} at {host}, tenant {tenant}");
        // Further lines stand below the first, as those of a registry do.
        let _ = writeln!(text, "{}", terminal.wrap(&signed_in, 2).trim_start());
    }
    output.write_all(text.as_bytes()).map_err(Error::output)
}

/// Everybody who signed in with `login`. Where the settings or the file are of no use, nobody is shown; a sign-in says what is wrong.
pub(super) fn logins(context: &Context<'_>) -> Vec<Login> {
    let file = context
        .settings
        .for_cloud(&CLOUDS[0])
        .ok()
        .and_then(|config| config.sources.logins);
    file.and_then(|file| logins::read(&file).ok())
        .unwrap_or_default()
}

/// `19:22 (in 2 h 10 min)`, with the day when it is another, in the time of this machine.
pub(super) fn until(expires: SystemTime, now: SystemTime) -> String {
    let left = expires.duration_since(now).unwrap_or_default().as_secs() / 60;
    let left = if left < 60 {
        format!("{left} min")
    } else {
        format!("{} h {} min", left / 60, left % 60)
    };
    let local = |time: SystemTime| {
        let time = OffsetDateTime::from(time);
        // No time zone, no local time.
        UtcOffset::local_offset_at(time)
            .map_or((time, " UTC"), |offset| (time.to_offset(offset), ""))
    };
    let ((expires, zone), (now, _)) = (local(expires), local(now));
    let day = if expires.date() == now.date() {
        String::new()
    } else {
        format!("{} ", expires.date())
    };
    format!(
        "{day}{:02}:{:02}{zone} (in {left})",
        expires.hour(),
        expires.minute()
    )
}
