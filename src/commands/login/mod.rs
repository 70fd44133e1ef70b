//! `login`: signs the user in with a browser, and stores the sign-in for later commands.

mod browser;
mod flow;
mod loopback;
mod page;
#[cfg(target_os = "linux")]
mod peer;

use super::status;
use super::{Context, PROGRAM, configure, login_json, write_json};
use crate::cache::{Cache, KERNEL_KEYRING, LoginStore, Persistence};
use crate::config::{self, CacheChoice, Config};
use crate::entra::{self, TokenResponse};
use crate::error::{Error, ErrorKind, config_file, sanitize_line};
use crate::identity::{self, Account, Identity, OWN_KEYRING};
use crate::logins::{Login, Logins};
use crate::program;
use crate::registry::{CLOUDS, Registry};
use crate::runtime;
use crate::terminal::Status;
use crate::text::shell_word;
use clap::Args;
use flow::Flow;
use std::io::Write;
use std::time::Duration;

/// `login [REGISTRY] [--tenant TENANT] [--device-code] [--claims-challenge BASE64] [--timeout SECONDS] | --switch [ACCOUNT]`.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
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
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    timeout: Option<u64>,
    /// Use another saved sign-in, without a browser: its user name or tenant. Default: the other one of two.
    #[arg(long, value_name = "ACCOUNT", num_args = 0..=1, default_missing_value = "", conflicts_with_all = ["tenant", "device_code", "claims_challenge", "timeout"])]
    switch: Option<String>,
}

/// Parses the id or domain name of a tenant.
fn tenant(text: &str) -> Result<String, &'static str> {
    config::is_tenant(text)
        .then(|| text.to_owned())
        .ok_or("expected a tenant's id or domain name")
}

/// Parses how long to wait.
fn seconds(text: &str) -> Result<u64, &'static str> {
    let seconds = text.parse().ok();
    seconds
        .filter(|seconds| (1..=3600).contains(seconds))
        .ok_or("expected seconds, from 1 to 3600")
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
    let command = LoginCommand::new(context, registry.as_ref())?;
    let mut print = |text: String| {
        let text = if context.is_json { "" } else { &text };
        // At once: the next step may take seconds.
        let written = output.write_all(text.as_bytes());
        written.and_then(|()| output.flush()).map_err(Error::output)
    };
    if let Some(account) = &arguments.switch {
        let name = Some(account.as_str()).filter(|name| !name.is_empty());
        let (login, text) = command.switch(name)?;
        print(text)?;
        return write_result(context, &login, output);
    }
    let (login, text) = command.sign_in(arguments)?;
    print(text)?;
    print(command.verify(&login)?)?;
    write_result(context, &login, output)
}

/// Writes the account that signed in, for scripts.
fn write_result(context: &Context<'_>, login: &Login, mut output: impl Write) -> Result<(), Error> {
    if context.is_json {
        write_json(&mut output, &login_json(login))?;
    }
    Ok(())
}

/// Signs in for `setup`, which verifies the registry by itself. Returns what to print.
///
/// # Errors
///
/// What prevents it.
pub(super) fn sign_in(context: &Context<'_>, registry: &Registry) -> Result<String, Error> {
    let command = LoginCommand::new(context, Some(registry))?;
    Ok(command.sign_in(&Arguments::default())?.1)
}

/// What all steps of a `login` need.
struct LoginCommand<'a> {
    context: &'a Context<'a>,
    config: Config,
    registry: Option<&'a Registry>,
}

impl<'a> LoginCommand<'a> {
    fn new(context: &'a Context<'a>, registry: Option<&'a Registry>) -> Result<Self, Error> {
        Ok(Self {
            context,
            config: context.config(registry)?,
            registry,
        })
    }

    /// Makes a saved sign-in of the cloud the active one: the account with this user name or tenant, else the other one of two.
    fn switch(&self, name: Option<&str>) -> Result<(Login, String), Error> {
        let accounts = identity::accounts(&self.config)?;
        let named: Vec<&Login> = match (name, &accounts[..]) {
            (Some(name), all) => all.iter().filter(|login| login.is_named(name)).collect(),
            (None, [other, _active]) => vec![other],
            (None, _) => vec![],
        };
        let ([login], Some(logins)) = (&named[..], Logins::new(&self.config)) else {
            return Err(self.context.not_one_account(name, &accounts));
        };
        logins.save((*login).clone(), None)?;
        let cloud = login.cloud_name(self.context.settings.clouds());
        let text = format!("{} is now the active account of {cloud}", login.username);
        Ok(((*login).clone(), self.line(Status::Ok, &text)))
    }

    /// Signs in and stores the sign-in. Returns it and what to print.
    fn sign_in(&self, arguments: &Arguments) -> Result<(Login, String), Error> {
        // Checked first, so that the user does not sign in for nothing.
        let logins = self.check_can_store()?;
        let mut account = Account::unknown(&self.config, arguments.tenant.as_deref());
        account.claims.clone_from(&arguments.claims_challenge);
        account.is_device_code = arguments.device_code;
        let flow = Flow {
            identity: Identity::of_login(account.clone(), &self.config, self.registry),
            config: &self.config,
            account: &account,
            registry: self.registry,
            clock: self.context.clock,
            timeout: arguments.timeout.map(Duration::from_secs),
            variables: self.context.settings.variables(),
            terminal: self.context.terminal,
        };
        let (granted, browser) = runtime::run(flow.sign_in())?;
        account.login.browser = browser;
        let (login, place) = self.store(account.login.clone(), &logins, granted)?;
        let text = self.result(&login, &place) + &self.rootless_hint(&account, &place);
        Ok((login, text))
    }

