//! The command line: its words and its help.

use crate::commands;
use crate::config::{CONFIG_VARIABLE, KEYS};
use crate::error::{HINT_STDIN, printable};
use crate::protocol::docker::Verb;
use crate::protocol::kubelet;
use clap::error::ContextKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::ffi::OsString;
use std::path::Path;

/// The name of the program in messages.
pub const PROGRAM: &str = "docker-credential-acrscoped";

const ABOUT: &str = "\
Docker credential helper for Azure Container Registry.

It signs in with Entra for the registry audience only, exchanges the access
token at the registry, and keeps the registry's refresh token in the keyring.

Docker, podman and others call get, store, erase and list, with a host or JSON
on stdin, and kubelet calls kubelet; the other commands are for people.";

const KUBELET: &str = "\
`docker-credential-acrscoped configure --kubelet` prints the configuration with
which kubelet calls it. Under a name that ends in `credential-provider`, such as
`acr-credential-provider`, the program does it without this word.

The node's identity signs in; or the pod's service account, if kubelet sends its
token and it has both annotations kubernetes.azure.com/acr-client-id and
kubernetes.azure.com/acr-tenant-id. kubelet keeps the credential; nothing else
does, unless `cache` names a store, and then for the node alone.

The runtime may send the credential of a mirror to the source, if it turns there
because the mirror has not got the image.

It ends with 0 and a response, without a credential for images that are not of a
registry; or with 1, nothing on stdout, and the reason on stderr, from where it
goes into kubelet's log. `timeout` counts up to 50 seconds, and `username` not
at all.

Example:
  echo '{\"apiVersion\":\"credentialprovider.kubelet.k8s.io/v1\",
    \"kind\":\"CredentialProviderRequest\",
    \"image\":\"contoso.azurecr.io/app\"}' | docker-credential-acrscoped kubelet";

#[derive(Debug, Parser)]
#[command(name = PROGRAM, about = ABOUT, disable_version_flag = true, arg_required_else_help = false)]
struct Arguments {
    /// Print the version.
    #[arg(long, short = 'V')]
    version: bool,
    #[command(subcommand)]
    command: Option<Subcommands>,
}

#[derive(Clone, Debug, Subcommand)]
enum Subcommands {
    #[command(flatten)]
    Interactive(commands::Command),
    #[command(flatten)]
    Docker(Verb),
    /// Answer kubelet, as its credential provider for the registries, with JSON on stdin and stdout.
    #[command(after_help = KUBELET)]
    Kubelet(kubelet::Arguments),
    /// Print the version.
    Version,
}

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// A verb of the docker protocol.
    Docker(Verb),
    /// A request of kubelet.
    Kubelet(kubelet::Arguments),
    /// A command for people.
    Interactive(commands::Command),
    /// The version.
    Version,
}

/// Why the command line names no command to run.
#[derive(Debug)]
pub enum CliError {
    /// It asks for the help, which goes to stdout.
    Help(String),
    /// It cannot be parsed.
    Usage {
        /// What is wrong, on one line.
        message: String,
        /// Usage and a hint, over several lines.
        explanation: String,
        /// Whether the caller may be a client of the docker protocol, which reads the message on stdout.
        is_for_client: bool,
    },
}

/// Parses the command line. A bare verb, as every client sends it, is recognised without building the parser and its help. Under the
/// name of a credential provider `kubelet` is implied.
///
/// # Errors
///
/// [`CliError`] for anything that is no command, the help among it.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, CliError> {
    let mut args: Vec<OsString> = args.into_iter().collect();
    if args.first().is_some_and(is_credential_provider)
        && args.get(1).is_none_or(|word| word != "kubelet")
    {
        args.insert(1, "kubelet".into());
    }
    if let [_, word] = &args[..] {
        if let Some(verb) = Verb::ALL.into_iter().find(|verb| word == verb.as_str()) {
            return Ok(Command::Docker(verb));
        }
        if word == "kubelet" {
            return Ok(Command::Kubelet(kubelet::Arguments::default()));
        }
    }
    parse_with_clap(args)
}

/// Returns whether the program is called by the name of a credential provider, in any folder and with any extension.
fn is_credential_provider(name: &OsString) -> bool {
    Path::new(name)
        .file_stem()
        .and_then(|stem| stem.to_str())
        .is_some_and(|stem| stem.ends_with("credential-provider"))
}

