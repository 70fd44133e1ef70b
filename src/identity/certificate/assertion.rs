//! The signed assertion of who an application is, which replaces its secret.
//!
//! Its form: Microsoft, "Microsoft identity platform application authentication certificate credentials"
//! (<https://learn.microsoft.com/entra/identity-platform/certificate-credentials>).

use super::Certificate;
use crate::deadline::Clock;
use azure_core::Uuid;
use azure_core::base64::{encode, encode_url_safe};
use azure_core::error::{Error, ErrorKind};
use azure_core::http::ClientMethodOptions;
use azure_identity::ClientAssertion;
use ring::digest::{SHA256, digest};
use ring::error::Unspecified;
use ring::rand::{self, SystemRandom};
use ring::signature::RSA_PSS_SHA256;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use url::Url;

/// How long an assertion is valid: Microsoft advises five to ten minutes at most.
const LIFETIME: Duration = Duration::from_secs(300);

/// Signs a new assertion for every token request.
#[derive(Debug)]
pub(in crate::identity) struct SignedAssertion {
    certificate: Arc<Certificate>,
    client_id: String,
    /// The URL that the assertion is sent to, which is its audience.
    token_endpoint: String,
    /// Whether the certificate is sent along, with its chain: applications that trust a subject name and issuer need that.
    sends_chain: bool,
    clock: Clock,
}

impl SignedAssertion {
    /// Creates one for an application and the token endpoint of its tenant at an authority.
    pub(in crate::identity) fn new(
        certificate: Arc<Certificate>,
        client_id: String,
        authority: &Url,
        tenant: &str,
        sends_chain: bool,
        clock: Clock,
    ) -> Self {
        // As `ClientAssertionCredential` builds it.
        let token_endpoint = format!(
            "{}/{tenant}/oauth2/v2.0/token",
            authority.as_str().trim_end_matches('/')
        );
        Self {
            certificate,
            client_id,
            token_endpoint,
            sends_chain,
            clock,
        }
    }

    fn sign(&self) -> Result<String, Unspecified> {
        let random = SystemRandom::new();
        let id = Uuid::from_bytes(rand::generate(&random)?.expose());
        let [header, claims] =
            [self.header(), self.claims(id)].map(|part| encode_url_safe(part.to_string()));
        let signed = format!("{header}.{claims}");
        let key = &self.certificate.key;
        let mut signature = vec![0; key.public().modulus_len()];
        key.sign(&RSA_PSS_SHA256, &random, signed.as_bytes(), &mut signature)?;
        Ok(format!("{signed}.{}", encode_url_safe(signature)))
    }

