//! `config`: shows and changes settings, and where each comes from.

use super::{Context, write_json};
use crate::config::{KEYS, Key, Kind, Origin, Settings, edit};
use crate::error::{Error, sanitize_line};
use crate::registry::Registry;
use crate::terminal::{Status, Style, Terminal};
use clap::builder::PossibleValuesParser;
use clap::{Args, Command, Subcommand};
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeSet;
use std::io::Write;
use std::process::ExitCode;

/// `config [--registry REGISTRY] get KEY | set KEY VALUE | unset KEY | list | path`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    /// Read or change the settings of this registry only, or of all below a suffix, such as `*.azurecr.us`.
    #[arg(long, global = true)]
    registry: Option<String>,
    #[command(subcommand)]
    action: Action,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
enum Action {
    /// Print the value of a setting.
    #[command(after_help = "Examples:\n  docker-credential-acrscoped config get timeout")]
    Get {
        /// The setting, such as `timeout`.
        key: String,
    },
    /// Set a setting in the config file.
    #[command(after_help = include_str!("help/config-set.txt"))]
    Set {
        /// The setting, such as `timeout`.
        key: String,
        /// Its value.
        value: String,
    },
    /// Remove a setting from the config file.
    #[command(after_help = "Examples:\n  docker-credential-acrscoped config unset timeout")]
    Unset {
        /// The setting, such as `timeout`.
        key: String,
    },
    /// Show each setting, its value and where it comes from.
    #[command(after_help = "Examples:\n  docker-credential-acrscoped config list --json")]
    List,
    /// Print the path of the config file.
    #[command(after_help = "Examples:\n  docker-credential-acrscoped config path")]
    Path,
}

impl Arguments {
    /// Returns whether a setting is changed. The other actions print what was asked for.
    pub(super) fn is_change(&self) -> bool {
        matches!(self.action, Action::Set { .. } | Action::Unset { .. })
    }
}

/// Lets the shell complete the names of settings, and the values of those that have only a few. It does not know which setting was typed.
pub(super) fn with_completions(config: Command) -> Command {
    let words = KEYS.iter().filter_map(|key| match key.kind {
        Kind::Word(words) => Some(words),
        _ => None,
    });
    let words: BTreeSet<&str> = words.flatten().copied().collect();
    let names = KEYS.iter().map(|key| key.name);
    config.mut_subcommands(|action| {
        action.mut_args(|arg| match arg.get_id().as_str() {
            "key" => arg.value_parser(PossibleValuesParser::new(names.clone())),
            "value" => arg.value_parser(PossibleValuesParser::new(words.clone())),
            _ => arg,
        })
    })
}

/// Shows or changes settings. `path`, `set` and `unset` work if the config file is broken, so that it can be fixed.
///
/// # Errors
///
/// A name or value is wrong, or the config file cannot be read or written.
pub fn run(
    context: &Context<'_>,
    arguments: &Arguments,
    mut output: impl Write,
) -> Result<ExitCode, Error> {
    let is_read = matches!(arguments.action, Action::Get { .. } | Action::List);
    if let Some(error) = context.config_error.filter(|_| is_read) {
        return Err(error.clone());
    }
    let (profile, registry) = scope(context, arguments.registry.as_deref())?;
    let (profile, registry) = (profile.as_deref(), registry.as_ref());
    let mut code = ExitCode::SUCCESS;
    let (json, text) = match &arguments.action {
        Action::Get { key } => {
            let row = row(context.settings, registry, edit::key(key)?)?;
            if row.value.is_none() {
                (context.print_error)(&format!("`{key}` is not set\n"));
                code = ExitCode::FAILURE;
            }
            let text = row.value.as_deref().map(|value| format!("{value}\n"));
            (json!(row), text.unwrap_or_default())
        }
        Action::Set { key, value } => {
            path(context)?;
            let changed = edit::change_in_file(context.settings, profile, key, Some(value))?;
            let row = row(&changed, registry, edit::key(key)?)?;
            let text = result(context.terminal, &changed, profile, &row, value);
            (json!(row), text)
        }
        Action::Unset { key } => {
            let changed = edit::change_in_file(context.settings, profile, key, None)?;
            let (key, file) = (sanitize_line(key), changed.file().display());
            let text = format!("removed `{key}` from {file}\n");
            let json = json!({ "removed": key, "file": file.to_string() });
            (json, text)
        }
        Action::List => {
            let rows = KEYS.iter().map(|key| row(context.settings, registry, key));
            let rows = rows.collect::<Result<Vec<_>, _>>()?;
            let lines = rows.iter().map(|row| {
                let value = row.value.as_deref().unwrap_or("-");
                let origin = context.terminal.paint(Style::Dim, &row.origin);
                format!("{:<18}  {value:<16}  {origin}\n", row.name)
            });
            (json!({ "settings": rows }), lines.collect())
        }
        Action::Path => {
            let path = path(context)?;
            (json!(path), path + "\n")
        }
    };
    if context.is_json {
        write_json(&mut output, &json)?;
    } else {
        output.write_all(text.as_bytes()).map_err(Error::output)?;
    }
    Ok(code)
}

