//! Saved sign-ins of `login` as a source: which account is meant, and its Entra refresh token.

use super::advice::Failure;
use super::select::{Offer, skip};
use super::{Identity, IdentitySource, Tenant, TenantOrigin, TokenContext};
use crate::cache::KERNEL_KEYRING;
use crate::config::Config;
use crate::entra::{ANY_TENANT, AZURE_CLI_CLIENT_ID, PublicClient};
use crate::error::Error;
use crate::http::{Network, ResponseError};
use crate::logins::{Login, Logins};
use crate::registry::Registry;
use crate::text::Secrets;
use crate::token::Audience;
use crate::trust::is_in_user_namespace;
use anyhow::Context as _;
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;
use tracing::{debug, warn};
use url::Url;

/// The command that signs in.
pub(super) const COMMAND: &str = "docker-credential-acrscoped login";

/// Why Podman and Buildah need another sign-in, and what the command does that follows.
pub(crate) const OWN_KEYRING: &str =
    "without root, podman and buildah have a kernel keyring of their own; sign in there too";

/// An account that signed in with `login`, or is about to, and the tenant to sign in to.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    /// The saved sign-in; its user name is empty before the sign-in.
    pub(crate) login: Login,
    /// The tenant to request tokens of: an account can sign in to every tenant that invited it.
    tenant: Tenant,
    /// The file of saved sign-ins, if this one is in it.
    logins: Option<Logins>,
    /// A claims challenge that the sign-in answers, as JSON.
    pub(crate) claims: Option<String>,
    /// Whether the sign-in is with a browser elsewhere.
    pub(crate) is_device_code: bool,
    /// Tokens and codes that were sent or received.
    secrets: Secrets,
}

pub(super) fn offer(config: &Config, _: &Registry) -> Offer {
    const NO_FILE: &str = "there is no home folder and `XDG_STATE_HOME` is not set";
    let logins = config.sources.logins.as_ref();
    logins.ok_or_else(|| skip(NO_FILE))?;
    // A sign-in is valid at one authority only.
    let host = config.authority.host_str().unwrap_or_default();
    let account = account(config)?;
    Ok(Box::new(account.ok_or_else(|| {
        skip(format!("no account is signed in at {host}"))
    })?))
}

/// Returns the saved sign-ins of the configured authority and application, the active one last.
pub(crate) fn accounts(config: &Config) -> Result<Vec<Login>, Error> {
    let client = config.sources.own_client.as_ref();
    let mut logins = Logins::of(config)?;
    logins.retain(|login| {
        login.authority == config.authority.as_str()
            && client.is_none_or(|client| login.client_id.eq_ignore_ascii_case(&client.value))
    });
    Ok(logins)
}

/// Returns the account that signs in with these settings: of several, the one of the configured tenant, else the active one.
pub(crate) fn account(config: &Config) -> Result<Option<Account>, Error> {
    let mut logins = accounts(config)?;
    let named = config.sources.named_tenant.as_ref();
    let of_tenant = logins.iter().rposition(|login| {
        named.is_some_and(|named| login.tenant.eq_ignore_ascii_case(&named.value))
    });
    let index = of_tenant.or(logins.len().checked_sub(1));
    Ok(index.map(|index| Account::saved(logins.swap_remove(index), config)))
}

impl Account {
    /// Returns the account of a saved sign-in, in the tenant that is configured, else in its own.
    pub(crate) fn saved(login: Login, config: &Config) -> Self {
        let own = Tenant {
            name: Some(login.tenant.clone()),
            origin: TenantOrigin::Account,
        };
        let tenant = Tenant::from_setting("tenant", config.sources.named_tenant.as_ref()).or(own);
        Self::new(login, tenant, Logins::new(config))
    }

    /// Returns an account that is about to sign in: to this tenant, else to the configured one, else to its own.
    pub(crate) fn unknown(config: &Config, tenant: Option<&str>) -> Self {
        let settings = &config.sources;
        let argument = Tenant {
            name: tenant.map(str::to_owned),
            origin: TenantOrigin::Argument,
        };
        let tenant = argument.or(Tenant::from_setting(
            "tenant",
            settings.named_tenant.as_ref(),
        ));
        let client = settings.own_client.as_ref();
        let login = Login {
            authority: config.authority.to_string(),
            client_id: client.map_or(AZURE_CLI_CLIENT_ID, |it| &it.value).into(),
            tenant: tenant.name_or_any().to_owned(),
            ..Login::default()
        };
        Self::new(login, tenant, None)
    }

    fn new(login: Login, tenant: Tenant, logins: Option<Logins>) -> Self {
        Self {
            login,
            tenant,
            logins,
            claims: None,
            is_device_code: false,
            secrets: Secrets::default(),
        }
    }

    /// Returns the list of its secrets, to which a sign-in adds.
    pub(super) fn secrets(&self) -> Secrets {
        self.secrets.clone()
    }

    /// Saves the fingerprint under which tokens of the sign-in are cached, so that `logout` finds them.
    pub(crate) fn note(&self, fingerprint: &str) {
        self.record(|login| login.add_fingerprint(fingerprint));
    }

