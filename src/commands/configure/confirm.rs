//! Asks before `configure --all` ends logins or breaks pulls of other registries.

use super::client_config::ClientConfig;
use super::{CONFIGURE, HELPER};
use crate::commands::Context;
use crate::commands::report::{Check, list};
use crate::config::Settings;
use crate::error::{Error, ErrorKind};
use std::io::{self, IsTerminal};

/// Warns of passwords in Docker's file: Docker does not read them once it has a default credential store.
pub(super) fn ending_logins(config: &ClientConfig, settings: &Settings) -> Option<Check> {
    let logins = config.foreign_logins(settings);
    if logins.is_empty() {
        return None;
    }
    let text = format!(
        "Docker will stop using its saved logins for {}: it asks `{HELPER}` for every registry",
        list(logins)
    );
    let hint = format!(
        "set a `delegate`, such as \"secretservice\", and log in there again; or name your registries instead of `--all`\n  \
         {CONFIGURE} contoso.azurecr.io"
    );
    Some(Check::warning("", text).hint(hint))
}

/// Asks whether to go on although this will be lost.
///
/// # Errors
///
/// When the answer is not yes, or there is no terminal to ask on.
pub(super) fn ask(context: &Context<'_>, loss: &Check) -> Result<(), Error> {
    if context.is_stderr_terminal && io::stdin().is_terminal() {
        let question = context.terminal.wrap(&format!("{}.", loss.summary), 0);
        (context.print_error)(&format!("{question}\nContinue? [y/N] "));
        let mut answer = String::new();
        io::stdin()
            .read_line(&mut answer)
            .map_err(|error| Error::input(format!("the answer could not be read: {error}")))?;
        if ["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()) {
            return Ok(());
        }
        // The exit code 2 is for a wrong command line.
        return Err(Error::new(ErrorKind::Setting, "nothing was changed"));
    }
    let problem = "nothing was changed: `--all` needs `--yes` when there is no terminal";
    Err(Error::input(problem)
        .with_detail(loss.summary.clone())
        .with_hint(format!("to do it anyway, run\n  {CONFIGURE} --all --yes")))
}
