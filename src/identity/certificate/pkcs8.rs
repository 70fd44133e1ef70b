//! Private keys in PKCS#8, in the clear (RFC 5208, section 5) and encrypted (section 6).

use super::decryption::{Password, Rounds, decrypt};
use super::flaw::Flaw;
use super::oids;
use crate::asn1::{Reader, SEQUENCE};
use zeroize::Zeroizing;

/// The `RSAPrivateKey` (RFC 8017, appendix A.1.2) in a `PrivateKeyInfo`.
pub(super) fn rsa_key(info: &[u8]) -> Result<Zeroizing<Vec<u8>>, Flaw> {
    let parts = Reader::sequence(info).and_then(|mut reader| {
        reader.number()?;
        Some((reader.enter(SEQUENCE)?.oid()?, reader.octets()?))
    });
    match parts {
        Some((oids::RSA, key)) => Ok(key),
        Some(_) => Err(Flaw::NotRsa),
        None => Err(Flaw::BrokenKey),
    }
}

/// The `PrivateKeyInfo` in an `EncryptedPrivateKeyInfo`.
pub(super) fn decrypted(
    info: &[u8],
    password: &Password,
    rounds: &mut Rounds,
) -> Result<Zeroizing<Vec<u8>>, Flaw> {
    let parts = Reader::sequence(info)
        .and_then(|mut reader| Some((reader.enter(SEQUENCE)?, reader.octets()?)));
    let (algorithm, encrypted) = parts.ok_or(Flaw::BrokenKey)?;
    decrypt(algorithm, &encrypted, password, rounds)
}
