//! The command line: its words and its help.

use crate::commands::help::{TOPICS, with_long_help};
use crate::commands::{self, Format};
use crate::config::Log;
use crate::error::{HINT_STDIN, sanitize_line};
use crate::protocol::docker::Verb;
use crate::protocol::kubelet;
use clap::error::ContextKind;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use std::ffi::OsString;
use std::path::Path;

/// The name of the program in messages.
pub const PROGRAM: &str = env!("CARGO_PKG_NAME");

/// The order of help texts: usage, description, arguments, options, then examples.
const TEMPLATE: &str = "{usage-heading} {usage}\n\n{about-with-newline}\n{all-args}{after-help}";

/// The commands that programs call. The list of commands leaves them out.
const PROTOCOL_COMMANDS: [&str; 6] = ["get", "store", "erase", "list", "version", "kubelet"];

/// What `--help` says of exit codes, for people and for programs.
const EXIT_STATUS: &str = "\
Exit status:
  0 success, 1 failure, 2 wrong command line, 3 not signed in,
  4 access denied, 130 interrupted";
const PROTOCOL_EXIT_STATUS: &str = "\
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

/// The options of every command for people.
#[derive(Args, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The format of the output.
    #[command(flatten)]
    pub format: Format,
    /// Print failures only.
    #[arg(long, short, hide_short_help = true)]
    pub quiet: bool,
    /// Log more or less than the setting `log`: warn, info or debug.
    #[arg(long, hide_short_help = true, value_name = "LEVEL", value_parser = Log::parse)]
    pub log: Option<Log>,
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
    Version {
        /// Print JSON with the commit and the target.
        #[arg(long)]
        json: bool,
    },
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
    Version(VersionFormat),
}

/// The ways to print the version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionFormat {
    /// As container clients expect it.
    Protocol,
    /// `--version`.
    Short,
    /// `version --json`.
    Json,
}

/// Who may have typed a wrong command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A person.
    Person,
    /// A container client.
    ContainerClient,
    /// The kubelet of a node.
    Kubelet,
    /// A person, or a container client with a verb of another version of the protocol.
    Unknown,
}

impl Caller {
    /// Returns whether the message belongs on stdout, where a container client reads it.
    pub fn reads_stdout(self) -> bool {
        matches!(self, Self::ContainerClient | Self::Unknown)
    }

    /// Returns the exit code. No client writes to a terminal.
    pub fn exit_code(self, is_terminal: bool) -> u8 {
        match self {
            Self::Person => 2,
            Self::ContainerClient | Self::Kubelet => 1,
            Self::Unknown => 1 + u8::from(is_terminal),
        }
    }
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
        /// Who may have typed it.
        caller: Caller,
    },
}

