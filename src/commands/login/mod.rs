//! `login`: signs the user in with a browser, and stores the sign-in for later commands.

mod browser;
mod flow;
mod loopback;
mod page;
#[cfg(target_os = "linux")]
mod peer;

use super::Context;
use crate::cache::{KERNEL_KEYRING, Lasts, LoginStore};
use crate::config::{self, CacheChoice, Config};
use crate::entra::{self, TokenResponse};
use crate::error::{Error, ErrorKind, printable};
use crate::identity::{Account, Identity, OWN_KEYRING};
use crate::logins::{self, Login};
use crate::program;
use crate::registry::Registry;
use crate::runtime;
use crate::terminal::Status;
use clap::Args;
use flow::Flow;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `login [REGISTRY] [--tenant TENANT] [--device-code] [--claims-challenge BASE64] [--timeout SECONDS]`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    /// The registry, such as contoso.azurecr.io, to verify the sign-in with. Without it, the sign-in is for the public cloud.
    registry: Option<String>,
    /// The tenant to sign in to: id or domain name.
    #[arg(long, value_parser = tenant)]
    tenant: Option<String>,
    /// Show a code to enter in a browser elsewhere.
    #[arg(long)]
    device_code: bool,
    /// Satisfy a policy, with the value from a hint.
    #[arg(long, value_name = "BASE64", value_parser = entra::decode_claims)]
    claims_challenge: Option<String>,
    /// Wait this long for the browser. Default: 300, or until the code expires.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: Option<u64>,
}

impl Arguments {
    /// Returns the arguments of `login REGISTRY`.
    pub(super) fn of(registry: &Registry) -> Self {
        Self {
            registry: Some(registry.host().to_owned()),
            tenant: None,
            device_code: false,
            claims_challenge: None,
            timeout: None,
        }
    }
}

/// Parses the id or domain name of a tenant.
fn tenant(text: &str) -> Result<String, &'static str> {
    config::is_tenant(text)
        .then(|| text.to_owned())
        .ok_or("expected a tenant's id or domain name")
}

/// Signs in, stores the sign-in, and verifies it at the registry.
///
/// # Errors
///
/// What prevents one of these steps.
pub fn run(
    context: &Context<'_>,
    arguments: &Arguments,
    mut output: impl Write,
) -> Result<(), Error> {
    let registry = context.optional_registry(arguments.registry.as_deref())?;
    let config = context.config(registry.as_ref())?;
    // Checked first, so that the user does not sign in for nothing.
    let file = check_can_store(context, &config)?;
    let account = Account::unknown(&config, arguments.tenant.as_deref());
    let flow = Flow {
        identity: Identity::of_login(account.clone(), &config, registry.as_ref()),
        config: &config,
        account: &account,
        claims: arguments.claims_challenge.clone(),
        clock: context.clock,
        timeout: arguments.timeout.map(Duration::from_secs),
        variables: context.settings.variables(),
    };
    let granted = runtime::run(flow.sign_in(arguments.device_code))?;
    let (login, place) = store(context, &config, &account, &file, granted)?;
    print_result(context, &login, &place, &mut output)?;
    if place.store == KERNEL_KEYRING
        && let Some(program) = rootless_client(&config)
    {
        let command = account.command_within(program, registry.as_ref());
        let text = format!("{OWN_KEYRING}: {command} signs in there");
        print(context, Status::Warning, &text, &mut output)?;
    }
    registry.map_or(Ok(()), |registry| verify(context, &registry, &mut output))
}

/// Returns the file of the logins if it and a keyring can store another one.
fn check_can_store(context: &Context<'_>, config: &Config) -> Result<PathBuf, Error> {
    let file = config
        .sources
        .logins
        .clone()
        .ok_or_else(|| Error::input("there is no home folder for the list of sign-ins"))?;
    logins::read(&file)?;
    logins::check_writable(&file)?;
    if config.cache == CacheChoice::None {
        return Err(not_stored(vec!["`cache` is none: nothing is kept".into()]));
    }
    let stores = context.service().cache(config.cache, config.timeout);
    stores.can_store_login().map_err(not_stored)?;
    Ok(file)
}

