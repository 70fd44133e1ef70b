//! `login`: signs the user in with a browser, and stores the sign-in for later commands.

mod browser;
mod flow;
mod loopback;
mod page;
#[cfg(target_os = "linux")]
mod peer;

use super::status;
use super::{Context, PROGRAM, configure, next_step};
use crate::cache::{KERNEL_KEYRING, Lasts, LoginStore};
use crate::config::{self, CacheChoice, Config};
use crate::entra::{self, TokenResponse};
use crate::error::{Error, ErrorKind, config_file, printable};
use crate::identity::{self, Account, Identity, OWN_KEYRING, SignInOptions};
use crate::logins::{Login, Logins};
use crate::program;
use crate::registry::Registry;
use crate::runtime;
use crate::terminal::Status;
use crate::text::shell_word;
use clap::Args;
use flow::Flow;
use std::io::Write;
use std::time::Duration;

/// `login [REGISTRY] [--tenant TENANT] [--device-code] [--claims-challenge BASE64] [--timeout SECONDS] | --switch [ACCOUNT]`.
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
    /// Use another saved sign-in, without a browser: its user name or tenant. Default: the other one of two.
    #[arg(long, value_name = "ACCOUNT", num_args = 0..=1, conflicts_with_all = ["tenant", "device_code", "claims_challenge", "timeout"])]
    switch: Option<Option<String>>,
}

/// Parses the id or domain name of a tenant.
fn tenant(text: &str) -> Result<String, &'static str> {
    config::is_tenant(text)
        .then(|| text.to_owned())
        .ok_or("expected a tenant's id or domain name")
}

/// Signs in, stores the sign-in, and verifies it at the registry. Or makes another saved sign-in the active one.
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
    let registry = registry.as_ref();
    let config = context.config(registry)?;
    if let Some(account) = &arguments.switch {
        return switch(context, &config, account.as_deref(), &mut output);
    }
    // Checked first, so that the user does not sign in for nothing.
    let logins = check_can_store(context, &config)?;
    let options = SignInOptions {
        device_code: arguments.device_code,
        claims: arguments.claims_challenge.clone(),
    };
    let account = Account::unknown(&config, arguments.tenant.as_deref(), options);
    let flow = Flow {
        identity: Identity::of_login(account.clone(), &config, registry),
        config: &config,
        account: &account,
        registry,
        clock: context.clock,
        timeout: arguments.timeout.map(Duration::from_secs),
        variables: context.settings.variables(),
    };
    let (granted, browser) = runtime::run(flow.sign_in(arguments.device_code))?;
    let login = Login {
        browser,
        ..account.login.clone()
    };
    let (login, place) = store(context, &config, login, &logins, granted)?;
    print_result(context, &login, &place, &mut output)?;
    if place.store == KERNEL_KEYRING
        && let Some(program) = rootless_client(&config)
    {
        let command = account.device_code_command(registry);
        let text = format!("{OWN_KEYRING}:");
        print(context, Status::Warning, &text, &mut output)?;
        writeln!(output, "  {program} unshare {command}").map_err(Error::output)?;
    }
    print_previous(context, &config, &login, &mut output)?;
    if !is_selected(context, &config, &login, &mut output)? {
        return Ok(());
    }
    match registry {
        Some(registry) => verify(context, registry, &mut output),
        None if configure::configured_registries(context.settings).is_empty() => {
            next_step(&mut output, &format!("{PROGRAM} configure REGISTRY"))
        }
        None => Ok(()),
    }
}

/// Makes a saved sign-in of the cloud the active one: the account with this user name or tenant, else the other one of two.
fn switch(
    context: &Context<'_>,
    config: &Config,
    name: Option<&str>,
    output: &mut impl Write,
) -> Result<(), Error> {
    let accounts = identity::accounts(config)?;
    let named: Vec<&Login> = match (name, &accounts[..]) {
        (Some(name), all) => all.iter().filter(|login| login.is_named(name)).collect(),
        (None, [other, _active]) => vec![other],
        (None, _) => vec![],
    };
    let ([login], Some(logins)) = (&named[..], Logins::new(config)) else {
        return Err(context.not_one_account(name, &accounts));
    };
    logins.save((*login).clone(), None)?;
    let cloud = login.cloud_name(context.settings.clouds());
    let text = format!("{} is now the active account of {cloud}", login.username);
    print(context, Status::Ok, &text, output)?;
    is_selected(context, config, login, output).map(drop)
}