/// Parses the command line. A bare verb, as every client sends it, is recognised without building the parser and its help. Under the
/// name of a credential provider `kubelet` is implied.
///
/// # Errors
///
/// [`CliError`] for anything that is no command, the help among it.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<(Command, Options), CliError> {
    let mut args: Vec<OsString> = args.into_iter().collect();
    if args.first().is_some_and(is_credential_provider)
        && args.get(1).is_none_or(|word| word != "kubelet")
    {
        args.insert(1, "kubelet".into());
    }
    if let [_, word] = &args[..] {
        if let Some(verb) = Verb::ALL.into_iter().find(|verb| word == verb.as_str()) {
            return Ok((Command::Docker(verb), Options::default()));
        }
        if word == "kubelet" {
            let arguments = kubelet::Arguments::default();
            return Ok((Command::Kubelet(arguments), Options::default()));
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
    with_long_help(Arguments::command(), "")
        .mut_subcommands(|command| {
            let is_hidden = command.is_hide_set();
            // `augment_args` would replace it by the comment on `Options`.
            let about = command.get_about().cloned().unwrap_or_default();
            if PROTOCOL_COMMANDS.contains(&command.get_name()) {
                with_long_help(command.hide(true), PROTOCOL_EXIT_STATUS)
            } else {
                let command = Options::augment_args(command).about(about);
                with_long_help(command, EXIT_STATUS).hide(is_hidden)
            }
            .help_template(TEMPLATE)
        })
        .help_template(TEMPLATE)
        .max_term_width(80)
}

/// Returns the text of `help TOPIC`.
fn topic(name: &str) -> Option<String> {
    let topic = TOPICS.iter().find(|topic| topic.name == name)?;
    Some(topic.draw())
}

fn parse_with_clap(args: Vec<OsString>) -> Result<(Command, Options), CliError> {
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
    let matches = command().try_get_matches_from(args);
    let matches = matches.map_err(|error| cli_error(&error, &word))?;
    let options = match matches.subcommand() {
        Some((name, matches)) if !PROTOCOL_COMMANDS.contains(&name) => {
            Options::from_arg_matches(matches)
        }
        _ => Ok(Options::default()),
    };
    let arguments = Arguments::from_arg_matches(&matches);
    let (arguments, options) = arguments
        .and_then(|arguments| Ok((arguments, options?)))
        .map_err(|error| cli_error(&error, &word))?;
    let command = match arguments.command {
        _ if arguments.version => Command::Version(VersionFormat::Short),
        Some(Subcommands::Version { json: true }) => Command::Version(VersionFormat::Json),
        Some(Subcommands::Version { json: false }) => Command::Version(VersionFormat::Protocol),
        Some(Subcommands::Docker(verb)) => Command::Docker(verb),
        Some(Subcommands::Kubelet(arguments)) => Command::Kubelet(arguments),
        Some(Subcommands::Interactive(mut command)) => {
            command
                .set_format(options.format)
                .map_err(|format| no_such_format(&word, format))?;
            Command::Interactive(command)
        }
        None => return Err(CliError::Help(command().render_help().to_string())),
    };
    Ok((command, options))
}

/// Returns the error of a command without this format.
fn no_such_format(command: &str, format: &str) -> CliError {
    CliError::Usage {
        message: format!("`{command}` has no {format} output"),
        explanation: format!("hint: `{PROGRAM} {command} --help` shows examples"),
        caller: Caller::Person,
    }
}

/// Returns clap's error with a hint for the command that was typed.
fn cli_error(error: &clap::Error, word: &str) -> CliError {
    use clap::error::ErrorKind;
    let list = format!("`{PROGRAM} --help` lists the commands");
    let client = Caller::ContainerClient;
    let (hint, caller) = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            return CliError::Help(error.to_string());
        }
        ErrorKind::InvalidSubcommand => (list, Caller::Unknown),
        _ if ["get", "store", "erase"].contains(&word) => (HINT_STDIN.to_owned(), client),
        _ if ["list", "version"].contains(&word) => {
            ("for people and scripts there is `status --json`".to_owned(), client)
        }
        // The argument of cloud-provider-azure's credential provider.
        ErrorKind::UnknownArgument if word == "kubelet" && names_json_file(error) => (
            "no azure.json is read: `env` in kubelet's configuration names the node's identity, by AZURE_CLIENT_ID".to_owned(),
            Caller::Kubelet,
        ),
        _ if word.starts_with('-') => (format!("{list}; `-V` prints the version"), Caller::Unknown),
        _ if word == "kubelet" => (format!("`{PROGRAM} kubelet --help` shows an example"), Caller::Kubelet),
        _ => (format!("`{PROGRAM} {word} --help` shows examples"), Caller::Person),
    };
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    // The hint says more than clap's last line, and no value begins with hyphens.
    let explanation: Vec<String> = text
        .lines()
        .skip(1)
        .filter(|line| !line.trim().is_empty() && !line.starts_with("For more information"))
        .filter(|line| !line.contains("tip: to pass "))
        .map(with_backticks)
        .chain([format!("hint: {hint}")])
        .collect();
    CliError::Usage {
        message: sanitize_line(&with_backticks(
            first.strip_prefix("error: ").unwrap_or(first),
        )),
        explanation: explanation.join("\n"),
        caller,
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
        parse([PROGRAM].iter().chain(words).map(Into::into)).map(|(command, _)| command)
    }

    fn usage(result: Result<Command, CliError>) -> (String, String, Caller) {
        match result {
            Err(CliError::Usage {
                message,
                explanation,
                caller,
            }) => (message, explanation, caller),
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
            ("version", Command::Version(VersionFormat::Protocol)),
            ("--version", Command::Version(VersionFormat::Short)),
            ("-V", Command::Version(VersionFormat::Short)),
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
        let (line, rest, caller) = usage(of(&["gett"]));
        assert_eq!(caller, Caller::Unknown);
        assert_eq!(line, "unrecognized subcommand `gett`");
        assert!(rest.contains("`get`") && rest.ends_with("--help` lists the commands"));
        let (_, rest, caller) = usage(of(&["get", "contoso.azurecr.io"]));
        assert!(rest.ends_with(HINT_STDIN));
        assert_eq!(caller, Caller::ContainerClient);
        assert!(matches!(of(&[]), Err(CliError::Help(help)) if help.contains("Commands:")));
        let (line, rest, caller) = usage(of(&["status", "--jsn"]));
        assert_eq!(caller, Caller::Person);
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
        let named = |name: &str, words: &[&str]| {
            parse([name].iter().chain(words).map(Into::into)).map(|(command, _)| command)
        };
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
        let (line, rest, caller) = usage(named(
            "acr-credential-provider",
            &["/etc/kubernetes/azure.json"],
        ));
        assert_eq!(caller, Caller::Kubelet);
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
    fn every_command_for_people_takes_the_common_options() {
        let options = |words: &[&str]| {
            parse([PROGRAM].iter().chain(words).map(Into::into)).map(|(_, options)| options)
        };
        for words in [
            &["status"][..],
            &["configure"],
            &["doctor"],
            &["login"],
            &["logout"],
            &["token", "contoso.azurecr.io"],
            &["completion", "bash"],
        ] {
            for option in ["--plain", "--quiet", "-q", "--log=debug"] {
                let parsed = options(&[words, &[option]].concat()).unwrap();
                assert_ne!(parsed, Options::default(), "{words:?} {option}");
            }
        }
        assert!(options(&["status", "--json"]).unwrap().format.json);
        assert!(options(&["status", "--json", "--plain"]).is_err());
        assert!(options(&["status", "--log", "loud"]).is_err());
        let (line, ..) = usage(of(&["completion", "bash", "--json"]));
        assert_eq!(line, "`completion` has no JSON output");
        assert_eq!(
            of(&["version", "--json"]).unwrap(),
            Command::Version(VersionFormat::Json)
        );
    }

    #[test]
    fn only_people_get_the_exit_code_of_a_usage_error() {
        let code = |words: &[&str], is_terminal| usage(of(words)).2.exit_code(is_terminal);
        assert_eq!(
            (
                code(&["status", "--jsn"], false),
                code(&["login", "x", "y"], true)
            ),
            (2, 2)
        );
        assert_eq!((code(&["gett"], false), code(&["gett"], true)), (1, 2));
        assert_eq!(
            (code(&["get", "x"], true), code(&["kubelet", "x"], true)),
            (1, 1)
        );
    }

    #[test]
    fn the_command_line_is_well_formed() {
        command().debug_assert();
    }
}
