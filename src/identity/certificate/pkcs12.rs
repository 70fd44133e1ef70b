//! Keys and certificates of a PKCS#12 file (RFC 7292), also known as PFX.

use super::Contents;
use super::decryption::{Password, Purpose, Rounds, decrypt, derive};
use super::flaw::Flaw;
use super::{oids, pkcs8};
use crate::asn1::{CONTEXT_0, CONTEXT_0_PRIMITIVE, Element, INTEGER, Reader, SEQUENCE};
use ring::{digest, hmac};
use zeroize::Zeroizing;

/// Whether the bytes begin as PKCS#12 does: a `SEQUENCE` whose first element is the version 3.
pub(super) fn is_archive(bytes: &[u8]) -> bool {
    sequence(bytes).and_then(|mut reader| reader.number()) == Some(3)
}

/// Reads an archive. Files without a password are written with an empty one by some programs and with none by others, which
/// makes different keys (.NET, `Pkcs12Info.VerifyMac`).
pub(super) fn read(archive: &[u8], password: Option<&str>) -> Result<Contents, Flaw> {
    let mut rounds = Rounds::new();
    let mut read = |password| contents(archive, &password, &mut rounds);
    match password {
        Some(password) if !password.is_empty() => read(Password::new(password)),
        _ => match read(Password::new("")) {
            Err(Flaw::PasswordWrong) => read(Password::none()),
            other => other,
        },
    }
}

/// The elements of the `SEQUENCE` at the beginning; programs pad files at the end.
fn sequence(bytes: &[u8]) -> Option<Reader<'_>> {
    Reader::new(bytes).enter(SEQUENCE)
}

fn contents(archive: &[u8], password: &Password, rounds: &mut Rounds) -> Result<Contents, Flaw> {
    let mut reader = sequence(archive).ok_or(Flaw::BrokenArchive)?;
    reader.expect(INTEGER).ok_or(Flaw::BrokenArchive)?;
    let safes = match content_info(&mut reader).ok_or(Flaw::BrokenArchive)? {
        (oids::DATA, mut content) => content.octets().ok_or(Flaw::BrokenArchive)?,
        (oids::SIGNED_DATA, _) => return Err(Flaw::SignedArchive),
        _ => return Err(Flaw::BrokenArchive),
    };
    if let Some(mac) = reader.optional(SEQUENCE) {
        authenticate(&safes, mac, password, rounds)?;
    }
    let mut safes = Reader::sequence(&safes).ok_or(Flaw::BrokenArchive)?;
    let mut contents = Contents::default();
    while !safes.is_at_end() {
        let bags = match content_info(&mut safes).ok_or(Flaw::BrokenArchive)? {
            (oids::DATA, mut content) => content.octets().ok_or(Flaw::BrokenArchive)?,
            (oids::ENCRYPTED_DATA, content) => decrypted(content, password, rounds)?,
            // For the owner of another key (RFC 7292, section 3.1).
            _ => continue,
        };
        read_bags(&bags, &mut contents, password, rounds)?;
    }
    Ok(contents)
}

/// Type and content of a `ContentInfo` (RFC 5652, section 3).
fn content_info<'a>(reader: &mut Reader<'a>) -> Option<(&'a [u8], Reader<'a>)> {
    let mut info = reader.enter(SEQUENCE)?;
    Some((info.oid()?, info.enter(CONTEXT_0)?))
}

/// Compares the MAC (RFC 7292, section 4), which only who knows the password could make.
fn authenticate(
    data: &[u8],
    mac: Element<'_>,
    password: &Password,
    rounds: &mut Rounds,
) -> Result<(), Flaw> {
    let parts = Reader::sequence(mac.whole).and_then(|mut reader| {
        let mut info = reader.enter(SEQUENCE)?;
        let (hash, tag) = (info.enter(SEQUENCE)?.oid()?, info.octets()?);
        let salt = reader.octets()?;
        // Once if it is not told.
        let count = if reader.is_at_end() {
            1
        } else {
            reader.number()?
        };
        Some((hash, tag, salt, count))
    });
    let (hash, tag, salt, count) = parts.ok_or(Flaw::BrokenArchive)?;
    let (hash, algorithm) = match hash {
        oids::SHA1 => (
            &digest::SHA1_FOR_LEGACY_USE_ONLY,
            hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        ),
        oids::SHA256 => (&digest::SHA256, hmac::HMAC_SHA256),
        oids::SHA384 => (&digest::SHA384, hmac::HMAC_SHA384),
        oids::SHA512 => (&digest::SHA512, hmac::HMAC_SHA512),
        other => return Err(Flaw::Unsupported(other.to_vec())),
    };
    let key = derive(
        hash,
        Purpose::Authentication,
        password,
        &salt,
        count,
        hash.output_len(),
        rounds,
    )?;
    hmac::verify(&hmac::Key::new(algorithm, &key), data, &tag).map_err(|_| Flaw::PasswordWrong)
}

/// Decrypts an `EncryptedData` (RFC 5652, section 8).
fn decrypted(
    mut content: Reader<'_>,
    password: &Password,
    rounds: &mut Rounds,
) -> Result<Zeroizing<Vec<u8>>, Flaw> {
    let parts = content.enter(SEQUENCE).and_then(|mut reader| {
        reader.expect(INTEGER)?;
        let mut info = reader.enter(SEQUENCE)?;
        info.oid()?;
        Some((
            info.enter(SEQUENCE)?,
            info.element()?.octets(CONTEXT_0_PRIMITIVE)?,
        ))
    });
    let (algorithm, encrypted) = parts.ok_or(Flaw::BrokenArchive)?;
    decrypt(algorithm, &encrypted, password, rounds)
}

