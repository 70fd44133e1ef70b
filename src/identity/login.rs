//! `login` as a source: who has signed in with us, and which of them is meant.

use crate::cache::{Cache, KERNEL_KEYRING, Key, Place};
use crate::config::{Config, Value};
use crate::deadline::Clock;
use crate::entra::{ANY_TENANT, DEVELOPER_SIGN_ON, PublicClient};
use crate::error::{self, Error};
use crate::logins::{self, Login};
use crate::network::{self, Network};
use crate::registry::Registry;
use crate::text::Secrets;
use crate::token::Audience;
use crate::trust::is_in_user_namespace;
use azure_core::credentials::{AccessToken, Secret, TokenCredential, TokenRequestOptions};
use azure_core::error::ErrorKind;
use azure_core::time::OffsetDateTime;
use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tracing::{debug, warn};
use url::Url;

/// Somebody who signed in with us, or is about to, and the tenant that is meant.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    /// As written down; without a name before the sign-in.
    pub(crate) login: Login,
    /// The tenant that tokens are asked of: an account is good in every tenant that invited it.
    tenant: String,
    /// The registry that it is for, as it was named.
    registry: Option<String>,
    /// Where it is written down, if it is.
    file: Option<PathBuf>,
    /// Its tokens and codes that were sent or received.
    pub(super) secrets: Secrets,
}

/// Who has signed in at the authority of a registry, or of no registry; the inner error says why nobody is a source here. Of several the one
/// whose tenant is named is meant, else the latest.
pub(crate) fn account(
    config: &Config,
    registry: Option<&Registry>,
) -> Result<Result<Account, String>, Error> {
    let settings = &config.sources;
    let Some(file) = &settings.logins else {
        return Ok(Err(
            "there is no home folder and `XDG_STATE_HOME` is not set".into(),
        ));
    };
    let client = settings
        .own_client
        .as_ref()
        .map(|client| client.value.as_str());
    let named = settings
        .named_tenant
        .as_ref()
        .map(|tenant| tenant.value.as_str());
    let mut here = logins::read(file)?;
    here.retain(|login| {
        login.authority == config.authority.as_str()
            && client.is_none_or(|client| login.client_id.eq_ignore_ascii_case(client))
    });
    let at_home = here
        .iter()
        .rposition(|login| named.is_some_and(|named| login.tenant.eq_ignore_ascii_case(named)));
    let meant = at_home
        .or(here.len().checked_sub(1))
        .map(|at| here.swap_remove(at));
    let of = |login| Account {
        file: Some(file.clone()),
        ..Account::new(login, named, registry)
    };
    Ok(meant
        .map(of)
        .ok_or_else(|| "nobody is signed in".to_owned()))
}

impl Account {
    fn new(login: Login, named: Option<&str>, registry: Option<&Registry>) -> Self {
        let tenant = named.map_or_else(|| login.tenant.clone(), str::to_owned);
        let registry = registry.map(|registry| registry.host().to_owned());
        Self {
            login,
            tenant,
            registry,
            file: None,
            secrets: Secrets::default(),
        }
    }

    /// Somebody who is about to sign in: to this tenant, else to the one that is set, else to the own one.
    pub(crate) fn unknown(
        config: &Config,
        tenant: Option<&str>,
        registry: Option<&Registry>,
    ) -> Self {
        let value = |set: &Option<Value<String>>| set.as_ref().map(|set| set.value.clone());
        let client_id =
            value(&config.sources.own_client).unwrap_or_else(|| DEVELOPER_SIGN_ON.to_owned());
        let named = tenant
            .map(str::to_owned)
            .or_else(|| value(&config.sources.named_tenant));
        let tenant = named.unwrap_or_else(|| ANY_TENANT.to_owned());
        let login = Login {
            authority: config.authority.to_string(),
            client_id,
            tenant,
            ..Login::default()
        };
        Self::new(login, None, registry)
    }

    /// Notes the fingerprint under which tokens that come of it are cached, so that they are found when it is forgotten.
    pub(crate) fn note(&self, fingerprint: &str) {
        let is_noted = self
            .login
            .fingerprints
            .iter()
            .any(|noted| noted == fingerprint);
        if let Some(file) = self.file.as_ref().filter(|_| !is_noted)
            && let Err(error) = logins::note(file, &self.login, fingerprint)
        {
            debug!("which tokens come of the login could not be noted: {error}");
        }
    }

