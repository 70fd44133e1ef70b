//! The command line: its words and its help.

use crate::commands;
use crate::commands::help::{TOPICS, with_long_help};
use crate::error::{HINT_STDIN, printable};
use crate::protocol::docker::Verb;
use crate::protocol::kubelet;
use clap::error::ContextKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::ffi::OsString;
use std::path::Path;

/// The name of the program in messages.
pub const PROGRAM: &str = env!("CARGO_PKG_NAME");

/// The order of help texts: usage, description, arguments, options, then examples.
const TEMPLATE: &str = "{usage-heading} {usage}\n\n{about-with-newline}\n{all-args}{after-help}";

/// The commands that programs call. The list of commands leaves them out.
const PROTOCOL_COMMANDS: [&str; 6] = ["get", "store", "erase", "list", "version", "kubelet"];

const EXIT_STATUS: &str = "\
Exit status:
  0 success, 1 failure";

#[derive(Debug, Parser)]
#[command(
    name = PROGRAM,
    about = "Docker credential helper for Azure Container Registry",
    after_help = include_str!("commands/help/program.txt"),
    disable_version_flag = true,
)]
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
    /// Answer kubelet as its credential provider.
    #[command(after_help = include_str!("commands/help/kubelet.txt"))]
    Kubelet(kubelet::Arguments),
    /// Print the version.
    #[command(after_help = include_str!("commands/help/version.txt"))]
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

/// Returns the whole command line with its help, for the parser, the man pages and the completions.
pub fn command() -> clap::Command {
    let is_for_clients = |name: &str| PROTOCOL_COMMANDS.contains(&name);
    with_long_help(Arguments::command(), "")
        .mut_subcommands(|command| {
            let is_hidden = command.is_hide_set() || is_for_clients(command.get_name());
            with_long_help(command, EXIT_STATUS)
                .help_template(TEMPLATE)
                .hide(is_hidden)
        })
        .help_template(TEMPLATE)
        .max_term_width(80)
}

/// Returns the text of `help TOPIC`.
fn topic(name: &str) -> Option<String> {
    let topic = TOPICS.iter().find(|topic| topic.name == name)?;
    Some(topic.draw())
}

fn parse_with_clap(args: Vec<OsString>) -> Result<Command, CliError> {
    let word = |at: usize| args.get(at).and_then(|word| word.to_str());
    if word(1) == Some("help") {
        let topic_name = word(2).unwrap_or("--help");
        if ["--help", "-h"].contains(&topic_name) {
            let help = command().render_long_help();
            return Err(CliError::Help(help.to_string()));
        }
        if let Some(text) = topic(topic_name) {
            return Err(CliError::Help(text));
        }
    }
    let word = word(1).unwrap_or_default().to_owned();
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
    use crate::config::KEYS;

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

    fn help_of(words: &[&str]) -> String {
        match of(words) {
            Err(CliError::Help(help)) => help,
            other => panic!("{words:?}: {other:?}"),
        }
    }

    #[test]
    fn help_on_settings_names_every_setting_and_its_variable() {
        let (settings, environment) = (
            help_of(&["help", "settings"]),
            help_of(&["help", "environment"]),
        );
        for key in KEYS {
            assert!(settings.contains(&format!("\n  {}\n      {}", key.name, &key.meaning[..20])));
            let variable = key.variable.unwrap_or("ACRSCOPED_CONFIG");
            assert!(
                environment.contains(&format!("  {variable}\n")),
                "{variable}"
            );
        }
    }

    #[test]
    fn help_is_found_in_every_way_and_fits_a_terminal() {
        let names: Vec<String> = command()
            .get_subcommands()
            .map(|it| it.get_name().to_owned())
            .collect();
        assert_eq!(help_of(&["--help"]), help_of(&["help"]));
        assert_eq!(help_of(&["--help"]), help_of(&["help", "--help"]));
        for name in &names {
            let (short, long) = (help_of(&[name, "-h"]), help_of(&[name, "--help"]));
            assert_eq!(help_of(&["help", name]), long);
            for (help, rows) in [(short, 24), (long, 100)] {
                assert!(
                    help.starts_with("Usage: docker-credential-acrscoped"),
                    "{help}"
                );
                assert!(help.lines().count() < rows, "{help}");
                assert!(
                    help.lines().all(|line| line.chars().count() <= 80),
                    "{help}"
                );
            }
        }
        let short = help_of(&["-h"]);
        assert!(
            short.lines().count() < 24 && short == help_of(&[]),
            "{short}"
        );
        for topic in &TOPICS {
            let help = help_of(&["help", topic.name]);
            assert!(
                help.lines().all(|line| line.chars().count() <= 80),
                "{help}"
            );
        }
        for command in command().get_subcommands() {
            let about = command.get_about().unwrap().to_string();
            assert!(about.len() <= 60 && !about.ends_with('.'), "{about}");
        }
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
        for command in command().get_subcommands() {
            let help = command.get_after_long_help().unwrap().to_string();
            let mut lines = help.lines().filter(|line| line.starts_with(' '));
            assert!(lines.all(|line| line.chars().count() <= 74), "{help}");
        }
    }

    #[test]
    fn the_command_line_is_well_formed() {
        command().debug_assert();
    }
}
