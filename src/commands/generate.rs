//! Writes the completions of shells and the man pages: `completion`, and `generate` for packages.

use super::{Context, config, manual};
use crate::cli::{PROGRAM, command};
use crate::error::{Error, ErrorKind, sanitize_line};
use azure_core::time::{OffsetDateTime, to_rfc3339};
use clap::{Args, Command};
use clap_complete::Shell;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The variable with the date of a package, in seconds since 1970 (reproducible-builds.org).
const BUILD_DATE: &str = "SOURCE_DATE_EPOCH";

/// `completion SHELL`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct CompletionArguments {
    /// The shell that completes.
    shell: Shell,
}

/// `generate FOLDER`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct GenerateArguments {
    /// The folder for `man` and `completions`.
    folder: PathBuf,
}

/// Prints the completions of a shell.
pub fn run_completion(
    arguments: &CompletionArguments,
    mut output: impl Write,
) -> Result<(), Error> {
    let text = completions(arguments.shell);
    output.write_all(text.as_bytes()).map_err(Error::output)
}

/// Writes the man pages and the completions into a folder, under the names that `man` and the shells look for.
pub fn run_generate(context: &Context<'_>, arguments: &GenerateArguments) -> Result<(), Error> {
    for (name, page) in manual::pages(&build_date(context)?) {
        write(&arguments.folder.join("man"), &format!("{name}.1"), &page)?;
    }
    for (shell, name) in [
        (Shell::Bash, PROGRAM.to_owned()),
        (Shell::Zsh, format!("_{PROGRAM}")),
        (Shell::Fish, format!("{PROGRAM}.fish")),
        (Shell::PowerShell, format!("_{PROGRAM}.ps1")),
    ] {
        let folder = arguments.folder.join("completions");
        write(&folder, &name, &completions(shell))?;
    }
    Ok(())
}

/// Returns what a shell completes: the commands for people.
fn completed() -> Command {
    let all = command();
    let commands = all.get_subcommands().filter(|it| !it.is_hide_set());
    Command::new(PROGRAM)
        .args(all.get_arguments().cloned())
        .subcommands(commands.cloned())
        .mut_subcommand("config", config::with_completions)
        .disable_help_subcommand(true)
}

fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut completed(), PROGRAM, &mut script);
    // clap_complete replaces the hyphens of a program's name in two ways: where bash looks for a command, and where it lists them.
    String::from_utf8_lossy(&script).replace(
        "docker__subcmd__credential__subcmd__acrscoped",
        "docker__credential__acrscoped",
    )
}

/// Returns the date of the build, so that two builds of one commit are equal, else today's.
fn build_date(context: &Context<'_>) -> Result<String, Error> {
    let time = match context.settings.variables().get(BUILD_DATE) {
        Some(text) => text
            .to_str()
            .and_then(|text| text.parse().ok())
            .and_then(|seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)))
            .ok_or_else(|| Error::setting(BUILD_DATE, "is not a number of seconds"))?,
        None => (context.clock)(),
    };
    Ok(to_rfc3339(&OffsetDateTime::from(time))
        .chars()
        .take(10)
        .collect())
}

fn write(folder: &Path, name: &str, text: &str) -> Result<(), Error> {
    let path = folder.join(name);
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&path, text))
        .map_err(|error| {
            let path = sanitize_line(&path.to_string_lossy());
            Error::new(
                ErrorKind::System,
                format!("could not write {path}: {error}"),
            )
        })
}
