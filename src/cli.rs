//! The command line: its words and its help.

use crate::commands;
use crate::commands::help::{TOPICS, with_long_help};
use crate::config::Log;
use crate::error::{HINT_STDIN, sanitize_line};
use crate::protocol::docker::Verb;
use crate::protocol::kubelet;
use clap::error::{ContextKind, ContextValue};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use std::ffi::OsString;
use std::path::Path;

/// The name of the program in messages.
pub const PROGRAM: &str = env!("CARGO_PKG_NAME");

/// The order of help texts: usage, description, arguments, options, then examples.
const TEMPLATE: &str = "{usage-heading} {usage}\n\n{about-with-newline}\n{all-args}{after-help}";

/// The commands that programs call. The list of commands leaves them out.
const PROTOCOL_COMMANDS: [&str; 6] = ["get", "store", "erase", "list", "version", "kubelet"];

/// What `--help` says of exit codes: of commands that sign in, of `doctor`, of other commands for people, and of those for programs.
const EXIT_STATUS: [&str; 4] = [
    "Exit status:\n  0 success, 1 failure, 2 wrong command line, 3 not signed in,\n  4 access denied, 130 interrupted",
    "Exit status:\n  0 no check failed, 1 a check failed, 2 wrong command line,\n  130 interrupted",
    "Exit status:\n  0 success, 1 failure, 2 wrong command line",
    "Exit status:\n  0 success, 1 failure",
];

/// The hint for the argument of cloud-provider-azure's credential provider.
const HINT_AZURE_JSON: &str = "no azure.json is read: `env` in kubelet's configuration names the node's identity, by AZURE_CLIENT_ID";

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
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Option<Command>,
}

// The options of every command for people, before and after its name. A doc comment would become the description of the program.
#[derive(Args, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Print JSON, for scripts.
    #[arg(long, global = true, hide_short_help = true, display_order = 101)]
    pub json: bool,
    /// Print plain text without color, marks or tables, for screen readers and logs.
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        conflicts_with = "json",
        display_order = 102
    )]
    pub plain: bool,
    /// Print failures only.
    #[arg(
        long,
        short,
        global = true,
        hide_short_help = true,
        display_order = 103
    )]
    pub quiet: bool,
    /// Log more or less than the setting `log`: warn, info or debug.
    #[arg(long, global = true, hide_short_help = true, value_name = "LEVEL", value_parser = Log::parse, display_order = 104)]
    pub log: Option<Log>,
}

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// A command for people.
    #[command(flatten)]
    Interactive(commands::Command),
    /// A verb of the docker protocol.
    #[command(flatten)]
    Docker(Verb),
    /// Answer kubelet as its credential provider.
    #[command(after_help = include_str!("commands/help/kubelet.txt"))]
    Kubelet(kubelet::Arguments),
    /// Print the version.
    #[command(after_help = include_str!("commands/help/version.txt"))]
    Version,
    /// Show the help of a command or a topic.
    Help {
        /// The command or the topic.
        #[arg(value_name = "COMMAND|TOPIC", value_parser = subjects())]
        subject: Option<String>,
    },
    /// The option `--version`.
    #[command(skip)]
    ShortVersion,
}

/// Returns what `help` completes: the commands for people, then the topics.
fn subjects() -> clap::builder::PossibleValuesParser {
    let commands = commands::Command::augment_subcommands(clap::Command::new(PROGRAM));
    let commands = commands.get_subcommands().filter(|it| !it.is_hide_set());
    let commands: Vec<_> = commands.map(|it| it.get_name().to_owned()).collect();
    let topics = TOPICS.iter().map(|topic| topic.name.to_owned());
    commands
        .into_iter()
        .chain(topics)
        .collect::<Vec<_>>()
        .into()
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
            let status = EXIT_STATUS[match command.get_name() {
                "setup" | "login" | "token" => 0,
                "doctor" => 1,
                name if PROTOCOL_COMMANDS.contains(&name) => 3,
                _ => 2,
            }];
            let command = with_help_of_parts(command, status);
            if !PROTOCOL_COMMANDS.contains(&command.get_name()) {
                return command;
            }
            let is_version = command.get_name() == "version";
            Options::augment_args(command.hide(true)).mut_args(|arg| {
                let is_shown = !arg.is_global_set() || is_version && arg.get_id() == "json";
                arg.hide(!is_shown)
            })
        })
        .disable_help_subcommand(true)
        .help_template(TEMPLATE)
        .max_term_width(80)
}

/// Adds the long help to a command and to its own commands.
fn with_help_of_parts(command: clap::Command, status: &str) -> clap::Command {
    with_long_help(command, status)
        .mut_subcommands(|part| with_help_of_parts(part, status))
        .help_template(TEMPLATE)
}