/// Returns the name of the profile, and the registry whose settings are meant. For all below a suffix, one of them stands for all.
fn scope(
    context: &Context<'_>,
    text: Option<&str>,
) -> Result<(Option<String>, Option<Registry>), Error> {
    let Some(text) = text else {
        return Ok((None, None));
    };
    let suffix = text.strip_prefix("*.");
    let one = suffix.map(|suffix| format!("contoso.{suffix}"));
    let one = one.and_then(|host| Registry::parse(&host, context.settings.clouds()));
    if one.is_some() {
        return Ok((Some(text.to_lowercase()), one));
    }
    let registry = context.registry(text)?;
    Ok((Some(registry.host().to_owned()), Some(registry)))
}

fn path(context: &Context<'_>) -> Result<String, Error> {
    let path = context.settings.file();
    if path.as_os_str().is_empty() {
        return Err(Error::input("this account has no folder for settings"));
    }
    Ok(path.display().to_string())
}

/// Returns where a setting is now, and a warning if another place has priority.
fn result(
    terminal: Terminal,
    changed: &Settings,
    profile: Option<&str>,
    row: &Row,
    value: &str,
) -> String {
    let origin = changed.origin_in_file(profile, row.name);
    let set = origin.map(|origin| origin.setting(&format!("{} = {value}", row.name)));
    let mut text = sanitize_line(&set.unwrap_or_default()) + "\n";
    if origin.is_some_and(|origin| sanitize_line(&origin.to_string()) != row.origin) {
        let (origin, name) = (&row.origin, row.name);
        let value = row.value.as_deref().unwrap_or_default();
        let warning = format!("{origin} overrides the file, so `{name}` is still {value}");
        text += &(terminal.sentence(Status::Warning, &warning) + "\n");
    }
    text
}

/// A setting as it applies.
#[derive(Serialize)]
struct Row {
    name: &'static str,
    value: Option<String>,
    /// Where the value is set, or what applies without one.
    origin: String,
    /// The word of the origin for scripts.
    from: &'static str,
}

fn row(settings: &Settings, registry: Option<&Registry>, key: &Key) -> Result<Row, Error> {
    let settings = settings.explain(registry)?;
    let found = settings.iter().find(|(name, _)| *name == key.name);
    let found = found.map(|(_, found)| found);
    let default = key.default_value();
    let (from, origin) = match found.map(|found| &found.origin) {
        None if default.is_none() => ("default", format!("not set: {}", key.default)),
        None => ("default", "default".to_owned()),
        Some(origin @ Origin::File { profile: None, .. }) => ("file", origin.to_string()),
        Some(origin @ Origin::File { .. }) => ("profile", origin.to_string()),
        Some(origin) => ("variable", origin.to_string()),
    };
    let value = found.map(|found| found.value.as_str()).or(default);
    Ok(Row {
        name: key.name,
        value: value.map(sanitize_line),
        origin: sanitize_line(&origin),
        from,
    })
}
