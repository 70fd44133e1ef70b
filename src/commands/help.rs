//! The long texts: `help TOPIC`, and how `--help` and the man pages show what is in `help/*.txt`.

use crate::config::{KEYS, Variables};
use crate::terminal::Terminal;

/// A subject of `help TOPIC`, and a section of the man page of the program.
#[derive(Debug)]
pub struct Topic {
    /// Its name on the command line.
    pub name: &'static str,
    /// Its title in the man page.
    pub title: &'static str,
    /// Paragraphs, lines to type that begin with two spaces, and terms whose text begins with six.
    template: &'static str,
}

impl Topic {
    const fn new(name: &'static str, title: &'static str, template: &'static str) -> Self {
        Self {
            name,
            title,
            template,
        }
    }

    /// Returns its text, with the table of settings filled in.
    pub fn text(&self) -> String {
        let settings = KEYS.iter().map(|key| {
            format!(
                "  {}\n      {}. Default: {}\n",
                key.name, key.meaning, key.default
            )
        });
        let variables = KEYS.iter().filter_map(|key| {
            let azure = key
                .azure_variable
                .map(|name| format!(". Without it, {name} counts"));
            let azure = azure.unwrap_or_default();
            Some(format!(
                "  {}\n      The setting `{}`{azure}\n",
                key.variable?, key.name
            ))
        });
        self.template
            .replace("@SETTINGS@\n", &settings.collect::<String>())
            .replace("@VARIABLES@\n", &variables.collect::<String>())
    }

    /// Returns its text with lines that fit a terminal.
    pub fn draw(&self) -> String {
        let terminal = Terminal::new(&Variables::new(), false, false);
        let text = self.text();
        let lines = text.lines().map(|line| match line.strip_prefix("      ") {
            Some(text) => terminal.wrap(text, 6),
            None => line.to_owned(),
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// Every topic, in the order of the man page.
pub const TOPICS: [Topic; 5] = [
    Topic::new(
        "identities",
        "IDENTITIES",
        include_str!("help/identities.txt"),
    ),
    Topic::new("settings", "SETTINGS", include_str!("help/settings.txt")),
    Topic::new(
        "environment",
        "ENVIRONMENT",
        include_str!("help/environment.txt"),
    ),
    Topic::new("files", "FILES", include_str!("help/files.txt")),
    Topic::new(
        "exit-codes",
        "EXIT STATUS",
        include_str!("help/exit-codes.txt"),
    ),
];

/// Adds the long parts to a command. Its `after_help` has paragraphs, then a block `Examples:`. `-h` shows neither, and only the first
/// sentence about an argument.
pub fn with_long_help(command: clap::Command, exit_status: &str) -> clap::Command {
    let [about, text] = [command.get_about(), command.get_after_help()]
        .map(|text| text.map(ToString::to_string).unwrap_or_default());
    let at = text.find("Examples:\n").unwrap_or(text.len());
    let (description, examples) = text.split_at(at);
    let long_about = format!("{about}\n\n{}", join_lines(description));
    let examples = examples.trim_end();
    command
        .long_about(long_about.trim_end().to_owned())
        .after_help(None)
        .mut_args(with_short_help)
        .after_long_help(format!("{examples}\n\n{exit_status}").trim().to_owned())
}

fn with_short_help(arg: clap::Arg) -> clap::Arg {
    let text = arg.get_help().map(ToString::to_string).unwrap_or_default();
    match text.split_once(". ") {
        Some((first, _)) => arg.help(first.to_owned()).long_help(text),
        None => arg,
    }
}

/// Makes each paragraph one line, which the terminal's width breaks. Lines that begin with a space stay.
fn join_lines(text: &str) -> String {
    let blocks = text.split("\n\n").map(|block| {
        // A list may follow a line.
        let lines = block.replace("\n  ", "\r  ").replace('\n', " ");
        lines.replace('\r', "\n")
    });
    blocks.collect::<Vec<_>>().join("\n\n")
}