fn parse_with_clap(mut args: Vec<OsString>) -> Result<(Command, Options), CliError> {
    let root = command();
    if args.get(1).is_some_and(|word| word == "help") {
        let subject = args.get(2).and_then(|word| word.to_str());
        let subject = subject.unwrap_or("--help").to_owned();
        if let Some(topic) = TOPICS.iter().find(|topic| topic.name == subject) {
            return Err(CliError::Help(topic.draw()));
        }
        if subject.starts_with('-') || root.find_subcommand(&subject).is_some() {
            args.remove(1);
            args.push("--help".into());
        }
    }
    // Options may come before the command.
    let mut words = args.iter().skip(1).filter_map(|word| word.to_str());
    let is_command = |word: &&str| root.find_subcommand(word).is_some();
    let word = words.clone().find(is_command).or(words.next());
    let word = word.unwrap_or_default().to_owned();
    let matches = command().try_get_matches_from(args);
    let arguments = matches
        .and_then(|matches| Arguments::from_arg_matches(&matches))
        .map_err(|error| cli_error(error, &word))?;
    let options = arguments.options;
    let command = match arguments.command {
        _ if arguments.version => Command::ShortVersion,
        Some(Command::Help { .. }) | None => {
            return Err(CliError::Help(root.clone().render_help().to_string()));
        }
        Some(command) => command,
    };
    let problem = match &command {
        Command::Docker(_) | Command::Kubelet(_) if options != Options::default() => {
            format!("`{word}` takes no --json, --plain, --quiet or --log")
        }
        Command::Interactive(it) if options.json && !it.has_json() => {
            format!("`{word}` has no JSON output")
        }
        _ => return Ok((command, options)),
    };
    let error = clap::Error::raw(clap::error::ErrorKind::ArgumentConflict, problem);
    Err(cli_error(error, &word))
}

/// Returns clap's error with a hint for the command that was typed.
fn cli_error(mut error: clap::Error, word: &str) -> CliError {
    use clap::error::ErrorKind;
    const SUGGESTED: ContextKind = ContextKind::SuggestedSubcommand;
    let invalid = error.get(ContextKind::InvalidSubcommand);
    let is_unknown = invalid.is_some_and(|it| it.to_string() == word);
    if let Some(ContextValue::Strings(mut names)) = error.remove(SUGGESTED) {
        names.retain(|name| name != "generate");
        error.insert(SUGGESTED, ContextValue::Strings(names));
    }
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    ) {
        return CliError::Help(error.to_string());
    }
    let caller = match word {
        _ if is_unknown || word.starts_with('-') => Caller::Unknown,
        "kubelet" => Caller::Kubelet,
        _ if PROTOCOL_COMMANDS.contains(&word) => Caller::ContainerClient,
        _ => Caller::Person,
    };
    let list = format!("`{PROGRAM} --help` lists the commands");
    let hint = match word {
        _ if word.starts_with('-') => format!("{list}; `-V` prints the version"),
        _ if is_unknown || word == "help" => list,
        "get" => HINT_STDIN.to_owned(),
        "list" => format!("for people and scripts, use\n  {PROGRAM} status --json"),
        "kubelet" if names_json_file(&error) => HINT_AZURE_JSON.to_owned(),
        _ => format!("`{PROGRAM} {word} --help` shows examples"),
    };
    let text = error.to_string();
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    // The hint says more than clap's last line, and no value begins with hyphens.
    let explanation: Vec<String> = lines
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
            ("version", Command::Version),
            ("--version", Command::ShortVersion),
            ("-V", Command::ShortVersion),
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
            .filter(|name| name != "help")
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
        assert!(rest.ends_with("--help` lists the commands"));
        assert!(
            rest.contains("`get`") && !rest.contains("generate"),
            "{rest}"
        );
        let (line, rest, caller) = usage(of(&["config", "gett"]));
        assert_eq!(caller, Caller::Person);
        assert_eq!(line, "unrecognized subcommand `gett`");
        assert!(rest.ends_with("config --help` shows examples"), "{rest}");
        let (_, rest, _) = usage(of(&["help", "setings"]));
        assert!(
            rest.contains("a similar value exists: `settings`"),
            "{rest}"
        );
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
        assert!(options(&["status", "--json", "--plain"]).is_err());
        for words in [
            &["status", "--json"][..],
            &["--json", "status"],
            &["config", "get", "timeout", "--json"],
            &["config", "--json", "list"],
            &["version", "--json"],
        ] {
            assert!(options(words).unwrap().json, "{words:?}");
        }
        for words in [&["erase", "--json"][..], &["--quiet", "kubelet"]] {
            let (_, rest, caller) = usage(of(words));
            assert!(rest.ends_with(" --help` shows examples"), "{rest}");
            assert!(matches!(caller, Caller::ContainerClient | Caller::Kubelet));
        }
        assert!(options(&["status", "--log", "loud"]).is_err());
        let (line, ..) = usage(of(&["completion", "bash", "--json"]));
        assert_eq!(line, "`completion` has no JSON output");
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
