//! Client assertions: of a federated workload, or signed with the app's own certificate.

use data_encoding::{BASE64, BASE64URL_NOPAD};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use serde_json::{Value, json};
use std::time::Duration;
use webpki::ring::{
    ECDSA_P256_SHA256, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::Desk;
use super::errors::Refusal;
use crate::clock;
use crate::jwt::{Parts, seconds};
use crate::people::{App, FederatedCredential, Tenant};
use crate::settings::ASSERTION_AUDIENCE;

const ADVICE: &str = "Check your federated identity credential Subject, Audience and Issuer against the presented \
                      assertion. https://learn.microsoft.com/entra/workload-id/workload-identity-federation";

/// Whether an app may sign in with this assertion.
pub(super) fn check(
    desk: &Desk<'_>,
    app: &App,
    tenant: &Tenant,
    presented: &str,
) -> Result<(), Refusal> {
    let parts = Parts::read(presented)
        .ok_or_else(|| Refusal::request(50_027, "JWT token is invalid or malformed.".to_owned()))?;
    if parts.claims["iss"] == app.client_id.as_str() {
        check_certificate(desk, app, tenant, &parts)?;
    } else {
        check_federated(desk, app, &parts)?;
    }
    check_times(desk.call.now, &parts)
}

fn check_federated(desk: &Desk<'_>, app: &App, parts: &Parts) -> Result<(), Refusal> {
    let claim = |name: &str| parts.claims[name].as_str().unwrap_or_default();
    let (issuer, subject, audiences) =
        (claim("iss"), claim("sub"), audiences(&parts.claims["aud"]));
    let audience = audiences.join(", ");
    let all = &app.federated_credentials;
    if all.is_empty() {
        let text = format!(
            "No matching federated identity record found for presented assertion. Assertion Issuer: '{issuer}'. \
             Assertion Subject: '{subject}'. Assertion Audience: '{audience}'."
        );
        return Err(Refusal::request(70_021, text));
    }
    let unmatched = |code, what: &str, value: &str| {
        let text = format!(
            "No matching federated identity record found for presented assertion {what} '{value}'. {ADVICE}"
        );
        Refusal::client(code, text)
    };
    let of_issuer: Vec<&FederatedCredential> =
        all.iter().filter(|known| known.issuer == issuer).collect();
    if of_issuer.is_empty() {
        return Err(unmatched(700_211, "issuer", issuer));
    }
    let of_subject: Vec<&&FederatedCredential> = of_issuer
        .iter()
        .filter(|known| known.subject == "*" || known.subject == subject)
        .collect();
    if of_subject.is_empty() {
        return Err(unmatched(700_213, "subject", subject));
    }
    let matching = of_subject.iter().find(|known| {
        audiences
            .iter()
            .any(|sent| is_audience(&known.audience, sent))
    });
    let known = matching.ok_or_else(|| unmatched(700_212, "audience", &audience))?;
    let own = json!({"keys": [desk.world.federation_key.jwk()]});
    let keys = if known.keys.is_null() {
        &own
    } else {
        &known.keys
    };
    parts
        .verify_with(keys)
        .map_err(|_| bad_signature("The key was not found."))
}

/// The audiences of an assertion: a text or a list (RFC 7519, section 4.1.3). Kubernetes writes a list.
fn audiences(claim: &Value) -> Vec<&str> {
    match claim {
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    }
}

/// The clouds have an audience each, and workloads are commonly set up with the public one everywhere.
fn is_audience(wanted: &str, sent: &str) -> bool {
    if !wanted.is_empty() {
        return wanted == sent;
    }
    let suffix = sent.strip_prefix(ASSERTION_AUDIENCE);
    suffix.is_some_and(|suffix| ["", "USGov", "China", "USNat", "USSec"].contains(&suffix))
}

fn check_certificate(
    desk: &Desk<'_>,
    app: &App,
    tenant: &Tenant,
    parts: &Parts,
) -> Result<(), Refusal> {
    if parts.claims["sub"] != app.client_id.as_str() {
        let text = "Client assertion's subject must be the client's identifier.".to_owned();
        return Err(Refusal::client(700_021, text));
    }
    let audiences = audiences(&parts.claims["aud"]);
    let audience = audiences.join(", ");
    let host = &desk.call.host;
    let is_ours = [tenant.id.as_str(), tenant.domain.as_str()]
        .iter()
        .any(|name| {
            let pages = ["oauth2/v2.0/token", "v2.0", "oauth2/token"];
            pages.iter().any(|page| {
                audiences
                    .iter()
                    .any(|audience| *audience == format!("https://{host}/{name}/{page}"))
            })
        });
    if !is_ours {
        let text = format!(
            "Client assertion audience claim does not match Realm issuer. The audience is '{audience}'. Review the \
             documentation at https://learn.microsoft.com/entra/identity-platform/certificate-credentials ."
        );
        return Err(Refusal::client(700_023, text));
    }
    let mut certificates = from_pem(&app.certificates);
    let signer = certificates.find(|certificate| is_named(certificate, parts));
    let signer = signer.or_else(|| brought_along(app, desk.call.now, parts));
    let signer = signer.ok_or_else(|| bad_signature("The key was not found."))?;
    let verified = verify(&signer, parts);
    verified.ok_or_else(|| {
        bad_signature("Key was found, but use of the key to verify the signature failed.")
    })
}

fn from_pem(texts: &[String]) -> impl Iterator<Item = CertificateDer<'static>> {
    texts
        .iter()
        .filter_map(|pem| CertificateDer::from_pem_slice(pem.as_bytes()).ok())
}

