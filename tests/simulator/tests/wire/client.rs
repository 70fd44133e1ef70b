//! A client whose every request goes to one simulator.

use std::fmt::Debug;

use data_encoding::BASE64URL_NOPAD;
use reqwest::header::HeaderMap;
use reqwest::{Certificate, Method, Proxy, RequestBuilder, redirect};
use serde_json::Value;
use simulator::{ACR_AUDIENCE, Settings, Simulator, TENANT};

/// The registry most tests are about.
pub(crate) const HOST: &str = "contoso.azurecr.io";
/// The user name that goes with a token.
pub(crate) const ZERO_GUID: &str = "00000000-0000-0000-0000-000000000000";
/// Entra's token page in the public cloud.
pub(crate) const TOKEN_PAGE: &str = "https://login.microsoftonline.com/TENANT/oauth2/v2.0/token";

/// A simulator and a client of it.
pub(crate) struct World {
    pub(crate) simulator: Simulator,
    http: reqwest::Client,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// A text in the JSON body.
    #[track_caller]
    pub(crate) fn text(&self, name: &str) -> String {
        self.json()[name]
            .as_str()
            .unwrap_or_else(|| panic!("no {name}: {self:?}"))
            .to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

impl World {
    /// The default world.
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// The default world with some changes.
    pub(crate) fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::default();
        change(&mut settings);
        let simulator = Simulator::start(settings).unwrap();
        let http = client(&simulator)
            .proxy(Proxy::https(simulator.origin()).unwrap())
            .build()
            .unwrap();
        Self { simulator, http }
    }

    pub(crate) fn request(&self, method: Method, url: &str) -> RequestBuilder {
        self.http.request(method, url.replace("TENANT", TENANT))
    }

    pub(crate) async fn get(&self, url: &str) -> Answer {
        send(self.request(Method::GET, url)).await
    }

    pub(crate) async fn post(&self, url: &str, form: &[(&str, &str)]) -> Answer {
        send(self.request(Method::POST, url).form(form)).await
    }

    /// A sign-in of the first app with its secret, with some fields replaced; an empty value leaves the field out.
    pub(crate) async fn sign_in(&self, page: &str, replaced: &[(&str, &str)]) -> Answer {
        let app = self.simulator.settings().apps[0].clone();
        let scope = format!("{ACR_AUDIENCE}/.default");
        let mut form = vec![
            ("grant_type", "client_credentials"),
            ("client_id", &app.client_id),
            ("client_secret", &app.secret),
            ("scope", &scope),
        ];
        form.retain(|(name, _)| replaced.iter().all(|(other, _)| other != name));
        form.extend(replaced.iter().filter(|(_, value)| !value.is_empty()));
        self.post(page, &form).await
    }

    /// An access token of the first app for the registries.
    pub(crate) async fn access_token(&self) -> String {
        self.sign_in(TOKEN_PAGE, &[]).await.text("access_token")
    }

    pub(crate) async fn exchange(&self, host: &str, access_token: &str) -> Answer {
        let form = [
            ("grant_type", "access_token"),
            ("service", host),
            ("access_token", access_token),
        ];
        self.post(&format!("https://{host}/oauth2/exchange"), &form)
            .await
    }

    /// A refresh token of the first app.
    pub(crate) async fn refresh_token(&self) -> String {
        self.exchange(HOST, &self.access_token().await)
            .await
            .text("refresh_token")
    }

    /// A registry access token of the first app.
    pub(crate) async fn registry_access_token(&self, scope: &str) -> String {
        let refresh_token = self.refresh_token().await;
        let url = format!("https://{HOST}/oauth2/token?service={HOST}&scope={scope}");
        let request = self
            .request(Method::GET, &url)
            .basic_auth(ZERO_GUID, Some(refresh_token));
        send(request).await.text("access_token")
    }
}

/// A client that trusts the simulator's authority only and follows no redirect.
pub(crate) fn client(simulator: &Simulator) -> reqwest::ClientBuilder {
    // The second test of the process finds it installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let pem = std::fs::read(simulator.ca_file()).unwrap();
    reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([Certificate::from_pem(&pem).unwrap()])
        .redirect(redirect::Policy::none())
}

/// Sends a request and reads the answer to its end.
pub(crate) async fn send(request: RequestBuilder) -> Answer {
    try_to_send(request).await.unwrap()
}

/// The same where the answer may not come.
pub(crate) async fn try_to_send(request: RequestBuilder) -> reqwest::Result<Answer> {
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Ok(Answer {
        status,
        headers,
        body: response.text().await?,
    })
}

/// The claims of a token, unverified.
pub(crate) fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64URL_NOPAD.decode(part.as_bytes()).unwrap()).unwrap()
}

/// A token with one claim changed and the old signature.
pub(crate) fn forged(token: &str, name: &str, value: &str) -> String {
    let mut claims = claims(token);
    claims[name] = value.into();
    let parts: Vec<&str> = token.split('.').collect();
    format!(
        "{}.{}.{}",
        parts[0],
        BASE64URL_NOPAD.encode(claims.to_string().as_bytes()),
        parts[2]
    )
}

/// Fails unless the status and, where given, a word of the body are as expected.
#[track_caller]
pub(crate) fn assert_refused<T: Debug>(case: T, answer: &Answer, status: u16, word: &str) {
    assert_eq!(answer.status, status, "{case:?}: {answer:?}");
    assert!(answer.body.contains(word), "{case:?}: {answer:?}");
    assert!(!answer.body.contains("_token\":\""), "{case:?}: {answer:?}");
}
