//! Keys and certificates of a PKCS#12 file (RFC 7292), also known as PFX.

use super::asn1::{CONTEXT_0, CONTEXT_0_PRIMITIVE, INTEGER, Reader, SEQUENCE};
use super::decryption::{self, Decryptor, KeyUse, UNSUPPORTED};
use super::{CertificateError, Contents, Result, SecretBytes, oid};
use ring::hmac;

// RFC 5652, sections 4, 5 and 8.
const DATA: &[u8] = oid!(PKCS: 7, 1);
const ENCRYPTED_DATA: &[u8] = oid!(PKCS: 7, 6);
// RFC 2985, section 5.6.
const X509_CERTIFICATE: &[u8] = oid!(PKCS: 9, 22, 1);
// RFC 7292, appendix D.
const KEY_BAG: &[u8] = oid!(PKCS: 12, 10, 1, 1);
const SHROUDED_KEY_BAG: &[u8] = oid!(PKCS: 12, 10, 1, 2);
const CERTIFICATE_BAG: &[u8] = oid!(PKCS: 12, 10, 1, 3);

/// Returns whether the bytes begin as PKCS#12 does: a `SEQUENCE` whose first element is the version 3.
pub(super) fn is_archive(bytes: &[u8]) -> bool {
    // Some programs pad files at the end, so that this need not be the only element.
    let version = Reader::new(bytes)
        .enter(SEQUENCE)
        .and_then(|mut it| it.number());
    version == Ok(3)
}

/// Reads an archive. For a file without a password, some programs derive keys from an empty password and others from none, and the keys
/// differ (.NET, `Pkcs12Info.VerifyMac`).
pub(super) fn read(archive: &[u8], password: &str) -> Result<Contents> {
    let mut decryptor = Decryptor::new(password);
    let mut contents = read_with(archive, &mut decryptor);
    if password.is_empty() && matches!(contents, Err(CertificateError::WrongPassword)) {
        decryptor.remove_password();
        contents = read_with(archive, &mut decryptor);
    }
    contents
}

fn read_with(archive: &[u8], decryptor: &mut Decryptor) -> Result<Contents> {
    let mut reader = Reader::new(archive).enter(SEQUENCE)?;
    reader.expect(INTEGER)?;
    let safes = match content_info(&mut reader)? {
        (DATA, mut content) => content.octets()?,
        // Data that is authenticated with a certificate instead of a password.
        _ => return Err(UNSUPPORTED.into()),
    };
    if let Some(mac) = reader.optional(SEQUENCE)? {
        verify_mac(&safes, Reader::new(mac.content), decryptor)?;
    }
    let mut safes = Reader::sequence(&safes)?;
    let mut contents = Contents::default();
    while !safes.is_at_end() {
        let bags = match content_info(&mut safes)? {
            (DATA, mut content) => content.octets()?,
            (ENCRYPTED_DATA, content) => decrypt(content, decryptor)?,
            // For the owner of another key (RFC 7292, section 3.1).
            _ => continue,
        };
        read_bags(&bags, &mut contents, decryptor)?;
    }
    Ok(contents)
}

/// Reads type and content of a `ContentInfo` (RFC 5652, section 3).
fn content_info<'a>(reader: &mut Reader<'a>) -> Result<(&'a [u8], Reader<'a>)> {
    let mut info = reader.enter(SEQUENCE)?;
    Ok((info.oid()?, info.enter(CONTEXT_0)?))
}

/// Verifies a `MacData` (RFC 7292, section 4), whose key is derived from the password.
fn verify_mac(data: &[u8], mut mac: Reader<'_>, decryptor: &mut Decryptor) -> Result<()> {
    let mut info = mac.enter(SEQUENCE)?;
    let (algorithm, _) = decryption::hmac(info.enter(SEQUENCE)?.oid()?)?;
    let (tag, salt) = (info.octets()?, mac.octets()?);
    // One iteration is the default.
    let iterations = if mac.is_at_end() { 1 } else { mac.number()? };
    let hash = algorithm.digest_algorithm();
    let length = hash.output_len();
    let key = decryptor.derive(hash, KeyUse::Authentication, &salt, iterations, length)?;
    hmac::verify(&hmac::Key::new(algorithm, &key), data, &tag)
        .map_err(|_| CertificateError::WrongPassword)
}

/// Decrypts an `EncryptedData` (RFC 5652, section 8).
fn decrypt(mut content: Reader<'_>, decryptor: &mut Decryptor) -> Result<SecretBytes> {
    let mut data = content.enter(SEQUENCE)?;
    data.expect(INTEGER)?;
    let mut info = data.enter(SEQUENCE)?;
    info.oid()?;
    let algorithm = info.enter(SEQUENCE)?;
    let encrypted = info.element()?.octets(CONTEXT_0_PRIMITIVE)?;
    decryptor.decrypt(algorithm, &encrypted)
}

