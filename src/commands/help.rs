//! The long texts: `help TOPIC`, and how `--help` and the man pages show what is in `help/*.txt`.

use crate::config::{KEYS, Variables};
use crate::terminal::Terminal;
use std::fmt::Write as _;

/// A subject of `help TOPIC`, and a section of the man page of the program.
#[derive(Debug)]
pub struct Topic {
    /// Its name on the command line.
    pub name: &'static str,
    /// Its title in the man page.
    pub title: &'static str,
    /// Returns its text: paragraphs, lines to type that begin with two spaces, and terms whose text begins with six.
    pub text: fn() -> String,
}

impl Topic {
    /// Returns its text with lines that fit a terminal.
    pub fn draw(&self) -> String {
        let terminal = Terminal::new(&Variables::new(), false, false);
        let text = (self.text)();
        let lines = text.lines().map(|line| match line.strip_prefix("      ") {
            Some(text) => terminal.wrap(text, 6),
            None => line.to_owned(),
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// Every topic, in the order of the man page.
pub const TOPICS: [Topic; 5] = [
    Topic {
        name: "identities",
        title: "IDENTITIES",
        text: || include_str!("help/identities.txt").into(),
    },
    Topic {
        name: "settings",
        title: "SETTINGS",
        text: settings,
    },
    Topic {
        name: "environment",
        title: "ENVIRONMENT",
        text: environment,
    },
    Topic {
        name: "files",
        title: "FILES",
        text: || include_str!("help/files.txt").into(),
    },
    Topic {
        name: "exit-codes",
        title: "EXIT STATUS",
        text: || include_str!("help/exit-codes.txt").into(),
    },
];

fn settings() -> String {
    let mut text = include_str!("help/settings.txt").to_owned() + "\n";
    for key in KEYS {
        let _ = write!(
            text,
            "  {}\n      {}. Default: {}\n",
            key.name, key.meaning, key.default
        );
    }
    text
}

fn environment() -> String {
    let mut text = String::new();
    for key in KEYS {
        let Some(variable) = key.variable else {
            continue;
        };
        let azure = key
            .azure_variable
            .map(|name| format!(". Without it, {name} counts"));
        let azure = azure.unwrap_or_default();
        let _ = write!(
            text,
            "  {variable}\n      The setting `{}`{azure}\n",
            key.name
        );
    }
    include_str!("help/environment.txt").replace("@SETTINGS@\n", &text)
}

/// Adds the long parts to a command. Its `after_help` has paragraphs, then a block `Examples:`. `-h` shows neither, and only the first
/// sentence about an argument.
pub fn with_long_help(command: clap::Command, exit_status: &str) -> clap::Command {
    let about = command
        .get_about()
        .map(ToString::to_string)
        .unwrap_or_default();
    let text = command
        .get_after_help()
        .map(ToString::to_string)
        .unwrap_or_default();
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
