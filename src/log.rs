//! The log on stderr. It holds no secret: events name hosts, identities, steps and times.

use crate::config::Log;
use tracing::Event;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Registry;
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{DefaultFields, FormatEvent, FormatFields, Writer};
use tracing_subscriber::layer::SubscriberExt;

/// Writes this crate's events of the chosen level and above to stderr. Events of other crates are left out, because those of an HTTP crate
/// could quote what was sent.
pub fn to_stderr(log: Log) {
    let level = match log {
        Log::Warn => LevelFilter::WARN,
        Log::Info => LevelFilter::INFO,
        Log::Debug => LevelFilter::DEBUG,
    };
    // A broken stderr is no reason to fail, least of all by a panic.
    let layer = tracing_subscriber::fmt::layer()
        .event_format(Line)
        .with_writer(std::io::stderr)
        .log_internal_errors(false);
    let subscriber = tracing_subscriber::registry().with(layer).with(level);
    // Fails only if one is set already.
    drop(tracing::subscriber::set_global_default(subscriber));
}

/// `docker-credential-acrscoped: warn: message, field=value`.
struct Line;

impl FormatEvent<Registry, DefaultFields> for Line {
    fn format_event(
        &self,
        context: &FmtContext<'_, Registry, DefaultFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> std::fmt::Result {
        let metadata = event.metadata();
        if !metadata.target().starts_with(env!("CARGO_CRATE_NAME")) {
            return Ok(());
        }
        let level = metadata.level().as_str().to_ascii_lowercase();
        write!(writer, "{}: {level}: ", env!("CARGO_PKG_NAME"))?;
        let mut fields = String::new();
        context.format_fields(Writer::new(&mut fields), event)?;
        writeln!(writer, "{}", crate::error::visible(&fields))
    }
}
