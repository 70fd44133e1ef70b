//! `setup`: signs in if there is no identity, sets up the clients that are there, and verifies that an image can be pulled.

use super::report::{Check, list};
use super::{Context, Image, PROGRAM, configure, doctor, login, write_json};
use crate::error::{Error, ErrorKind};
use crate::registry::Registry;
use crate::text::shell_word;
use crate::token::RefreshToken;
use clap::Args;
use serde_json::json;
use std::io::{self, Write};
use std::process::ExitCode;

/// The exit code if the identity may not pull (`help exit-codes`).
const DENIED: u8 = 4;

/// `setup [REGISTRY[/REPOSITORY]] [--json | --plain]`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    /// The registry, or an image in it, such as contoso.azurecr.io/team/app. Default: the only registry that is known.
    #[arg(value_name = "REGISTRY[/REPOSITORY]")]
    registry: Option<String>,
}

/// Takes all steps. Each is shown when it is done, and finds what is done already. The exit code is not 0 if a client will not use this helper,
/// or the identity may not pull.
///
/// # Errors
///
/// When no registry is named or known, or sign-in fails.
pub fn run(
    context: &Context<'_>,
    arguments: &Arguments,
    mut output: impl Write,
) -> Result<ExitCode, Error> {
    let image = image(context, arguments)?;
    let (registry, is_json) = (&image.registry, context.is_json);
    let answer = |checks: &[Check], next: Option<&str>| json!({ "registry": registry.host(), "checks": checks, "next": next });
    progress(context, &format!("Signing in to {registry}"));
    let signed_in = if is_json {
        sign_in(context, registry, io::sink())
    } else {
        sign_in(context, registry, &mut output)
    };
    let signed_in = signed_in.map_err(|error| context.suggest(error, registry));
    if let (Err(error), true) = (&signed_in, is_json) {
        let failed = Check::failed("sign-in", error);
        write_json(&mut output, &answer(&[failed], None))?;
    }
    let (token, check) = signed_in?;
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
    let failed = |name, error| vec![Check::failed(name, &error)];
    show(vec![check])?;
    progress(context, "Setting up the clients on this machine");
    let clients = configure::apply(context, registry);
    show(clients.unwrap_or_else(|error| failed("clients", error)))?;
    progress(context, "Checking what the registry grants");
    let granted = doctor::check_credential(context, registry, image.repository.clone(), token);
    show(granted.unwrap_or_else(|error| failed("repository", error)))?;
    let exit_code = exit_code(&all);
    let path = image
        .repository
        .map(|path| shell_word(&(path + &image.tag)));
    let path = path.as_deref().unwrap_or("IMAGE");
    let next = (exit_code == 0).then(|| configure::pull_command(context, registry, path));
    if is_json {
        write_json(&mut output, &answer(&all, next.as_deref()))?;
    } else if let Some(next) = next {
        writeln!(output, "Next:\n  {next}").map_err(Error::output)?;
    }
    Ok(ExitCode::from(exit_code))
}

fn exit_code(checks: &[Check]) -> u8 {
    let mut failed = checks.iter().filter(|check| check.is_bad()).peekable();
    let has_failed = failed.peek().is_some();
    // What is not granted is no error.
    let is_denied = |check: &Check| match check.kind {
        None => check.name == doctor::REPOSITORY,
        Some(ErrorKind::Denied { .. } | ErrorKind::NetworkRule | ErrorKind::InvalidToken) => true,
        Some(_) => false,
    };
    if failed.any(is_denied) {
        return DENIED;
    }
    u8::from(has_failed)
}

/// Returns the registry or image that is named, or the only registry that is known.
fn image(context: &Context<'_>, arguments: &Arguments) -> Result<Image, Error> {
    if let Some(text) = &arguments.registry {
        return context.image(text);
    }
    let mut known = configure::known_registries(context)?;
    let problem = match known.len() {
        0 => "which registry? None is configured yet".to_owned(),
        1 => {
            return Ok(Image {
                registry: known.remove(0),
                repository: None,
                tag: String::new(),
            });
        }
        _ => format!("which registry? Several are known: {}", list(&known)),
    };
    let example = known.first().map_or("contoso.azurecr.io", Registry::host);
    Err(Error::input(problem).with_hint(format!("name one\n  {PROGRAM} setup {example}")))
}

/// Gets a new token of the registry, as a client would. Without an identity, the user signs in first, and `login` reports to `output`.
fn sign_in(
    context: &Context<'_>,
    registry: &Registry,
    mut output: impl Write,
) -> Result<(RefreshToken, Check), Error> {
    let service = context.service();
    // A cached token would prove nothing.
    service.erase(registry)?;
    let credential = match service.get(registry) {
        Err(error) if error.kind() == ErrorKind::NoIdentity => {
            if !context.is_stderr_terminal {
                return Err(no_terminal(registry, &error));
            }
            let text = login::sign_in(context, registry)?;
            output.write_all(text.as_bytes()).map_err(Error::output)?;
            service.get(registry)
        }
        credential => credential,
    };
    let token = credential?.token;
    let text = format!("{registry} accepts {}", service.identity(registry)?);
    Ok((token, Check::good("sign-in", text)))
}

/// Returns the error that there is no identity, for this reason, and no person to sign in.
fn no_terminal(registry: &Registry, reason: &Error) -> Error {
    let problem = "no Azure identity is signed in, and there is no terminal to sign in at";
    let hint = format!("sign in first\n  {PROGRAM} login {registry}");
    Error::new(ErrorKind::NoIdentity, problem)
        .with_details(reason.details().to_vec())
        .with_hint(hint)
}

/// Shows the running step to a person.
fn progress(context: &Context<'_>, step: &str) {
    if context.is_stderr_terminal && !context.terminal.is_quiet() {
        (context.print_error)(&format!("{step} {}\n", context.terminal.ellipsis()));
    }
}
