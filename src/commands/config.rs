//! `config`: shows and changes settings, and where each comes from.

use super::{Context, Format, write_json};
use crate::config::{KEYS, Key, Origin, edit};
use crate::error::{Error, printable};
use crate::registry::Registry;
use crate::terminal::{Status, Style};
use clap::{Args, Subcommand};
use serde_json::json;
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
    List {
        #[command(flatten)]
        format: Format,
    },
    /// Print the path of the config file.
    Path,
}

impl Arguments {
    pub(super) fn is_plain(&self) -> bool {
        !matches!(&self.action, Action::List { format } if !format.plain)
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
            let setting = Setting::read(context, registry, edit::key(key)?)?;
            let Some(value) = setting.value else {
                (context.print_error)(&format!("`{key}` is not set\n"));
                return Ok(ExitCode::FAILURE);
            };
            printable(&value)
        }
        Action::Set { key, value } => set(context, registry, key, value)?,
        Action::Unset { key } => {
            let settings = edit::change_in_file(context.settings, registry, key, None)?;
            format!("removed `{key}` from {}", settings.file().display())
        }
        Action::List { format } => {
            let settings = KEYS.iter().map(|key| Setting::read(context, registry, key));
            let settings = settings.collect::<Result<Vec<_>, _>>()?;
            if format.json {
                let settings: Vec<_> = settings.iter().map(Setting::to_json).collect();
                write_json(&mut output, &json!({ "settings": settings }))?;
                return Ok(ExitCode::SUCCESS);
            }
            let lines = settings.iter().map(|setting| setting.to_line(context));
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
    let mut settings = changed.explain(registry)?.into_iter();
    let effective = settings.find(|setting| setting.name == key);
    let line = origin.map_or(String::new(), |origin| {
        printable(&origin.setting(&format!("{key} = {value}")))
    });
    match effective {
        Some(effective) if Some(&effective.origin) != origin => {
            let (value, origin) = (printable(&effective.value), &effective.origin);
            let warning = format!("{origin} has priority: `{key}` is still {value}");
            let warning = context.terminal.sentence(Status::Warning, &warning);
            Ok(format!("{line}\n{warning}"))
        }
        _ => Ok(line),
    }
}

/// A setting as it applies: its value, and its origin unless that is the default.
struct Setting {
    key: &'static Key,
    value: Option<String>,
    origin: Option<Origin>,
}

impl Setting {
    fn read(
        context: &Context<'_>,
        registry: Option<&Registry>,
        key: &'static Key,
    ) -> Result<Self, Error> {
        if let Some(error) = context.config_error {
            return Err(error.shared().clone().into());
        }
        let mut settings = context.settings.explain(registry)?.into_iter();
        let found = settings.find(|setting| setting.name == key.name);
        let (value, origin) = match found {
            Some(found) => (Some(found.value), Some(found.origin)),
            None => (key.default_value().map(str::to_owned), None),
        };
        Ok(Self { key, value, origin })
    }

    /// Returns the kind of place that sets it, and the place.
    fn origin(&self) -> (&'static str, Option<String>) {
        let Some(origin) = &self.origin else {
            return ("default", None);
        };
        let kind = match origin {
            Origin::Variable(_) | Origin::Annotation(_) => "variable",
            Origin::File {
                profile: Some(_), ..
            } => "profile",
            Origin::File { .. } => "file",
        };
        (kind, Some(printable(&origin.to_string())))
    }

    fn to_json(&self) -> serde_json::Value {
        let (origin, place) = self.origin();
        json!({ "name": self.key.name, "value": self.value, "origin": origin, "place": place })
    }

    fn to_line(&self, context: &Context<'_>) -> String {
        let (kind, place) = self.origin();
        let origin = match (&self.value, place) {
            (_, Some(place)) => place,
            (Some(_), None) => kind.to_owned(),
            (None, None) => format!("not set: {}", self.key.default),
        };
        let value = printable(self.value.as_deref().unwrap_or("-"));
        let origin = context.terminal.paint(Style::Dim, &origin);
        format!("{:<18}  {value:<16}  {origin}", self.key.name)
    }
}