    /// Returns the file of the sign-ins if it and a keyring can store another one.
    fn check_can_store(&self) -> Result<Logins, Error> {
        let logins = Logins::new(&self.config)
            .ok_or_else(|| Error::input("there is no home folder for the list of sign-ins"))?;
        logins.read()?;
        logins.check_writable()?;
        if self.config.cache == CacheChoice::None {
            return Err(not_stored(vec!["`cache` is none".into()]));
        }
        self.cache().working_store().map_err(not_stored)?;
        Ok(logins)
    }

    fn cache(&self) -> Cache {
        let service = self.context.service();
        service.cache(self.config.cache, self.config.timeout)
    }

    /// Stores the token in the keyring, and the account in the file of the sign-ins.
    fn store(
        &self,
        login: Login,
        logins: &Logins,
        granted: TokenResponse,
    ) -> Result<(Login, LoginStore), Error> {
        let (Some(token), Some(account)) = (granted.refresh_token, granted.account) else {
            let problem = "the response lacks a refresh token or the account";
            return Err(Error::sign_in("the sign-in", problem));
        };
        let login = Login {
            tenant: account.tenant,
            home: account.home,
            username: account.username,
            ..login
        };
        let (key, cache) = (login.key(), self.cache());
        let stored = cache.put_login(&key, &token, (self.context.clock)());
        let place = stored.map_err(not_stored)?;
        logins.save(login.clone(), Some(&place)).inspect_err(|_| {
            // No command would find the token again.
            let _ = cache.delete_entries(|kept| *kept == key);
        })?;
        Ok((login, place))
    }

    /// Returns who signed in, where that is kept, and who was signed in before.
    fn result(&self, login: &Login, place: &LoginStore) -> String {
        let (username, tenant) = (&login.username, sanitize_line(&login.tenant));
        let text = format!("signed in as {username} in tenant {tenant}");
        let until = match place.persistence {
            Persistence::UntilDeleted => "",
            Persistence::UntilRestart => " until you restart",
            Persistence::UntilSessionEnds => " until the desktop session ends",
        };
        let store = &place.store;
        let kept = format!("Saved in the {store}{until}. It expires after 90 days without use.");
        let kept = self.context.terminal.wrap(&kept, 2);
        let mut accounts = identity::accounts(&self.config).unwrap_or_default();
        accounts.retain(|other| other.key() != login.key());
        let previous = accounts.last().map(|previous| {
            let username = sanitize_line(&previous.username);
            let text =
                format!("{username} stays signed in, but is no longer active; to switch back:");
            let text = self.context.terminal.wrap(&text, 2);
            let account = shell_word(&username);
            format!("{text}\n    {PROGRAM} login --switch {account}\n")
        });
        let previous = previous.unwrap_or_default();
        format!("{}{kept}\n{previous}", self.line(Status::Ok, &text))
    }

    /// Returns how to sign in inside the user namespace of Podman or Buildah, which has another kernel keyring.
    fn rootless_hint(&self, account: &Account, place: &LoginStore) -> String {
        #[cfg(unix)]
        if rustix::process::geteuid().is_root() {
            return String::new();
        }
        let mut clients = ["podman", "buildah"].into_iter();
        let client = clients.find(|name| program::find(name, &self.config.sources.path).is_some());
        match client.filter(|_| place.store == KERNEL_KEYRING) {
            None => String::new(),
            Some(client) => {
                let command = account.device_code_command(self.registry);
                let text = self.line(Status::Warning, &format!("{OWN_KEYRING}:"));
                format!("{text}    {client} unshare {command}\n")
            }
        }
    }

    /// Gets a credential for the registry as a client does, and returns the next step. Or returns which identity comes first.
    fn verify(&self, login: &Login) -> Result<String, Error> {
        let Some(registry) = self.registry else {
            let known = configure::known_registries(self.context)?;
            let mut public = known.iter().filter(|it| *it.cloud() == CLOUDS[0]);
            let pull = public.find_map(|registry| self.pull(registry));
            return Ok(next_step(pull, "REGISTRY"));
        };
        let service = self.context.service();
        let identity = service.identity(registry)?;
        let account = identity.login().map(|account| account.login.key());
        if account != Some(login.key()) {
            let file = config_file(self.context.settings.file());
            let text = format!(
                "{identity} signs in to {registry}, because it is configured; to sign in with this account, add to {file}:"
            );
            let (text, tenant) = (
                self.line(Status::Warning, &text),
                sanitize_line(&login.tenant),
            );
            return Ok(format!(
                "{text}    [registry.\"{registry}\"]\n    source = \"login\"\n    tenant = \"{tenant}\"\n"
            ));
        }
        // A cached token would prove nothing.
        let fingerprint = identity.fingerprint();
        self.cache().delete_entries(|key| key.is_of(&fingerprint))?;
        let credential = service.get(registry);
        credential.map_err(|error| self.context.suggest(error, registry))?;
        let text = format!("{registry} accepts the sign-in: it issued an ACR refresh token");
        let next = next_step(self.pull(registry), registry.host());
        Ok(self.line(Status::Ok, &text) + &next)
    }

    /// Returns the pull by a client that uses this helper for a registry.
    fn pull(&self, registry: &Registry) -> Option<String> {
        let clients = status::clients(self.context, registry);
        let mut clients = clients.iter();
        let (client, _) = clients.find(|(_, check)| check.status == Status::Ok)?;
        Some(format!("{client} pull {registry}/IMAGE"))
    }

    fn line(&self, mark: Status, text: &str) -> String {
        self.context.terminal.sentence(mark, text) + "\n"
    }
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

/// Returns what to do next: pull, or configure a client for this registry.
fn next_step(pull: Option<String>, registry: &str) -> String {
    let next = pull.unwrap_or_else(|| format!("{PROGRAM} configure {registry}"));
    format!("Next:\n  {next}\n")
}
