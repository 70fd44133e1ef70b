//! The command line: its words and its help.

use crate::commands;
use crate::config::{CONFIG_VARIABLE, KEYS};
use crate::error::FROM_STDIN;
use crate::protocol::docker::Verb;
use crate::protocol::kubelet;
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
    Person(commands::Command),
    /// Print the credential of the registry named on stdin, as JSON.
    #[command(after_help = "Example:\n  echo contoso.azurecr.io | docker-credential-acrscoped get")]
    Get,
    /// Take what `docker login` stores; nothing is kept, since tokens are obtained when they are asked for.
    #[command(
        after_help = "Clients call it with JSON on stdin:\n  {\"ServerURL\":\"contoso.azurecr.io\",\"Username\":\"<token>\",\"Secret\":\"…\"}"
    )]
    Store,
    /// Forget what is cached for the registry named on stdin.
    #[command(
        after_help = "Example, after a role was changed:\n  echo contoso.azurecr.io | docker-credential-acrscoped erase"
    )]
    Erase,
    /// Print the registries with a valid cached token, as JSON.
    List,
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
    /// What a person asks.
    Person(commands::Command),
    /// The version.
    Version,
}

/// Why the command line asks for nothing that can be done.
#[derive(Debug)]
pub enum Stop {
    /// The help was asked for: it goes to stdout.
    Help(String),
    /// It cannot be understood: the first text is a line for a client, the second explains it to a person.
    Misuse(String, String),
    /// The same of a command for people or of kubelet's, whose line nobody reads on stdout.
    Mistyped(String, String),
}

/// Reads the command line. A bare verb, as every client sends it, is understood without building the rest and its help. Under the name of
/// a credential provider the verb is `kubelet`, which need not be said then.
pub fn read(args: impl IntoIterator<Item = OsString>) -> Result<Command, Stop> {
    let mut args: Vec<OsString> = args.into_iter().collect();
    if args.first().is_some_and(is_of_kubelet) && args.get(1).is_none_or(|word| word != "kubelet") {
        args.insert(1, "kubelet".into());
    }
    let verb = match &args[..] {
        [_, word] => word.to_str(),
        _ => None,
    };
    match verb {
        Some("get") => Ok(Command::Docker(Verb::Get)),
        Some("store") => Ok(Command::Docker(Verb::Store)),
        Some("erase") => Ok(Command::Docker(Verb::Erase)),
        Some("list") => Ok(Command::Docker(Verb::List)),
        Some("kubelet") => Ok(Command::Kubelet(kubelet::Arguments::default())),
        _ => parse(args),
    }
}

/// Whether the program is called by the name of a credential provider, whatever folder and extension it has.
fn is_of_kubelet(name: &OsString) -> bool {
    Path::new(name)
        .file_stem()
        .and_then(|stem| stem.to_str())
        .is_some_and(|stem| stem.ends_with("credential-provider"))
}

/// The whole command line with its help, for the parser, the manual and the completions of shells.
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

/// Everything else: options, help, misspellings.
fn parse(args: Vec<OsString>) -> Result<Command, Stop> {
    let typed = args
        .get(1)
        .and_then(|word| word.to_str())
        .unwrap_or_default()
        .to_owned();
    let matches = command().try_get_matches_from(args);
    let arguments = matches.and_then(|matches| Arguments::from_arg_matches(&matches)).map_err(|error| {
        use clap::error::ErrorKind;
        match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Stop::Help(error.to_string()),
            ErrorKind::InvalidSubcommand => misuse(&error, &format!("`{PROGRAM} --help` lists the commands")),
            _ if ["get", "store", "erase"].contains(&&*typed) => misuse(&error, FROM_STDIN),
            _ if ["list", "version"].contains(&&*typed) => misuse(&error, "for people and scripts there is `status --json`"),
            // The file that cloud-provider-azure's provider wants.
            ErrorKind::UnknownArgument if typed == "kubelet" && error.to_string().contains(".json'") => mistyped(misuse(
                &error,
                "no azure.json is read: `env` in kubelet's configuration names the node's identity, by AZURE_CLIENT_ID",
            )),
            _ if typed.starts_with('-') => {
                misuse(&error, &format!("`{PROGRAM} --help` lists the commands; `-V` prints the version"))
            }
            _ => mistyped(misuse(&error, &format!("`{PROGRAM} {typed} --help` shows examples"))),
        }
    })?;
    match (arguments.version, arguments.command) {
        (true, _) | (_, Some(Subcommands::Version)) => Ok(Command::Version),
        (_, Some(Subcommands::Person(person))) => Ok(Command::Person(person)),
        (_, Some(Subcommands::Get)) => Ok(Command::Docker(Verb::Get)),
        (_, Some(Subcommands::Store)) => Ok(Command::Docker(Verb::Store)),
        (_, Some(Subcommands::Erase)) => Ok(Command::Docker(Verb::Erase)),
        (_, Some(Subcommands::List)) => Ok(Command::Docker(Verb::List)),
        (_, Some(Subcommands::Kubelet(arguments))) => Ok(Command::Kubelet(arguments)),
        (false, None) => Err(Stop::Help(command().render_help().to_string())),
    }
}

