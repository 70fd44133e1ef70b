//! `/oauth2/token`: what is really granted, to whom without a credential, and for which user names and clients it works.
//!
//! The requests are those of docker (distribution, `session.go`), of containerd and BuildKit (containerd,
//! `core/remotes/docker/authorizer.go`), and of anybody without a credential.

use super::reach;
use crate::commands::report::{Check, list};
use crate::config::{Config, IDENTITY_TOKEN, ZERO_GUID};
use crate::deadline::{Clock, Deadline};
use crate::error::Error;
use crate::http::Network;
use crate::refusal::{Asked, PULL, PULL_ABAC, assign_role, object_id_note};
use crate::registry::Registry;
use crate::token::{AccessToken, Claims, RefreshToken};
use reqwest::{Client, RequestBuilder, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::time::Instant;
use url::Url;

const REPOSITORY: &str = "repository";
const ANONYMOUS: &str = "anonymous-pull";
const GUID: &str = "username-guid";
const TOKEN: &str = "username-token";

/// Everything that may be granted in a repository.
const ACTIONS: [&str; 5] = ["pull", "push", "delete", "metadata_read", "metadata_write"];

/// What the Azure CLI asks for when no repository is named: it is understood by every registry.
const CATALOG: &str = "registry:catalog:*";

/// The answer with a registry access token; clients take either name.
#[derive(Deserialize)]
struct Granted {
    #[serde(alias = "token")]
    access_token: SecretString,
}

/// Why there is no token: the status, if there was an answer, and all there is to say.
type Denied = Box<(Option<StatusCode>, Check)>;

/// Where tokens are asked for.
pub(super) struct Desk<'a> {
    config: &'a Config,
    registry: &'a Registry,
    network: Network,
    client: Client,
    deadline: Deadline,
    /// The object id of the identity, for the command that gives it a role.
    object_id: Option<String>,
}

impl<'a> Desk<'a> {
    /// With a deadline of its own.
    pub(super) fn new(
        config: &'a Config,
        registry: &'a Registry,
        clock: Clock,
        access: Option<&AccessToken>,
    ) -> Result<Self, Error> {
        let (network, deadline) = reach::network(config, clock);
        let client = network.internet(registry.host())?;
        let object_id = access.and_then(AccessToken::object_id).map(str::to_owned);
        Ok(Self {
            config,
            registry,
            network,
            client,
            deadline,
            object_id,
        })
    }

    /// All checks, side by side, in their order. Without a refresh token only what needs none is looked at.
    pub(super) async fn look(
        &self,
        token: Option<&RefreshToken>,
        repository: Option<&str>,
    ) -> Vec<Check> {
        let scope = repository.map_or(CATALOG.to_owned(), |repository| {
            format!("repository:{repository}:pull,push")
        });
        let (here, anonymous, guid, identity_token) = tokio::join!(
            self.in_repository(token, repository),
            self.anonymous(repository),
            self.by_guid(token, &scope),
            self.by_token(token, &scope),
        );
        [here, anonymous, Some(guid), Some(identity_token)]
            .into_iter()
            .flatten()
            .collect()
    }

    /// What is granted in a repository.
    async fn in_repository(
        &self,
        token: Option<&RefreshToken>,
        repository: Option<&str>,
    ) -> Option<Check> {
        let repository = repository?;
        let Some(token) = token else {
            return Some(Check::skipped(REPOSITORY, "there is no refresh token"));
        };
        let started = Instant::now();
        let scope = format!("repository:{repository}:{}", ACTIONS.join(","));
        let check = match self
            .ask(
                REPOSITORY,
                Some(token),
                self.refresh_form("docker", &scope, token),
            )
            .await
        {
            Ok(claims) => self.judged(repository, &claims, is_by_repository(token)),
            Err(denied) => denied.1,
        };
        Some(check.since(started))
    }

