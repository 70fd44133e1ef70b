//! Renders man pages (man(7)) from the command line and from the help texts.

use super::help::TOPICS;
use crate::cli::{PROGRAM, command};
use clap::{Arg, Command};

/// Lines of text are broken at this column.
const COLUMNS: usize = 72;

const SEE_ALSO: &str =
    ".BR docker (1),\n.BR podman (1),\n.BR containers\\-auth.json (5),\n.BR keyrings (7)\n";
const SEE_PROGRAM: &str = ".BR docker\\-credential\\-acrscoped (1)\n";

/// Returns a page for the program and one for each command: its name without the section, and its text. `date` is an ISO 8601 date.
pub fn pages(date: &str) -> Vec<(String, String)> {
    let mut program = command().disable_help_subcommand(true);
    program.build();
    let commands = program.get_subcommands();
    let documented = commands.filter(|command| command.get_name() != "generate");
    std::iter::once(&program)
        .chain(documented)
        .map(|command| (page_name(command), page(command, date)))
        .collect()
}

/// Returns the name of a page, such as `docker-credential-acrscoped-login`.
fn page_name(command: &Command) -> String {
    command.get_display_name().unwrap_or(PROGRAM).to_owned()
}

fn page(command: &Command, date: &str) -> String {
    let name = page_name(command);
    let about = styled(command.get_about());
    let about = about.trim_end_matches('.');
    let long_about = styled(command.get_long_about());
    let description = long_about.strip_prefix(about).unwrap_or_default();
    let mut page = format!(
        ".TH {} 1 {date} \"{PROGRAM} {}\" \"User Commands\"\n.nh\n.ad l\n",
        name.to_uppercase(),
        env!("CARGO_PKG_VERSION")
    );
    let mut section = |title: &str, body: &str| {
        if !body.is_empty() {
            page += &format!(".SH {title}\n{body}");
        }
    };
    section(
        "NAME",
        &format!(
            "{} \\- {}\n",
            escape(&name),
            escape(&about.replace('`', ""))
        ),
    );
    section("SYNOPSIS", &synopsis(command));
    section("DESCRIPTION", &text(&format!("{about}.\n\n{description}")));
    let subcommands = command
        .get_subcommands()
        .filter(|it| it.get_name() != "generate");
    let subcommands = subcommands.map(|it| item(&bold(it.get_name()), &styled(it.get_about())));
    section("COMMANDS", &subcommands.collect::<String>());
    let options = command.get_arguments().filter(|arg| !arg.is_hide_set());
    section(
        "OPTIONS",
        &options
            .map(|arg| item(&usage(arg), &help(arg)))
            .collect::<String>(),
    );
    let is_program = command.get_name() == PROGRAM;
    if is_program {
        for topic in &TOPICS {
            section(topic.title, &text(&(topic.text)()));
        }
    }
    for part in styled(command.get_after_long_help()).split("\n\n") {
        if let Some((title, body)) = part.split_once(":\n") {
            section(&title.to_uppercase(), &text(body));
        }
    }
    section("SEE ALSO", if is_program { SEE_ALSO } else { SEE_PROGRAM });
    page
}

fn styled(text: Option<&clap::builder::StyledStr>) -> String {
    text.map(ToString::to_string).unwrap_or_default()
}

fn synopsis(command: &Command) -> String {
    let name = command.get_bin_name().unwrap_or(PROGRAM);
    let mut lines = format!(".B {}\n", escape(name));
    let is_shown = |arg: &&Arg| !arg.is_hide_set() && arg.get_id() != "help";
    for arg in command.get_arguments().filter(is_shown) {
        let usage = usage(arg);
        let usage = usage.rsplit(", ").next().unwrap_or_default();
        lines += &if arg.is_required_set() {
            format!("{usage}\n")
        } else {
            format!("[{usage}]\n")
        };
    }
    if command.has_subcommands() {
        lines += "\\fICOMMAND\\fR\n";
    }
    lines
}

/// Returns how an argument is typed: `-h, --help`, `--tenant TENANT`, `--report[=FILE]` or `REGISTRY`.
fn usage(arg: &Arg) -> String {
    let short = arg.get_short().map(|c| bold(&format!("-{c}")));
    let long = arg.get_long().map(|name| bold(&format!("--{name}")));
    let flags: Vec<String> = short.into_iter().chain(long).collect();
    let flags = flags.join(", ");
    if !arg.get_action().takes_values() {
        return flags;
    }
    let values = arg.get_value_names().unwrap_or_default();
    let values: Vec<String> = values
        .iter()
        .map(|name| format!("\\fI{}\\fR", escape(name)))
        .collect();
    let values = values.join(" ");
    match (arg.is_positional(), arg.is_require_equals_set()) {
        (true, _) => values,
        (false, true) => format!("{flags}[={values}]"),
        (false, false) => format!("{flags} {values}"),
    }
}

/// Returns what an argument means, with its values and its default.
fn help(arg: &Arg) -> String {
    if arg.get_id() == "help" {
        return "Print help".to_owned();
    }
    let mut text = styled(arg.get_long_help().or(arg.get_help()));
    let values = arg.get_possible_values();
    let values: Vec<&str> = values.iter().map(|value| value.get_name()).collect();
    if !values.is_empty() {
        text += &format!(". Possible values: {}", values.join(", "));
    }
    if let [default] = arg.get_default_values()
        && arg.get_action().takes_values()
    {
        text += &format!(". Default: {}", default.display());
    }
    text
}

/// Returns an item of a list: a term, and its indented text.
fn item(term: &str, body: &str) -> String {
    format!(".TP\n{term}\n{}\n", fill(body))
}

fn bold(text: &str) -> String {
    format!("\\fB{}\\fR", escape(text))
}

/// Renders plain text. A block whose lines begin with two spaces stays as it is, unless it has lines that begin with six: then it is a list
/// of terms, each with its text. Any other block is a paragraph.
fn text(plain: &str) -> String {
    let mut page = String::new();
    for block in plain.split("\n\n").filter(|block| !block.trim().is_empty()) {
        let block = block.trim_matches('\n');
        let is_list = block.lines().any(|line| line.starts_with("      "));
        if !block.starts_with("  ") {
            page += &format!(".PP\n{}\n", fill(block));
        } else if is_list {
            for line in block.lines() {
                page += &match line.strip_prefix("      ") {
                    Some(body) => fill(body) + "\n",
                    None => format!(".TP\n{}\n", bold(line.trim())),
                };
            }
        } else {
            let lines: Vec<String> = block.lines().map(|line| escape(&line[2..])).collect();
            page += &format!(".PP\n.nf\n{}\n.fi\n", lines.join("\n"));
        }
    }
    // A section begins a paragraph by itself.
    page.strip_prefix(".PP\n").unwrap_or(&page).to_owned()
}

/// Breaks a text into lines, with what is between backticks in bold.
fn fill(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + word.len() < COLUMNS => {
                line.extend([if line.is_empty() { "" } else { " " }, word]);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    let lines: Vec<String> = lines.iter().map(|line| escape(line)).collect();
    let parts = lines.join("\n");
    let parts = parts.split('`').enumerate();
    parts
        .map(|(at, part)| match at % 2 {
            0 => part.to_owned(),
            _ => format!("\\fB{part}\\fR"),
        })
        .collect()
}

/// Escapes a line for roff: backslashes, hyphens, and a leading control character.
fn escape(line: &str) -> String {
    let line = line.replace('\\', "\\e").replace('-', "\\-");
    let is_control = line.starts_with(['.', '\'']);
    if is_control {
        format!("\\&{line}")
    } else {
        line
    }
}
