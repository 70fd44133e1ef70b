//! `/oauth2/token`: what the registry grants, also without a credential, and whether Docker and BuildKit can use the credential.
//!
//! The requests are those of Docker (distribution, `session.go`), and of containerd and BuildKit (containerd,
//! `core/remotes/docker/authorizer.go`).

use super::checks::Target;
use super::connectivity::RegistryClient;
use super::sign_in::SignIn;
use crate::commands::report::{Check, timed};
use crate::config::{IDENTITY_TOKEN, ZERO_GUID};
use crate::error::Error;
use crate::refusal::{PULL, PULL_ABAC, RegistryRequest, assign_role, object_id_note};
use crate::token::{AccessToken, Claims, RefreshToken};
use reqwest::{RequestBuilder, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::time::Instant;
use url::Url;

pub(in crate::commands) const REPOSITORY: &str = "repository";
pub(super) const ANONYMOUS: &str = "anonymous-pull";
pub(super) const REGISTRY_TOKEN: &str = "registry-token";
pub(super) const BUILDKIT: &str = "buildkit";

const PROGRAM: &str = env!("CARGO_PKG_NAME");

/// Everything that may be granted in a repository.
const ACTIONS: [&str; 5] = ["pull", "push", "delete", "metadata_read", "metadata_write"];

/// The scope that the Azure CLI requests for no repository: every registry accepts it.
const CATALOG: &str = "registry:catalog:*";

/// The answer with a registry access token; clients take either name.
#[derive(Deserialize)]
struct TokenResponse {
    #[serde(alias = "token")]
    access_token: SecretString,
}

/// What a token grants, or the status, if there was an answer, and why there is no token.
type Answer = Result<Claims, Box<(Option<u16>, Error)>>;

struct TokenEndpoint<'a> {
    target: &'a Target<'a>,
    client: RegistryClient<'a>,
    address: Url,
    access_token: Option<&'a AccessToken>,
}

/// Makes all checks at the same time. Without a refresh token only what needs none is checked.
pub(super) async fn check(target: &Target<'_>, sign_in: &SignIn<'_>) -> Vec<Check> {
    let (registry, clock) = (target.registry, target.context.clock);
    let address = Url::parse(&format!("https://{}/oauth2/token", registry.host()));
    let client = RegistryClient::new(target.config, registry, clock);
    let (Ok(address), Ok(client)) = (address, client) else {
        return vec![];
    };
    let endpoint = TokenEndpoint {
        target,
        client,
        address,
        access_token: sign_in.access_token.as_ref(),
    };
    let (token, repository) = (sign_in.refresh_token.as_ref(), target.repository());
    let scope = repository.map(|repository| format!("repository:{repository}:pull,push"));
    let scope = scope.as_deref().unwrap_or(CATALOG);
    let (granted, anonymous, clients) = tokio::join!(
        async { Some(timed(endpoint.check_repository(token?, repository?)).await) },
        async { Some(timed(endpoint.check_anonymous(repository?)).await) },
        async { Some(Box::pin(endpoint.check_clients(token?, scope)).await) },
    );
    let checks = granted.into_iter().chain(anonymous);
    checks.chain(clients.into_iter().flatten()).collect()
}