    /// What tells one account from another.
    pub(super) fn who(&self) -> String {
        [&*self.login.home, &self.tenant, &self.login.client_id].join(" ")
    }

    /// The tenant that is signed in to, if one is named.
    pub(super) fn tenant(&self) -> Option<&str> {
        Some(self.tenant.as_str()).filter(|tenant| *tenant != ANY_TENANT)
    }

    /// The command that signs in again, and answers a claims challenge.
    pub(super) fn command(&self, claims: Option<&str>) -> String {
        let registry = self
            .registry
            .as_ref()
            .map(|registry| format!(" {registry}"))
            .unwrap_or_default();
        let tenant = self
            .tenant()
            .filter(|tenant| super::refusal::is_tenant(tenant));
        let tenant = tenant
            .map(|tenant| format!(" --tenant {tenant}"))
            .unwrap_or_default();
        let claims = claims
            .map(|claims| format!(" --claims-challenge {}", azure_core::base64::encode(claims)));
        format!(
            "docker-credential-acrscoped login{registry}{tenant}{}",
            claims.unwrap_or_default()
        )
    }

    /// The command that signs in inside the user namespace of podman or buildah, as [`OWN_KEYRING`] says why.
    pub(crate) fn command_within(&self, program: &str) -> String {
        format!("`{program} unshare {} --device-code`", self.command(None))
    }

    /// A failure of the login with another hint, if its token may be in a keyring that cannot be seen from here.
    pub(super) fn hinted(&self, failure: Error, cause: &azure_core::Error) -> Error {
        let is_in_kernel = self
            .login
            .stores
            .iter()
            .any(|store| store == KERNEL_KEYRING);
        if failure.kind() == error::ErrorKind::SignIn
            && is_in_kernel
            && network::chain(cause).any(|cause| cause.is::<Gone>())
            && is_in_user_namespace()
        {
            let command = self.command_within("podman");
            return failure.with_hint(format!("{OWN_KEYRING}: {command}"));
        }
        failure
    }

    /// The application at the authority. The outer error is one of the HTTP client.
    pub(crate) fn client(
        &self,
        authority: &Url,
        audience: &Audience,
        network: &Arc<Network>,
    ) -> Result<anyhow::Result<PublicClient>, Error> {
        let http = network.internet(authority.host_str().unwrap_or_default())?;
        let (client_id, http) = (&self.login.client_id, (http, network.clone()));
        Ok(PublicClient::new(
            authority,
            &self.tenant,
            client_id,
            audience,
            http,
            self.secrets.clone(),
        ))
    }

    /// The account as a credential.
    pub(super) fn credential(
        &self,
        client: PublicClient,
        cache: Cache,
        clock: Clock,
    ) -> Arc<dyn TokenCredential> {
        let (login, file) = (self.login.clone(), self.file.clone());
        Arc::new(Session {
            client,
            key: login.key(),
            login,
            file,
            cache,
            clock,
        })
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

/// What is said before the command that signs in inside the user namespace of podman and buildah.
pub(crate) const OWN_KEYRING: &str =
    "podman and buildah without root have a kernel keyring of their own";

/// The token of a login is in no store.
#[derive(Debug)]
struct Gone;

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("its token is no longer in the keyring")
    }
}

impl std::error::Error for Gone {}

/// A login with what its refresh token is asked for and kept with.
struct Session {
    client: PublicClient,
    key: Key,
    login: Login,
    file: Option<PathBuf>,
    cache: Cache,
    clock: Clock,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

impl Session {
    fn kept(&self) -> anyhow::Result<SecretString> {
        let kept = self.cache.login(&self.key, (self.clock)());
        kept.ok_or_else(|| Gone.into())
    }