    /// Changes the saved sign-in, if that changes anything. A failure is only logged: `get` does not depend on it.
    fn record(&self, change: impl Fn(&mut Login)) {
        let mut changed = self.login.clone();
        change(&mut changed);
        if changed != self.login
            && let Some(logins) = &self.logins
            && let Err(error) = logins.try_update(&self.login, change)
        {
            debug!("the list of sign-ins was not updated: {error}");
        }
    }

    /// Returns the command that signs in again with the same options, to the same tenant or to another, and answers a claims challenge. A time
    /// limit is not repeated: without one the command waits longest.
    fn command(
        &self,
        registry: Option<&Registry>,
        tenant: Option<&str>,
        claims: Option<&str>,
    ) -> String {
        let registry = registry.map(|it| format!(" {}", it.host()));
        let tenant = self.tenant.option("--tenant", tenant);
        let claims = claims.or(self.claims.as_deref());
        let claims = claims.map(azure_core::base64::encode);
        let claims = claims.map(|claims| format!(" --claims-challenge {claims}"));
        let [registry, claims] = [registry, claims].map(Option::unwrap_or_default);
        let device_code = if self.is_device_code {
            " --device-code"
        } else {
            ""
        };
        format!("{COMMAND}{registry}{tenant}{claims}{device_code}")
    }

    /// Returns the command that signs in with a browser elsewhere.
    pub(crate) fn device_code_command(&self, registry: Option<&Registry>) -> String {
        let mut account = self.clone();
        account.is_device_code = true;
        account.command(registry, None, None)
    }

    /// Returns the OAuth client of the account at the authority.
    pub(crate) fn client(
        &self,
        authority: &Url,
        audience: &Audience,
        network: &Arc<Network>,
    ) -> anyhow::Result<PublicClient> {
        let http = network.client(authority.host_str().unwrap_or_default())?;
        let client = PublicClient::new(
            authority,
            self.tenant.name_or_any(),
            &self.login.client_id,
            audience,
            (http, network.clone()),
            self.secrets.clone(),
        )?;
        Ok(client.with_claims(self.claims.clone()))
    }

    /// Returns whether the token can be in a kernel keyring that this process cannot see.
    fn is_in_other_keyring(&self, cause: &anyhow::Error) -> bool {
        let mut stores = self.login.stores.iter();
        cause.downcast_ref() == Some(&NOT_IN_KEYRING)
            && stores.any(|store| store == KERNEL_KEYRING)
            && is_in_user_namespace()
    }
}

impl Tenant {
    fn name_or_any(&self) -> &str {
        self.name.as_deref().unwrap_or(ANY_TENANT)
    }
}

/// No store has the refresh token of the sign-in.
const NOT_IN_KEYRING: &str = "its token is no longer in the keyring";

#[async_trait::async_trait]
impl IdentitySource for Account {
    fn name(&self) -> String {
        match &*self.login.username {
            "" => "the sign-in".into(),
            name => format!("the saved sign-in of {name}"),
        }
    }

    fn cache_key(&self) -> String {
        let (home, client) = (&self.login.home, &self.login.client_id);
        ["login", home, self.tenant.name_or_any(), client].join("\0")
    }

    fn tenant(&self) -> Tenant {
        self.tenant.clone()
    }

    fn login(&self) -> Option<&Account> {
        Some(self)
    }

    fn login_command(&self, tenant: Option<&str>, identity: &Identity) -> Option<String> {
        Some(self.command(identity.registry.as_ref(), tenant, None))
    }

    fn hint(&self, failure: &Failure<'_>) -> Option<String> {
        let registry = failure.identity.registry.as_ref();
        if self.is_in_other_keyring(failure.cause) {
            let command = self.device_code_command(registry);
            return Some(format!("{OWN_KEYRING}\n  podman unshare {command}"));
        }
        let mut causes = failure.cause.chain();
        let claims =
            causes.find_map(|cause| cause.downcast_ref::<ResponseError>()?.claims.as_deref());
        // Without a code, or if the user declined consent, another sign-in is the only help.
        let needs_sign_in = claims.is_some() || matches!(failure.code, None | Some(65_004));
        let command = || self.command(registry, None, claims);
        needs_sign_in.then(|| format!("sign in again\n  {}", command()))
    }

