//! The log on stderr, and in a file for clients that hide stderr. It holds no secret: events name hosts, identities, steps and times.
//!
//! It is a small subscriber of our own. That of `tracing-subscriber` allocates and clears 32 KiB for spans, which this crate does not have, at
//! each start.

mod file;

use crate::config::{Log, Settings};
use crate::deadline::Clock;
use crate::error::{Error, sanitize};
use azure_core::time::{OffsetDateTime, to_rfc3339};
use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::{self, Write as _};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Starts the log of this process. `level` replaces the setting `log`. A log file that cannot be opened is a warning.
///
/// # Errors
///
/// A setting is wrong.
pub fn start(settings: &Settings, level: Option<Log>, clock: Clock) -> Result<(), Error> {
    let level = level_filter(level.map_or_else(|| settings.log(), Ok)?);
    let path = settings.log_file()?;
    let opened = path
        .as_deref()
        .map(|path| file::open(path, settings.working_directory()));
    let (file, problem) = match opened {
        Some(Ok(file)) => (Some((level.max(LevelFilter::INFO), file)), None),
        Some(Err(error)) => (None, Some(error)),
        None => (None, None),
    };
    // Fails only if one is set already.
    drop(tracing::subscriber::set_global_default(Logger {
        level,
        file,
        clock,
    }));
    if let (Some(problem), Some(path)) = (problem, path) {
        tracing::warn!("the helper writes no log to {}: {problem}", path.display());
    }
    for misspelling in settings.unknown_variables() {
        tracing::warn!("{misspelling}");
    }
    Ok(())
}

fn level_filter(log: Log) -> LevelFilter {
    match log {
        Log::Warn => LevelFilter::WARN,
        Log::Info => LevelFilter::INFO,
        Log::Debug => LevelFilter::DEBUG,
    }
}

/// Writes this crate's events, each as a line. It leaves out events of other crates, because those of an HTTP crate could quote what was sent.
struct Logger {
    level: LevelFilter,
    file: Option<(LevelFilter, File)>,
    clock: Clock,
}

impl Logger {
    fn max_level(&self) -> LevelFilter {
        self.file.as_ref().map_or(self.level, |(level, _)| *level)
    }
}

impl Subscriber for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.max_level()
            && metadata.target().starts_with(env!("CARGO_CRATE_NAME"))
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.max_level())
    }

    // A log that cannot be written is no reason to fail, least of all by a panic.
    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        let level = event.metadata().level();
        let line = format!(
            "{}: {}\n",
            level.as_str().to_ascii_lowercase(),
            sanitize(&text.0)
        );
        if *level <= self.level {
            let line = format!("{}: {line}", env!("CARGO_PKG_NAME"));
            let _ = io::stderr().write_all(line.as_bytes());
        }
        if let Some((_, file)) = &self.file {
            let time = to_rfc3339(&OffsetDateTime::from((self.clock)()));
            let line = format!("{time} [{}] {line}", std::process::id());
            let _ = { file }.write_all(line.as_bytes());
        }
    }

    // This crate has events only, and no spans.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// The message of an event and its fields, as `message name=value name="a value"`.
#[derive(Default)]
struct Text(String);

impl Text {
    fn push(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.0.insert_str(0, value);
        } else if value.is_empty() || value.contains([' ', '"', '=']) {
            let _ = write!(self.0, " {}={value:?}", field.name());
        } else {
            let _ = write!(self.0, " {}={value}", field.name());
        }
    }
}

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.push(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        // A duration. Its microseconds are noise.
        let milliseconds = text
            .strip_suffix("ms")
            .and_then(|number| number.parse::<f64>().ok());
        match milliseconds {
            Some(number) => self.push(field, &format!("{number:.1}ms")),
            None => self.push(field, &text),
        }
    }
}
