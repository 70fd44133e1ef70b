//! `setup`: signs in if there is no identity, sets up the clients that are there, and shows what to pull.

use super::report::{Check, list};
use super::{Context, configure, login, write_json};
use crate::error::{Error, ErrorKind};
use crate::registry::Registry;
use crate::text::shell_word;
use clap::Args;
use serde_json::json;
use std::io::{self, Write};
use std::process::ExitCode;

const SETUP: &str = concat!(env!("CARGO_PKG_NAME"), " setup");

/// `setup [REGISTRY[/REPOSITORY]] [--json | --plain]`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    /// The registry, or an image in it, such as contoso.azurecr.io/team/app. Default: the only registry that is known.
    #[arg(value_name = "REGISTRY[/REPOSITORY]")]
    registry: Option<String>,
}

/// Takes all steps. Each is shown when it is done, and finds what is done already.
///
/// # Errors
///
/// When no registry is named or known, nobody can sign in, or a step fails. What was done before stays.
pub fn run(
    context: &Context<'_>,
    arguments: &Arguments,
    mut output: impl Write,
) -> Result<ExitCode, Error> {
    let (registry, repository) = image(context, arguments)?;
    let is_json = context.is_json;
    progress(context, &format!("Signing in to {registry} ..."));
    let signed_in = if is_json {
        sign_in(context, &registry, io::sink())
    } else {
        sign_in(context, &registry, &mut output)
    };
    let mut all = Vec::new();
    let mut show = |checks: Vec<Check>| {
        if !is_json {
            let lines = checks.iter().map(|check| check.draw(context.terminal, 0));
            let text: String = lines.collect();
            output.write_all(text.as_bytes()).map_err(Error::output)?;
        }
        all.extend(checks);
        output.flush().map_err(Error::output)
    };
    show(vec![signed_in?])?;
    progress(context, "Setting up the clients on this machine ...");
    show(configure::apply(context, &registry)?)?;
    let has_failed = all.iter().any(Check::is_bad);
    let next = configure::next_step(context, &registry, repository.as_deref());
    let next = (!has_failed).then_some(next);
    if is_json {
        let answer = json!({ "registry": registry.host(), "checks": all, "next": next });
        write_json(&mut output, &answer)?;
    } else if let Some(next) = next {
        writeln!(output, "Next:\n  {next}").map_err(Error::output)?;
    }
    Ok(ExitCode::from(u8::from(has_failed)))
}

/// Returns the registry, and the repository if the argument has one.
fn image(
    context: &Context<'_>,
    arguments: &Arguments,
) -> Result<(Registry, Option<String>), Error> {
    if let Some(text) = &arguments.registry {
        let text = text.strip_prefix("https://").unwrap_or(text);
        let (host, repository) = text.split_once('/').unwrap_or((text, ""));
        let repository = (!repository.is_empty()).then(|| shell_word(repository));
        return Ok((context.registry(host)?, repository));
    }
    let known = configure::known_registries(context)?;
    if let [registry] = &known[..] {
        return Ok((registry.clone(), None));
    }
    let several = (!known.is_empty()).then(|| format!("several are known: {}", list(&known)));
    let example = known.first().map_or("contoso.azurecr.io", Registry::host);
    Err(Error::input("no registry is named")
        .with_details(several)
        .with_hint(format!("name one\n  {SETUP} {example}")))
}

/// Gets a new token of the registry, as a client would. Without an identity, the user signs in first, and `login` reports to `output`.
fn sign_in(context: &Context<'_>, registry: &Registry, output: impl Write) -> Result<Check, Error> {
    let service = context.service();
    // A cached token would prove nothing.
    service.erase(registry)?;
    match service.get(registry) {
        Err(error) if error.kind() == ErrorKind::NoIdentity => {
            if !context.is_stderr_terminal {
                return Err(no_terminal(registry, &error));
            }
            login::run(context, &login::Arguments::of(registry), output)?;
            service.get(registry)?;
        }
        credential => drop(credential?),
    }
    let identity = service.identity(registry)?;
    let text = format!("{registry} accepts {identity}");
    Ok(Check::good("sign-in", text))
}

/// Returns the error that there is no identity, for this reason, and no person to sign in.
fn no_terminal(registry: &Registry, reason: &Error) -> Error {
    let problem = "no Azure identity is signed in, and there is no terminal to sign in at";
    let hint = format!(
        "sign in first\n  {} login {registry}",
        env!("CARGO_PKG_NAME")
    );
    Error::new(ErrorKind::NoIdentity, problem)
        .with_details(reason.details().to_vec())
        .with_hint(hint)
}

/// Shows the running step to a person.
fn progress(context: &Context<'_>, step: &str) {
    if context.is_stderr_terminal && !context.terminal.is_quiet() {
        (context.print_error)(&format!("{step}\n"));
    }
}