    fn header(&self) -> Value {
        let chain = &self.certificate.chain;
        let thumbprint = encode_url_safe(digest(&SHA256, &chain[0]));
        let mut header = json!({"alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint});
        if self.sends_chain {
            // RFC 7515, section 4.1.6: not the alphabet for URLs.
            header["x5c"] = chain.iter().map(encode).collect();
        }
        header
    }

    fn claims(&self, id: Uuid) -> Value {
        let now = (self.clock)()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        json!({
            "aud": self.token_endpoint,
            "iss": self.client_id,
            "sub": self.client_id,
            "jti": id.to_string(),
            "nbf": now.as_secs(),
            "iat": now.as_secs(),
            "exp": (now + LIFETIME).as_secs(),
        })
    }
}

#[async_trait::async_trait]
impl ClientAssertion for SignedAssertion {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        self.sign().map_err(|_| {
            Error::with_message(ErrorKind::Credential, "the system gave no random numbers")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::certificate::tests::Folder;
    use azure_core::base64::{decode, decode_url_safe};
    use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
    use azure_core::credentials::TokenCredential;
    use azure_core::http::{ClientOptions, RetryOptions, Transport};
    use azure_identity::{ClientAssertionCredential, ClientAssertionCredentialOptions};
    use ring::signature::{RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
    use simulator::{ACR_AUDIENCE, CLIENT, Settings, Simulator, TENANT};

    const AUTHORITY: &str = "https://login.microsoftonline.com";

    fn noon() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000)
    }

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + SystemTime::UNIX_EPOCH.elapsed().unwrap()
    }

    fn certificate(folder: &Folder) -> Arc<Certificate> {
        let file = folder.join("whole", &["middle.pem", "leaf.pem", "leaf.key"]);
        Arc::new(Certificate::read(&file, None).unwrap())
    }

    fn of(certificate: Arc<Certificate>, sends_chain: bool, clock: Clock) -> SignedAssertion {
        let authority = Url::parse(AUTHORITY).unwrap();
        SignedAssertion::new(
            certificate,
            CLIENT.into(),
            &authority,
            TENANT,
            sends_chain,
            clock,
        )
    }

    fn json(part: &str) -> Value {
        serde_json::from_slice(&decode_url_safe(part).unwrap()).unwrap()
    }

    #[tokio::test]
    #[ignore = "needs openssl: run tests/run"]
    async fn a_statement_is_what_microsoft_describes_and_never_the_same() {
        let folder = Folder::new();
        let certificate = certificate(&folder);
        let assertion = of(certificate.clone(), false, noon);
        let (first, second) = (
            assertion.secret(None).await.unwrap(),
            assertion.secret(None).await.unwrap(),
        );
        let (signed, signature) = first.rsplit_once('.').unwrap();
        let key = UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, certificate.key.public());
        key.verify(signed.as_bytes(), &decode_url_safe(signature).unwrap())
            .unwrap();
        let (header, claims) = signed.split_once('.').unwrap();
        let thumbprint = encode_url_safe(digest(&SHA256, &folder.der("leaf.pem")));
        assert_eq!(
            json(header),
            json!({"alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint})
        );
        let mut claims = json(claims);
        let id = claims.as_object_mut().unwrap().remove("jti").unwrap();
        assert_eq!(
            claims,
            json!({
                "aud": format!("{AUTHORITY}/{TENANT}/oauth2/v2.0/token"),
                "iss": CLIENT,
                "sub": CLIENT,
                "nbf": 1_900_000_000,
                "iat": 1_900_000_000,
                "exp": 1_900_000_300,
            })
        );
        assert_ne!(json(second.split('.').nth(1).unwrap())["jti"], id);
    }

    #[tokio::test]
    #[ignore = "needs openssl: run tests/run"]
    async fn the_chain_goes_along_where_it_is_asked_for() {
        let folder = Folder::new();
        let assertion = of(certificate(&folder), true, noon)
            .secret(None)
            .await
            .unwrap();
        let header = json(assertion.split('.').next().unwrap());
        let sent: Vec<Vec<u8>> = header["x5c"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| decode(it.as_str().unwrap()).unwrap())
            .collect();
        assert!(sent == ["leaf.pem", "middle.pem"].map(|name| folder.der(name)));
    }

    #[tokio::test]
    #[ignore = "needs openssl: run tests/run"]
    async fn entra_takes_the_statement_of_the_certificate_that_it_knows() {
        let folder = Folder::new();
        for (known, is_taken) in [("leaf.pem", true), ("other.pem", false)] {
            let mut settings = Settings::default();
            settings.apps[0].certificates = vec![String::from_utf8(folder.read(known)).unwrap()];
            let simulator = Simulator::start(settings).unwrap();
            let credential = ClientAssertionCredential::new(
                TENANT.into(),
                CLIENT.into(),
                of(certificate(&folder), true, now),
                Some(ClientAssertionCredentialOptions {
                    client_options: options(&simulator),
                }),
            );
            let token = credential
                .unwrap()
                .get_token(&[&format!("{ACR_AUDIENCE}/.default")], None)
                .await;
            assert_eq!(token.is_ok(), is_taken, "{known}: {token:?}");
        }
    }

    fn options(simulator: &Simulator) -> ClientOptions {
        drop(rustls::crypto::ring::default_provider().install_default());
        let ca =
            reqwest::Certificate::from_pem(&std::fs::read(simulator.ca_file()).unwrap()).unwrap();
        let proxy = reqwest::Proxy::https(simulator.origin()).unwrap();
        let client = reqwest::Client::builder()
            .tls_certs_only([ca])
            .proxy(proxy)
            .build()
            .unwrap();
        let mut cloud = CustomConfiguration::default();
        cloud.authority_host = AUTHORITY.into();
        ClientOptions {
            cloud: Some(Arc::new(CloudConfiguration::Custom(cloud))),
            transport: Some(Transport::new(Arc::new(client))),
            retry: RetryOptions::none(),
            ..ClientOptions::default()
        }
    }
}