/// Returns the whole command line with its help, for the parser, the manual and the completions of shells.
pub fn command() -> clap::Command {
    let settings: String = KEYS.iter().fold(String::new(), |text, key| {
        text + &format!("\n  {:<18} {}", key.name, key.meaning)
    });
    let after = format!(
        "Settings:{settings}\n\n\
         Each, but identity_cloud and oidc_host, is an environment variable, such as\n\
         ACRSCOPED_TENANT for `tenant`, or a line of the file\n\
         {PROGRAM}/config.toml in ~/.config\n\
         (macOS: ~/Library/Application Support, Windows: %APPDATA%;\n\
         {CONFIG_VARIABLE} names another):\n\n\
         \x20 delegate = \"secretservice\"\n\n\
         \x20 [registry.\"*.azurecr.us\"]\n\
         \x20 tenant = \"contoso.onmicrosoft.us\"\n\n\
         The identity is the first that is configured: workload identity\n\
         (AZURE_FEDERATED_TOKEN_FILE), service principal (AZURE_CLIENT_SECRET,\n\
         AZURE_CLIENT_CERTIFICATE_PATH), GitHub Actions, Azure Pipelines, a managed\n\
         identity that the platform announces, who signed in with `login`, the Azure CLI,\n\
         the Azure Developer CLI, managed identity of a virtual machine.\n\n\
         `configure` names it in docker's config.json, for a registry or for all hosts:\n  \
         {{ \"credHelpers\": {{ \"contoso.azurecr.io\": \"acrscoped\" }} }}\n  \
         {{ \"credsStore\": \"acrscoped\" }}"
    );
    Arguments::command().after_help(after).max_term_width(80)
}

fn parse_with_clap(args: Vec<OsString>) -> Result<Command, CliError> {
    let word = args.get(1).and_then(|word| word.to_str());
    let word = word.unwrap_or_default().to_owned();
    let arguments = command()
        .try_get_matches_from(args)
        .and_then(|matches| Arguments::from_arg_matches(&matches))
        .map_err(|error| cli_error(&error, &word))?;
    match (arguments.version, arguments.command) {
        (true, _) | (_, Some(Subcommands::Version)) => Ok(Command::Version),
        (_, Some(Subcommands::Interactive(command))) => Ok(Command::Interactive(command)),
        (_, Some(Subcommands::Docker(verb))) => Ok(Command::Docker(verb)),
        (_, Some(Subcommands::Kubelet(arguments))) => Ok(Command::Kubelet(arguments)),
        (false, None) => Err(CliError::Help(command().render_help().to_string())),
    }
}

/// Returns clap's error with a hint for the command that was typed.
fn cli_error(error: &clap::Error, word: &str) -> CliError {
    use clap::error::ErrorKind;
    let list = format!("`{PROGRAM} --help` lists the commands");
    let (hint, is_for_client) = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            return CliError::Help(error.to_string());
        }
        ErrorKind::InvalidSubcommand => (list, true),
        _ if ["get", "store", "erase"].contains(&word) => (HINT_STDIN.to_owned(), true),
        _ if ["list", "version"].contains(&word) => {
            ("for people and scripts there is `status --json`".to_owned(), true)
        }
        // The argument of cloud-provider-azure's credential provider.
        ErrorKind::UnknownArgument if word == "kubelet" && names_json_file(error) => (
            "no azure.json is read: `env` in kubelet's configuration names the node's identity, by AZURE_CLIENT_ID".to_owned(),
            false,
        ),
        _ if word.starts_with('-') => (format!("{list}; `-V` prints the version"), true),
        _ => (format!("`{PROGRAM} {word} --help` shows examples"), false),
    };
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    // The hint says more than clap's last line.
    let explanation: Vec<String> = text
        .lines()
        .skip(1)
        .filter(|line| !line.trim().is_empty() && !line.starts_with("For more information"))
        .map(with_backticks)
        .chain([format!("hint: {hint}")])
        .collect();
    CliError::Usage {
        message: printable(&with_backticks(
            first.strip_prefix("error: ").unwrap_or(first),
        )),
        explanation: explanation.join("\n"),
        is_for_client,
    }
}

/// Returns whether an unknown argument is a JSON file.
fn names_json_file(error: &clap::Error) -> bool {
    error.get(ContextKind::InvalidArg).is_some_and(|argument| {
        Path::new(&argument.to_string()).extension() == Some("json".as_ref())
    })
}