/// Reads a `SafeContents` (RFC 7292, section 4.2). Bags of other types, such as CRLs and secrets, are skipped.
fn read_bags(bags: &[u8], contents: &mut Contents, decryptor: &mut Decryptor) -> Result<()> {
    let mut bags = Reader::sequence(bags)?;
    while !bags.is_at_end() {
        let mut bag = bags.enter(SEQUENCE)?;
        let (oid, mut content) = (bag.oid()?, bag.enter(CONTEXT_0)?);
        match oid {
            KEY_BAG => contents.add_key(content.enter(SEQUENCE)?)?,
            SHROUDED_KEY_BAG => contents.add_encrypted_key(content.enter(SEQUENCE)?, decryptor)?,
            CERTIFICATE_BAG => {
                let mut bag = content.enter(SEQUENCE)?;
                if bag.oid()? == X509_CERTIFICATE {
                    let certificate = bag.enter(CONTEXT_0)?.octets()?;
                    contents.certificates.push(certificate.to_vec());
                }
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::certificate::asn1::{self, OCTET_STRING};
    use crate::identity::certificate::tests::Folder;

    const END: [u8; 2] = [0, 0];

    /// Converts DER to BER as Bouncy Castle and NSS write it: indefinite lengths, and strings in pieces. `deep` converts the content of
    /// strings too, after which a MAC no longer matches.
    fn in_ber(der: &[u8], deep: bool) -> Vec<u8> {
        let mut rest = der;
        let mut ber = Vec::new();
        loop {
            let start = rest;
            let Some(element) = asn1::read(&mut rest, 0) else {
                break;
            };
            let content = element.octets(element.tag).unwrap();
            let constructed = element.tag | 0x20;
            match element.tag {
                OCTET_STRING | CONTEXT_0_PRIMITIVE => {
                    let is_nested = deep && Reader::sequence(&content).is_ok();
                    let content = if is_nested {
                        in_ber(&content, deep)
                    } else {
                        content.to_vec()
                    };
                    let pieces = content.chunks(100).flat_map(|piece| {
                        [&[OCTET_STRING, u8::try_from(piece.len()).unwrap()], piece].concat()
                    });
                    ber.extend([constructed, 0x80].into_iter().chain(pieces).chain(END));
                }
                tag if tag == constructed => {
                    ber.extend([&[tag, 0x80], &in_ber(&content, deep)[..], &END].concat());
                }
                _ => ber.extend_from_slice(&start[..start.len() - rest.len()]),
            }
        }
        ber
    }

    #[test]
    #[ignore = "needs openssl: run tests/run"]
    fn ber_is_read_like_der() {
        let folder = Folder::new();
        for (arguments, deep) in [
            ("", false),
            ("-nomac -certpbe AES-256-CBC", true),
            ("-legacy -nomac -certpbe PBE-SHA1-3DES", true),
        ] {
            folder.archive("file", &format!("-passout pass:x {arguments}"));
            let der = folder.read("file");
            let ber = in_ber(&der, deep);
            assert!(is_archive(&ber) && ber.len() > der.len());
            let [expected, contents] = [&der, &ber].map(|bytes| read(bytes, "x").unwrap());
            assert!(
                expected.keys == contents.keys && expected.certificates == contents.certificates
            );
            assert_eq!((contents.keys.len(), contents.certificates.len()), (1, 4));
        }
    }

    #[test]
    #[ignore = "needs openssl: run tests/run"]
    fn a_file_without_a_password_opens_whether_its_writer_used_none_or_an_empty_one() {
        let folder = Folder::new();
        folder.archive(
            "file",
            "-passout pass: -keypbe NONE -certpbe NONE -macalg sha256",
        );
        let file = folder.read("file");
        let mut reader = Reader::new(&file).enter(SEQUENCE).unwrap();
        reader.number().unwrap();
        let data = content_info(&mut reader).unwrap().1.octets().unwrap();
        let mut mac = reader.enter(SEQUENCE).unwrap();
        let mut info = mac.enter(SEQUENCE).unwrap();
        info.enter(SEQUENCE).unwrap();
        let tag = info.octets().unwrap();
        let (salt, count) = (mac.octets().unwrap(), mac.number().unwrap());
        let mut decryptor = Decryptor::new("");
        decryptor.remove_password();
        let key = decryptor
            .derive(
                &ring::digest::SHA256,
                KeyUse::Authentication,
                &salt,
                count,
                32,
            )
            .unwrap();
        let other_tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), &data);
        let at = file
            .windows(32)
            .position(|window| window == &tag[..])
            .unwrap();
        let other = [&file[..at], other_tag.as_ref(), &file[at + 32..]].concat();
        for file in [&file, &other] {
            assert_eq!(read(file, "").unwrap().keys.len(), 1);
            assert_eq!(read(file, "x").err(), Some(CertificateError::WrongPassword));
        }
    }

    #[test]
    #[ignore = "needs openssl: run tests/run"]
    fn a_file_that_requires_too_many_iterations_is_rejected_at_once() {
        let folder = Folder::new();
        for arguments in ["", "-nomac", "-legacy -nomac"] {
            folder.archive("file", &format!("-passout pass: -iter 100000 {arguments}"));
            let mut file = folder.read("file");
            for at in 0..=file.len() - 5 {
                if file[at..at + 5] == [0x02, 0x03, 0x01, 0x86, 0xa0] {
                    file[at + 2..at + 5].copy_from_slice(&[0x7f, 0xff, 0xff]);
                }
            }
            let error = read(&file, "").err().unwrap().to_string();
            assert!(
                error.contains("more than 3000000 rounds"),
                "{arguments}: {error}"
            );
        }
    }
}