    fn judged(&self, repository: &str, claims: &Claims, is_by_repository: bool) -> Check {
        let granted = claims.access(repository);
        let granted: Vec<&str> = granted.iter().map(String::as_str).collect();
        let is_granted = |action: &&str| granted.contains(action) || granted.contains(&"*");
        let (yes, no): (Vec<&str>, Vec<&str>) =
            ACTIONS.iter().partition(|action| is_granted(action));
        if !yes.contains(&"pull") {
            let said = if yes.is_empty() {
                "nothing is granted".to_owned()
            } else {
                format!("{} is granted, not pull", list(yes))
            };
            let role = if is_by_repository { PULL_ABAC } else { PULL };
            let check = Check::bad(REPOSITORY, format!("{said} in {repository}"));
            let mode = is_by_repository.then(|| {
                "the registry grants permissions by repository, as in ABAC mode".to_owned()
            });
            let check = check
                .with(mode)
                .with(self.object_id.is_none().then(object_id_note));
            return check.hint(assign_role(self.registry, role, self.object_id.as_deref()));
        }
        let missing = if no.is_empty() {
            None
        } else {
            Some(format!("not granted: {}", list(no)))
        };
        Check::good(REPOSITORY, format!("{} in {repository}", list(yes))).with(missing)
    }

    /// Whether a repository can be pulled by anybody.
    async fn anonymous(&self, repository: Option<&str>) -> Option<Check> {
        let repository = repository?;
        let scope = format!("repository:{repository}:pull");
        let started = Instant::now();
        let check = match self.ask(ANONYMOUS, None, self.get(&scope, None)).await {
            Ok(claims) if !claims.access(repository).is_empty() => {
                Check::good(ANONYMOUS, "it is on: anybody may pull")
            }
            Ok(_) => Check::good(ANONYMOUS, "it is off"),
            Err(denied) if denied.0 == Some(StatusCode::UNAUTHORIZED) => {
                Check::good(ANONYMOUS, "it is off")
            }
            Err(denied) => denied.1,
        };
        Some(check.since(started))
    }

    /// The zero GUID with the refresh token as its password: docker sends both with GET. BuildKit and containerd send a form first; after
    /// 401, 404 and 405 both try GET, after 400 containerd does and BuildKit does not.
    async fn by_guid(&self, token: Option<&RefreshToken>, scope: &str) -> Check {
        let Some(token) = token else {
            return Check::skipped(GUID, "there is no refresh token");
        };
        let started = Instant::now();
        let (get, form) = tokio::join!(
            self.ask(GUID, Some(token), self.get(scope, Some(token))),
            self.ask(GUID, Some(token), self.password_form(scope, token)),
        );
        let by_get = outcome(&get);
        let docker = format!("docker: GET: {by_get}");
        let (buildkit, containerd, is_complete) = match &form {
            Ok(_) => ("granted".to_owned(), "granted".to_owned(), true),
            Err(denied) => {
                let first = outcome(&form);
                let after = format!("{first}, then GET: {by_get}");
                match denied.0.map(|status| status.as_u16()) {
                    Some(401 | 404 | 405) => (after.clone(), after, true),
                    Some(400) => (format!("{first}, after which it gives up"), after, false),
                    _ => (first.clone(), first, false),
                }
            }
        };
        let details = [
            docker,
            format!("BuildKit: POST: {buildkit}"),
            format!("containerd: POST: {containerd}"),
        ];
        let is_used = self.config.username == ZERO_GUID;
        let check = match get {
            Ok(_) if is_complete => Check::good(GUID, "works with docker, BuildKit and containerd"),
            Ok(_) if !is_used => {
                Check::good(GUID, "works with docker; it is not what clients are given")
            }
            Ok(_) => Check::warning(GUID, "works with docker, and not with BuildKit").hint(
                "for builds with BuildKit set `username` to token (`ACRSCOPED_USERNAME=token`)",
            ),
            Err(denied) if is_used => denied.1,
            Err(_) => Check::warning(GUID, "does not work; it is not what clients are given"),
        };
        check.with(details).since(started)
    }

    /// `<token>`: all of them send a form with the refresh token.
    async fn by_token(&self, token: Option<&RefreshToken>, scope: &str) -> Check {
        let Some(token) = token else {
            return Check::skipped(TOKEN, "there is no refresh token");
        };
        let started = Instant::now();
        let as_client =
            |client| self.ask(TOKEN, Some(token), self.refresh_form(client, scope, token));
        let (docker, buildkit, containerd) = tokio::join!(
            as_client("docker"),
            as_client("buildkit-client"),
            as_client("containerd-client")
        );
        let details = [
            ("docker", &docker),
            ("BuildKit", &buildkit),
            ("containerd", &containerd),
        ]
        .map(|(client, result)| format!("{client}: POST: {}", outcome(result)));
        let is_used = self.config.username == IDENTITY_TOKEN;
        let check = match docker.and(buildkit).and(containerd) {
            Ok(_) => Check::good(TOKEN, "works with docker, BuildKit and containerd"),
            Err(denied) if is_used => denied.1,
            Err(_) => Check::warning(TOKEN, "does not work; it is not what clients are given"),
        };
        check.with(details).since(started)
    }

