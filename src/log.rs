//! The log on stderr. It holds no secret: events name hosts, identities, steps and times.
//!
//! It is a small subscriber of our own. That of `tracing-subscriber` allocates and clears 32 KiB for spans, which this crate does not have, at
//! each start.

use crate::config::Log;
use std::fmt::{Debug, Write as _};
use std::io::{self, Write as _};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Writes this crate's events of the chosen level and above to stderr. Events of other crates are left out, because those of an HTTP crate
/// could quote what was sent.
pub fn to_stderr(log: Log) {
    let level = match log {
        Log::Warn => LevelFilter::WARN,
        Log::Info => LevelFilter::INFO,
        Log::Debug => LevelFilter::DEBUG,
    };
    // Fails only if one is set already.
    drop(tracing::subscriber::set_global_default(StderrLog(level)));
}

/// Writes events of this level and above. This crate has no spans.
struct StderrLog(LevelFilter);

impl Subscriber for StderrLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let is_ours = metadata.target().starts_with(env!("CARGO_CRATE_NAME"));
        is_ours && *metadata.level() <= self.0
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.0)
    }

    /// Writes `docker-credential-acrscoped: warn: message field=value`.
    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields(String::new());
        event.record(&mut fields);
        let level = event.metadata().level().as_str().to_ascii_lowercase();
        let fields = crate::error::visible(&fields.0);
        let line = format!("{}: {level}:{fields}\n", env!("CARGO_PKG_NAME"));
        // A broken stderr is no reason to fail, least of all by a panic.
        let _ = io::stderr().write_all(line.as_bytes());
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The message and the other fields of an event, each after a space.
struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a string does not fail.
        let _ = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::{Level, debug, enabled, info, subscriber::with_default};

    #[test]
    fn only_events_of_this_crate_and_of_the_chosen_level_are_written() {
        with_default(StderrLog(LevelFilter::INFO), || {
            assert!(enabled!(Level::WARN) && enabled!(Level::INFO));
            assert!(!enabled!(Level::DEBUG));
            assert!(!enabled!(target: "hyper::client", Level::WARN));
        });
        with_default(StderrLog(LevelFilter::DEBUG), || {
            assert!(enabled!(Level::DEBUG));
        });
    }

    #[test]
    fn a_message_comes_before_the_fields_of_its_event() {
        struct Capture(std::sync::mpsc::Sender<String>);

        impl Subscriber for Capture {
            fn enabled(&self, _: &Metadata<'_>) -> bool {
                true
            }

            fn event(&self, event: &Event<'_>) {
                let mut fields = Fields(String::new());
                event.record(&mut fields);
                self.0.send(fields.0).unwrap();
            }

            fn new_span(&self, _: &Attributes<'_>) -> Id {
                Id::from_u64(1)
            }

            fn record(&self, _: &Id, _: &Record<'_>) {}

            fn record_follows_from(&self, _: &Id, _: &Id) {}

            fn enter(&self, _: &Id) {}

            fn exit(&self, _: &Id) {}
        }

        let (sender, lines) = std::sync::mpsc::channel();
        with_default(Capture(sender), || {
            debug!(store = "memory", problem = %"locked", "{} failed", "look-up");
            info!("signing in");
        });
        assert_eq!(
            lines.iter().collect::<Vec<_>>(),
            [
                r#" look-up failed store="memory" problem=locked"#,
                " signing in"
            ]
        );
    }
}
