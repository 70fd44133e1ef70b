//! Object identifiers as they stand in files, without tag and length.

macro_rules! pkcs {
    ($($arc:literal),*) => { &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, $($arc),*] };
}

/// A list of identifiers, a name each.
macro_rules! oids {
    ($($name:ident = $value:expr;)*) => { $(pub(super) const $name: &[u8] = $value;)* };
}

oids! {
    // RFC 8017, appendix C.
    RSA = pkcs!(1, 1, 1);
    // RFC 8018, appendix C.
    PBKDF2 = pkcs!(1, 5, 12);
    PBES2 = pkcs!(1, 5, 13);
    HMAC_SHA1 = pkcs!(2, 7);
    HMAC_SHA256 = pkcs!(2, 9);
    HMAC_SHA384 = pkcs!(2, 10);
    HMAC_SHA512 = pkcs!(2, 11);
    DES_EDE3_CBC = pkcs!(3, 7);
    // RFC 5652, sections 4, 5 and 8.
    DATA = pkcs!(1, 7, 1);
    SIGNED_DATA = pkcs!(1, 7, 2);
    ENCRYPTED_DATA = pkcs!(1, 7, 6);
    // RFC 2985, section 5.6.
    X509_CERTIFICATE = pkcs!(1, 9, 22, 1);
    // RFC 7292, appendices C and D.
    SHA1_3DES = pkcs!(1, 12, 1, 3);
    SHA1_3DES_2_KEYS = pkcs!(1, 12, 1, 4);
    SHA1_RC2_128 = pkcs!(1, 12, 1, 5);
    SHA1_RC2_40 = pkcs!(1, 12, 1, 6);
    KEY_BAG = pkcs!(1, 12, 10, 1, 1);
    SHROUDED_KEY_BAG = pkcs!(1, 12, 10, 1, 2);
    CERTIFICATE_BAG = pkcs!(1, 12, 10, 1, 3);
    // RFC 3565, section 4.1, and NIST's register.
    AES_128_CBC = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x02];
    AES_192_CBC = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x16];
    AES_256_CBC = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a];
    SHA1 = &[0x2b, 0x0e, 0x03, 0x02, 0x1a];
    SHA256 = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
    SHA384 = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02];
    SHA512 = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03];
}
