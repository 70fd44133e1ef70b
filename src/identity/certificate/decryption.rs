//! Decrypts what a password protects: PBES2 (RFC 8018, section 6.2) and the older schemes of PKCS#12 (RFC 7292, appendix C).

use super::asn1::{INTEGER, Reader, SEQUENCE};
use super::{CertificateError, Result, SecretBytes, oid};
use aes::{Aes128, Aes192, Aes256};
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockCipherDecrypt, BlockModeDecrypt, KeyInit, KeyIvInit};
use des::{TdesEde2, TdesEde3};
use rc2::Rc2;
use ring::digest::{self, SHA1_FOR_LEGACY_USE_ONLY, digest};
use ring::{hmac, pbkdf2};
use std::num::NonZeroU32;

/// How many iterations of key derivation one file may cost, all its parts together: about two seconds. Windows and OpenSSL write files with
/// 2,000 for each part and Java with 10,000; OWASP recommends 600,000 for stored passwords.
const MAX_ITERATIONS: u32 = 3_000_000;

pub(super) const UNSUPPORTED: &str =
    "its protection is not supported: export it with a password, AES-256 and SHA-256";

// RFC 8018, appendix C.
const PBKDF2: &[u8] = oid!(PKCS: 5, 12);
const PBES2: &[u8] = oid!(PKCS: 5, 13);

/// Decrypts with a key and an initialization vector; returns nothing if the padding shows that the key is wrong.
type Decrypt = fn(&[u8], &[u8], &[u8]) -> Option<SecretBytes>;

/// Ciphers by their object identifiers, with the length of the key in bytes.
const CIPHERS: [(&[u8], usize, Decrypt); 8] = [
    // The schemes of PKCS#12 (RFC 7292, appendix C). Their block is eight bytes long.
    (oid!(PKCS: 12, 1, 3), 24, decrypt_cbc::<TdesEde3>),
    (oid!(PKCS: 12, 1, 4), 16, decrypt_cbc::<TdesEde2>),
    (oid!(PKCS: 12, 1, 5), 16, decrypt_cbc::<Rc2>),
    (oid!(PKCS: 12, 1, 6), 5, decrypt_cbc::<Rc2>),
    // The ciphers of PBES2: AES in three sizes (RFC 3565, section 4.1) and triple DES (RFC 8018, appendix C).
    (oid!(NIST: 1, 2), 16, decrypt_cbc::<Aes128>),
    (oid!(NIST: 1, 22), 24, decrypt_cbc::<Aes192>),
    (oid!(NIST: 1, 42), 32, decrypt_cbc::<Aes256>),
    (oid!(RSADSI: 3, 7), 24, decrypt_cbc::<TdesEde3>),
];

// RFC 8017, appendix B.1.
const SHA1: &[u8] = b"\x2b\x0e\x03\x02\x1a";
const SHA256: &[u8] = oid!(NIST: 2, 1);
const SHA384: &[u8] = oid!(NIST: 2, 2);
const SHA512: &[u8] = oid!(NIST: 2, 3);
// RFC 8018, appendix B.1.
const HMAC_SHA1: &[u8] = oid!(RSADSI: 2, 7);
const HMAC_SHA256: &[u8] = oid!(RSADSI: 2, 9);
const HMAC_SHA384: &[u8] = oid!(RSADSI: 2, 10);
const HMAC_SHA512: &[u8] = oid!(RSADSI: 2, 11);

/// What a key of PKCS#12 is for (RFC 7292, appendix B.3).
#[derive(Clone, Copy)]
pub(super) enum KeyUse {
    Encryption = 1,
    InitializationVector = 2,
    Authentication = 3,
}

/// Decrypts the parts of one file with keys that it derives from the file's password.
pub(super) struct Decryptor {
    /// The password in UTF-8, for PBKDF2.
    utf8: SecretBytes,
    /// The password in UTF-16 with a zero at the end, for PKCS#12 (RFC 7292, appendix B.1).
    utf16: SecretBytes,
    /// The iterations of key derivation that the file may still cost.
    iterations_left: u32,
}

impl Decryptor {
    pub(super) fn new(password: &str) -> Self {
        // At full length, because growing would leave copies behind.
        let mut utf16 = SecretBytes::new(Vec::with_capacity(2 * password.len() + 2));
        let units = password.encode_utf16().chain([0]);
        utf16.extend(units.flat_map(u16::to_be_bytes));
        Self {
            utf8: SecretBytes::new(password.as_bytes().to_vec()),
            utf16,
            iterations_left: MAX_ITERATIONS,
        }
    }

