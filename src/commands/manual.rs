//! Renders man pages (man(7)) from the command line and from the help texts.

use super::help::TOPICS;
use crate::cli::{PROGRAM, command};
use clap::Command;

/// Lines of text are broken at this column.
const COLUMNS: usize = 72;

const SEE_ALSO: &str =
    ".BR docker (1),\n.BR podman (1),\n.BR containers\\-auth.json (5),\n.BR keyrings (7)\n";
const SEE_PROGRAM: &str = ".BR docker\\-credential\\-acrscoped (1)\n";

/// Returns a page for the program and one for each command: its name without the section, and its text. `date` is an ISO 8601 date.
pub fn pages(date: &str) -> Vec<(String, String)> {
    let has_page = |command: &&Command| !["generate", "help"].contains(&command.get_name());
    // The page of the program lists what only programs call, too.
    let mut program = command().term_width(0).mut_subcommands(|command| {
        let is_hidden = !has_page(&&command);
        command.hide(is_hidden)
    });
    program.build();
    let commands = program.get_subcommands().filter(has_page);
    std::iter::once(&program)
        .chain(commands)
        .map(|command| (page_name(command), page(command, date)))
        .collect()
}

/// Returns the name of a page, such as `docker-credential-acrscoped-login`.
fn page_name(command: &Command) -> String {
    command.get_display_name().unwrap_or(PROGRAM).to_owned()
}

/// Renders the long help of a command. The title is short, because the header shows it twice.
fn page(command: &Command, date: &str) -> String {
    let name = command.get_name();
    let is_program = name == PROGRAM;
    let title = page_name(command).to_uppercase();
    let title = title.trim_start_matches("DOCKER-CREDENTIAL-");
    let about = command.get_about().map(ToString::to_string);
    let about = escape(&about.unwrap_or_default().replace('`', ""));
    let version = env!("CARGO_PKG_VERSION");
    let page_name = escape(&page_name(command));
    let mut page = format!(
        ".TH {title} 1 {date} \"{PROGRAM} {version}\" \"User Commands\"\n.nh\n.ad l\n.SH NAME\n{page_name} \\- {about}\n"
    );
    let mut section = |title: &str, body: &str| page += &format!(".SH {title}\n{body}");
    let help = command.clone().render_long_help().to_string();
    let help = help.replace(" (see a summary with '-h')", "");
    let help = help.replace("]...", "...]");
    let (usage, help) = help.split_once("\n\n").unwrap_or_default();
    let name = command.get_bin_name().unwrap_or(PROGRAM);
    let words = usage.trim_start_matches("Usage: ").trim_start_matches(name);
    section(
        "SYNOPSIS",
        &format!(".B {}\n{}\n", escape(name), term(words.trim())),
    );
    let (mut heading, mut body) = ("DESCRIPTION".to_owned(), String::new());
    for line in help.lines().chain(["End:"]) {
        // A title has at most two words, such as `Exit status:`.
        if line.ends_with(':') && !line.starts_with(' ') && line.split(' ').count() < 3 {
            section(&heading, &text(&body, text_indent(&heading)));
            if heading == "OPTIONS" && is_program {
                for topic in &TOPICS {
                    section(topic.title, &text(&topic.text(), TOPIC_INDENT));
                }
            }
            heading = line.trim_end_matches(':').to_uppercase();
            body.clear();
        } else if let ("COMMANDS", Some((name, about))) = (&*heading, line.trim().split_once("  "))
        {
            body += &format!("  {name}\n      {}\n", about.trim());
        } else {
            body.extend([line, "\n"]);
        }
    }
    section("SEE ALSO", if is_program { SEE_ALSO } else { SEE_PROGRAM });
    page
}

/// In the text of a topic, what describes a term is indented by so many spaces.
const TOPIC_INDENT: usize = 6;

/// Returns by how many spaces the texts of a list are indented in a part of the help.
fn text_indent(heading: &str) -> usize {
    match heading {
        "ARGUMENTS" | "OPTIONS" => 10,
        "COMMANDS" => TOPIC_INDENT,
        _ => usize::MAX,
    }
}

/// Renders what is typed, such as `--log <LEVEL>`: values in italics, the rest in bold.
fn term(text: &str) -> String {
    let words = text.split(' ').map(|word| {
        let style = if word.starts_with(['<', '[']) {
            'I'
        } else {
            'B'
        };
        format!("\\f{style}{}\\fR", escape(&word.replace(['<', '>'], "")))
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Renders plain text. A block whose lines begin with spaces stays as it is, unless it has lines that begin with `indent` spaces: then it is a
/// list of terms, each with its text. Any other block is a paragraph.
fn text(plain: &str, indent: usize) -> String {
    let mut page = String::new();
    let spaces = |line: &str| line.len() - line.trim_start().len();
    for block in plain.split("\n\n").filter(|block| !block.trim().is_empty()) {
        let block = block.trim_matches('\n');
        if !block.starts_with(' ') {
            page += &format!(".PP\n{}\n", fill(block));
        } else if block.lines().any(|line| spaces(line) >= indent) {
            // More about the term of the block before.
            if spaces(block) >= indent {
                page += ".IP\n";
            }
            for line in block.lines().filter(|line| !line.trim().is_empty()) {
                let is_item = line.trim_start().starts_with(['-', '[']);
                page += &match spaces(line) < indent {
                    true => format!(".TP\n{}\n", term(line.trim())),
                    false if is_item => format!(".br\n{}\n", fill(line)),
                    false => fill(line) + "\n",
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
