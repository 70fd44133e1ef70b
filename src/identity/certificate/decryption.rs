//! Decrypts what a password protects: PBES2 (RFC 8018, section 6.2) and the older schemes of PKCS#12 (RFC 7292, appendix C).

use super::flaw::Flaw;
use super::oids;
use crate::asn1::{INTEGER, Reader, SEQUENCE};
use aes::{Aes128, Aes192, Aes256};
use cbc::Decryptor;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockCipherDecrypt, BlockModeDecrypt, KeyInit, KeyIvInit};
use des::{TdesEde2, TdesEde3};
use rc2::Rc2;
use ring::digest::{self, SHA1_FOR_LEGACY_USE_ONLY, digest};
use ring::pbkdf2;
use std::num::NonZeroU32;
use zeroize::Zeroizing;

/// How many rounds of key derivation one file may cost, all its parts together: about two seconds. Windows and OpenSSL ask for
/// 2,000 a part and Java for 10,000; OWASP recommends 600,000 for passwords that are stored.
pub(super) const MOST_ROUNDS: u32 = 3_000_000;

/// A password in the two forms in which keys are derived from it.
pub(super) struct Password {
    text: Zeroizing<Vec<u8>>,
    /// UTF-16 and a zero at the end (RFC 7292, appendix B.1).
    wide: Zeroizing<Vec<u8>>,
}

impl Password {
    pub(super) fn new(text: &str) -> Self {
        // As long as they can get, so that no copy is left behind by growing.
        let mut wide = Zeroizing::new(Vec::with_capacity(2 * text.len() + 2));
        wide.extend(text.encode_utf16().chain([0]).flat_map(u16::to_be_bytes));
        Self {
            text: Zeroizing::new(text.as_bytes().to_vec()),
            wide,
        }
    }

    /// No password, which some programs do not take for an empty one: not even the zero at its end is there.
    pub(super) fn none() -> Self {
        Self {
            text: Zeroizing::default(),
            wide: Zeroizing::default(),
        }
    }
}

/// What is left of the rounds of key derivation that one file may cost.
pub(super) struct Rounds(u32);

impl Rounds {
    pub(super) fn new() -> Self {
        Self(MOST_ROUNDS)
    }

    /// Takes what a key of so many hashes costs.
    fn take(&mut self, rounds: u32, hashes: usize) -> Result<NonZeroU32, Flaw> {
        let cost = u32::try_from(hashes)
            .ok()
            .and_then(|hashes| rounds.checked_mul(hashes));
        self.0 = cost
            .and_then(|cost| self.0.checked_sub(cost))
            .ok_or(Flaw::TooManyRounds)?;
        NonZeroU32::new(rounds).ok_or(Flaw::BrokenEncryption)
    }
}

/// What a key of PKCS#12 is for (RFC 7292, appendix B.3).
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    Encryption = 1,
    Vector = 2,
    Authentication = 3,
}

/// Decrypts what is known to be one `SEQUENCE`; what comes out otherwise was encrypted with another password. `algorithm` holds the
/// content of an `AlgorithmIdentifier`.
pub(super) fn decrypt(
    algorithm: Reader<'_>,
    encrypted: &[u8],
    password: &Password,
    rounds: &mut Rounds,
) -> Result<Zeroizing<Vec<u8>>, Flaw> {
    let mut reader = algorithm;
    let oid = reader.oid().ok_or(Flaw::BrokenEncryption)?;
    let mut old = |key_length| old_key(reader, key_length, password, rounds);
    let decrypted = match oid {
        oids::PBES2 => pbes2(reader, encrypted, password, rounds)?,
        oids::SHA1_3DES => old(24)?.decrypt::<TdesEde3>(encrypted),
        oids::SHA1_3DES_2_KEYS => old(16)?.decrypt::<TdesEde2>(encrypted),
        oids::SHA1_RC2_128 => old(16)?.decrypt::<Rc2>(encrypted),
        oids::SHA1_RC2_40 => old(5)?.decrypt::<Rc2>(encrypted),
        other => return Err(Flaw::Unsupported(other.to_vec())),
    };
    decrypted
        .filter(|bytes| Reader::sequence(bytes).is_some())
        .ok_or(Flaw::PasswordWrong)
}