/// Returns whether the settings let this account sign in. Warns if the tenant that is configured selects another one.
fn is_selected(
    context: &Context<'_>,
    config: &Config,
    login: &Login,
    output: &mut impl Write,
) -> Result<bool, Error> {
    match identity::account(config)? {
        Some(other) if other.login.key() != login.key() => {
            let username = &other.login.username;
            let text = format!("the setting `tenant` selects {username}, whichever is active");
            print(context, Status::Warning, &text, output)?;
            Ok(false)
        }
        _ => Ok(true),
    }
}

/// Returns the file of the sign-ins if it and a keyring can store another one.
fn check_can_store(context: &Context<'_>, config: &Config) -> Result<Logins, Error> {
    let logins = Logins::new(config)
        .ok_or_else(|| Error::input("there is no home folder for the list of sign-ins"))?;
    logins.read()?;
    logins.check_writable()?;
    if config.cache == CacheChoice::None {
        let file = config_file(context.settings.file());
        return Err(not_stored(vec![])
            .with_detail("`cache` is none")
            .with_hint(format!("set `cache = \"auto\"` in {file}")));
    }
    let stores = context.service().cache(config.cache, config.timeout);
    stores.can_store_login().map_err(not_stored)?;
    Ok(logins)
}

/// Stores the token in the keyring, and the account in the file of the sign-ins.
fn store(
    context: &Context<'_>,
    config: &Config,
    login: Login,
    logins: &Logins,
    granted: TokenResponse,
) -> Result<(Login, LoginStore), Error> {
    let (Some(token), Some(who)) = (granted.refresh_token, granted.who) else {
        let problem = "the response lacks a refresh token or the account";
        return Err(Error::sign_in("the sign-in", problem));
    };
    let login = Login {
        tenant: who.tenant,
        home: who.home,
        username: who.username,
        ..login
    };
    let key = login.key();
    let cache = context.service().cache(config.cache, config.timeout);
    let place = cache
        .put_login(&key, &token, (context.clock)())
        .map_err(not_stored)?;
    logins.save(login.clone(), Some(&place)).inspect_err(|_| {
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
    writeln!(output, "{}", context.terminal.wrap(&text, 2)).map_err(Error::output)
}

/// Shows how to return to the account that was active before, if there is one.
fn print_previous(
    context: &Context<'_>,
    config: &Config,
    login: &Login,
    output: &mut impl Write,
) -> Result<(), Error> {
    let mut accounts = identity::accounts(config)?;
    accounts.retain(|other| other.key() != login.key());
    if let Some(previous) = accounts.last() {
        let username = printable(&previous.username);
        let text = format!("{username} stays signed in but is no longer active; to switch back:");
        let text = context.terminal.wrap(&text, 2);
        let account = shell_word(&username);
        writeln!(output, "{text}\n    {PROGRAM} login --switch {account}")
            .map_err(Error::output)?;
    }
    output.flush().map_err(Error::output)
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
        let (host, file) = (registry.host(), config_file(context.settings.file()));
        let text = format!(
            "{identity} signs in to {registry}, because it comes before a saved sign-in; to change that, add to {file}:"
        );
        print(context, Status::Warning, &text, output)?;
        return writeln!(output, "  [registry.\"{host}\"]\n  source = \"login\"")
            .map_err(Error::output);
    }
    // A cached token would prove nothing.
    service.erase(registry)?;
    service.get(registry)?;
    let text = format!(
        "{registry} issued an ACR refresh token; pulls and pushes also need a role on the repository"
    );
    print(context, Status::Ok, &text, output)?;
    let clients = status::clients(context, registry);
    let configured = clients.iter().find(|(_, check)| check.status == Status::Ok);
    let command = match configured {
        Some((client, _)) => format!("{client} pull {registry}/REPOSITORY:TAG"),
        None => format!("{PROGRAM} configure {registry}"),
    };
    next_step(output, &command)
}

/// Returns the error that no keyring stored the sign-in.
fn not_stored(problems: Vec<String>) -> Error {
    let message = "could not save the sign-in: no keyring is available";
    Error::new(ErrorKind::Keyring, message)
        .with_details(problems)
        .with_hint(
            "unlock or start the keyring of the desktop, or set `cache = \"auto\"` to allow the kernel keyring, or use the Azure CLI\n  az login",
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