/// The same for somebody who is no client of the docker protocol.
fn mistyped(stop: Stop) -> Stop {
    match stop {
        Stop::Misuse(line, explanation) => Stop::Mistyped(line, explanation),
        other => other,
    }
}

/// A misspelt word in one line, with clap's explanation and a hint for a person.
fn misuse(error: &clap::Error, hint: &str) -> Stop {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    let first = with_backticks(first.strip_prefix("error: ").unwrap_or(first));
    // Our hint says more than clap's last line.
    let is_told =
        |line: &&str| !line.trim().is_empty() && !line.starts_with("For more information");
    let rest: Vec<String> = text
        .lines()
        .skip(1)
        .filter(is_told)
        .map(with_backticks)
        .chain([format!("hint: {hint}")])
        .collect();
    Stop::Misuse(crate::error::printable(&first), rest.join("\n"))
}

/// Backticks in place of clap's quotes; an apostrophe stands between letters.
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

    fn of(words: &[&str]) -> Result<Command, Stop> {
        read([PROGRAM].iter().chain(words).map(Into::into))
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
        let Err(Stop::Help(help)) = of(&["--help"]) else {
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
        let Err(Stop::Misuse(line, rest)) = of(&["gett"]) else {
            panic!()
        };
        assert_eq!(line, "unrecognized subcommand `gett`");
        assert!(rest.contains("`get`") && rest.ends_with("--help` lists the commands"));
        let Err(Stop::Misuse(_, rest)) = of(&["get", "contoso.azurecr.io"]) else {
            panic!()
        };
        assert!(rest.ends_with(FROM_STDIN));
        assert!(matches!(of(&[]), Err(Stop::Help(help)) if help.contains("Commands:")));
        assert!(matches!(
            of(&["get", "contoso.azurecr.io"]),
            Err(Stop::Misuse(..))
        ));
        let Err(Stop::Mistyped(line, rest)) = of(&["status", "--jsn"]) else {
            panic!()
        };
        assert_eq!(line, "unexpected argument `--jsn` found");
        assert!(rest.contains("`--json`") && rest.ends_with("status --help` shows examples"));
        assert!(!rest.contains("For more information"));
        let Err(Stop::Mistyped(line, _)) = of(&["login", "--tenant", "Contoso Ltd"]) else {
            panic!()
        };
        assert_eq!(
            line,
            "invalid value `Contoso Ltd` for `--tenant <TENANT>`: expected a tenant's id or domain name"
        );
    }

    #[test]
    fn under_the_name_of_a_credential_provider_kubelet_is_answered() {
        let named = |name: &str, words: &[&str]| read([name].iter().chain(words).map(Into::into));
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
            assert!(matches!(named(name, &[]), Err(Stop::Help(_))), "{name}");
            assert_eq!(named(name, &["get"]).unwrap(), Command::Docker(Verb::Get));
        }
        let Err(Stop::Mistyped(line, rest)) =
            named("acr-credential-provider", &["/etc/kubernetes/azure.json"])
        else {
            panic!()
        };
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