/// Replaces clap's quotes by backticks. An apostrophe is between letters.
fn with_backticks(text: &str) -> String {
    let is_letter = |at: Option<usize>| {
        at.and_then(|at| text.as_bytes().get(at))
            .is_some_and(u8::is_ascii_alphabetic)
    };
    let is_quote = |at: usize| !(is_letter(at.checked_sub(1)) && is_letter(Some(at + 1)));
    text.char_indices()
        .map(|(at, c)| if c == '\'' && is_quote(at) { '`' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &[&str]) -> Result<Command, CliError> {
        parse([PROGRAM].iter().chain(words).map(Into::into))
    }

    fn usage(result: Result<Command, CliError>) -> (String, String, bool) {
        match result {
            Err(CliError::Usage {
                message,
                explanation,
                is_for_client,
            }) => (message, explanation, is_for_client),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_verb_of_the_protocol_is_known() {
        for (word, command) in [
            ("get", Command::Docker(Verb::Get)),
            ("store", Command::Docker(Verb::Store)),
            ("erase", Command::Docker(Verb::Erase)),
            ("list", Command::Docker(Verb::List)),
            ("version", Command::Version),
            ("--version", Command::Version),
            ("-V", Command::Version),
        ] {
            assert_eq!(of(&[word]).unwrap(), command);
        }
    }

    #[test]
    fn help_names_every_setting() {
        let Err(CliError::Help(help)) = of(&["--help"]) else {
            panic!()
        };
        for key in KEYS {
            assert!(
                help.contains(key.name) && help.contains(key.meaning),
                "{}",
                key.name
            );
        }
        assert!(
            help.lines().all(|line| line.chars().count() <= 80),
            "{help}"
        );
    }

    #[test]
    fn a_misspelt_verb_is_answered_with_the_nearest_one() {
        let (line, rest, is_for_client) = usage(of(&["gett"]));
        assert!(is_for_client);
        assert_eq!(line, "unrecognized subcommand `gett`");
        assert!(rest.contains("`get`") && rest.ends_with("--help` lists the commands"));
        let (_, rest, is_for_client) = usage(of(&["get", "contoso.azurecr.io"]));
        assert!(rest.ends_with(HINT_STDIN) && is_for_client);
        assert!(matches!(of(&[]), Err(CliError::Help(help)) if help.contains("Commands:")));
        let (line, rest, is_for_client) = usage(of(&["status", "--jsn"]));
        assert!(!is_for_client);
        assert_eq!(line, "unexpected argument `--jsn` found");
        assert!(rest.contains("`--json`") && rest.ends_with("status --help` shows examples"));
        assert!(!rest.contains("For more information"));
        let (line, ..) = usage(of(&["login", "--tenant", "Contoso Ltd"]));
        assert_eq!(
            line,
            "invalid value `Contoso Ltd` for `--tenant <TENANT>`: expected a tenant's id or domain name"
        );
    }

    #[test]
    fn under_the_name_of_a_credential_provider_kubelet_is_answered() {
        let named = |name: &str, words: &[&str]| parse([name].iter().chain(words).map(Into::into));
        let mirrors = [
            "mcr.microsoft.com:contoso.azurecr.io",
            "docker.io:contoso.azurecr.io",
        ]
        .map(str::to_owned)
        .to_vec();
        let with_mirrors = Command::Kubelet(kubelet::Arguments { mirrors });
        let option =
            "--registry-mirror=mcr.microsoft.com:contoso.azurecr.io,docker.io:contoso.azurecr.io";
        let bare = Command::Kubelet(kubelet::Arguments::default());
        assert_eq!(
            (of(&["kubelet"]).unwrap(), of(&["kubelet", option]).unwrap()),
            (bare.clone(), with_mirrors.clone())
        );
        for name in [
            "acr-credential-provider",
            "/opt/bin/acr-credential-provider",
            "acr-credential-provider.exe",
            "credential-provider",
        ] {
            assert_eq!(named(name, &[]).unwrap(), bare, "{name}");
            assert_eq!(named(name, &["kubelet"]).unwrap(), bare);
            assert_eq!(named(name, &[option]).unwrap(), with_mirrors);
        }
        for name in [
            PROGRAM,
            "/opt/credential-provider/docker-credential-acrscoped",
            "acr-credential-provider-2",
            "",
        ] {
            assert!(matches!(named(name, &[]), Err(CliError::Help(_))), "{name}");
            assert_eq!(named(name, &["get"]).unwrap(), Command::Docker(Verb::Get));
        }
        let (line, rest, is_for_client) = usage(named(
            "acr-credential-provider",
            &["/etc/kubernetes/azure.json"],
        ));
        assert!(!is_for_client);
        assert_eq!(
            line,
            "unexpected argument `/etc/kubernetes/azure.json` found"
        );
        assert!(rest.ends_with("by AZURE_CLIENT_ID"), "{rest}");
    }

    /// A line that is broken is no command to paste.
    #[test]
    fn no_line_of_an_example_is_too_long() {
        let mut whole = command();
        whole.build();
        for sub in whole.get_subcommands_mut() {
            let help = sub
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(
                help.lines()
                    .filter(|line| line.starts_with(' '))
                    .all(|line| line.chars().count() <= 80),
                "{help}"
            );
        }
    }

    #[test]
    fn the_command_line_is_well_formed() {
        command().debug_assert();
    }
}