impl TokenEndpoint<'_> {
    /// Checks what is granted in a repository.
    async fn check_repository(&self, token: &RefreshToken, repository: &str) -> Check {
        let scope = format!("repository:{repository}:{}", ACTIONS.join(","));
        let form = self.refresh_form(&scope, token);
        let claims = match self.ask(Some(token), form).await {
            Ok(claims) => claims,
            Err(refusal) => return Check::failed(REPOSITORY, &refusal.1),
        };
        let granted = claims.access(repository);
        let is_granted =
            |action: &&str| granted.iter().any(|other| other == action || other == "*");
        let (yes, no): (Vec<&str>, Vec<&str>) =
            ACTIONS.iter().partition(|action| is_granted(action));
        let (yes, no) = (yes.join(", "), no.join(", "));
        if is_granted(&"pull") {
            let missing = (!no.is_empty()).then(|| format!("not granted: {no}"));
            return Check::good(REPOSITORY, format!("{yes} in {repository}")).with(missing);
        }
        // Where roles are assigned by repository, the refresh token has no permissions of its own.
        let is_abac = Claims::from_token(token.secret())
            .is_some_and(|claims| claims.permissions().is_empty());
        let mode = "the registry grants permissions by repository, as in ABAC mode";
        let role = if is_abac { PULL_ABAC } else { PULL };
        let object_id = self.access_token.and_then(AccessToken::assignee);
        let command = assign_role(self.target.registry, role, object_id);
        Check::bad(REPOSITORY, format!("pull is not granted in {repository}"))
            .with((!yes.is_empty()).then(|| format!("granted: {yes}")))
            .with(is_abac.then(|| mode.to_owned()))
            .with(object_id.is_none().then(object_id_note))
            .hint(format!("assign a role to the identity\n  {command}"))
    }

    /// Checks whether a repository can be pulled without a credential.
    async fn check_anonymous(&self, repository: &str) -> Check {
        let scope = format!("repository:{repository}:pull");
        match self.ask(None, self.get(&scope, None)).await {
            Ok(claims) if !claims.access(repository).is_empty() => Check::good(
                ANONYMOUS,
                format!("no credential is needed to pull {repository}"),
            ),
            Err(refusal) if refusal.0 != Some(401) => Check::failed(ANONYMOUS, &refusal.1),
            Ok(_) | Err(_) => Check::good(ANONYMOUS, "anonymous pull is off"),
        }
    }

    /// Checks whether the registry gives Docker and BuildKit a token for the credential of a `get`.
    async fn check_clients(&self, token: &RefreshToken, scope: &str) -> Vec<Check> {
        let started = Instant::now();
        let is_identity_token = self.target.config.username == IDENTITY_TOKEN;
        let request = if is_identity_token {
            self.refresh_form(scope, token)
        } else {
            self.get(scope, Some(token))
        };
        if let Err(refusal) = self.ask(Some(token), request).await {
            return vec![Check::failed(REGISTRY_TOKEN, &refusal.1).since(started)];
        }
        let permissions = Claims::from_token(token.secret()).unwrap_or_default();
        let permissions = match &*permissions.permissions().join(", ") {
            "" => String::new(),
            permissions => format!(" (permissions: {permissions})"),
        };
        let summary = format!("issues tokens to Docker{permissions}");
        let docker = Check::good(REGISTRY_TOKEN, summary).since(started);
        let buildkit = if is_identity_token {
            Check::good(BUILDKIT, "signs in the same way as Docker")
        } else {
            timed(self.check_buildkit(token, scope)).await
        };
        vec![docker, buildkit]
    }

    /// Checks the form that BuildKit and containerd send first. After 401, 404 and 405 both send Docker's request, which was answered with a
    /// token. After 400 only containerd does.
    async fn check_buildkit(&self, token: &RefreshToken, scope: &str) -> Check {
        let password = [
            ("username", ZERO_GUID),
            ("password", token.secret().expose_secret()),
        ];
        let form = self.form("buildkit-client", "password", password, scope);
        let answer = self.ask(Some(token), form).await;
        let status = match answer.map_err(|refusal| refusal.0) {
            Ok(_) | Err(Some(401 | 404 | 405)) => {
                return Check::good(BUILDKIT, "works, and so does containerd");
            }
            Err(status) => status.map_or("nothing".to_owned(), |status| status.to_string()),
        };
        let summary = "cannot use the default user name at this registry";
        let check = Check::warning(BUILDKIT, summary)
            .with([format!("the registry answers its request with {status}")]);
        let identity_token = self.refresh_form(scope, token);
        if self.ask(Some(token), identity_token).await.is_err() {
            return check;
        }
        let host = self.target.registry.host();
        check.hint(format!(
            "  {PROGRAM} config set username token --registry {host}"
        ))
    }

    fn get(&self, scope: &str, token: Option<&RefreshToken>) -> RequestBuilder {
        let service = self.target.registry.login_server();
        let account = token.map(|_| ("account", ZERO_GUID));
        let mut url = self.address.clone();
        url.query_pairs_mut()
            .extend_pairs(account)
            .extend_pairs([("scope", scope), ("service", service)]);
        let request = self.client.client.get(url);
        match token {
            Some(token) => request.basic_auth(ZERO_GUID, Some(token.secret().expose_secret())),
            None => request,
        }
    }

    fn refresh_form(&self, scope: &str, token: &RefreshToken) -> RequestBuilder {
        let credential = [("refresh_token", token.secret().expose_secret())];
        self.form("docker", "refresh_token", credential, scope)
    }

    fn form<const N: usize>(
        &self,
        client_id: &str,
        grant_type: &str,
        credential: [(&str, &str); N],
        scope: &str,
    ) -> RequestBuilder {
        let mut fields = vec![
            ("client_id", client_id),
            ("grant_type", grant_type),
            ("scope", scope),
            ("service", self.target.registry.login_server()),
        ];
        fields.extend(credential);
        let request = self.client.client.post(self.address.clone());
        request.form(&fields)
    }

    /// Requests a registry access token. `sent` is the refresh token in the request.
    async fn ask(&self, sent: Option<&RefreshToken>, request: RequestBuilder) -> Answer {
        let what = "a registry access token";
        let response = self.client.send(request, what).await;
        let response = response.map_err(|error| (None, error))?;
        let is_unauthorized = response.status == StatusCode::UNAUTHORIZED;
        // A token leaves out what is not granted: a 401 means that the refresh token itself is not valid.
        let name = match sent {
            Some(_) if is_unauthorized => "the refresh token",
            _ => "`/oauth2/token`",
        };
        let registry_request =
            RegistryRequest::other(self.target.registry, name, sent.map(RefreshToken::secret));
        let error = if response.status == StatusCode::OK && !response.is_web_page() {
            match serde_json::from_slice::<TokenResponse>(&response.body) {
                // Only the registry knows what an opaque token grants.
                Ok(token) => return Ok(Claims::from_token(&token.access_token).unwrap_or_default()),
                Err(_) => registry_request
                    .unexpected("something other than a token")
                    .with_details(registry_request.correlation(&response)),
            }
        } else {
            registry_request.refusal(&response)
        };
        Err(Box::new((Some(response.status.as_u16()), error)))
    }
}
