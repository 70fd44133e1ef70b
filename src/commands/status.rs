//! `status`: what is cached, for whom and until when. Nothing leaves the machine.

use super::{Context, Format, write_json};
use crate::error::Error;
use crate::helper::Cached;
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

/// One token in JSON.
#[derive(Serialize)]
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

/// Prints a table of the registries with a cached token.
pub fn run(context: &Context<'_>, arguments: Arguments, mut output: impl Write) -> Result<(), Error> {
    let cached = context.helper().status()?;
    let profiles =
        |cached: &Cached| -> Vec<String> { context.settings.profiles(&cached.registry).into_iter().map(str::to_owned).collect() };
    if arguments.format.json {
        let rfc3339 = |time: SystemTime| to_rfc3339(&OffsetDateTime::from(time));
        let rows: Vec<Row> = cached
            .into_iter()
            .map(|cached| Row {
                profiles: profiles(&cached),
                registry: cached.registry.host().to_owned(),
                expires: cached.expires.map(rfc3339),
                renewed_from: rfc3339(cached.renew),
                identity: cached.identity,
                store: cached.store,
            })
            .collect();
        return write_json(&mut output, &rows);
    }
    let now = (context.clock)();
    let terminal = context.terminal;
    let mut text = String::new();
    for cached in &cached {
        let until = cached.expires.map_or("an unknown time".to_owned(), |expires| until(expires, now));
        let identity = cached.identity.as_deref().unwrap_or("somebody else than who would sign in now");
        let profiles = profiles(cached);
        let profile = if profiles.is_empty() { "none".to_owned() } else { profiles.join(", ") };
        let host = terminal.paint(Style::Bold, cached.registry.host());
        let rows = [("until", until), ("identity", identity.to_owned()), ("kept in", cached.store.clone()), ("profile", profile)];
        let _ = writeln!(text, "{host}");
        for (name, value) in rows {
            let _ = writeln!(text, "  {}  {value}", terminal.paint(Style::Dim, &format!("{name:<8}")));
        }
    }
    if cached.is_empty() {
        text = "No token is cached: the next pull or push of each registry signs in.\n".into();
    }
    output.write_all(text.as_bytes()).map_err(Error::Output)
}

/// `19:22 (in 2 h 10 min)`, with the day when it is another, in the time of this machine.
pub(super) fn until(expires: SystemTime, now: SystemTime) -> String {
    let left = expires.duration_since(now).unwrap_or_default().as_secs() / 60;
    let left = if left < 60 { format!("{left} min") } else { format!("{} h {} min", left / 60, left % 60) };
    let local = |time: SystemTime| {
        let time = OffsetDateTime::from(time);
        // No time zone, no local time.
        UtcOffset::local_offset_at(time).map_or((time, " UTC"), |offset| (time.to_offset(offset), ""))
    };
    let ((expires, zone), (now, _)) = (local(expires), local(now));
    let day = if expires.date() == now.date() { String::new() } else { format!("{} ", expires.date()) };
    format!("{day}{:02}:{:02}{zone} (in {left})", expires.hour(), expires.minute())
}
