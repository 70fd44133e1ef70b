//! The signed assertion of an application about itself, which replaces its secret.
//!
//! Its form: Microsoft, "Microsoft identity platform application authentication certificate credentials"
//! (<https://learn.microsoft.com/entra/identity-platform/certificate-credentials>).

use super::Certificate;
use anyhow::anyhow;
use azure_core::Uuid;
use azure_core::base64::{encode, encode_url_safe};
use ring::digest::{SHA256, digest};
use ring::error::Unspecified;
use ring::rand::{self, SystemRandom};
use ring::signature::RSA_PSS_SHA256;
use secrecy::SecretString;
use serde_json::json;
use std::time::{Duration, SystemTime};

/// How long an assertion is valid: Microsoft advises five to ten minutes at most.
const LIFETIME: Duration = Duration::from_secs(300);

impl Certificate {
    /// Returns a new assertion of an application, for the endpoint that it is sent to. Applications that trust a subject name and issuer
    /// need the certificate sent along, with its chain.
    pub(in crate::identity) fn sign_assertion(
        &self,
        client_id: &str,
        token_endpoint: &str,
        sends_chain: bool,
        now: SystemTime,
    ) -> anyhow::Result<SecretString> {
        let no_random = |_: Unspecified| anyhow!("the system gave no random numbers");
        let random = SystemRandom::new();
        let id = rand::generate(&random).map_err(no_random)?.expose();
        let thumbprint = encode_url_safe(digest(&SHA256, &self.chain[0]));
        let mut header = json!({"alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint});
        if sends_chain {
            // RFC 7515, section 4.1.6: not the alphabet for URLs.
            header["x5c"] = self.chain.iter().map(encode).collect();
        }
        let now = now.duration_since(SystemTime::UNIX_EPOCH);
        let now = now.unwrap_or_default();
        let claims = json!({
            "aud": token_endpoint,
            "iss": client_id,
            "sub": client_id,
            "jti": Uuid::from_bytes(id).to_string(),
            "nbf": now.as_secs(),
            "iat": now.as_secs(),
            "exp": (now + LIFETIME).as_secs(),
        });
        let [header, claims] = [header, claims].map(|part| encode_url_safe(part.to_string()));
        let signed = format!("{header}.{claims}");
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(&RSA_PSS_SHA256, &random, signed.as_bytes(), &mut signature)
            .map_err(no_random)?;
        Ok(format!("{signed}.{}", encode_url_safe(signature)).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::certificate::tests::Folder;
    use crate::identity::service_principal::Assertion;
    use azure_core::base64::{decode, decode_url_safe};
    use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
    use azure_core::credentials::TokenCredential;
    use azure_core::http::{ClientOptions, RetryOptions, Transport};
    use azure_identity::{ClientAssertionCredential, ClientAssertionCredentialOptions};
    use ring::signature::{RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
    use secrecy::ExposeSecret;
    use serde_json::Value;
    use simulator::{ACR_AUDIENCE, CLIENT, Settings, Simulator, TENANT};
    use std::sync::Arc;

    const AUTHORITY: &str = "https://login.microsoftonline.com";

    fn noon() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000)
    }

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + SystemTime::UNIX_EPOCH.elapsed().unwrap()
    }

    fn certificate(folder: &Folder) -> Certificate {
        let file = folder.join("whole", &["middle.pem", "leaf.pem", "leaf.key"]);
        Certificate::read(&file, None).unwrap()
    }

    fn sign(certificate: &Certificate, sends_chain: bool, time: SystemTime) -> String {
        let endpoint = format!("{AUTHORITY}/{TENANT}/oauth2/v2.0/token");
        let assertion = certificate.sign_assertion(CLIENT, &endpoint, sends_chain, time);
        assertion.unwrap().expose_secret().to_owned()
    }

    fn json(part: &str) -> Value {
        serde_json::from_slice(&decode_url_safe(part).unwrap()).unwrap()
    }

    #[test]
    #[ignore = "needs openssl: run tests/run"]
    fn an_assertion_has_the_form_that_microsoft_documents_and_is_never_the_same() {
        let folder = Folder::new();
        let certificate = certificate(&folder);
        let [first, second] = [(), ()].map(|()| sign(&certificate, false, noon()));
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

    #[test]
    #[ignore = "needs openssl: run tests/run"]
    fn the_chain_is_sent_if_the_setting_says_so() {
        let folder = Folder::new();
        let assertion = sign(&certificate(&folder), true, noon());
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
    async fn entra_accepts_the_assertion_of_a_registered_certificate_only() {
        let folder = Folder::new();
        for (known, is_accepted) in [("leaf.pem", true), ("other.pem", false)] {
            let mut settings = Settings::default();
            settings.apps[0].certificates = vec![String::from_utf8(folder.read(known)).unwrap()];
            let simulator = Simulator::start(settings).unwrap();
            let assertion = sign(&certificate(&folder), true, now());
            let credential = ClientAssertionCredential::new(
                TENANT.into(),
                CLIENT.into(),
                Assertion(assertion.into()),
                Some(ClientAssertionCredentialOptions {
                    client_options: options(&simulator),
                }),
            );
            let token = credential
                .unwrap()
                .get_token(&[&format!("{ACR_AUDIENCE}/.default")], None)
                .await;
            assert_eq!(token.is_ok(), is_accepted, "{known}: {token:?}");
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