    /// An access token. Entra gives another refresh token beside it, which takes the place of the one that was used. Should it be refused, and
    /// another process have put another one there meanwhile, that one is good.
    async fn access_token(&self) -> anyhow::Result<SecretString> {
        let used = self.kept()?;
        let (used, granted) = match self.client.refresh(&used).await {
            Ok(granted) => (used, granted),
            Err(error) => {
                let Some(other) = self.kept().ok().filter(|other| !is_same(other, &used)) else {
                    return Err(error);
                };
                debug!("another process had the login's token exchanged meanwhile");
                let granted = self.client.refresh(&other).await?;
                (other, granted)
            }
        };
        let next = granted.refresh_token.unwrap_or(used);
        // What was forgotten meanwhile stays forgotten. One that is used lives on.
        if self.kept().is_ok() {
            match self.cache.put_login(&self.key, &next, (self.clock)()) {
                Ok(place) => self.note(&place),
                Err(problems) => warn!(
                    "the login's new token could not be kept: {}",
                    problems.join("; ")
                ),
            }
        }
        Ok(granted.access_token)
    }

    /// Notes where the token is now, so that it is found when the login is forgotten.
    fn note(&self, place: &Place) {
        if self.login.clone().moved(place)
            && let Some(file) = &self.file
            && let Err(error) = logins::moved(file, &self.login, place, Duration::ZERO)
        {
            debug!("where the login's new token is kept could not be noted: {error}");
        }
    }
}

#[async_trait::async_trait]
impl TokenCredential for Session {
    async fn get_token(
        &self,
        _: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let token = self.access_token().await.map_err(failure)?;
        // The token is used once and not kept, so that its end does not matter.
        Ok(AccessToken::new(
            Secret::new(token.expose_secret().to_owned()),
            OffsetDateTime::now_utc(),
        ))
    }
}

fn is_same(one: &SecretString, other: &SecretString) -> bool {
    one.expose_secret() == other.expose_secret()
}

/// A failure as that of a credential, with its causes.
pub(super) fn failure(error: anyhow::Error) -> azure_core::Error {
    azure_core::Error::new(
        ErrorKind::Credential,
        error.reallocate_into_boxed_dyn_error_without_backtrace(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

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

    /// Who is meant among these, with settings, and in which tenant.
    fn meant(logins: &[Login], rows: &[(&str, &str)], host: &str) -> Result<Account, String> {
        let folder = tempfile::tempdir().unwrap();
        for login in logins {
            logins::remember(
                &folder
                    .path()
                    .join("docker-credential-acrscoped/logins.json"),
                login,
            )
            .unwrap();
        }
        let state = [("XDG_STATE_HOME", folder.path().to_str().unwrap())];
        let rows = rows
            .iter()
            .chain(&state)
            .map(|(name, value)| ((*name).into(), value.into()))
            .collect();
        let registry = Registry::parse(host, &[]).unwrap();
        account(
            &Settings::of(rows, None).for_registry(&registry).unwrap(),
            Some(&registry),
        )
        .unwrap()
    }

    #[test]
    fn the_latest_of_the_authority_is_meant_unless_a_tenant_or_an_application_is_named() {
        let logins = [
            login("alice", "one", DEVELOPER_SIGN_ON, AUTHORITY),
            login("bob", "two", DEVELOPER_SIGN_ON, AUTHORITY),
            login("carol", "three", "own", AUTHORITY),
            login("dave", "four", DEVELOPER_SIGN_ON, AUTHORITY),
            login(
                "erin",
                "five",
                DEVELOPER_SIGN_ON,
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
                (account.login.home.as_str(), account.tenant.as_str()),
                (home, tenant),
                "{rows:?}"
            );
        }
        assert_eq!(
            meant(&logins, &[], "contoso.azurecr.cn").unwrap_err(),
            "nobody is signed in"
        );
        assert_eq!(
            meant(&[], &[], "contoso.azurecr.io").unwrap_err(),
            "nobody is signed in"
        );
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
        let who = |home: &str, tenant: &str, client: &str| who(home, tenant, client).unwrap().who();
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
            account.command(None),
            "docker-credential-acrscoped login contoso.azurecr.io --tenant one"
        );
        let claims = account.command(Some("{\"$(reboot)\":1}"));
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
            odd.command(None),
            "docker-credential-acrscoped login contoso.azurecr.io"
        );
    }
}