    /// Removes the password. Programs that distinguish no password from an empty one leave out even the zero at its end.
    pub(super) fn remove_password(&mut self) {
        self.utf8 = SecretBytes::default();
        self.utf16 = SecretBytes::default();
    }

    /// Decrypts one `SEQUENCE`; any other result means a wrong password. `algorithm` is the content of an
    /// `AlgorithmIdentifier`.
    pub(super) fn decrypt(
        &mut self,
        mut algorithm: Reader<'_>,
        encrypted: &[u8],
    ) -> Result<SecretBytes> {
        let scheme = algorithm.oid()?;
        let mut parameters = algorithm.enter(SEQUENCE)?;
        let decrypted = if scheme == PBES2 {
            let derivation = parameters.enter(SEQUENCE)?;
            let mut encryption = parameters.enter(SEQUENCE)?;
            let (key_length, decrypt) = cipher(encryption.oid()?)?;
            let vector = encryption.octets()?;
            decrypt(&self.pbkdf2(derivation, key_length)?, &vector, encrypted)
        } else {
            let (key_length, decrypt) = cipher(scheme)?;
            let (salt, iterations) = (parameters.octets()?, parameters.number()?);
            let hash = &SHA1_FOR_LEGACY_USE_ONLY;
            let key = self.derive(hash, KeyUse::Encryption, &salt, iterations, key_length)?;
            let vector = self.derive(hash, KeyUse::InitializationVector, &salt, iterations, 8)?;
            decrypt(&key, &vector, encrypted)
        };
        let decrypted = decrypted.filter(|bytes| Reader::sequence(bytes).is_ok());
        decrypted.ok_or(CertificateError::WrongPassword)
    }

    /// Takes the cost of a key that consists of so many hashes from what the file may still cost.
    fn spend(&mut self, iterations: u32, hashes: usize) -> Result<NonZeroU32> {
        let hashes = u32::try_from(hashes).unwrap_or(u32::MAX);
        let left = self
            .iterations_left
            .checked_sub(iterations.saturating_mul(hashes));
        self.iterations_left = left.ok_or_else(|| {
            format!(
                "deriving the keys of its encryption would take more than {MAX_ITERATIONS} rounds"
            )
        })?;
        NonZeroU32::new(iterations).ok_or(CertificateError::Malformed)
    }

    /// Derives a key by RFC 7292, appendix B.2; the comments name its variables.
    pub(super) fn derive(
        &mut self,
        hash: &'static digest::Algorithm,
        key_use: KeyUse,
        salt: &[u8],
        iterations: u32,
        length: usize,
    ) -> Result<SecretBytes> {
        let hashes = length.div_ceil(hash.output_len());
        let iterations = self.spend(iterations, hashes)?.get();
        let block = hash.block_len();
        let diversifier = vec![key_use as u8; block]; // D
        let input_length = salt.len() + self.utf16.len() + 2 * block;
        let mut input = SecretBytes::new(Vec::with_capacity(input_length)); // I
        for part in [salt, &self.utf16] {
            input.extend(part.iter().cycle().take(part.len().next_multiple_of(block)));
        }
        let mut key = SecretBytes::new(Vec::with_capacity(length + hash.output_len()));
        while key.len() < length {
            let seed = SecretBytes::new([&diversifier[..], &input].concat());
            let first = digest(hash, &seed);
            let part = (1..iterations).fold(first, |part, _| digest(hash, part.as_ref())); // A
            key.extend_from_slice(part.as_ref());
            for chunk in input.chunks_mut(block) {
                add_and_one(chunk, part.as_ref());
            }
        }
        key.truncate(length);
        Ok(key)
    }

