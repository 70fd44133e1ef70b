//! The two ways to sign in: a browser here, which comes back to us, and one elsewhere, for which is asked again and again.

use super::browser::{self, Opener};
use super::loopback::{Loopback, Returned};
use super::page;
use crate::config::{Config, Variables};
use crate::deadline::{Clock, Deadline};
use crate::entra::{AuthorizationRequest, OAuthError, PublicClient, TokenResponse};
use crate::error::{Error, printable};
use crate::http::Network;
use crate::identity::{Account, Identity};
use secrecy::SecretString;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

/// How long a browser here is waited for.
const PATIENCE: Duration = Duration::from_secs(300);

/// An opener that fails so soon has opened nothing.
const OPENING: Duration = Duration::from_secs(10);

/// A sign-in with all it needs.
pub(super) struct Flow<'a> {
    pub(super) identity: Identity,
    pub(super) config: &'a Config,
    pub(super) account: &'a Account,
    /// A claims challenge, as JSON.
    pub(super) claims: Option<String>,
    pub(super) clock: Clock,
    /// How long somebody is waited for, if it was said.
    pub(super) patience: Option<Duration>,
    pub(super) variables: &'a Variables,
}

/// How the visit to a browser here ended.
enum Ended {
    Granted(TokenResponse),
    /// No browser was opened, for this reason.
    Unopened(String),
}

impl Flow<'_> {
    /// Signs in with a browser here if there is one, else, or when it is wanted, with one elsewhere. What was granted is for registries.
    pub(super) async fn sign_in(&self, is_elsewhere: bool) -> Result<TokenResponse, Error> {
        if is_elsewhere {
            return self.with_device_code().await;
        }
        let obstacle = match browser::find(self.variables, &self.config.sources.path) {
            Ok(opener) => match self.with_browser(&opener).await? {
                Ended::Granted(granted) => return Ok(granted),
                Ended::Unopened(obstacle) => obstacle,
            },
            Err(obstacle) => obstacle,
        };
        say(&format!(
            "No browser can be opened here, so sign in with one elsewhere:\n{obstacle}.\n"
        ));
        self.with_device_code().await
    }

    /// Authorization code with PKCE; the browser comes back to a port of this machine.
    async fn with_browser(&self, opener: &Opener) -> Result<Ended, Error> {
        let loopback = match Loopback::bind().await {
            Ok(loopback) => loopback,
            Err(error) => return Ok(Ended::Unopened(format!("no port to come back to: {error}"))),
        };
        let (network, client) = self.client(Deadline::after(self.config.timeout))?;
        let request = client
            .authorization_request(loopback.address())
            .map_err(|error| self.identity.sign_in_error(error, &network))?;
        let mut child = match opener.open(request.url.as_str()) {
            Ok(child) => child,
            Err(error) => return Ok(Ended::Unopened(format!("{opener}: {error}"))),
        };
        let deadline = Deadline::after(self.patience.unwrap_or(PATIENCE));
        say(&format!(
            "A browser opens to sign in. If it does not, open this address:\n\n  {}\n\n\
             Waiting for it for {}; Ctrl-C ends that.",
            request.url,
            words(deadline.left())
        ));
        let opening = async {
            // An opener ends at once, a browser may stay: only an early failure says something.
            match tokio::time::timeout(OPENING, child.wait()).await {
                Ok(Ok(status)) if !status.success() => (),
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            returned = loopback.returned(&request.state) => {
                let Returned { answer, stream } = returned;
                let granted = self.exchange_code(request, answer).await;
                let page = match &granted {
                    Ok(_) => page::success(),
                    Err(error) => page::failure(&error.to_string()),
                };
                stream.show(&page).await;
                granted.map(Ended::Granted)
            }
            () = opening => Ok(Ended::Unopened(format!("{opener} did not open one"))),
            () = tokio::time::sleep(deadline.left()) => Err(Error::sign_in("the browser", "nobody came back from it in time").with_hint("`docker-credential-acrscoped login --device-code` signs in with a browser elsewhere; `--timeout` waits longer")),
        }
    }

    /// Exchanges the code at Entra, or returns why there is none.
    async fn exchange_code(
        &self,
        request: AuthorizationRequest,
        answer: Result<SecretString, String>,
    ) -> Result<TokenResponse, Error> {
        // The time for it begins now that somebody is back.
        let deadline = Deadline::after(self.config.timeout);
        let (network, client) = self.client(deadline)?;
        let redeemed = async {
            let granted = match answer {
                Ok(code) => client.exchange_code(request, &code).await,
                Err(words) => Err(OAuthError::new(words).into()),
            };
            self.judged(granted, &network)
        };
        deadline
            .keep(
                "the code of the browser was redeemed".into(),
                network.circumstances(),
                redeemed,
            )
            .await
    }

    /// A code that somebody types into a browser elsewhere.
    async fn with_device_code(&self) -> Result<TokenResponse, Error> {
        let deadline = Deadline::after(self.config.timeout);
        let (network, client) = self.client(deadline)?;
        let begun = async {
            client
                .device_code()
                .await
                .map_err(|error| self.identity.sign_in_error(error, &network))
        };
        let device = deadline
            .keep(
                "a device code was asked for".into(),
                network.circumstances(),
                begun,
            )
            .await?;
        let patience = self
            .patience
            .unwrap_or(Duration::MAX)
            .min(device.lifetime());
        say(&format!(
            "Open this page in a browser, here or elsewhere, and enter the code:\n\n  {}\n  {}\n\n\
             Enter it only if you started this yourself.\nWaiting for {}; Ctrl-C ends that.",
            printable(&device.verification_uri),
            printable(&device.user_code),
            words(patience)
        ));
        let (network, client) = self.client(Deadline::after(patience))?;
        let granted = client.poll(&device, patience, self.config.timeout).await;
        self.judged(granted, &network)
    }

    fn client(&self, deadline: Deadline) -> Result<(Arc<Network>, PublicClient), Error> {
        let network = Arc::new(Network::new(
            self.config.network.clone(),
            deadline,
            self.clock,
        ));
        network.warn();
        let client =
            self.account
                .client(&self.config.authority, self.identity.audience(), &network);
        let client = client.map_err(|error| self.identity.sign_in_error(error, &network))?;
        Ok((network, client.with_claims(self.claims.clone())))
    }

    fn judged(
        &self,
        granted: anyhow::Result<TokenResponse>,
        network: &Network,
    ) -> Result<TokenResponse, Error> {
        let granted = granted.map_err(|error| self.identity.sign_in_error(error, network))?;
        self.identity.check_token(granted.access_token.clone())?;
        Ok(granted)
    }
}

/// What somebody is asked to do goes to stderr: the answer of the command is who has signed in.
fn say(text: &str) {
    // A stream that is closed cannot be told so.
    drop(writeln!(std::io::stderr(), "{text}"));
}

fn words(time: Duration) -> String {
    // What is left of five minutes is five minutes.
    let seconds = time.as_secs_f64().round();
    if seconds >= 60.0 {
        format!("{:.0} min", seconds / 60.0)
    } else {
        format!("{seconds:.0} s")
    }
}