/// The certificate that the header brings along, if its chain there leads to an authority that the app trusts.
fn brought_along(app: &App, now: i64, parts: &Parts) -> Option<CertificateDer<'static>> {
    let chain = parts.header["x5c"].as_array()?.iter();
    let chain: Option<Vec<_>> = chain
        .map(|text| {
            BASE64
                .decode(text.as_str()?.as_bytes())
                .ok()
                .map(Into::into)
        })
        .collect();
    let chain: Vec<CertificateDer<'static>> = chain?;
    let (leaf, above) = chain.split_first()?;
    let issuers: Vec<_> = from_pem(&app.issuers).collect();
    let anchors: Vec<_> = issuers
        .iter()
        .filter_map(|issuer| anchor_from_trusted_cert(issuer).ok())
        .collect();
    let time = UnixTime::since_unix_epoch(Duration::from_secs(now.try_into().ok()?));
    let algorithms = [RSA_PKCS1_2048_8192_SHA256, ECDSA_P256_SHA256];
    let end = EndEntityCert::try_from(leaf).ok()?;
    end.verify_for_usage(
        &algorithms,
        &anchors,
        above,
        time,
        KeyUsage::client_auth(),
        None,
        None,
    )
    .ok()?;
    is_named(leaf, parts).then(|| leaf.clone())
}

/// Whether the header names this certificate by a thumbprint.
fn is_named(certificate: &CertificateDer<'_>, parts: &Parts) -> bool {
    let sha1 = BASE64URL_NOPAD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, certificate).as_ref());
    let sha256 = BASE64URL_NOPAD.encode(digest(&SHA256, certificate).as_ref());
    let named = |name: &str| {
        parts.header[name]
            .as_str()
            .map(|text| text.trim_end_matches('='))
    };
    named("x5t") == Some(&sha1) || named("x5t#S256") == Some(&sha256)
}

fn verify(certificate: &CertificateDer<'_>, parts: &Parts) -> Option<()> {
    let algorithm: &dyn SignatureVerificationAlgorithm = match parts.header["alg"].as_str()? {
        "RS256" => RSA_PKCS1_2048_8192_SHA256,
        "PS256" => RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
        _ => return None,
    };
    let certificate = EndEntityCert::try_from(certificate).ok()?;
    certificate
        .verify_signature(algorithm, &parts.signed, &parts.signature)
        .ok()
}

fn bad_signature(reason: &str) -> Refusal {
    let text = format!("Client assertion contains an invalid signature. [Reason - {reason}]");
    Refusal::client(700_027, text)
}

fn check_times(now: i64, parts: &Parts) -> Result<(), Refusal> {
    let from = seconds(&parts.claims["nbf"]).unwrap_or(0);
    let until = seconds(&parts.claims["exp"]).unwrap_or(0);
    if from <= now && now < until {
        return Ok(());
    }
    let text = format!(
        "Client assertion is not within its valid time range. Current time: {}, assertion valid from {}, expiry time \
         of assertion {}. Review the documentation at \
         https://learn.microsoft.com/entra/identity-platform/certificate-credentials .",
        clock::iso_timestamp(now),
        clock::iso_timestamp(from),
        clock::iso_timestamp(until)
    );
    Err(Refusal::client(700_024, text))
}