    /// Derives a key with PBKDF2 (RFC 8018, appendix A.2). `derivation` is the content of an `AlgorithmIdentifier`.
    fn pbkdf2(&mut self, mut derivation: Reader<'_>, length: usize) -> Result<SecretBytes> {
        let oid = derivation.oid()?;
        if oid != PBKDF2 {
            return Err(UNSUPPORTED.into());
        }
        let mut parameters = derivation.enter(SEQUENCE)?;
        let (salt, iterations) = (parameters.octets()?, parameters.number()?);
        // The length of the key, which the cipher determines as well.
        parameters.optional(INTEGER)?;
        // HMAC with SHA-1 is the default.
        let function = parameters.enter(SEQUENCE).and_then(|mut it| it.oid());
        let (hmac, algorithm) = hmac(function.unwrap_or(HMAC_SHA1))?;
        let hashes = length.div_ceil(hmac.digest_algorithm().output_len());
        let iterations = self.spend(iterations, hashes)?;
        let mut key = SecretBytes::new(vec![0; length]);
        pbkdf2::derive(algorithm, iterations, &salt, &self.utf8, &mut key);
        Ok(key)
    }
}

/// Returns the HMAC of a hash function, by the object identifier of either, and PBKDF2 with it.
pub(super) fn hmac(oid: &[u8]) -> Result<(hmac::Algorithm, pbkdf2::Algorithm)> {
    Ok(match oid {
        SHA1 | HMAC_SHA1 => (
            hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            pbkdf2::PBKDF2_HMAC_SHA1,
        ),
        SHA256 | HMAC_SHA256 => (hmac::HMAC_SHA256, pbkdf2::PBKDF2_HMAC_SHA256),
        SHA384 | HMAC_SHA384 => (hmac::HMAC_SHA384, pbkdf2::PBKDF2_HMAC_SHA384),
        SHA512 | HMAC_SHA512 => (hmac::HMAC_SHA512, pbkdf2::PBKDF2_HMAC_SHA512),
        _ => return Err(UNSUPPORTED.into()),
    })
}

/// Returns the length of a cipher's key, and how it decrypts.
fn cipher(oid: &[u8]) -> Result<(usize, Decrypt)> {
    let mut known = CIPHERS.into_iter();
    let cipher = known.find(|(known, ..)| *known == oid);
    let (_, key_length, decrypt) = cipher.ok_or(UNSUPPORTED)?;
    Ok((key_length, decrypt))
}

fn decrypt_cbc<C: BlockCipherDecrypt + KeyInit>(
    key: &[u8],
    vector: &[u8],
    data: &[u8],
) -> Option<SecretBytes> {
    let decryptor = cbc::Decryptor::<C>::new_from_slices(key, vector).ok()?;
    let decrypted = decryptor.decrypt_padded_vec::<Pkcs7>(data).ok()?;
    Some(SecretBytes::new(decrypted))
}

/// Adds another number (B), repeated to the same length, and one.
fn add_and_one(number: &mut [u8], repeated: &[u8]) {
    let mut carry = 1_u16;
    for (at, digit) in number.iter_mut().enumerate().rev() {
        let sum = u16::from(*digit) + u16::from(repeated[at % repeated.len()]) + carry;
        [_, *digit] = sum.to_be_bytes();
        carry = sum >> 8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_derived_key_equals_that_of_another_implementation() {
        // golang.org/x/crypto, `pkcs12/pbkdf_test.go`: longer than a hash, so the second part is tested too.
        let hash = &SHA1_FOR_LEGACY_USE_ONLY;
        let key = Decryptor::new("sesame").derive(hash, KeyUse::Encryption, &[0xff; 8], 2048, 24);
        let expected = [
            0x7c, 0xd9, 0xfd, 0x3e, 0x2b, 0x3b, 0xe7, 0x69, 0x1a, 0x44, 0xe3, 0xbe, 0xf0, 0xf9,
            0xea, 0x0f, 0xb9, 0xb8, 0x97, 0xd4, 0xe3, 0x25, 0xd9, 0xd1,
        ];
        assert_eq!(*key.unwrap(), expected);
    }

    #[test]
    fn all_keys_of_a_file_share_a_budget_of_iterations() {
        let full = || Decryptor::new("");
        let mut file = full();
        assert_eq!(file.spend(1_000_000, 2).unwrap().get(), 1_000_000);
        let error = file.spend(1_000_001, 1).unwrap_err();
        assert_eq!(
            error.to_string(),
            "deriving the keys of its encryption would take more than 3000000 rounds"
        );
        assert!(file.spend(1_000_000, 1).is_ok());
        assert!(file.spend(1, 1).is_err() && full().spend(u32::MAX, 2).is_err());
        assert_eq!(full().spend(0, 1), Err(CertificateError::Malformed));
    }
}