/// Stores the token in the keyring, and the account in the file of the logins.
fn store(
    context: &Context<'_>,
    config: &Config,
    account: &Account,
    file: &Path,
    granted: TokenResponse,
) -> Result<(Login, LoginStore), Error> {
    let (Some(token), Some(who)) = (granted.refresh_token, granted.who) else {
        let problem = "the response lacks a refresh token or the account";
        return Err(Error::sign_in("the sign-in", problem));
    };
    let mut login = Login {
        tenant: who.tenant,
        home: who.home,
        username: who.username,
        ..account.login.clone()
    };
    let key = login.key();
    let cache = context.service().cache(config.cache, config.timeout);
    let place = cache
        .put_login(&key, &token, (context.clock)())
        .map_err(not_stored)?;
    login.set_store(&place);
    let remembered = logins::save(file, &login).and_then(|()| {
        logins::update_one(file, &login, logins::LOCK_TIMEOUT, |saved| {
            saved.set_store(&place);
        })
    });
    remembered.inspect_err(|_| {
        // No command would find the token again.
        let _ = cache.forget(|kept| *kept == key);
    })?;
    Ok((login, place))
}

fn print_result(
    context: &Context<'_>,
    login: &Login,
    place: &LoginStore,
    output: &mut impl Write,
) -> Result<(), Error> {
    let (username, tenant) = (&login.username, printable(&login.tenant));
    let text = format!("signed in as {username} in tenant {tenant}");
    print(context, Status::Ok, &text, output)?;
    let until = match place.lasts {
        Lasts::UntilDeleted => "",
        Lasts::UntilRestart => " until the machine restarts",
        Lasts::UntilSessionEnds => " until the desktop session ends",
    };
    let store = &place.store;
    let text =
        format!("it is kept in the {store}{until}, and ends when it is not used for 90 days");
    writeln!(output, "{}", context.terminal.wrap(&text, 2))
        .and_then(|()| output.flush())
        .map_err(Error::output)
}

/// Returns the container client that runs in a user namespace, which has another kernel keyring.
fn rootless_client(config: &Config) -> Option<&'static str> {
    #[cfg(unix)]
    if rustix::process::geteuid().is_root() {
        return None;
    }
    ["podman", "buildah"]
        .into_iter()
        .find(|name| program::find(name, &config.sources.path).is_some())
}

/// Gets a credential for the registry as a client does, or warns that another identity comes first.
fn verify(
    context: &Context<'_>,
    registry: &Registry,
    output: &mut impl Write,
) -> Result<(), Error> {
    let service = context.service();
    let identity = service.identity(registry)?;
    if identity.login().is_none() {
        let text = format!(
            "{registry} is signed in to by {identity}, which comes before a login; `source = \"login\"` under \
             `[registry.\"{}\"]` in {} changes that",
            registry.host(),
            context.settings.file().display()
        );
        return print(context, Status::Warning, &text, output);
    }
    // A cached token would prove nothing.
    service.erase(registry)?;
    service.get(registry)?;
    let text =
        format!("{registry} takes it: its images can be pulled and pushed as the roles allow");
    print(context, Status::Ok, &text, output)
}

/// Returns the error that no keyring stored the sign-in.
fn not_stored(problems: Vec<String>) -> Error {
    let message = "no keyring takes a login, and it is kept nowhere else";
    Error::new(ErrorKind::Keyring, message)
        .with_details(problems)
        .with_hint(
            "unlock or start the keyring of the desktop, or let `cache` be auto, which knows the kernel's; or use `az login`",
        )
}

/// Prints a sentence at once: the next step may take seconds.
fn print(
    context: &Context<'_>,
    mark: Status,
    text: &str,
    output: &mut impl Write,
) -> Result<(), Error> {
    writeln!(output, "{}", context.terminal.sentence(mark, text))
        .and_then(|()| output.flush())
        .map_err(Error::output)
}