/// A key and the vector to begin with.
struct Key {
    key: Zeroizing<Vec<u8>>,
    vector: Vec<u8>,
}

impl Key {
    /// Nothing if it was encrypted with another key.
    fn decrypt<C: BlockCipherDecrypt + KeyInit>(
        &self,
        encrypted: &[u8],
    ) -> Option<Zeroizing<Vec<u8>>> {
        let decryptor = Decryptor::<C>::new_from_slices(&self.key, &self.vector).ok()?;
        decryptor
            .decrypt_padded_vec::<Pkcs7>(encrypted)
            .ok()
            .map(Zeroizing::new)
    }
}

/// Key and vector of the older schemes, whose parameters are salt and rounds.
fn old_key(
    mut reader: Reader<'_>,
    length: usize,
    password: &Password,
    rounds: &mut Rounds,
) -> Result<Key, Flaw> {
    let parameters = reader
        .enter(SEQUENCE)
        .and_then(|mut reader| Some((reader.octets()?, reader.number()?)));
    let (salt, count) = parameters.ok_or(Flaw::BrokenEncryption)?;
    let hash = &SHA1_FOR_LEGACY_USE_ONLY;
    let mut derive =
        |purpose, length| derive(hash, purpose, password, &salt, count, length, rounds);
    Ok(Key {
        key: derive(Purpose::Encryption, length)?,
        vector: derive(Purpose::Vector, 8)?.to_vec(),
    })
}

/// Derives a key as RFC 7292, appendix B.2 has it; its letters are in the comments.
pub(super) fn derive(
    hash: &'static digest::Algorithm,
    purpose: Purpose,
    password: &Password,
    salt: &[u8],
    count: u32,
    length: usize,
    rounds: &mut Rounds,
) -> Result<Zeroizing<Vec<u8>>, Flaw> {
    let count = rounds.take(count, length.div_ceil(hash.output_len()))?;
    let block = hash.block_len();
    let diversifier = vec![purpose as u8; block]; // D
    let mut input = Zeroizing::new(Vec::with_capacity(
        salt.len() + password.wide.len() + 2 * block,
    )); // I
    for part in [salt, &password.wide] {
        input.extend(part.iter().cycle().take(part.len().next_multiple_of(block)));
    }
    let mut key = Zeroizing::new(Vec::with_capacity(length + hash.output_len()));
    loop {
        let seed = Zeroizing::new([&diversifier[..], &input].concat());
        let first = digest(hash, &seed);
        let part = (1..count.get()).fold(first, |part, _| digest(hash, part.as_ref())); // A
        key.extend_from_slice(part.as_ref());
        if key.len() >= length {
            key.truncate(length);
            return Ok(key);
        }
        for chunk in input.chunks_mut(block) {
            add_and_one(chunk, part.as_ref());
        }
    }
}

/// Adds a number that is repeated to the length of the other (B), and one.
fn add_and_one(number: &mut [u8], repeated: &[u8]) {
    let mut carry = 1_u16;
    for (at, digit) in number.iter_mut().enumerate().rev() {
        let sum = u16::from(*digit) + u16::from(repeated[at % repeated.len()]) + carry;
        [_, *digit] = sum.to_be_bytes();
        carry = sum >> 8;
    }
}

/// PBES2 with PBKDF2, and AES or triple DES in CBC mode.
fn pbes2(
    mut reader: Reader<'_>,
    encrypted: &[u8],
    password: &Password,
    rounds: &mut Rounds,
) -> Result<Option<Zeroizing<Vec<u8>>>, Flaw> {
    let parts = reader
        .enter(SEQUENCE)
        .and_then(|mut reader| Some((reader.enter(SEQUENCE)?, reader.enter(SEQUENCE)?)));
    let (derivation, mut scheme) = parts.ok_or(Flaw::BrokenEncryption)?;
    let (cipher, vector) = scheme
        .oid()
        .zip(scheme.octets())
        .ok_or(Flaw::BrokenEncryption)?;
    let mut key = |length| {
        Ok::<_, Flaw>(Key {
            key: pbkdf2(derivation, length, password, rounds)?,
            vector: vector.to_vec(),
        })
    };
    Ok(match cipher {
        oids::AES_128_CBC => key(16)?.decrypt::<Aes128>(encrypted),
        oids::AES_192_CBC => key(24)?.decrypt::<Aes192>(encrypted),
        oids::AES_256_CBC => key(32)?.decrypt::<Aes256>(encrypted),
        oids::DES_EDE3_CBC => key(24)?.decrypt::<TdesEde3>(encrypted),
        other => return Err(Flaw::Unsupported(other.to_vec())),
    })
}

