//! `login`: somebody signs in with a browser, here or elsewhere, and is a source of the chain from then on.

mod browser;
mod flow;
mod loopback;
mod page;
#[cfg(unix)]
mod peer;

use super::Context;
use crate::cache::{KERNEL_KEYRING, Lasts, Place};
use crate::config::{self, CacheChoice, Config};
use crate::entra::{self, TokenResponse};
use crate::error::{Error, ErrorKind, printable};
use crate::identity::{Account, Identity, OWN_KEYRING};
use crate::logins::{self, Login};
use crate::program;
use crate::registry::{CLOUDS, Registry};
use crate::runtime;
use crate::terminal::Mark;
use clap::Args;
use flow::Flow;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// `login [REGISTRY] [--tenant TENANT] [--device-code] [--claims-challenge BASE64] [--timeout SECONDS]`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    /// The registry that is wanted, such as contoso.azurecr.io: it is tried at once; without it the login is for the public cloud.
    registry: Option<String>,
    /// The tenant to sign in to: id or domain name.
    #[arg(long, value_parser = tenant)]
    tenant: Option<String>,
    /// Show a code to type into a browser elsewhere.
    #[arg(long)]
    device_code: bool,
    /// Answer what a policy demands, as a hint wrote it.
    #[arg(long, value_name = "BASE64")]
    claims_challenge: Option<String>,
    /// How long the browser is waited for: 300, or as long as the code lives.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    timeout: Option<u64>,
}

/// A tenant, in words that follow what was typed.
fn tenant(text: &str) -> Result<String, &'static str> {
    config::is_tenant(text)
        .then(|| text.to_owned())
        .ok_or("expected a tenant's id or domain name")
}

/// How long somebody may be waited for.
fn seconds(text: &str) -> Result<u64, &'static str> {
    text.parse()
        .ok()
        .filter(|seconds| (1..=3600).contains(seconds))
        .ok_or("expected whole seconds from 1 to 3600")
}

/// Signs somebody in, writes down who it is, and tries the registry.
pub fn run(
    context: &Context<'_>,
    arguments: &Arguments,
    mut output: impl Write,
) -> Result<(), Error> {
    let registry = arguments
        .registry
        .as_deref()
        .map(|text| context.registry(text))
        .transpose()?;
    let (config, cloud) = match &registry {
        Some(registry) => (context.settings.for_registry(registry)?, registry.cloud()),
        None => (context.settings.for_cloud(&CLOUDS[0])?, &CLOUDS[0]),
    };
    let claims = arguments
        .claims_challenge
        .as_deref()
        .map(entra::decode_claims)
        .transpose();
    let claims = claims
        .map_err(|error| Error::input(format!("`--claims-challenge` cannot be used: {error}")))?;
    let file = config.sources.logins.clone();
    let file =
        file.ok_or_else(|| Error::input("there is no home folder to write down who signed in"))?;
    // Whatever can be known to fail does so before somebody is sent to a browser.
    logins::read(&file)?;
    logins::writable(&file)?;
    if config.cache == CacheChoice::None {
        return Err(not_stored(vec!["`cache` is none: nothing is kept".into()]));
    }
    context
        .service()
        .cache(config.cache, config.timeout)
        .takes_logins()
        .map_err(not_stored)?;
    let account = Account::unknown(&config, arguments.tenant.as_deref(), registry.as_ref());
    let flow = Flow {
        identity: Identity::of_login(account.clone(), &config, cloud, registry.as_ref()),
        config: &config,
        account: &account,
        claims,
        clock: context.clock,
        patience: arguments.timeout.map(Duration::from_secs),
        variables: context.settings.variables(),
    };
    let granted = runtime::run(flow.sign_in(arguments.device_code))?;
    let (login, place) = keep(context, &config, &account, &file, granted)?;
    tell(context, &login, &place, &mut output)?;
    let programs = ["podman", "buildah"];
    let program = programs
        .into_iter()
        .find(|name| program::find(name, &config.sources.path).is_some());
    #[cfg(unix)]
    let program = program.filter(|_| !rustix::process::geteuid().is_root());
    if let Some(program) = program.filter(|_| place.store == KERNEL_KEYRING) {
        let text = format!(
            "{OWN_KEYRING}: {} signs in there",
            account.command_within(program)
        );
        writeln!(
            output,
            "{}",
            context.terminal.sentence(Mark::Warning, &text)
        )
        .map_err(Error::output)?;
    }
    registry.map_or(Ok(()), |registry| prove(context, &registry, output))
}

