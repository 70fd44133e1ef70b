//! The two ways to sign in: with a browser on this machine, or with a code in a browser elsewhere.

use super::browser::{self, BrowserCommand};
use super::loopback::{AuthorizationResponse, Loopback};
use super::page;
use crate::config::{Config, Variables};
use crate::deadline::{Clock, Deadline};
use crate::entra::{AuthorizationRequest, PublicClient, TokenResponse};
use crate::error::{Error, sanitize_line};
use crate::http::{Network, ResponseError};
use crate::identity::{Account, Identity};
use crate::registry::Registry;
use crate::terminal::Terminal;
use secrecy::SecretString;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

/// How long to wait for the browser on this machine.
const BROWSER_TIMEOUT: Duration = Duration::from_secs(300);

/// One sign-in.
pub(super) struct Flow<'a> {
    pub(super) identity: Identity,
    pub(super) config: &'a Config,
    pub(super) account: &'a Account,
    pub(super) registry: Option<&'a Registry>,
    pub(super) clock: Clock,
    /// How long to wait for the user, by option.
    pub(super) timeout: Option<Duration>,
    pub(super) variables: &'a Variables,
    pub(super) terminal: Terminal<'a>,
}

impl Flow<'_> {
    /// Signs in with a browser on this machine. Without one, or if the account is to use a device code, signs in with a browser elsewhere. Returns also whether
    /// it was the browser on this machine.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::SignIn`](crate::error::ErrorKind) if the user or Entra refuses, or the time is over. Also what the network reports.
    pub(super) async fn sign_in(&self) -> Result<(TokenResponse, bool), Error> {
        if !self.account.is_device_code
            && let Some(response) = self.with_browser().await?
        {
            return Ok((response, true));
        }
        Ok((self.with_device_code().await?, false))
    }

    /// Requests an authorization code with PKCE (RFC 7636), which the browser brings to a port of this machine. Returns nothing if no browser
    /// can be opened.
    async fn with_browser(&self) -> Result<Option<TokenResponse>, Error> {
        let found = self.browser().await;
        let Ok((browser, loopback)) = found.inspect_err(|reason| self.print_no_browser(reason))
        else {
            return Ok(None);
        };
        let (network, client) = self.client(Deadline::after(self.config.timeout))?;
        let request = client
            .authorization_request(loopback.address())
            .map_err(|error| self.identity.sign_in_error(error, &network))?;
        let timeout = self.timeout.unwrap_or(BROWSER_TIMEOUT);
        print(&format!(
            "A browser opens to sign in. If it does not, open this address:\n\n  {}\n\n\
             Waiting for {}. Press Ctrl-C to stop.",
            request.url,
            format_duration(timeout)
        ));
        tokio::select! {
            AuthorizationResponse { code, connection } = loopback.response(&request.state) => {
                let granted = self.exchange_code(request, code).await;
                let failure = granted.as_ref().err().map(Error::to_string);
                connection.finish(&page::response_page(failure.as_deref())).await;
                granted.map(Some)
            }
            reason = browser.open(request.url.as_str()) => {
                self.print_no_browser(&reason);
                Ok(None)
            }
            () = tokio::time::sleep(timeout) => Err(self.browser_timed_out()),
        }
    }

    /// Returns a browser and the port that it returns to, or the reason why there is none.
    async fn browser(&self) -> Result<(BrowserCommand, Loopback), String> {
        let browser = browser::find(self.variables, &self.config.sources.path)?;
        let loopback = Loopback::bind().await;
        let loopback = loopback.map_err(|error| format!("no port can be bound for it: {error}"))?;
        Ok((browser, loopback))
    }

    /// Exchanges the code for tokens.
    async fn exchange_code(
        &self,
        request: AuthorizationRequest,
        code: Result<SecretString, String>,
    ) -> Result<TokenResponse, Error> {
        self.request(
            "tokens for the code of the browser",
            async |client, network| {
                let granted = match code {
                    Ok(code) => client.exchange_code(request, &code).await,
                    Err(message) => Err(ResponseError::new(message).into()),
                };
                self.check(granted, network)
            },
        )
        .await
    }

    /// Requests a code that the user types into a browser elsewhere (RFC 8628).
    async fn with_device_code(&self) -> Result<TokenResponse, Error> {
        let device = self
            .request("a device code", async |client, network| {
                let device = client.device_code().await;
                device.map_err(|error| self.identity.sign_in_error(error, network))
            })
            .await?;
        let timeout = self.timeout.unwrap_or(Duration::MAX).min(device.lifetime());
        print(&format!(
            "Open this page in a browser, here or elsewhere, and enter the code:\n\n  {}\n  {}\n\n\
             Enter it only if you started this yourself.\nWaiting for {}. Press Ctrl-C to stop.",
            sanitize_line(&device.verification_uri),
            sanitize_line(&device.user_code),
            format_duration(timeout)
        ));
        let (network, client) = self.client(Deadline::after(timeout))?;
        let granted = client.poll(&device, timeout, self.config.timeout).await;
        self.check(granted, &network)
    }

    /// Sends a request within the time of the settings. `awaited` names what it returns, for the error.
    async fn request<T>(
        &self,
        awaited: &str,
        send: impl AsyncFnOnce(&PublicClient, &Network) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let deadline = Deadline::after(self.config.timeout);
        let (network, client) = self.client(deadline)?;
        let proxy_and_ca_notes = network.proxy_and_ca_notes();
        deadline
            .timeout(awaited.into(), proxy_and_ca_notes, send(&client, &network))
            .await
    }

    fn client(&self, deadline: Deadline) -> Result<(Arc<Network>, PublicClient), Error> {
        let network = Network::new(self.config, deadline, self.clock);
        network.warn();
        let network = Arc::new(network);
        let audience = self.identity.audience();
        let client = self
            .account
            .client(&self.config.authority, audience, &network)
            .map_err(|error| self.identity.sign_in_error(error, &network))?;
        Ok((network, client))
    }

    /// Returns the response if its access token is for registries.
    fn check(
        &self,
        granted: anyhow::Result<TokenResponse>,
        network: &Network,
    ) -> Result<TokenResponse, Error> {
        let granted = granted.map_err(|error| self.identity.sign_in_error(error, network))?;
        self.identity.check_token(granted.access_token.clone())?;
        Ok(granted)
    }

    fn print_no_browser(&self, reason: &str) {
        let reason = format!("Cannot open a browser here: {reason}.");
        let reason = self.terminal.wrap(&reason, 0);
        print(&format!(
            "{reason}\nSign in with a browser on another machine.\n"
        ));
    }

    fn browser_timed_out(&self) -> Error {
        let command = self.account.device_code_command(self.registry);
        Error::sign_in("the browser", "the sign-in was not completed in time").with_hint(format!(
            "wait longer with `--timeout`, or sign in with a browser on another machine\n  {command}"
        ))
    }
}

/// Prints to stderr what the user has to do. Stdout is for the result.
fn print(text: &str) {
    // Without stderr there is no place for an error either.
    drop(writeln!(std::io::stderr(), "{text}"));
}

fn format_duration(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ ..60 => format!("{seconds} s"),
        seconds => format!("{} min", (seconds + 30) / 60),
    }
}
