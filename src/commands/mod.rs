//! The commands for people. They use the same registries, identities and caches as a `get`.

pub mod configure;
pub mod doctor;
pub mod generate;
pub mod help;
pub mod login;
pub mod logout;
mod manual;
mod report;
pub mod status;
pub mod token;

use crate::config::{Config, Settings};
use crate::deadline::Clock;
use crate::error::{Error, printable};
use crate::registry::{CLOUDS, Registry};
use crate::service::TokenService;
use crate::terminal::Terminal;
use clap::{Args, Subcommand};
use serde::Serialize;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// The commands, with their help.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Sign in with a browser, for machines without the Azure CLI.
    #[command(after_help = include_str!("help/login.txt"))]
    Login(login::Arguments),
    /// Delete a sign-in of `login` and its cached tokens.
    #[command(after_help = include_str!("help/logout.txt"))]
    Logout(logout::Arguments),
    /// Make Docker, Podman and other clients use this helper.
    #[command(after_help = include_str!("help/configure.txt"))]
    Configure(configure::Arguments),
    /// Show cached tokens and the sign-ins of `login`.
    #[command(after_help = include_str!("help/status.txt"))]
    Status(status::Arguments),
    /// Check why pulls and pushes fail.
    #[command(after_help = include_str!("help/doctor.txt"))]
    Doctor(doctor::Arguments),
    /// Print the credential of a registry for scripts.
    #[command(after_help = include_str!("help/token.txt"))]
    Token(token::Arguments),
    /// Print the completions of a shell.
    #[command(after_help = include_str!("help/completion.txt"))]
    Completion(generate::CompletionArguments),
    /// Write man pages and completions, for packages.
    #[command(hide = true)]
    Generate(generate::GenerateArguments),
}

impl Command {
    /// Chooses the format of the output.
    ///
    /// # Errors
    ///
    /// The name of the format, if the command does not have it.
    pub fn set_format(&mut self, format: Format) -> Result<(), &'static str> {
        match self {
            Self::Configure(arguments) => arguments.format = format,
            Self::Status(arguments) => arguments.format = format,
            Self::Doctor(arguments) => arguments.format = format,
            // Its default is JSON.
            Self::Token(_) => (),
            Self::Login(_) | Self::Logout(_) | Self::Completion(_) | Self::Generate(_) => {
                return if format.json { Err("JSON") } else { Ok(()) };
            }
        }
        Ok(())
    }

    /// Returns whether the output is a report, which `--quiet` hides if there is no failure. Else it is what was asked for.
    pub fn is_report(&self) -> bool {
        !matches!(
            self,
            Self::Token(_) | Self::Completion(_) | Self::Generate(_)
        )
    }

    /// Returns whether the command runs, and reports the error, if the config file is broken.
    pub fn works_without_config(&self) -> bool {
        matches!(self, Self::Completion(_) | Self::Generate(_))
    }

    /// Runs the command and writes its result to `output`. The exit code is not 0 if a check failed.
    ///
    /// # Errors
    ///
    /// If the command has no result.
    pub fn run(self, context: &Context<'_>, output: impl Write) -> Result<ExitCode, Error> {
        match self {
            Self::Configure(arguments) => configure::run(context, &arguments, output)?,
            Self::Login(arguments) => login::run(context, &arguments, output)?,
            Self::Logout(arguments) => logout::run(context, &arguments, output)?,
            Self::Status(arguments) => status::run(context, arguments, output)?,
            Self::Doctor(arguments) => return doctor::run(context, &arguments, output),
            Self::Token(arguments) => token::run(context, &arguments, output)?,
            Self::Completion(arguments) => generate::run_completion(&arguments, output)?,
            Self::Generate(arguments) => generate::run_generate(context, &arguments)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The environment of a command.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The environment and the config file.
    pub settings: &'a Settings,
    /// Why the config file was not read. `settings` then has the environment only.
    #[allow(dead_code, reason = "no command reads it yet")]
    pub config_error: Option<&'a Error>,
    /// The current time.
    pub clock: Clock,
    /// The style of stdout.
    pub terminal: Terminal,
    /// Writes a text to stderr at once.
    pub print_error: fn(&str),
    /// Whether stderr is a terminal.
    pub is_stderr_terminal: bool,
    /// The file of this program, if the system knows it.
    pub program: Option<&'a Path>,
}

impl<'a> Context<'a> {
    /// Returns the service that answers `get`.
    pub fn service(&self) -> TokenService<'a> {
        TokenService::new(self.settings, self.clock)
    }

    /// Parses a registry that the user has typed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::error::ErrorKind) if it is not a registry of a known cloud.
    pub fn registry(&self, text: &str) -> Result<Registry, Error> {
        Registry::parse(text, self.settings.clouds()).ok_or_else(|| {
            let message = format!("`{}` is no Azure Container Registry", printable(text));
            Error::input(message).with_hint(
                "name its login server, such as `contoso.azurecr.io`; a registry of a cloud of your own needs `[cloud.NAME]` in the \
                 config file",
            )
        })
    }

    fn optional_registry(&self, text: Option<&str>) -> Result<Option<Registry>, Error> {
        text.map(|text| self.registry(text)).transpose()
    }

    /// Returns the settings for a registry, or those for the public cloud.
    fn config(&self, registry: Option<&Registry>) -> Result<Config, Error> {
        match registry {
            Some(registry) => self.settings.for_registry(registry),
            None => self.settings.for_cloud(&CLOUDS[0]),
        }
    }
}

/// The format of the output.
#[derive(Args, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Format {
    /// Print JSON, for scripts.
    #[arg(long, hide_short_help = true)]
    pub json: bool,
    /// Print plain text without color, marks or tables, for screen readers and logs.
    #[arg(long, conflicts_with = "json", hide_short_help = true)]
    pub plain: bool,
}

/// Writes a value as JSON over several lines.
fn write_json(output: &mut impl Write, value: &impl Serialize) -> Result<(), Error> {
    serde_json::to_writer_pretty(&mut *output, value).map_err(Error::output)?;
    writeln!(output).map_err(Error::output)
}
