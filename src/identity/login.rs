//! Saved sign-ins of `login` as a source: which account is meant, and its Entra refresh token.

use super::advice::Failure;
use super::select::{Offer, Unavailable::Skipped};
use super::{IdentitySource, Tenant, TenantOrigin, TokenContext};
use crate::cache::{KERNEL_KEYRING, LoginStore};
use crate::config::{Config, is_tenant};
use crate::entra::{ANY_TENANT, AZURE_CLI_CLIENT_ID, PublicClient};
use crate::error::Error;
use crate::http::{Network, ResponseError};
use crate::logins::{self, Login};
use crate::registry::Registry;
use crate::text::Secrets;
use crate::token::Audience;
use crate::trust::is_in_user_namespace;
use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tracing::{debug, warn};
use url::Url;

/// The command that signs in.
pub(super) const COMMAND: &str = "docker-credential-acrscoped login";

/// Said before the command that signs in inside the user namespace of Podman and Buildah.
pub(crate) const OWN_KEYRING: &str =
    "podman and buildah without root have a kernel keyring of their own";

/// An account that signed in with `login`, or is about to, and the tenant to sign in to.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    /// The saved sign-in; its user name is empty before the sign-in.
    pub(crate) login: Login,
    /// The tenant to request tokens of: an account is good in every tenant that invited it.
    tenant: Tenant,
    /// The registry that it is for, as the user named it.
    registry: Option<String>,
    /// The file that the sign-in is saved in.
    file: Option<PathBuf>,
    /// Tokens and codes that were sent or received.
    secrets: Secrets,
}

pub(super) fn offer(config: &Config, registry: &Registry) -> Offer {
    const NO_FILE: &str = "there is no home folder and `XDG_STATE_HOME` is not set";
    config.sources.logins.as_ref().ok_or(NO_FILE)?;
    // A sign-in is good at one authority only.
    let host = config.authority.host_str().unwrap_or_default();
    let nobody = || Skipped(format!("nobody is signed in at {host}"));
    let account = account(config, Some(registry))?.ok_or_else(nobody)?;
    Ok(Box::new(account))
}

/// Returns the account that signed in at the authority of a registry, or of no registry. Of several, the one of the configured tenant is
/// meant, else the latest.
pub(crate) fn account(
    config: &Config,
    registry: Option<&Registry>,
) -> Result<Option<Account>, Error> {
    let settings = &config.sources;
    let Some(file) = &settings.logins else {
        return Ok(None);
    };
    let mut logins = logins::read(file)?;
    logins.retain(|login| {
        let client = settings.own_client.as_ref();
        login.authority == config.authority.as_str()
            && client.is_none_or(|client| login.client_id.eq_ignore_ascii_case(&client.value))
    });
    let named = settings.named_tenant.as_ref();
    let of_tenant = logins.iter().rposition(|login| {
        named.is_some_and(|named| login.tenant.eq_ignore_ascii_case(&named.value))
    });
    let Some(index) = of_tenant.or(logins.len().checked_sub(1)) else {
        return Ok(None);
    };
    let login = logins.swap_remove(index);
    let own = Tenant {
        name: Some(login.tenant.clone()),
        origin: TenantOrigin::Account,
    };
    Ok(Some(Account {
        tenant: Tenant::from_setting("tenant", named).or(own),
        login,
        registry: registry.map(|registry| registry.host().to_owned()),
        file: Some(file.clone()),
        secrets: Secrets::default(),
    }))
}

impl Account {
    /// Returns an account that is about to sign in: to this tenant, else to the configured one, else to its own.
    pub(crate) fn unknown(
        config: &Config,
        tenant: Option<&str>,
        registry: Option<&Registry>,
    ) -> Self {
        let settings = &config.sources;
        let own_client = settings.own_client.as_ref();
        let tenant = match tenant {
            Some(tenant) => Tenant {
                name: Some(tenant.to_owned()),
                origin: TenantOrigin::Argument,
            },
            None => Tenant::from_setting("tenant", settings.named_tenant.as_ref()),
        };
        let login = Login {
            authority: config.authority.to_string(),
            client_id: own_client
                .map_or(AZURE_CLI_CLIENT_ID, |it| &it.value)
                .to_owned(),
            tenant: tenant.name.clone().unwrap_or_else(|| ANY_TENANT.to_owned()),
            ..Login::default()
        };
        Self {
            login,
            tenant,
            registry: registry.map(|registry| registry.host().to_owned()),
            file: None,
            secrets: Secrets::default(),
        }
    }

    /// Returns the list of its secrets, to which a sign-in adds.
    pub(super) fn secrets(&self) -> Secrets {
        self.secrets.clone()
    }

    /// Saves the fingerprint under which tokens of the sign-in are cached, so that `logout` finds them.
    pub(crate) fn note(&self, fingerprint: &str) {
        let is_known = self.login.fingerprints.iter().any(|it| it == fingerprint);
        if let Some(file) = self.file.as_ref().filter(|_| !is_known)
            && let Err(error) = logins::update_one(file, &self.login, Duration::ZERO, |saved| {
                saved.add_fingerprint(fingerprint);
            })
        {
            debug!("which tokens come of the login could not be noted: {error}");
        }
    }

    /// Returns the command that signs in again, to the same tenant or to another, and answers a claims challenge.
    fn command(&self, tenant: Option<&str>, claims: Option<&str>) -> String {
        let same = || self.tenant.name.as_deref().filter(|it| is_tenant(it));
        let claims = claims.map(azure_core::base64::encode);
        let options = [
            ("", self.registry.as_deref()),
            (" --tenant", tenant.or_else(same)),
            (" --claims-challenge", claims.as_deref()),
        ];
        options
            .iter()
            .filter_map(|(option, value)| Some(format!("{option} {}", (*value)?)))
            .fold(COMMAND.to_owned(), |command, option| command + &option)
    }

