//! Sign-in of apps with an assertion: of a federated workload, or signed with a certificate's key.

use std::process::Command;

use data_encoding::{BASE64, BASE64URL_NOPAD};
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::rsa::{KeyPair, PublicKeyComponents};
use ring::signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use simulator::{ASSERTION_AUDIENCE, CLIENT, FEDERATED_ISSUER, FederatedCredential, TENANT};

use crate::client::{Answer, TOKEN_PAGE, World, assert_refused, forged};

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const SUBJECT: &str = "system:serviceaccount:default:builder";

async fn present(world: &World, assertion: &str) -> Answer {
    let fields = [
        ("client_secret", ""),
        ("client_assertion_type", ASSERTION_TYPE),
        ("client_assertion", assertion),
    ];
    world.sign_in(TOKEN_PAGE, &fields).await
}

fn now() -> i64 {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

fn good_claims() -> Value {
    json!({"iss": FEDERATED_ISSUER, "sub": SUBJECT, "aud": ASSERTION_AUDIENCE, "nbf": now() - 5, "exp": now() + 300})
}

fn with_subject() -> World {
    let credential = FederatedCredential {
        subject: SUBJECT.to_owned(),
        ..FederatedCredential::default()
    };
    World::with(|settings| settings.apps[0].federated_credentials = vec![credential])
}

#[tokio::test]
async fn a_workloads_assertion_is_as_good_as_a_secret() {
    let world = with_subject();
    assert_eq!(
        present(&world, &world.simulator.assertion(SUBJECT))
            .await
            .status,
        200
    );
    assert_eq!(
        present(&world, &world.simulator.sign_assertion(&good_claims()))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn an_assertion_may_have_its_audience_in_a_list_as_kubernetes_writes_it() {
    let world = with_subject();
    for (audience, status) in [
        (json!([ASSERTION_AUDIENCE]), 200),
        (
            json!(["https://kubernetes.default.svc", ASSERTION_AUDIENCE]),
            200,
        ),
        (json!(["https://kubernetes.default.svc"]), 401),
        (json!([]), 401),
    ] {
        let mut claims = good_claims();
        claims["aud"] = audience;
        assert_eq!(
            present(&world, &world.simulator.sign_assertion(&claims))
                .await
                .status,
            status,
            "{}",
            claims["aud"]
        );
    }
}

#[tokio::test]
async fn an_assertion_that_does_not_match_is_refused_with_its_code() {
    let world = with_subject();
    let cases = [
        ("iss", json!("https://oidc.other.example"), 700_211),
        ("sub", json!("system:serviceaccount:default:other"), 700_213),
        ("sub", json!(SUBJECT.to_uppercase()), 700_213),
        ("aud", json!("https://github.com/contoso"), 700_212),
        ("exp", json!(now() - 1), 700_024),
        ("exp", Value::Null, 700_024),
        ("nbf", json!(now() + 300), 700_024),
    ];
    for (name, value, code) in cases {
        let mut claims = good_claims();
        claims[name] = value;
        let answer = present(&world, &world.simulator.sign_assertion(&claims)).await;
        assert_refused(
            (name, &claims[name]),
            &answer,
            401,
            &format!("AADSTS{code}: "),
        );
        assert_eq!(answer.text("error"), "invalid_client");
    }
}

#[tokio::test]
async fn a_forged_assertion_is_refused() {
    let world = with_subject();
    let other = World::new();
    let forgery = forged(&world.simulator.assertion("somebody else"), "sub", SUBJECT);
    assert_refused(
        "changed claim",
        &present(&world, &forgery).await,
        401,
        "AADSTS700027",
    );
    let foreign = other.simulator.assertion(SUBJECT);
    assert_refused(
        "other key",
        &present(&world, &foreign).await,
        401,
        "AADSTS700027",
    );
    assert_refused(
        "no token",
        &present(&world, "nonsense").await,
        400,
        "AADSTS50027",
    );
}

#[tokio::test]
async fn an_app_without_a_federated_credential_trusts_nobody() {
    let world = World::with(|settings| settings.apps[0].federated_credentials.clear());
    let answer = present(&world, &world.simulator.assertion(SUBJECT)).await;
    assert_refused("none", &answer, 400, "AADSTS70021: ");
    assert!(answer.body.contains(SUBJECT));
}

/// An RSA key and its certificate, for signing as others do, and the certificate of the authority that issued it.
struct Rsa {
    key: KeyPair,
    certificate: String,
    issuer: String,
}

impl Rsa {
    fn generate() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let openssl = |arguments: &str| {
            let output = Command::new("openssl")
                .args(arguments.split(' '))
                .current_dir(folder.path())
                .output()
                .unwrap();
            assert!(
                output.status.success(),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
        };
        openssl(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=issuer -days 2 -keyout ca.key -out ca.pem",
        );
        openssl("req -newkey rsa:2048 -nodes -subj /CN=test -keyout key -out request");
        // Without an extension it would be of version 1.
        std::fs::write(path("extension"), "basicConstraints=CA:FALSE").unwrap();
        openssl(
            "x509 -req -in request -CA ca.pem -CAkey ca.key -set_serial 1 -days 2 -extfile extension -out certificate",
        );
        let PrivateKeyDer::Pkcs8(pkcs8) = PrivateKeyDer::from_pem_file(path("key")).unwrap() else {
            panic!("not PKCS#8")
        };
        let key = KeyPair::from_pkcs8(pkcs8.secret_pkcs8_der()).unwrap();
        let read = |name: &str| std::fs::read_to_string(path(name)).unwrap();
        Self {
            key,
            certificate: read("certificate"),
            issuer: read("ca.pem"),
        }
    }

    fn sign(&self, header: &Value, claims: &Value, padding: &'static dyn RsaEncoding) -> String {
        let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let signed = format!("{}.{}", part(header), part(claims));
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(
                padding,
                &SystemRandom::new(),
                signed.as_bytes(),
                &mut signature,
            )
            .unwrap();
        format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature))
    }

    fn jwk(&self) -> Value {
        let components = PublicKeyComponents::<Vec<u8>>::from(self.key.public());
        let number = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
        json!({"kty": "RSA", "kid": "1", "n": number(&components.n), "e": number(&components.e)})
    }

    fn thumbprint(&self) -> String {
        let der = CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap();
        BASE64URL_NOPAD.encode(digest(&SHA256, &der).as_ref())
    }
}

#[tokio::test]
#[ignore = "needs openssl"]
async fn an_issuers_rsa_key_is_verified() {
    let (rsa, other) = (Rsa::generate(), Rsa::generate());
    let world = World::with(|settings| {
        settings.apps[0].federated_credentials = vec![FederatedCredential {
            issuer: "https://token.actions.example".to_owned(),
            subject: SUBJECT.to_owned(),
            keys: json!({"keys": [rsa.jwk()]}),
            ..FederatedCredential::default()
        }];
    });
    let mut claims = good_claims();
    claims["iss"] = "https://token.actions.example".into();
    let header = json!({"alg": "RS256", "kid": "1"});
    let good = rsa.sign(&header, &claims, &RSA_PKCS1_SHA256);
    assert_eq!(present(&world, &good).await.status, 200);
    let foreign = other.sign(&header, &claims, &RSA_PKCS1_SHA256);
    assert_refused(
        "other key",
        &present(&world, &foreign).await,
        401,
        "AADSTS700027",
    );
}

#[tokio::test]
#[ignore = "needs openssl"]
async fn a_certificate_comes_along_from_an_authority_that_the_app_trusts() {
    let (rsa, other) = (Rsa::generate(), Rsa::generate());
    let world = World::with(|settings| settings.apps[0].issuers = vec![rsa.issuer.clone()]);
    let claims = json!({"iss": CLIENT, "sub": CLIENT, "aud": TOKEN_PAGE.replace("TENANT", TENANT), "nbf": now(), "exp": now() + 300});
    let header = |rsa: &Rsa, chain: &[&str]| {
        let chain: Vec<String> = chain
            .iter()
            .map(|pem| BASE64.encode(&CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()))
            .collect();
        json!({"alg": "PS256", "x5t#S256": rsa.thumbprint(), "x5c": chain})
    };
    let present = async |rsa: &Rsa, chain: &[&str]| {
        present(
            &world,
            &rsa.sign(&header(rsa, chain), &claims, &RSA_PSS_SHA256),
        )
        .await
    };
    assert_eq!(present(&rsa, &[&rsa.certificate]).await.status, 200);
    for (name, rsa, chain) in [
        ("none", &rsa, &[][..]),
        (
            "another authority",
            &other,
            &[&*other.certificate, &other.issuer],
        ),
        ("another certificate", &other, &[&*rsa.certificate]),
    ] {
        assert_refused(name, &present(rsa, chain).await, 401, "AADSTS700027");
    }
}

#[tokio::test]
#[ignore = "needs openssl"]
async fn a_certificates_key_signs_for_its_app_only() {
    let (rsa, other) = (Rsa::generate(), Rsa::generate());
    let world =
        World::with(|settings| settings.apps[0].certificates = vec![rsa.certificate.clone()]);
    let audience = TOKEN_PAGE.replace("TENANT", TENANT);
    let claims = |audience: &str, subject: &str| json!({"iss": CLIENT, "sub": subject, "aud": audience, "nbf": now(), "exp": now() + 300});
    let good = claims(&audience, CLIENT);
    for (name, padding) in [
        ("RS256", &RSA_PKCS1_SHA256 as &'static dyn RsaEncoding),
        ("PS256", &RSA_PSS_SHA256),
    ] {
        let header = json!({"alg": name, "x5t#S256": rsa.thumbprint()});
        assert_eq!(
            present(&world, &rsa.sign(&header, &good, padding))
                .await
                .status,
            200,
            "{name}"
        );
        let forgery = other.sign(&header, &good, padding);
        assert_refused(name, &present(&world, &forgery).await, 401, "AADSTS700027");
    }
    let header = json!({"alg": "RS256", "x5t#S256": rsa.thumbprint()});
    let misdirected = rsa.sign(
        &header,
        &claims("https://login.other.example", CLIENT),
        &RSA_PKCS1_SHA256,
    );
    assert_refused(
        "audience",
        &present(&world, &misdirected).await,
        401,
        "AADSTS700023",
    );
    let misnamed = rsa.sign(&header, &claims(&audience, "other"), &RSA_PKCS1_SHA256);
    assert_refused(
        "subject",
        &present(&world, &misnamed).await,
        401,
        "AADSTS700021",
    );
    let header = json!({"alg": "RS256", "x5t#S256": other.thumbprint()});
    let unknown = other.sign(&header, &good, &RSA_PKCS1_SHA256);
    assert_refused(
        "unknown certificate",
        &present(&world, &unknown).await,
        401,
        "AADSTS700027",
    );
}