    fn address(&self) -> String {
        format!("https://{}/oauth2/token", self.registry.host())
    }

    fn get(&self, scope: &str, token: Option<&RefreshToken>) -> RequestBuilder {
        let parameters = [("scope", scope), ("service", self.registry.login_server())];
        let account = token.map(|_| ("account", ZERO_GUID));
        let url = Url::parse_with_params(&self.address(), account.into_iter().chain(parameters));
        let request = self
            .client
            .get(url.map_or_else(|_| self.address(), String::from));
        match token {
            Some(token) => request.basic_auth(ZERO_GUID, Some(token.secret().expose_secret())),
            None => request,
        }
    }

    fn refresh_form(&self, client: &str, scope: &str, token: &RefreshToken) -> RequestBuilder {
        self.client.post(self.address()).form(&[
            ("client_id", client),
            ("grant_type", "refresh_token"),
            ("refresh_token", token.secret().expose_secret()),
            ("scope", scope),
            ("service", self.registry.login_server()),
        ])
    }

    fn password_form(&self, scope: &str, token: &RefreshToken) -> RequestBuilder {
        self.client.post(self.address()).form(&[
            ("client_id", "buildkit-client"),
            ("grant_type", "password"),
            ("password", token.secret().expose_secret()),
            ("scope", scope),
            ("service", self.registry.login_server()),
            ("username", ZERO_GUID),
        ])
    }

    /// Asks for a registry access token by a request that holds this refresh token.
    async fn ask(
        &self,
        name: &'static str,
        sent: Option<&RefreshToken>,
        request: RequestBuilder,
    ) -> Result<Claims, Denied> {
        let what = "was asked for a registry access token";
        let answered = reach::send(
            &self.network,
            &self.client,
            self.registry,
            request,
            self.deadline,
            what,
        )
        .await;
        let answered = answered.map_err(|error| Box::new((None, Check::failed(name, &error))))?;
        // What is not granted is left out of a token: a 401 means that the refresh token itself is not valid.
        let place = if answered.status == StatusCode::UNAUTHORIZED && sent.is_some() {
            "the refresh token"
        } else {
            "`/oauth2/token`"
        };
        let asked = Asked::other(self.registry, place, sent.map(RefreshToken::secret));
        let refusal = if answered.status == StatusCode::OK && !answered.is_web_page() {
            match serde_json::from_slice::<Granted>(&answered.body) {
                // A token that cannot be read grants what only the registry knows.
                Ok(granted) => {
                    return Ok(Claims::from_token(&granted.access_token).unwrap_or_default());
                }
                Err(_) => asked
                    .unexpected("something other than a token")
                    .with_details(asked.correlation(&answered)),
            }
        } else {
            asked.refusal(&answered)
        };
        Err(Box::new((
            Some(answered.status),
            Check::failed(name, &refusal),
        )))
    }
}

/// Whether roles are given by repository: the refresh token then has no permissions of its own.
fn is_by_repository(token: &RefreshToken) -> bool {
    Claims::from_token(token.secret()).is_some_and(|claims| claims.permissions().is_empty())
}

/// The same checks when it is of no use to look.
pub(super) fn skipped(has_repository: bool, reason: &str) -> Vec<Check> {
    let names = [REPOSITORY, ANONYMOUS, GUID, TOKEN]
        .into_iter()
        .skip(if has_repository { 0 } else { 2 });
    names.map(|name| Check::skipped(name, reason)).collect()
}

/// A result as a word or two.
fn outcome(result: &Result<Claims, Denied>) -> String {
    match result {
        Ok(_) => "granted".into(),
        Err(denied) => denied.0.map_or_else(
            || "no answer".to_owned(),
            |status| status.as_u16().to_string(),
        ),
    }
}
