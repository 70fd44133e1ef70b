//! What people call: they may talk, ask and draw. Everything they know of registries, identities and caches they ask of the same
//! pieces that answer a `get`.

pub mod configure;
pub mod doctor;
pub mod login;
pub mod logout;
mod report;
pub mod status;
pub mod token;

use crate::config::Settings;
use crate::deadline::Clock;
use crate::error::{Error, printable};
use crate::registry::Registry;
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
    #[command(
        after_help = "The Entra refresh token is kept in the keyring and nowhere else. It signs in\n\
                            from then on, unless the environment names another identity.\n\n\
                            Over SSH, or without a desktop, a code is shown to type into a browser\n\
                            elsewhere.\n\n\
                            `client_id` of the config file, or ACRSCOPED_CLIENT_ID, signs in with an\n\
                            application of your own: a public client with the redirect URI http://localhost\n\
                            that may ask for Azure Container Registry. It is the Azure CLI's otherwise.\n\n\
                            Examples:\n  \
                            docker-credential-acrscoped login contoso.azurecr.io\n  \
                            docker-credential-acrscoped login --tenant contoso.example --device-code"
    )]
    Login(login::Arguments),
    /// Forget who signed in with `login`, and the cached tokens that came of it.
    #[command(
        after_help = "It succeeds also when there is nothing to forget. The browser stays signed in.\n\n\
                            Examples:\n  \
                            docker-credential-acrscoped logout contoso.azurecr.io\n  \
                            docker-credential-acrscoped logout --all"
    )]
    Logout(logout::Arguments),
    /// Name this helper in the files of docker, podman and their like, or take it out again.
    #[command(
        after_help = "It writes ~/.docker/config.json (docker, oras, Helm) and ~/.config/containers/auth.json (podman, \
                            buildah, skopeo), or what DOCKER_CONFIG and REGISTRY_AUTH_FILE name. Nothing else in them changes, and \
                            --remove undoes it.\n\nExamples:\n  \
                            docker-credential-acrscoped configure contoso.azurecr.io --dry-run\n  \
                            docker-credential-acrscoped configure contoso.azurecr.io\n  \
                            docker-credential-acrscoped configure --remove contoso.azurecr.io\n\n\
                            All registries of docker, with other hosts passed on, and back:\n  \
                            docker-credential-acrscoped configure --all\n  \
                            docker-credential-acrscoped configure --remove\n\n\
                            kubelet on the nodes of a cluster:\n  \
                            docker-credential-acrscoped configure --kubelet contoso.azurecr.io >list.yaml"
    )]
    Configure(configure::Arguments),
    /// Show which registries have a cached token, until when and whose it is, and who signed in with `login`.
    #[command(after_help = "Nothing leaves the machine.\n\nExamples:\n  \
                            docker-credential-acrscoped status\n  \
                            docker-credential-acrscoped status --json | jq -r '.registries[].registry'")]
    Status(status::Arguments),
    /// Find out why a registry cannot be pulled from or pushed to, and say what to do.
    #[command(after_help = doctor::EXAMPLES)]
    Doctor(doctor::Arguments),
    /// Print the credential of a registry for scripts.
    #[command(
        after_help = "The token is the registry's refresh token: treat it as a password. It expires\n\
                            within three hours. json shows when, in `expiresOn`, beside `loginServer`,\n\
                            `username` and `accessToken`. env quotes its values for a shell: for\n\
                            GITHUB_ENV use github-actions, and no quotes belong in an --env-file.\n\n\
                            Examples:\n  \
                            eval \"$(docker-credential-acrscoped token --format env \\\n      \
                            contoso.azurecr.io)\"\n  \
                            eval \"$(docker-credential-acrscoped token --format docker-login \\\n      \
                            contoso.azurecr.io)\"\n  \
                            docker-credential-acrscoped token --format github-actions \\\n      \
                            contoso.azurecr.io\n  \
                            docker-credential-acrscoped token contoso.azurecr.io --format raw |\n    \
                            helm registry login contoso.azurecr.io --password-stdin \\\n      \
                            --username 00000000-0000-0000-0000-000000000000"
    )]
    Token(token::Arguments),
}

impl Command {
    /// Whether it was told to draw nothing.
    pub fn is_plain(&self) -> bool {
        match self {
            Self::Configure(arguments) => arguments.format.plain,
            Self::Status(arguments) => arguments.format.plain,
            Self::Login(_) | Self::Logout(_) => false,
            Self::Token(_) => true,
            Self::Doctor(arguments) => arguments.is_plain(),
        }
    }

    /// Does what was asked. What it has to say goes to `output`; the exit code is 0 unless the answer itself is a bad one.
    pub fn run(self, context: &Context<'_>, output: impl Write) -> Result<ExitCode, Error> {
        match self {
            Self::Configure(arguments) => configure::run(context, &arguments, output)?,
            Self::Login(arguments) => login::run(context, &arguments, output)?,
            Self::Logout(arguments) => logout::run(context, &arguments, output)?,
            Self::Status(arguments) => status::run(context, arguments, output)?,
            Self::Doctor(arguments) => return doctor::run(context, &arguments, output),
            Self::Token(arguments) => token::run(context, &arguments, output)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What every command is given.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The environment and the config file.
    pub settings: &'a Settings,
    /// The time of day.
    pub clock: Clock,
    /// What stdout can show.
    pub terminal: Terminal,
    /// Says something on stderr at once, as it is.
    pub tell: fn(&str),
    /// Whether a person reads stderr as it is written.
    pub is_watched: bool,
    /// The file of this program, if the system tells.
    pub program: Option<&'a Path>,
}

impl<'a> Context<'a> {
    /// Returns the service that answers `get`.
    pub fn service(&self) -> TokenService<'a> {
        TokenService::new(self.settings, self.clock)
    }

    /// The registry that somebody has typed. Errors when it is none of ours.
    pub fn registry(&self, text: &str) -> Result<Registry, Error> {
        Registry::parse(text, self.settings.clouds()).ok_or_else(|| {
            let message = format!("`{}` is no Azure Container Registry", printable(text));
            Error::input(message).with_hint(
                "name its login server, such as `contoso.azurecr.io`; a registry of a cloud of your own needs `[cloud.NAME]` in the \
                 config file",
            )
        })
    }
}

/// How the answer is drawn; the same for every command that has one.
#[derive(Args, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Format {
    /// Print JSON, for scripts.
    #[arg(long)]
    pub json: bool,
    /// Print plain words without colour, marks or tables, for screen readers and logs.
    #[arg(long, conflicts_with = "json")]
    pub plain: bool,
}

/// Writes a value as JSON over several lines.
fn write_json(output: &mut impl Write, value: &impl Serialize) -> Result<(), Error> {
    serde_json::to_writer_pretty(&mut *output, value).map_err(Error::output)?;
    writeln!(output).map_err(Error::output)
}
