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
use crate::error::{Error, ErrorKind, Stage, config_file, sanitize, sanitize_line};
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
            Self::Status => return status::run(context, output),
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
    pub terminal: Terminal<'a>,
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

    /// Parses a registry, or an image in it, such as `contoso.azurecr.io/team/app:v1`.
    ///
    /// # Errors
    ///
    /// As [`Context::registry`], and if what follows the registry is no repository.
    pub fn image(&self, text: &str) -> Result<Image, Error> {
        let text = text.trim();
        let text = text.split_once("://").map_or(text, |(_, rest)| rest);
        let (host, path) = text.split_once('/').unwrap_or((text, ""));
        let registry = self.registry(host)?;
        let path = path.trim_end_matches('/');
        let mut name = path.split('@').next().unwrap_or_default();
        if let Some((untagged, tag)) = name.rsplit_once(':')
            && !tag.contains('/')
        {
            name = untagged;
        }
        let parsed = (!name.is_empty()).then(|| repository(name)).transpose();
        let problem = |problem| {
            let message = format!("`{}` is no repository", sanitize_line(name));
            Error::input(message).with_detail(problem)
        };
        Ok(Image {
            registry,
            repository: parsed.map_err(problem)?,
            tag: path[name.len()..].to_owned(),
        })
    }

    /// Returns which known registry may be meant by one whose name does not resolve, as a hint.
    fn similar_known(&self, registry: &Registry) -> Option<String> {
        /// Two letters in the wrong order are one difference.
        const MAX_DISTANCE: usize = 2;
        let known = configure::known_registries(self).unwrap_or_default();
        if known.contains(registry) {
            return None;
        }
        let distance = |other: &Registry| damerau_levenshtein(registry.host(), other.host());
        let similar = known.iter().min_by_key(|other| distance(other))?;
        (distance(similar) <= MAX_DISTANCE).then(|| format!("did you mean {similar}?"))
    }

    /// Adds to the error that a registry's name does not resolve which known registry may be meant.
    fn suggest(&self, error: Error, registry: &Registry) -> Error {
        if error.kind() == ErrorKind::Unreachable(Stage::Name)
            && error.to_string().contains(registry.host())
            && let Some(hint) = self.similar_known(registry)
        {
            return error.with_hint(hint);
        }
        error
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
        let matches = |name| among.iter().any(|login| login.is_named(name));
        let message = match (name.map(sanitize_line), among) {
            (Some(name), _) if matches(&name) => format!("`{name}` matches several saved sign-ins"),
            (Some(name), _) => format!("no saved sign-in matches `{name}`"),
            (None, []) => "no account is signed in".to_owned(),
            (None, [one]) => {
                let username = sanitize_line(&one.username);
                return Error::input(format!("only one account is signed in: {username}"));
            }
            (None, _) => "several other accounts are signed in".to_owned(),
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

/// A registry, and what a person has typed of an image in it.
#[derive(Debug, PartialEq, Eq)]
pub struct Image {
    pub registry: Registry,
    pub repository: Option<String>,
    /// The tag and the digest, with `:` and `@`.
    pub tag: String,
}

/// Parses a repository's name, as a registry scope has it (Docker registry API, "path component").
fn repository(text: &str) -> Result<String, String> {
    let is_component = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte)
            })
    };
    let is_name = text.len() <= 255 && text.split('/').all(is_component);
    is_name
        .then(|| text.to_owned())
        .ok_or_else(|| "expected a name in lower case without a tag, such as `team/app`".into())
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

    fn context(settings: &Settings) -> Context<'_> {
        Context {
            settings,
            config_error: None,
            clock: || std::time::SystemTime::UNIX_EPOCH,
            is_json: false,
            terminal: Terminal::new(settings.variables(), false, true),
            print_error: |_| (),
            is_stderr_terminal: false,
            program: None,
        }
    }

    #[test]
    fn a_person_may_type_a_registry_in_many_ways() {
        let settings = Settings::default();
        let context = context(&settings);
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

    #[test]
    fn a_repository_has_neither_tag_nor_host() {
        for text in ["app", "team/app", "a.b_c-d/e1"] {
            assert_eq!(repository(text).as_deref(), Ok(text));
        }
        for text in [
            "",
            "App",
            "app:1",
            "app@sha256:1",
            "/app",
            "app/",
            "a b",
            "a,b",
            "contoso.azurecr.io/*",
            "app:pull,push",
        ] {
            assert!(repository(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_image_is_split_into_registry_repository_and_tag() {
        let settings = Settings::default();
        let context = context(&settings);
        for (path, repository, tag) in [
            ("", None, ""),
            ("/", None, ""),
            ("/app", Some("app"), ""),
            ("/team/app:v1", Some("team/app"), ":v1"),
            (
                "/team/app:v1@sha256:0123",
                Some("team/app"),
                ":v1@sha256:0123",
            ),
            ("/app@sha256:0123", Some("app"), "@sha256:0123"),
        ] {
            for host in [
                "contoso.azurecr.io",
                "https://contoso.azurecr.io",
                "contoso",
            ] {
                let image = context.image(&format!("{host}{path}")).unwrap();
                assert_eq!(image.registry.host(), "contoso.azurecr.io", "{path}");
                assert_eq!(
                    (image.repository.as_deref(), &*image.tag),
                    (repository, tag)
                );
            }
        }
        let error = context.image("contoso.azurecr.io/App").unwrap_err();
        assert_eq!(error.to_string(), "`App` is no repository");
    }

    #[test]
    fn a_known_registry_is_suggested_for_one_that_does_not_resolve() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join(".docker/config.json");
        std::fs::create_dir(file.parent().unwrap()).unwrap();
        std::fs::write(
            file,
            r#"{"credHelpers":{"contoso.azurecr.io":"acrscoped"}}"#,
        )
        .unwrap();
        let variables = [("ACRSCOPED_CACHE".to_owned(), "none".into())].into();
        let settings = Settings::from_variables(variables, Some(home.path().to_owned()));
        let context = context(&settings);
        for (typed, hint) in [
            ("contsoo", Some("did you mean contoso.azurecr.io?")),
            ("contosp", Some("did you mean contoso.azurecr.io?")),
            ("contoso", None),
            ("fabrikam", None),
        ] {
            let registry = context.registry(typed).unwrap();
            let error = |host| Error::unreachable(host, Stage::Name, "not found", &[]);
            let before = error(registry.host()).hint().map(str::to_owned);
            let suggested = context.suggest(error(registry.host()), &registry);
            assert_eq!(suggested.hint(), hint.or(before.as_deref()), "{typed}");
            let other = context.suggest(error("login.microsoftonline.com"), &registry);
            assert!(!other.hint().unwrap_or_default().contains("did you mean"));
        }
    }
}