/// Derives a key with PBKDF2 (RFC 8018, appendix A.2: without a PRF it is HMAC with SHA-1).
fn pbkdf2(
    mut derivation: Reader<'_>,
    length: usize,
    password: &Password,
    rounds: &mut Rounds,
) -> Result<Zeroizing<Vec<u8>>, Flaw> {
    match derivation.oid() {
        Some(oids::PBKDF2) => {}
        Some(other) => return Err(Flaw::Unsupported(other.to_vec())),
        None => return Err(Flaw::BrokenEncryption),
    }
    let mut parameters = derivation.enter(SEQUENCE).ok_or(Flaw::BrokenEncryption)?;
    let (salt, count) = parameters
        .octets()
        .zip(parameters.number())
        .ok_or(Flaw::BrokenEncryption)?;
    parameters.optional(INTEGER); // The length, which the cipher tells as well.
    let function = parameters
        .enter(SEQUENCE)
        .and_then(|mut reader| reader.oid());
    let (algorithm, output) = match function.unwrap_or(oids::HMAC_SHA1) {
        oids::HMAC_SHA1 => (pbkdf2::PBKDF2_HMAC_SHA1, 20),
        oids::HMAC_SHA256 => (pbkdf2::PBKDF2_HMAC_SHA256, 32),
        oids::HMAC_SHA384 => (pbkdf2::PBKDF2_HMAC_SHA384, 48),
        oids::HMAC_SHA512 => (pbkdf2::PBKDF2_HMAC_SHA512, 64),
        other => return Err(Flaw::Unsupported(other.to_vec())),
    };
    let count = rounds.take(count, length.div_ceil(output))?;
    let mut key = Zeroizing::new(vec![0; length]);
    pbkdf2::derive(algorithm, count, &salt, &password.text, &mut key);
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_derived_as_by_others() {
        // golang.org/x/crypto, `pkcs12/pbkdf_test.go`: longer than a hash, so that the second part counts.
        let key = derive(
            &SHA1_FOR_LEGACY_USE_ONLY,
            Purpose::Encryption,
            &Password::new("sesame"),
            &[0xff; 8],
            2048,
            24,
            &mut Rounds::new(),
        );
        let expected = [
            0x7c, 0xd9, 0xfd, 0x3e, 0x2b, 0x3b, 0xe7, 0x69, 0x1a, 0x44, 0xe3, 0xbe, 0xf0, 0xf9,
            0xea, 0x0f, 0xb9, 0xb8, 0x97, 0xd4, 0xe3, 0x25, 0xd9, 0xd1,
        ];
        assert_eq!(*key.unwrap(), expected);
    }

    #[test]
    fn all_keys_of_a_file_share_a_limit_of_rounds() {
        let mut rounds = Rounds::new();
        assert_eq!(rounds.take(1_000_000, 2).unwrap().get(), 1_000_000);
        assert!(matches!(
            rounds.take(1_000_001, 1),
            Err(Flaw::TooManyRounds)
        ));
        assert!(rounds.take(1_000_000, 1).is_ok());
        assert!(matches!(rounds.take(1, 1), Err(Flaw::TooManyRounds)));
        assert!(matches!(
            Rounds::new().take(u32::MAX, 2),
            Err(Flaw::TooManyRounds)
        ));
        assert!(matches!(
            Rounds::new().take(0, 1),
            Err(Flaw::BrokenEncryption)
        ));
    }
}