    /// Redeems the refresh token. Entra may return another one, which replaces it. If Entra refuses it and another process has replaced it
    /// meanwhile, tries that one.
    async fn token(&self, context: &TokenContext<'_>) -> anyhow::Result<SecretString> {
        let (identity, cache) = (context.identity, context.cache);
        let client = self.client(&identity.authority, &identity.audience, context.network)?;
        let (key, clock) = (self.login.key(), context.network.clock());
        let stored = || cache.login(&key, clock()).context(NOT_IN_KEYRING);
        let mut used = stored()?;
        let granted = match client.refresh(&used).await {
            Ok(granted) => granted,
            Err(error) => match stored() {
                Ok(other) if other.expose_secret() != used.expose_secret() => {
                    debug!("another process replaced the token of the sign-in meanwhile");
                    used = other;
                    client.refresh(&used).await?
                }
                _ => return Err(error),
            },
        };
        // If `logout` ran meanwhile, store nothing. Without a new token the used one stays valid.
        if stored().is_ok() {
            let next = granted.refresh_token.unwrap_or(used);
            match cache.put_login(&key, &next, clock()) {
                Ok(place) => self.record(|login| login.set_store(&place)),
                Err(problems) => warn!(
                    "the new token of the sign-in was not saved: {}",
                    problems.join("; ")
                ),
            }
        }
        Ok(granted.access_token)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::config;
    use super::*;

    const AUTHORITY: &str = "https://login.microsoftonline.com/";

    fn login(home: &str, tenant: &str, client_id: &str, authority: &str) -> Login {
        let username = format!("{home}@contoso.example");
        let (authority, tenant, client_id, home) = (
            authority.into(),
            tenant.into(),
            client_id.into(),
            home.into(),
        );
        Login {
            authority,
            tenant,
            client_id,
            home,
            username,
            ..Login::default()
        }
    }

    /// Returns the account that the settings mean among these.
    fn meant(logins: &[Login], rows: &[(&str, &str)], host: &str) -> Option<Account> {
        let folder = tempfile::tempdir().unwrap();
        let state = [("XDG_STATE_HOME", folder.path().to_str().unwrap())];
        let (config, _) = config(&[rows, &state].concat(), host);
        for login in logins {
            let file = Logins::new(&config).unwrap();
            file.save(login.clone(), None).unwrap();
        }
        account(&config).unwrap()
    }

    #[test]
    fn the_latest_account_of_the_authority_is_used_unless_a_tenant_or_application_is_set() {
        let logins = [
            login("alice", "one", AZURE_CLI_CLIENT_ID, AUTHORITY),
            login("bob", "two", AZURE_CLI_CLIENT_ID, AUTHORITY),
            login("carol", "three", "own", AUTHORITY),
            login("dave", "four", AZURE_CLI_CLIENT_ID, AUTHORITY),
            login(
                "erin",
                "five",
                AZURE_CLI_CLIENT_ID,
                "https://login.microsoftonline.us/",
            ),
        ];
        for (rows, host, home, tenant) in [
            (&[][..], "contoso.azurecr.io", "dave", "four"),
            (
                &[("ACRSCOPED_TENANT", "ONE")],
                "contoso.azurecr.io",
                "alice",
                "ONE",
            ),
            (
                &[("ACRSCOPED_TENANT", "elsewhere")],
                "contoso.azurecr.io",
                "dave",
                "elsewhere",
            ),
            (
                &[("AZURE_TENANT_ID", "one"), ("AZURE_CLIENT_ID", "own")],
                "contoso.azurecr.io",
                "dave",
                "four",
            ),
            (
                &[("ACRSCOPED_CLIENT_ID", "own")],
                "contoso.azurecr.io",
                "carol",
                "three",
            ),
            (&[], "contoso.azurecr.us", "erin", "five"),
        ] {
            let account = meant(&logins, rows, host).unwrap();
            assert_eq!(
                (account.login.home.as_str(), account.tenant.name.as_deref()),
                (home, Some(tenant)),
                "{rows:?}"
            );
        }
        assert!(meant(&logins, &[], "contoso.azurecr.cn").is_none());
        assert!(meant(&[], &[], "contoso.azurecr.io").is_none());
    }

    #[test]
    fn accounts_tenants_and_applications_have_different_cache_keys() {
        let who = |home: &str, tenant: &str, client: &str| {
            meant(
                &[login(home, tenant, client, AUTHORITY)],
                &[],
                "contoso.azurecr.io",
            )
        };
        let who =
            |home: &str, tenant: &str, client: &str| who(home, tenant, client).unwrap().cache_key();
        let all = [
            who("alice", "one", "a"),
            who("bob", "one", "a"),
            who("alice", "two", "a"),
            who("alice", "one", "b"),
        ];
        assert!(
            (1..4).all(|at| all[..at].iter().all(|other| *other != all[at])),
            "{all:?}"
        );
    }

    #[test]
    fn a_command_to_paste_holds_nothing_that_a_shell_would_run() {
        let registry = Registry::parse("contoso.azurecr.io", &[]).unwrap();
        let account = meant(
            &[login("alice", "one", "a", AUTHORITY)],
            &[],
            "contoso.azurecr.io",
        )
        .unwrap();
        assert_eq!(
            account.command(Some(&registry), None, None),
            "docker-credential-acrscoped login contoso.azurecr.io --tenant one"
        );
        let claims = account.command(Some(&registry), None, Some("{\"$(reboot)\":1}"));
        assert!(
            claims.ends_with(" --claims-challenge eyIkKHJlYm9vdCkiOjF9"),
            "{claims}"
        );
        let odd = meant(
            &[login("alice", "$(reboot)", "a", AUTHORITY)],
            &[],
            "contoso.azurecr.io",
        )
        .unwrap();
        assert_eq!(
            odd.command(Some(&registry), None, None),
            "docker-credential-acrscoped login contoso.azurecr.io"
        );
    }
}