/// Reads a `SafeContents` (RFC 7292, section 4.2). Bags of other types, such as CRLs and secrets, are passed over.
fn read_bags(
    bags: &[u8],
    contents: &mut Contents,
    password: &Password,
    rounds: &mut Rounds,
) -> Result<(), Flaw> {
    let mut bags = Reader::sequence(bags).ok_or(Flaw::BrokenArchive)?;
    while !bags.is_at_end() {
        let mut bag = bags.enter(SEQUENCE).ok_or(Flaw::BrokenArchive)?;
        let parts = bag
            .oid()
            .and_then(|oid| Some((oid, bag.enter(CONTEXT_0)?.element()?)));
        match parts.ok_or(Flaw::BrokenArchive)? {
            (oids::KEY_BAG, key) => contents.keys.push(pkcs8::rsa_key(key.whole)?),
            (oids::SHROUDED_KEY_BAG, key) => {
                let info = pkcs8::decrypted(key.whole, password, rounds)?;
                contents.keys.push(pkcs8::rsa_key(&info)?);
            }
            (oids::CERTIFICATE_BAG, certificate) => {
                contents.certificates.extend(x509(certificate)?);
            }
            _ => {}
        }
    }
    Ok(())
}

/// The certificate in a `CertBag`, unless it is of another kind.
fn x509(bag: Element<'_>) -> Result<Option<Vec<u8>>, Flaw> {
    let parts = Reader::sequence(bag.whole)
        .and_then(|mut reader| Some((reader.oid()?, reader.enter(CONTEXT_0)?.octets()?)));
    let (kind, certificate) = parts.ok_or(Flaw::BrokenArchive)?;
    Ok((kind == oids::X509_CERTIFICATE).then(|| certificate.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asn1::OCTET_STRING;
    use crate::identity::certificate::openssl::Folder;

    const END: [u8; 2] = [0, 0];

    /// The same in BER, as Bouncy Castle and NSS write it: indefinite lengths, and strings in pieces. `deep` also within strings,
    /// which changes what a MAC is of.
    fn in_ber(der: &[u8], deep: bool) -> Vec<u8> {
        let mut reader = Reader::new(der);
        let mut ber = Vec::new();
        while let Some(element) = reader.element() {
            let content = element.octets(element.tag).unwrap();
            let constructed = element.tag | 0x20;
            match element.tag {
                OCTET_STRING | CONTEXT_0_PRIMITIVE => {
                    let is_nested = deep && Reader::sequence(&content).is_some();
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
                _ => ber.extend_from_slice(element.whole),
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
            let [expected, contents] = [&der, &ber].map(|bytes| read(bytes, Some("x")).unwrap());
            assert!(
                expected.keys == contents.keys && expected.certificates == contents.certificates
            );
            assert_eq!((contents.keys.len(), contents.certificates.len()), (1, 4));
        }
    }

    #[test]
    #[ignore = "needs openssl: run tests/run"]
    fn no_password_may_be_none_at_all_or_an_empty_one() {
        let folder = Folder::new();
        folder.archive(
            "file",
            "-passout pass: -keypbe NONE -certpbe NONE -macalg sha256",
        );
        let file = folder.read("file");
        let mut reader = sequence(&file).unwrap();
        reader.number();
        let data = content_info(&mut reader).unwrap().1.octets().unwrap();
        let mut mac = reader.enter(SEQUENCE).unwrap();
        let tag = mac
            .enter(SEQUENCE)
            .and_then(|mut info| info.enter(SEQUENCE).and(info.octets()))
            .unwrap();
        let (salt, count) = mac.octets().zip(mac.number()).unwrap();
        let hash = &digest::SHA256;
        let key = derive(
            hash,
            Purpose::Authentication,
            &Password::none(),
            &salt,
            count,
            32,
            &mut Rounds::new(),
        )
        .unwrap();
        let other_tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), &data);
        let at = file
            .windows(32)
            .position(|window| window == &tag[..])
            .unwrap();
        let other = [&file[..at], other_tag.as_ref(), &file[at + 32..]].concat();
        for file in [&file, &other] {
            assert_eq!(read(file, None).unwrap().keys.len(), 1);
            assert!(matches!(read(file, Some("x")), Err(Flaw::PasswordWrong)));
        }
    }

    #[test]
    #[ignore = "needs openssl: run tests/run"]
    fn a_file_that_wants_endless_work_is_refused_at_once() {
        let folder = Folder::new();
        for arguments in ["", "-nomac", "-legacy -nomac"] {
            folder.archive("file", &format!("-passout pass: -iter 100000 {arguments}"));
            let mut file = folder.read("file");
            for at in 0..=file.len() - 5 {
                if file[at..at + 5] == [0x02, 0x03, 0x01, 0x86, 0xa0] {
                    file[at + 2..at + 5].copy_from_slice(&[0x7f, 0xff, 0xff]);
                }
            }
            assert!(
                matches!(read(&file, None), Err(Flaw::TooManyRounds)),
                "{arguments}"
            );
        }
    }
}