    /// Returns the command that signs in inside the user namespace of Podman or Buildah; see [`OWN_KEYRING`].
    pub(crate) fn command_within(&self, program: &str) -> String {
        let command = self.command(None, None);
        format!("`{program} unshare {command} --device-code`")
    }

    /// Returns the OAuth client of the account at the authority.
    pub(crate) fn client(
        &self,
        authority: &Url,
        audience: &Audience,
        network: &Arc<Network>,
    ) -> anyhow::Result<PublicClient> {
        let http = network.internet(authority.host_str().unwrap_or_default())?;
        PublicClient::new(
            authority,
            self.tenant.name.as_deref().unwrap_or(ANY_TENANT),
            &self.login.client_id,
            audience,
            (http, network.clone()),
            self.secrets.clone(),
        )
    }

    /// Saves where the refresh token is now, so that `logout` finds it.
    fn note_place(&self, place: &LoginStore) {
        if self.login.clone().set_store(place)
            && let Some(file) = &self.file
            && let Err(error) = logins::update_one(file, &self.login, Duration::ZERO, |saved| {
                saved.set_store(place);
            })
        {
            debug!("where the login's new token is kept could not be noted: {error}");
        }
    }

    /// Returns whether the token can be in a kernel keyring that this process cannot see.
    fn is_in_other_keyring(&self, cause: &anyhow::Error) -> bool {
        let mut stores = self.login.stores.iter();
        cause.is::<NotInKeyring>()
            && stores.any(|store| store == KERNEL_KEYRING)
            && is_in_user_namespace()
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.login.username {
            "" => f.write_str("the sign-in"),
            name => write!(f, "the login of {name}"),
        }
    }
}

/// No store has the refresh token of the sign-in.
#[derive(Debug)]
struct NotInKeyring;

impl fmt::Display for NotInKeyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("its token is no longer in the keyring")
    }
}

impl std::error::Error for NotInKeyring {}

#[async_trait::async_trait]
impl IdentitySource for Account {
    fn cache_key(&self) -> String {
        let tenant = self.tenant.name.as_deref().unwrap_or(ANY_TENANT);
        ["login", &self.login.home, tenant, &self.login.client_id].join("\0")
    }

    fn tenant(&self) -> Tenant {
        self.tenant.clone()
    }

    fn login(&self) -> Option<&Account> {
        Some(self)
    }

    fn login_command(&self, tenant: Option<&str>, _: &super::Identity) -> Option<String> {
        Some(self.command(tenant, None))
    }

    fn hint(&self, failure: &Failure<'_>) -> Option<String> {
        if self.is_in_other_keyring(failure.cause) {
            let command = self.command_within("podman");
            return Some(format!("{OWN_KEYRING}: {command}"));
        }
        let mut causes = failure.cause.chain();
        let claims =
            causes.find_map(|cause| cause.downcast_ref::<ResponseError>()?.claims.as_deref());
        match failure.code {
            // Without a code, or if the user declined consent, signing in again is all that helps.
            None | Some(65_004) => Some(self.command(None, claims)),
            Some(_) => claims.map(|claims| self.command(None, Some(claims))),
        }
    }

    /// Redeems the refresh token. Entra returns another one, which replaces it. If it is refused, and another process has replaced it
    /// meanwhile, that one is good.
    async fn token(&self, context: &TokenContext<'_>) -> anyhow::Result<SecretString> {
        let (identity, cache) = (context.identity, context.cache);
        let client = self.client(&identity.authority, &identity.audience, context.network)?;
        let (key, clock) = (self.login.key(), context.network.clock());
        let stored = || cache.login(&key, clock()).ok_or(NotInKeyring);
        let mut used = stored()?;
        let granted = match client.refresh(&used).await {
            Ok(granted) => granted,
            Err(error) => match stored() {
                Ok(other) if other.expose_secret() != used.expose_secret() => {
                    debug!("another process had the login's token exchanged meanwhile");
                    used = other;
                    client.refresh(&used).await?
                }
                _ => return Err(error),
            },
        };
        // After a `logout` meanwhile nothing is stored again. A token that is used stays valid.
        if stored().is_ok() {
            let next = granted.refresh_token.unwrap_or(used);
            match cache.put_login(&key, &next, clock()) {
                Ok(place) => self.note_place(&place),
                Err(problems) => warn!(
                    "the login's new token could not be kept: {}",
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
        let file = folder
            .path()
            .join("docker-credential-acrscoped/logins.json");
        for login in logins {
            logins::save(&file, login).unwrap();
        }
        let state = [("XDG_STATE_HOME", folder.path().to_str().unwrap())];
        let (config, registry) = config(&[rows, &state].concat(), host);
        account(&config, Some(&registry)).unwrap()
    }

    #[test]
    fn the_latest_of_the_authority_is_meant_unless_a_tenant_or_an_application_is_named() {
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
    fn accounts_tenants_and_applications_are_told_apart() {
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
        let account = meant(
            &[login("alice", "one", "a", AUTHORITY)],
            &[],
            "contoso.azurecr.io",
        )
        .unwrap();
        assert_eq!(
            account.command(None, None),
            "docker-credential-acrscoped login contoso.azurecr.io --tenant one"
        );
        let claims = account.command(None, Some("{\"$(reboot)\":1}"));
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
            odd.command(None, None),
            "docker-credential-acrscoped login contoso.azurecr.io"
        );
    }
}
