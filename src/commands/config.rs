//! `config`: shows and changes settings, and where each comes from.

use super::{Context, Format, write_json};
use crate::config::{KEYS, Key, Origin, edit};
use crate::error::{Error, sanitize_line};
use crate::registry::Registry;
use crate::terminal::{Status, Style};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;

/// `config [--registry REGISTRY] get KEY | set KEY VALUE | unset KEY | list | path`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    /// The registry whose settings are meant (default: what applies to all registries).
    #[arg(long, global = true)]
    registry: Option<String>,
    #[command(subcommand)]
    action: Action,
    #[arg(skip)]
    pub(super) format: Format,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
enum Action {
    /// Print the value of a setting.
    Get {
        /// The setting, such as `timeout`.
        key: String,
    },
    /// Set a setting in the config file.
    Set {
        /// The setting, such as `timeout`.
        key: String,
        /// Its value.
        value: String,
    },
    /// Remove a setting from the config file.
    Unset {
        /// The setting, such as `timeout`.
        key: String,
    },
    /// Show each setting, its value and where it comes from.
    List,
    /// Print the path of the config file.
    Path,
}

impl Arguments {
    /// Returns whether the output is a table, which JSON can show too.
    pub(super) fn is_list(&self) -> bool {
        self.action == Action::List
    }
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
    let registry = context.optional_registry(arguments.registry.as_deref())?;
    let registry = registry.as_ref();
    let line = match &arguments.action {
        Action::Get { key } => {
            let key = edit::key(key)?.name;
            let rows = rows(context, registry)?;
            let row = rows.into_iter().find(|row| row.name == key);
            let Some(value) = row.and_then(|row| row.value) else {
                (context.print_error)(&format!("`{key}` is not set\n"));
                return Ok(ExitCode::FAILURE);
            };
            value
        }
        Action::Set { key, value } => set(context, registry, key, value)?,
        Action::Unset { key } => {
            let changed = edit::change_in_file(context.settings, registry, key, None)?;
            format!("removed `{key}` from {}", changed.file().display())
        }
        Action::List if arguments.format.json => {
            let rows = rows(context, registry)?;
            write_json(&mut output, &BTreeMap::from([("settings", rows)]))?;
            return Ok(ExitCode::SUCCESS);
        }
        Action::List => {
            let rows = rows(context, registry)?.into_iter();
            let lines = rows.map(|row| {
                let value = row.value.unwrap_or_else(|| "-".into());
                let origin = context.terminal.paint(Style::Dim, &row.origin);
                format!("{:<18}  {value:<16}  {origin}", row.name)
            });
            lines.collect::<Vec<_>>().join("\n")
        }
        Action::Path => path(context)?,
    };
    writeln!(output, "{line}").map_err(Error::output)?;
    Ok(ExitCode::SUCCESS)
}

fn path(context: &Context<'_>) -> Result<String, Error> {
    let path = context.settings.file();
    if path.as_os_str().is_empty() {
        return Err(Error::input("this account has no folder for settings"));
    }
    Ok(path.display().to_string())
}

/// Sets a setting, and returns where it is now. Warns if another place has priority.
fn set(
    context: &Context<'_>,
    registry: Option<&Registry>,
    key: &str,
    value: &str,
) -> Result<String, Error> {
    path(context)?;
    let changed = edit::change_in_file(context.settings, registry, key, Some(value))?;
    let origin = changed.origin_in_file(registry, key);
    let line = origin.map(|origin| origin.setting(&format!("{key} = {value}")));
    let mut line = sanitize_line(&line.unwrap_or_default());
    for (name, found) in changed.explain(registry)? {
        if name == key && Some(&found.origin) != origin {
            let (value, origin) = (sanitize_line(&found.value), &found.origin);
            let warning = format!("{origin} has priority: `{key}` is still {value}");
            line = format!(
                "{line}\n{}",
                context.terminal.sentence(Status::Warning, &warning)
            );
        }
    }
    Ok(line)
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

fn rows(context: &Context<'_>, registry: Option<&Registry>) -> Result<Vec<Row>, Error> {
    if let Some(error) = context.config_error {
        return Err(error.clone());
    }
    let settings = context.settings.explain(registry)?;
    let row = |key: &Key| {
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
        Row {
            name: key.name,
            value: value.map(sanitize_line),
            origin: sanitize_line(&origin),
            from,
        }
    };
    Ok(KEYS.iter().map(row).collect())
}
