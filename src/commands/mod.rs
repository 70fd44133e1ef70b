//! The commands for people. They use the same registries, identities and caches as a `get`.

pub mod config;
pub mod configure;
pub mod doctor;
pub mod generate;
pub mod help;
pub mod login;
pub mod logout;
mod manual;
mod report;
pub mod setup;
pub mod status;
pub mod token;

use crate::config::{Config, Settings};
use crate::deadline::Clock;
use crate::error::{Error, config_file, sanitize, sanitize_line};
use crate::logins::Login;
use crate::registry::{CLOUDS, Cloud, Registry};
use crate::service::TokenService;
use crate::terminal::Terminal;
use clap::Subcommand;
use serde::Serialize;
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use strsim::damerau_levenshtein;

/// The name of this program, for commands to paste.
const PROGRAM: &str = env!("CARGO_PKG_NAME");

/// The commands, with their help.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Sign in, configure the clients, and verify the registry.
    #[command(after_help = include_str!("help/setup.txt"))]
    Setup(setup::Arguments),
    /// Sign in with a browser, for machines without the Azure CLI.
    #[command(after_help = include_str!("help/login.txt"))]
    Login(login::Arguments),
    /// Delete a sign-in of `login` and its cached tokens.
    #[command(after_help = include_str!("help/logout.txt"))]
    Logout(logout::Arguments),
    /// Make Docker, Podman and other clients use this helper.
    #[command(after_help = include_str!("help/configure.txt"))]
    Configure(configure::Arguments),
    /// Show and change settings.
    #[command(after_help = include_str!("help/config.txt"))]
    Config(config::Arguments),
    /// Show cached tokens and the sign-ins of `login`.
    #[command(after_help = include_str!("help/status.txt"))]
    Status,
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
    /// Returns whether `--json` has a meaning.
    pub fn has_json(&self) -> bool {
        !matches!(self, Self::Completion(_) | Self::Generate(_))
    }

    /// Returns whether the output is a report, which `--quiet` hides if there is no failure. Else it is what was asked for.
    pub fn is_report(&self) -> bool {
        match self {
            Self::Config(arguments) => arguments.is_change(),
            Self::Configure(arguments) => !arguments.kubelet,
            Self::Token(_) | Self::Completion(_) | Self::Generate(_) => false,
            _ => true,
        }
    }

    /// Returns whether the command runs, and reports the error, if the config file is broken.
    pub fn works_without_config(&self) -> bool {
        matches!(
            self,
            Self::Completion(_)
                | Self::Config(_)
                | Self::Doctor(_)
                | Self::Generate(_)
                | Self::Logout(_)
                | Self::Status
        )
    }

    /// Runs the command and writes its result to `output`. The exit code is not 0 if a check failed.
    ///
    /// # Errors
    ///
    /// If the command has no result.
    pub fn run(self, context: &Context<'_>, output: impl Write) -> Result<ExitCode, Error> {
        match self {
            Self::Setup(arguments) => return setup::run(context, &arguments, output),
            Self::Configure(arguments) => return configure::run(context, &arguments, output),
            Self::Config(arguments) => return config::run(context, &arguments, output),
            Self::Login(arguments) => login::run(context, &arguments, output)?,
            Self::Logout(arguments) => logout::run(context, &arguments, output)?,
            Self::Status => status::run(context, output)?,
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
    pub config_error: Option<&'a Error>,
    /// The current time.
    pub clock: Clock,
    /// Whether the result is JSON.
    pub is_json: bool,
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

    /// Parses a registry that a person has typed: a login server, an image or URL of one, or the name of a registry of the public cloud.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Input`](crate::error::ErrorKind) if it is not a registry of a known cloud.
    pub fn registry(&self, text: &str) -> Result<Registry, Error> {
        let clouds = self.settings.clouds();
        let address = text
            .trim()
            .split_once("://")
            .map_or(text.trim(), |(_, rest)| rest);
        if let Some(registry) = Registry::parse(address, clouds) {
            return Ok(registry);
        }
        let name = format!("{address}.{}", CLOUDS[0].suffix);
        let is_name = !address.contains(['.', '/']);
        if let Some(registry) = Registry::parse(&name, &[]).filter(|_| is_name) {
            if !self.terminal.is_quiet() {
                (self.print_error)(&format!("using {registry}\n"));
            }
            return Ok(registry);
        }
        let hint = match similar_registry(address, clouds) {
            Some(similar) => format!("did you mean {similar}?"),
            None => format!(
                "name its login server, such as contoso.azurecr.io; a registry of a private cloud needs `[cloud.NAME]` in {}",
                config_file(self.settings.file())
            ),
        };
        let message = format!(
            "`{}` is not an Azure Container Registry",
            sanitize_line(text)
        );
        Err(Error::input(message).with_hint(hint))
    }

    /// Warns on stderr that the config file is broken. The command goes on with the environment's settings.
    fn warn_config_error(&self) {
        if let Some(error) = self.config_error {
            let error = sanitize(&error.to_string());
            (self.print_error)(&format!("{PROGRAM}: ignored the config file: {error}\n"));
        }
    }

    /// Returns the error for a person who did not name exactly one of these saved sign-ins.
    fn not_one_account(&self, name: Option<&str>, among: &[Login]) -> Error {
        let message = match name {
            Some(name) => format!("`{}` does not name one saved sign-in", sanitize_line(name)),
            None => "there is not exactly one other account to switch to".to_owned(),
        };
        let clouds = self.settings.clouds();
        let accounts = among.iter().map(|login| login.describe(clouds));
        Error::input(message)
            .with_details(accounts)
            .with_hint("name an account by its user name or tenant, or a registry of its cloud")
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

/// Returns the registry whose login server is spelled like this host.
fn similar_registry(address: &str, clouds: &[Cloud]) -> Option<Registry> {
    /// How many letters may differ: `.com` in place of `.io` are two, a missing ending three.
    const MAX_DISTANCE: usize = 3;
    let host = address.split('/').next()?.to_ascii_lowercase();
    let (label, suffix) = host.split_once('.')?;
    let known = CLOUDS.iter().chain(clouds).filter_map(|cloud| {
        let registry = Registry::parse(&format!("{label}.{}", cloud.suffix), clouds)?;
        Some((damerau_levenshtein(suffix, &cloud.suffix), registry))
    });
    let (distance, registry) = known.min_by_key(|(distance, _)| *distance)?;
    (distance <= MAX_DISTANCE).then_some(registry)
}

/// Returns what scripts read of a saved sign-in.
fn login_json(login: &Login) -> Value {
    json!({ "username": login.username, "authority": login.authority, "tenant": login.tenant })
}

/// Writes a value as JSON over several lines.
fn write_json(output: &mut impl Write, value: &impl Serialize) -> Result<(), Error> {
    serde_json::to_writer_pretty(&mut *output, value).map_err(Error::output)?;
    writeln!(output).map_err(Error::output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_may_type_a_registry_in_many_ways() {
        let settings = Settings::default();
        let context = Context {
            settings: &settings,
            config_error: None,
            clock: || std::time::SystemTime::UNIX_EPOCH,
            is_json: false,
            terminal: Terminal::new(settings.variables(), false, true),
            print_error: |_| (),
            is_stderr_terminal: false,
            program: None,
        };
        for text in [
            "contoso",
            "Contoso",
            " contoso.azurecr.io ",
            "https://contoso.azurecr.io/",
            "contoso.azurecr.io/team/app:v1",
            "docker://contoso.azurecr.io/team/app@sha256:00",
        ] {
            let registry = context.registry(text).unwrap();
            assert_eq!(registry.host(), "contoso.azurecr.io", "{text}");
        }
        for (text, similar) in [
            ("contoso.azurcr.io", "contoso.azurecr.io"),
            ("contoso.azurecr.com/app", "contoso.azurecr.io"),
            ("https://Contoso.azurecr", "contoso.azurecr.io"),
            ("contoso.azurcr.us", "contoso.azurecr.us"),
        ] {
            let error = context.registry(text).unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::Input);
            assert_eq!(
                error.hint(),
                Some(&*format!("did you mean {similar}?")),
                "{text}"
            );
        }
        for text in [
            "ghcr.io",
            "contoso/app",
            "abc",
            "",
            "contoso.azurecr.io.evil.example",
            "a b",
            "-x-",
        ] {
            let error = context.registry(text).unwrap_err();
            assert!(
                error.hint().unwrap().starts_with("name its login server"),
                "{text}"
            );
        }
    }
}
