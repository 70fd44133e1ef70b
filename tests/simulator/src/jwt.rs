//! JSON Web Tokens: signing with ES256, verifying ES256 and RS256, and reading without verifying.

use data_encoding::{BASE32, BASE64URL_NOPAD};
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
    RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde_json::{Value, json};

/// A P-256 key made when the simulator starts.
pub(crate) struct SigningKey {
    pair: EcdsaKeyPair,
    pkcs8: Vec<u8>,
    kid: String,
}

/// Why a token cannot be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Invalid {
    /// Not three base64url parts with JSON in the first two.
    Malformed,
    /// Signed with an algorithm or key that is not known here.
    UnknownKey,
    /// The signature does not fit.
    Signature,
}

/// A token taken apart.
pub(crate) struct Parts {
    pub(crate) header: Value,
    pub(crate) claims: Value,
    /// The bytes that the signature is over.
    pub(crate) signed: Vec<u8>,
    pub(crate) signature: Vec<u8>,
}

impl SigningKey {
    /// A new key.
    pub(crate) fn generate() -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random)
            .expect("the operating system has random numbers");
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random)
            .expect("ring reads what it wrote");
        let kid = libtrust_key_id(pair.public_key().as_ref());
        Self {
            pair,
            pkcs8: pkcs8.as_ref().to_vec(),
            kid,
        }
    }

    /// The key pair in PKCS#8, for a certificate of it.
    pub(crate) fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// A token of these claims.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        let header = json!({"typ": "JWT", "alg": "ES256", "kid": self.kid});
        let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let signed = format!("{}.{}", part(&header), part(claims));
        let signature = self
            .pair
            .sign(&SystemRandom::new(), signed.as_bytes())
            .expect("the operating system has random numbers");
        format!("{signed}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
    }

    /// The claims of a token, if this key signed it.
    pub(crate) fn verify(&self, token: &str) -> Result<Value, Invalid> {
        let parts = Parts::read(token).ok_or(Invalid::Malformed)?;
        if parts.header["alg"] != "ES256" || parts.header["kid"] != self.kid.as_str() {
            return Err(Invalid::UnknownKey);
        }
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.pair.public_key().as_ref())
            .verify(&parts.signed, &parts.signature)
            .map_err(|_| Invalid::Signature)?;
        Ok(parts.claims)
    }

    /// The public half as a JSON Web Key (RFC 7517).
    pub(crate) fn jwk(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        let coordinate = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
        json!({
            "kty": "EC", "use": "sig", "alg": "ES256", "crv": "P-256", "kid": self.kid,
            "x": coordinate(&point[1..33]), "y": coordinate(&point[33..]),
        })
    }
}

impl Parts {
    /// Takes a token apart, believing nothing.
    pub(crate) fn read(token: &str) -> Option<Self> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let json = |part: &str| -> Option<Value> {
            let value = serde_json::from_slice(&BASE64URL_NOPAD.decode(part.as_bytes()).ok()?);
            value.ok().filter(Value::is_object)
        };
        Some(Self {
            header: json(header)?,
            claims: json(claims)?,
            signed: signed.as_bytes().to_vec(),
            signature: BASE64URL_NOPAD.decode(signature.as_bytes()).ok()?,
        })
    }

    /// Whether one key of a JWK set signed this; keys are chosen by `kid` where both sides name one.
    pub(crate) fn verify_with(&self, keys: &Value) -> Result<(), Invalid> {
        let named = &self.header["kid"];
        let all = keys["keys"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let mut fitting = all
            .iter()
            .filter(|key| named.is_null() || key["kid"].is_null() || key["kid"] == *named)
            .peekable();
        if fitting.peek().is_none() {
            return Err(Invalid::UnknownKey);
        }
        let verified = fitting.any(|key| self.verify_with_key(key).is_some());
        if verified {
            Ok(())
        } else {
            Err(Invalid::Signature)
        }
    }

    fn verify_with_key(&self, key: &Value) -> Option<()> {
        let number = |name: &str| BASE64URL_NOPAD.decode(key[name].as_str()?.as_bytes()).ok();
        match (self.header["alg"].as_str()?, key["kty"].as_str()?) {
            ("ES256", "EC") => {
                let point = [vec![4], number("x")?, number("y")?].concat();
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                    .verify(&self.signed, &self.signature)
                    .ok()
            }
            ("RS256", "RSA") => RsaPublicKeyComponents {
                n: number("n")?,
                e: number("e")?,
            }
            .verify(&RSA_PKCS1_2048_8192_SHA256, &self.signed, &self.signature)
            .ok(),
            _ => None,
        }
    }
}

/// A time claim in whole seconds; it may be written with a fraction (RFC 7519, 2).
pub(crate) fn seconds(claim: &Value) -> Option<i64> {
    claim
        .as_i64()
        .or_else(|| claim.as_f64()?.trunc().to_string().parse().ok())
}

/// A key's name as docker's libtrust makes it and as registries look it up: the first 240 bits of the SHA-256 of the
/// public key's DER, in base32, as twelve groups of four.
fn libtrust_key_id(point: &[u8]) -> String {
    const SUBJECT_PUBLIC_KEY_INFO: [u8; 26] = [
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08,
        0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
    ];
    let der = [&SUBJECT_PUBLIC_KEY_INFO, point].concat();
    let text = BASE32.encode(&digest(&SHA256, &der).as_ref()[..30]);
    let groups: Vec<&str> = (0..text.len())
        .step_by(4)
        .map(|at| &text[at..at + 4])
        .collect();
    groups.join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_believes_its_own_tokens_only() {
        let (key, other) = (SigningKey::generate(), SigningKey::generate());
        let token = key.sign(&json!({"sub": "me"}));
        assert_eq!(key.verify(&token).unwrap()["sub"], "me");
        assert_eq!(other.verify(&token), Err(Invalid::UnknownKey));
        assert_eq!(key.verify("a.b"), Err(Invalid::Malformed));
    }

    #[test]
    fn a_changed_claim_breaks_the_signature() {
        let key = SigningKey::generate();
        let token = key.sign(&json!({"sub": "me"}));
        let forged = BASE64URL_NOPAD.encode(br#"{"sub":"you"}"#);
        let parts: Vec<&str> = token.split('.').collect();
        let token = format!("{}.{forged}.{}", parts[0], parts[2]);
        assert_eq!(key.verify(&token), Err(Invalid::Signature));
    }

    #[test]
    fn a_jwk_set_verifies_what_its_key_signed() {
        let (key, other) = (SigningKey::generate(), SigningKey::generate());
        let parts = Parts::read(&key.sign(&json!({}))).unwrap();
        assert_eq!(parts.verify_with(&json!({"keys": [key.jwk()]})), Ok(()));
        assert_eq!(
            parts.verify_with(&json!({"keys": [other.jwk()]})),
            Err(Invalid::UnknownKey)
        );
        assert_eq!(parts.verify_with(&Value::Null), Err(Invalid::UnknownKey));
    }

    #[test]
    fn a_time_may_have_a_fraction() {
        let times = [
            json!(1_795_384_553),
            json!(1_795_384_553.75),
            json!("soon"),
            Value::Null,
        ];
        assert_eq!(
            times.each_ref().map(seconds),
            [Some(1_795_384_553), Some(1_795_384_553), None, None]
        );
    }

    #[test]
    fn a_key_id_is_twelve_groups_of_four() {
        let kid = SigningKey::generate().kid;
        assert_eq!(kid.split(':').map(str::len).collect::<Vec<_>>(), [4; 12]);
    }
}