/// Puts the token into the keyring, and writes down whose it is.
fn keep(
    context: &Context<'_>,
    config: &Config,
    account: &Account,
    file: &Path,
    granted: TokenResponse,
) -> Result<(Login, Place), Error> {
    let incomplete = |what: &str| {
        let said = format!("the answer does not hold {what}");
        Error::sign_in(account, said)
    };
    let token = granted
        .refresh_token
        .ok_or_else(|| incomplete("a refresh token"))?;
    let who = granted.who.ok_or_else(|| incomplete("who has signed in"))?;
    let mut login = Login {
        tenant: who.tenant,
        home: who.home,
        username: who.username,
        ..account.login.clone()
    };
    let (cache, key) = (
        context.service().cache(config.cache, config.timeout),
        login.key(),
    );
    let kept = cache.put_login(&key, &token, (context.clock)());
    let place = kept.map_err(not_stored)?;
    login.moved(&place);
    let remembered = logins::remember(file, &login)
        .and_then(|()| logins::moved(file, &login, &place, logins::LOCKED));
    remembered.inspect_err(|_| {
        // Without the name nobody would ever find it again.
        let _ = cache.forget(|kept| *kept == key);
    })?;
    Ok((login, place))
}

fn tell(
    context: &Context<'_>,
    login: &Login,
    place: &Place,
    output: &mut impl Write,
) -> Result<(), Error> {
    let until = match place.lasts {
        Lasts::UntilDeleted => "",
        Lasts::UntilRestart => " until the machine restarts",
        Lasts::UntilSessionEnds => " until the desktop session ends",
    };
    let terminal = context.terminal;
    let who = format!(
        "signed in as {} in tenant {}",
        login.username,
        printable(&login.tenant)
    );
    let how = format!(
        "it is kept in the {}{until}, and ends when it is not used for 90 days",
        place.store
    );
    let text = format!(
        "{}\n{}\n",
        terminal.sentence(Mark::Good, &who),
        terminal.wrap(&how, 2)
    );
    output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
        .map_err(Error::output)
}

/// Signs in to the registry as a client's `get` would, or says who does in place of the login.
fn prove(context: &Context<'_>, registry: &Registry, mut output: impl Write) -> Result<(), Error> {
    let service = context.service();
    let identity = service.identity(registry)?;
    let terminal = context.terminal;
    let text = if identity.login().is_some() {
        // A token of before would prove nothing.
        service.erase(registry)?;
        service.get(registry)?;
        let text =
            format!("{registry} takes it: its images can be pulled and pushed as the roles allow");
        terminal.sentence(Mark::Good, &text) + "\n"
    } else {
        let file = context.settings.file().display();
        let text = format!(
            "{registry} is signed in to by {identity}, which comes before a login; `source = \"login\"` under \
             `[registry.\"{}\"]` in {file} changes that",
            registry.host()
        );
        terminal.sentence(Mark::Warning, &text) + "\n"
    };
    output.write_all(text.as_bytes()).map_err(Error::output)
}
/// A login that no keyring stored.
fn not_stored(problems: Vec<String>) -> Error {
    let message = "no keyring takes a login, and it is kept nowhere else";
    Error::new(ErrorKind::Keyring, message)
        .with_details(problems)
        .with_hint(
            "unlock or start the keyring of the desktop, or let `cache` be auto, which knows the kernel's; or use `az login`",
        )
}
