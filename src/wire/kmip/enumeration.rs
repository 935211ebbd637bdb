//! KMIP's enumerations (KMIP 2.1 section 11): codes, constants and the names under which JSON knows them.
#![forbid(unsafe_code)]

use super::names::{self, Names};
use super::tag::Tag;

/// The names and codes of one enumeration.
#[derive(Debug)]
pub struct Enumeration {
    /// Its own name: `ObjectType`.
    pub title: &'static str,
    names: Names<u32>,
}

impl Enumeration {
    /// The code of the value that JSON calls `name`.
    pub fn code(&self, name: impl AsRef<[u8]>) -> Option<u32> {
        self.names.get(name.as_ref())
    }

    /// The names and codes of all values.
    pub fn values(&self) -> &'static [(&'static str, u32)] {
        self.names.entries()
    }

    /// What JSON calls the value with this code.
    pub fn name(&self, code: u32) -> Option<&'static str> {
        // The tables are in the order of their codes, most of them without gaps.
        if let Some(&(name, found)) = self.values().get((code as usize).wrapping_sub(1))
            && found == code
        {
            return Some(name);
        }
        self.values().iter().find(|value| value.1 == code).map(|value| value.0)
    }
}

/// The enumeration whose values stand under `tag`. `AttributeReference` has none: its values are the codes of tags.
pub fn of(tag: Tag) -> Option<&'static Enumeration> {
    Some(match tag {
        Tag::ASYNCHRONOUS_INDICATOR => &asynchronous_indicator::ALL,
        Tag::ATTESTATION_TYPE => &attestation_type::ALL,
        Tag::BATCH_ERROR_CONTINUATION_OPTION => &batch_error_continuation_option::ALL,
        Tag::BLOCK_CIPHER_MODE => &block_cipher_mode::ALL,
        Tag::CERTIFICATE_REQUEST_TYPE => &certificate_request_type::ALL,
        Tag::CERTIFICATE_TYPE => &certificate_type::ALL,
        Tag::CREDENTIAL_TYPE => &credential_type::ALL,
        Tag::CRYPTOGRAPHIC_ALGORITHM => &cryptographic_algorithm::ALL,
        Tag::DERIVATION_METHOD => &derivation_method::ALL,
        Tag::DIGITAL_SIGNATURE_ALGORITHM => &digital_signature_algorithm::ALL,
        Tag::DRBG_ALGORITHM => &drbg_algorithm::ALL,
        Tag::ENCODING_OPTION => &encoding_option::ALL,
        Tag::FIPS186_VARIATION => &fips186_variation::ALL,
        Tag::HASHING_ALGORITHM | Tag::MASK_GENERATOR_HASHING_ALGORITHM => &hashing_algorithm::ALL,
        Tag::KEY_COMPRESSION_TYPE => &key_compression_type::ALL,
        Tag::KEY_FORMAT_TYPE => &key_format_type::ALL,
        Tag::KEY_ROLE_TYPE => &key_role_type::ALL,
        Tag::KEY_WRAP_TYPE => &key_wrap_type::ALL,
        Tag::LINK_TYPE => &link_type::ALL,
        Tag::MASK_GENERATOR => &mask_generator::ALL,
        Tag::NAME_TYPE => &name_type::ALL,
        Tag::NIST_KEY_TYPE => &nist_key_type::ALL,
        Tag::OBJECT_GROUP_MEMBER => &object_group_member::ALL,
        Tag::OBJECT_TYPE | Tag::EXPECTED_OBJECT_TYPE => &object_type::ALL,
        Tag::OPAQUE_DATA_TYPE => &opaque_data_type::ALL,
        Tag::OPERATION => &operation::ALL,
        Tag::PADDING_METHOD => &padding_method::ALL,
        Tag::PROTECTION_LEVEL => &protection_level::ALL,
        Tag::QUERY_FUNCTION => &query_function::ALL,
        Tag::RECOMMENDED_CURVE => &recommended_curve::ALL,
        Tag::RESULT_REASON => &result_reason::ALL,
        Tag::RESULT_STATUS => &result_status::ALL,
        Tag::REVOCATION_REASON | Tag::REVOCATION_REASON_CODE => &revocation_reason_code::ALL,
        Tag::RNG_ALGORITHM => &rng_algorithm::ALL,
        Tag::SECRET_DATA_TYPE => &secret_data_type::ALL,
        Tag::SPLIT_KEY_METHOD => &split_key_method::ALL,
        Tag::STATE => &state::ALL,
        Tag::UNIQUE_IDENTIFIER
        | Tag::LINKED_OBJECT_IDENTIFIER
        | Tag::PRIVATE_KEY_UNIQUE_IDENTIFIER
        | Tag::PUBLIC_KEY_UNIQUE_IDENTIFIER => &unique_identifier::ALL,
        Tag::USAGE_LIMITS_UNIT => &usage_limits_unit::ALL,
        Tag::VALIDITY_INDICATOR => &validity_indicator::ALL,
        Tag::WRAPPING_METHOD => &wrapping_method::ALL,
        _ => return None,
    })
}

/// Rows of `CONSTANT "JsonName" code` become a module of constants and a table.
macro_rules! enumerations {
    ($($(#[$doc:meta])* $module:ident $title:literal { $($constant:ident $name:literal $code:literal,)* })*) => {
        $(
            $(#[$doc])*
            #[allow(missing_docs, reason = "the names are the specification's")]
            pub mod $module {
                use super::{Enumeration, Names, names};
                $(pub const $constant: u32 = $code;)*
                const VALUES: &[(&str, u32)] = &[$(($name, $code),)*];
                const SLOTS: &[u16] = &names::slots::<u32, { names::slot_count(VALUES.len()) }>(VALUES);
                /// All of them.
                pub static ALL: Enumeration = Enumeration { title: $title, names: Names::new(VALUES, SLOTS) };
            }
        )*

        #[cfg(test)]
        const TABLES: &[&Enumeration] = &[$(&$module::ALL,)*];
    };
}

/// Bits of `CryptographicUsageMask` (KMIP 2.1 section 12.1).
#[allow(missing_docs, reason = "the names are the specification's")]
pub mod usage_mask {
    pub const SIGN: i32 = 0x1;
    pub const VERIFY: i32 = 0x2;
    pub const ENCRYPT: i32 = 0x4;
    pub const DECRYPT: i32 = 0x8;
    pub const WRAP_KEY: i32 = 0x10;
    pub const UNWRAP_KEY: i32 = 0x20;
    pub const MAC_GENERATE: i32 = 0x80;
    pub const MAC_VERIFY: i32 = 0x100;
    pub const DERIVE_KEY: i32 = 0x200;
    pub const KEY_AGREEMENT: i32 = 0x800;
    pub const CERTIFICATE_SIGN: i32 = 0x1000;
    pub const CRL_SIGN: i32 = 0x2000;
    pub const AUTHENTICATE: i32 = 0x10_0000;
    pub const UNRESTRICTED: i32 = 0x20_0000;
}

/// Bits of `StorageStatusMask` (KMIP 2.1 section 12.3).
#[allow(missing_docs, reason = "the names are the specification's")]
pub mod storage_status_mask {
    pub const ONLINE: i32 = 0x1;
    pub const ARCHIVAL: i32 = 0x2;
    pub const DESTROYED: i32 = 0x4;
}

#[rustfmt::skip]
enumerations! {
    /// The values of `BlockCipherMode`.
    block_cipher_mode "BlockCipherMode" {
        CBC "CBC" 0x1,
        ECB "ECB" 0x2,
        PCBC "PCBC" 0x3,
        CFB "CFB" 0x4,
        OFB "OFB" 0x5,
        CTR "CTR" 0x6,
        CMAC "CMAC" 0x7,
        CCM "CCM" 0x8,
        GCM "GCM" 0x9,
        CBC_MAC "CBCMAC" 0xA,
        XTS "XTS" 0xB,
        AES_KEY_WRAP_PADDING "AESKeyWrapPadding" 0xC,
        NIST_KEY_WRAP "NISTKeyWrap" 0xD,
        X9_102_AESKW "X9102AESKW" 0xE,
        X9_102_TDKW "X9102TDKW" 0xF,
        X9_102_AKW1 "X9102AKW1" 0x10,
        X9_102_AKW2 "X9102AKW2" 0x11,
        AEAD "AEAD" 0x12,
        GCM_SIV "GCMSIV" 0x80000002,
    }
    /// The values of `CertificateRequestType`.
    certificate_request_type "CertificateRequestType" {
        CRMF "CRMF" 0x1,
        PKCS10 "PKCS10" 0x2,
        PEM "PEM" 0x3,
        PGP "PGP" 0x4,
    }
    /// The values of `CertificateType`.
    certificate_type "CertificateType" {
        X509 "X509" 0x1,
        PGP "PGP" 0x2,
    }
    /// The values of `CryptographicAlgorithm`.
    cryptographic_algorithm "CryptographicAlgorithm" {
        DES "DES" 0x1,
        TRIPLE_DES "THREE_DES" 0x2,
        AES "AES" 0x3,
        RSA "RSA" 0x4,
        DSA "DSA" 0x5,
        ECDSA "ECDSA" 0x6,
        HMAC_SHA1 "HMACSHA1" 0x7,
        HMAC_SHA224 "HMACSHA224" 0x8,
        HMAC_SHA256 "HMACSHA256" 0x9,
        HMAC_SHA384 "HMACSHA384" 0xA,
        HMAC_SHA512 "HMACSHA512" 0xB,
        HMAC_MD5 "HMACMD5" 0xC,
        DH "DH" 0xD,
        ECDH "ECDH" 0xE,
        ECMQV "ECMQV" 0xF,
        BLOWFISH "BLOWFISH" 0x10,
        CAMELLIA "CAMELLIA" 0x11,
        CAST5 "CAST5" 0x12,
        IDEA "IDEA" 0x13,
        MARS "MARS" 0x14,
        RC2 "RC2" 0x15,
        RC4 "RC4" 0x16,
        RC5 "RC5" 0x17,
        SKIPJACK "SKIPJACK" 0x18,
        TWOFISH "TWOFISH" 0x19,
        EC "EC" 0x1A,
        ONE_TIME_PAD "OneTimePad" 0x1B,
        CHACHA20 "ChaCha20" 0x1C,
        POLY1305 "Poly1305" 0x1D,
        CHACHA20_POLY1305 "ChaCha20Poly1305" 0x1E,
        SHA3_224 "SHA3224" 0x1F,
        SHA3_256 "SHA3256" 0x20,
        SHA3_384 "SHA3384" 0x21,
        SHA3_512 "SHA3512" 0x22,
        HMAC_SHA3_224 "HMACSHA3224" 0x23,
        HMAC_SHA3_256 "HMACSHA3256" 0x24,
        HMAC_SHA3_384 "HMACSHA3384" 0x25,
        HMAC_SHA3_512 "HMACSHA3512" 0x26,
        SHAKE_128 "SHAKE128" 0x27,
        SHAKE_256 "SHAKE256" 0x28,
        ARIA "ARIA" 0x29,
        SEED "SEED" 0x2A,
        SM2 "SM2" 0x2B,
        SM3 "SM3" 0x2C,
        SM4 "SM4" 0x2D,
        GOST_R_34_10_2012 "GOSTR34102012" 0x2E,
        GOST_R_34_11_2012 "GOSTR34112012" 0x2F,
        GOST_R_34_13_2015 "GOSTR34132015" 0x30,
        GOST_28147_89 "GOST2814789" 0x31,
        XMSS "XMSS" 0x32,
        SPHINCS_256 "SPHINCS256" 0x33,
        MCELIECE "McEliece" 0x34,
        MCELIECE_6960119 "McEliece6960119" 0x35,
        MCELIECE_8192128 "McEliece8192128" 0x36,
        ED25519 "Ed25519" 0x37,
        ED448 "Ed448" 0x38,
        COVER_CRYPT "CoverCrypt" 0x80000004,
    }
    /// The values of `DerivationMethod`.
    derivation_method "DerivationMethod" {
        PBKDF2 "PBKDF2" 0x1,
        HASH "HASH" 0x2,
        HMAC "HMAC" 0x3,
        ENCRYPT "ENCRYPT" 0x4,
        NIST800_108_C "NIST800108C" 0x5,
        NIST800_108_F "NIST800108F" 0x6,
        NIST800_108_DPI "NIST800108DPI" 0x7,
        ASYMMETRIC_KEY "AsymmetricKey" 0x8,
        AWS_SIGNATURE_VERSION_4 "AWSSignatureVersion4" 0x9,
        HKDF "HKDF" 0xA,
    }
    /// The values of `DigitalSignatureAlgorithm`.
    digital_signature_algorithm "DigitalSignatureAlgorithm" {
        MD2_WITH_RSA_ENCRYPTION "MD2WithRSAEncryption" 0x1,
        MD5_WITH_RSA_ENCRYPTION "MD5WithRSAEncryption" 0x2,
        SHA1_WITH_RSA_ENCRYPTION "SHA1WithRSAEncryption" 0x3,
        SHA224_WITH_RSA_ENCRYPTION "SHA224WithRSAEncryption" 0x4,
        SHA256_WITH_RSA_ENCRYPTION "SHA256WithRSAEncryption" 0x5,
        SHA384_WITH_RSA_ENCRYPTION "SHA384WithRSAEncryption" 0x6,
        SHA512_WITH_RSA_ENCRYPTION "SHA512WithRSAEncryption" 0x7,
        RSASSA_PSS "RSASSAPSS" 0x8,
        DSA_WITH_SHA1 "DSAWithSHA1" 0x9,
        DSA_WITH_SHA224 "DSAWithSHA224" 0xA,
        DSA_WITH_SHA256 "DSAWithSHA256" 0xB,
        ECDSA_WITH_SHA1 "ECDSAWithSHA1" 0xC,
        ECDSA_WITH_SHA224 "ECDSAWithSHA224" 0xD,
        ECDSA_WITH_SHA256 "ECDSAWithSHA256" 0xE,
        ECDSA_WITH_SHA384 "ECDSAWithSHA384" 0xF,
        ECDSA_WITH_SHA512 "ECDSAWithSHA512" 0x10,
        SHA3_256_WITH_RSA_ENCRYPTION "SHA3256WithRSAEncryption" 0x11,
        SHA3_384_WITH_RSA_ENCRYPTION "SHA3384WithRSAEncryption" 0x12,
        SHA3_512_WITH_RSA_ENCRYPTION "SHA3512WithRSAEncryption" 0x13,
    }
    /// The values of `EncodingOption`.
    encoding_option "EncodingOption" {
        NO_ENCODING "NoEncoding" 0x1,
        TTLV_ENCODING "TTLVEncoding" 0x2,
    }
    /// The values of `HashingAlgorithm`.
    hashing_algorithm "HashingAlgorithm" {
        MD2 "MD2" 0x1,
        MD4 "MD4" 0x2,
        MD5 "MD5" 0x3,
        SHA1 "SHA1" 0x4,
        SHA224 "SHA224" 0x5,
        SHA256 "SHA256" 0x6,
        SHA384 "SHA384" 0x7,
        SHA512 "SHA512" 0x8,
        RIPEMD_160 "RIPEMD160" 0x9,
        TIGER "Tiger" 0xA,
        WHIRLPOOL "Whirlpool" 0xB,
        SHA_512_224 "SHA512224" 0xC,
        SHA_512_256 "SHA512256" 0xD,
        SHA3_224 "SHA3224" 0xE,
        SHA3_256 "SHA3256" 0xF,
        SHA3_384 "SHA3384" 0x10,
        SHA3_512 "SHA3512" 0x11,
    }
    /// The values of `KeyCompressionType`.
    key_compression_type "KeyCompressionType" {
        EC_PUBLIC_KEY_TYPE_UNCOMPRESSED "ECPublicKeyTypeUncompressed" 0x1,
        EC_PUBLIC_KEY_TYPE_X9_62_COMPRESSED_PRIME "ECPublicKeyTypeX962CompressedPrime" 0x2,
        EC_PUBLIC_KEY_TYPE_X9_62_COMPRESSED_CHAR2 "ECPublicKeyTypeX962CompressedChar2" 0x3,
        EC_PUBLIC_KEY_TYPE_X9_62_HYBRID "ECPublicKeyTypeX962Hybrid" 0x4,
    }
    /// The values of `KeyFormatType`.
    key_format_type "KeyFormatType" {
        RAW "Raw" 0x1,
        OPAQUE "Opaque" 0x2,
        PKCS1 "PKCS1" 0x3,
        PKCS8 "PKCS8" 0x4,
        X509 "X509" 0x5,
        EC_PRIVATE_KEY "ECPrivateKey" 0x6,
        TRANSPARENT_SYMMETRIC_KEY "TransparentSymmetricKey" 0x7,
        TRANSPARENT_DSA_PRIVATE_KEY "TransparentDSAPrivateKey" 0x8,
        TRANSPARENT_DSA_PUBLIC_KEY "TransparentDSAPublicKey" 0x9,
        TRANSPARENT_RSA_PRIVATE_KEY "TransparentRSAPrivateKey" 0xA,
        TRANSPARENT_RSA_PUBLIC_KEY "TransparentRSAPublicKey" 0xB,
        TRANSPARENT_DH_PRIVATE_KEY "TransparentDHPrivateKey" 0xC,
        TRANSPARENT_DH_PUBLIC_KEY "TransparentDHPublicKey" 0xD,
        TRANSPARENT_ECDSA_PRIVATE_KEY "TransparentECDSAPrivateKey" 0xE,
        TRANSPARENT_ECDSA_PUBLIC_KEY "TransparentECDSAPublicKey" 0xF,
        TRANSPARENT_ECDH_PRIVATE_KEY "TransparentECDHPrivateKey" 0x10,
        TRANSPARENT_ECDH_PUBLIC_KEY "TransparentECDHPublicKey" 0x11,
        TRANSPARENT_ECMQV_PRIVATE_KEY "TransparentECMQVPrivateKey" 0x12,
        TRANSPARENT_ECMQV_PUBLIC_KEY "TransparentECMQVPublicKey" 0x13,
        TRANSPARENT_EC_PRIVATE_KEY "TransparentECPrivateKey" 0x14,
        TRANSPARENT_EC_PUBLIC_KEY "TransparentECPublicKey" 0x15,
        PKCS12 "PKCS12" 0x16,
        PKCS_7 "PKCS7" 0x17,
    }
    /// The values of `KeyRoleType`.
    key_role_type "KeyRoleType" {
        BDK "BDK" 0x1,
        CVK "CVK" 0x2,
        DEK "DEK" 0x3,
        MKAC "MKAC" 0x4,
        MKSMC "MKSMC" 0x5,
        MKSMI "MKSMI" 0x6,
        MKDAC "MKDAC" 0x7,
        MKDN "MKDN" 0x8,
        MKCP "MKCP" 0x9,
        MKOTH "MKOTH" 0xA,
        KEK "KEK" 0xB,
        MAC_16609 "MAC16609" 0xC,
        MAC_97971 "MAC97971" 0xD,
        MAC_97972 "MAC97972" 0xE,
        MAC_97973 "MAC97973" 0xF,
        MAC_97974 "MAC97974" 0x10,
        MAC_97975 "MAC97975" 0x11,
        ZPK "ZPK" 0x12,
        PVKIBM "PVKIBM" 0x13,
        PVKPVV "PVKPVV" 0x14,
        PVKOTH "PVKOTH" 0x15,
        DUKPT "DUKPT" 0x16,
        IV "IV" 0x17,
        TRKBK "TRKBK" 0x18,
    }
    /// The values of `KeyWrapType`.
    key_wrap_type "KeyWrapType" {
        NOT_WRAPPED "NotWrapped" 0x1,
        AS_REGISTERED "AsRegistered" 0x2,
    }
    /// The values of `LinkType`.
    link_type "LinkType" {
        CERTIFICATE_LINK "CertificateLink" 0x101,
        PUBLIC_KEY_LINK "PublicKeyLink" 0x102,
        PRIVATE_KEY_LINK "PrivateKeyLink" 0x103,
        DERIVATION_BASE_OBJECT_LINK "DerivationBaseObjectLink" 0x104,
        DERIVED_KEY_LINK "DerivedKeyLink" 0x105,
        REPLACEMENT_OBJECT_LINK "ReplacementObjectLink" 0x106,
        REPLACED_OBJECT_LINK "ReplacedObjectLink" 0x107,
        PARENT_LINK "ParentLink" 0x108,
        CHILD_LINK "ChildLink" 0x109,
        PREVIOUS_LINK "PreviousLink" 0x10A,
        NEXT_LINK "NextLink" 0x10B,
        PKCS12_CERTIFICATE_LINK "PKCS12CertificateLink" 0x10C,
        PKCS12_PASSWORD_LINK "PKCS12PasswordLink" 0x10D,
        WRAPPING_KEY_LINK "WrappingKeyLink" 0x10E,
    }
    /// The values of `MaskGenerator`.
    mask_generator "MaskGenerator" {
        MGF1 "MGF1" 0x1,
    }
    /// The values of `NameType`.
    name_type "NameType" {
        UNINTERPRETED_TEXT_STRING "UninterpretedTextString" 0x1,
        URI "URI" 0x2,
    }
    /// The values of `NISTKeyType`.
    nist_key_type "NISTKeyType" {
        PRIVATE_SIGNATURE_KEY "PrivateSignatureKey" 0x1,
        PUBLIC_SIGNATURE_VERIFICATION_KEY "PublicSignatureVerificationKey" 0x2,
        SYMMETRIC_AUTHENTICATION_KEY "SymmetricAuthenticationKey" 0x3,
        PRIVATE_AUTHENTICATION_KEY "PrivateAuthenticationKey" 0x4,
        PUBLIC_AUTHENTICATION_KEY "PublicAuthenticationKey" 0x5,
        SYMMETRIC_DATA_ENCRYPTION_KEY "SymmetricDataEncryptionKey" 0x6,
        SYMMETRIC_KEY_WRAPPING_KEY "SymmetricKeyWrappingKey" 0x7,
        SYMMETRIC_RANDOM_NUMBER_GENERATION_KEY "SymmetricRandomNumberGenerationKey" 0x8,
        SYMMETRIC_MASTER_KEY "SymmetricMasterKey" 0x9,
        PRIVATE_KEY_TRANSPORT_KEY "PrivateKeyTransportKey" 0xA,
        PUBLIC_KEY_TRANSPORT_KEY "PublicKeyTransportKey" 0xB,
        SYMMETRIC_KEY_AGREEMENT_KEY "SymmetricKeyAgreementKey" 0xC,
        PRIVATE_STATIC_KEY_AGREEMENT_KEY "PrivateStaticKeyAgreementKey" 0xD,
        PUBLIC_STATIC_KEY_AGREEMENT_KEY "PublicStaticKeyAgreementKey" 0xE,
        PRIVATE_EPHEMERAL_KEY_AGREEMENT_KEY "PrivateEphemeralKeyAgreementKey" 0xF,
        PUBLIC_EPHEMERAL_KEY_AGREEMENT_KEY "PublicEphemeralKeyAgreementKey" 0x10,
        SYMMETRIC_AUTHORIZATION_KEY "SymmetricAuthorizationKey" 0x11,
        PRIVATE_AUTHORIZATION_KEY "PrivateAuthorizationKey" 0x12,
        PUBLIC_AUTHORIZATION_KEY "PublicAuthorizationKey" 0x13,
    }
    /// The values of `ObjectGroupMember`.
    object_group_member "ObjectGroupMember" {
        GROUP_MEMBER_FRESH "GroupMemberFresh" 0x1,
        GROUP_MEMBER_DEFAULT "GroupMemberDefault" 0x2,
    }
    /// The values of `ObjectType`.
    object_type "ObjectType" {
        CERTIFICATE "Certificate" 0x1,
        SYMMETRIC_KEY "SymmetricKey" 0x2,
        PUBLIC_KEY "PublicKey" 0x3,
        PRIVATE_KEY "PrivateKey" 0x4,
        SPLIT_KEY "SplitKey" 0x5,
        TEMPLATE "Template" 0x6,
        SECRET_DATA "SecretData" 0x7,
        OPAQUE_OBJECT "OpaqueObject" 0x8,
        PGP_KEY "PGPKey" 0x9,
        CERTIFICATE_REQUEST "CertificateRequest" 0xA,
    }
    /// The values of `OpaqueDataType`.
    opaque_data_type "OpaqueDataType" {
        UNKNOWN "Unknown" 0x80000001,
        VENDOR "Vendor" 0x80000002,
    }
    /// The values of `Operation`.
    operation "Operation" {
        CREATE "Create" 0x1,
        CREATE_KEY_PAIR "CreateKeyPair" 0x2,
        REGISTER "Register" 0x3,
        REKEY "ReKey" 0x4,
        DERIVE_KEY "DeriveKey" 0x5,
        CERTIFY "Certify" 0x6,
        RECERTIFY "ReCertify" 0x7,
        LOCATE "Locate" 0x8,
        CHECK "Check" 0x9,
        GET "Get" 0xA,
        GET_ATTRIBUTES "GetAttributes" 0xB,
        GET_ATTRIBUTE_LIST "GetAttributeList" 0xC,
        ADD_ATTRIBUTE "AddAttribute" 0xD,
        MODIFY_ATTRIBUTE "ModifyAttribute" 0xE,
        DELETE_ATTRIBUTE "DeleteAttribute" 0xF,
        OBTAIN_LEASE "ObtainLease" 0x10,
        GET_USAGE_ALLOCATION "GetUsageAllocation" 0x11,
        ACTIVATE "Activate" 0x12,
        REVOKE "Revoke" 0x13,
        DESTROY "Destroy" 0x14,
        ARCHIVE "Archive" 0x15,
        RECOVER "Recover" 0x16,
        VALIDATE "Validate" 0x17,
        QUERY "Query" 0x18,
        CANCEL "Cancel" 0x19,
        POLL "Poll" 0x1A,
        NOTIFY "Notify" 0x1B,
        PUT "Put" 0x1C,
        REKEY_KEY_PAIR "ReKeyKeyPair" 0x1D,
        DISCOVER_VERSIONS "DiscoverVersions" 0x1E,
        ENCRYPT "Encrypt" 0x1F,
        DECRYPT "Decrypt" 0x20,
        SIGN "Sign" 0x21,
        SIGNATURE_VERIFY "SignatureVerify" 0x22,
        MAC "MAC" 0x23,
        MAC_VERIFY "MACVerify" 0x24,
        RNG_RETRIEVE "RNGRetrieve" 0x25,
        RNG_SEED "RNGSeed" 0x26,
        HASH "Hash" 0x27,
        CREATE_SPLIT_KEY "CreateSplitKey" 0x28,
        JOIN_SPLIT_KEY "JoinSplitKey" 0x29,
        IMPORT "Import" 0x2A,
        EXPORT "Export" 0x2B,
        LOG "Log" 0x2C,
        LOGIN "Login" 0x2D,
        LOGOUT "Logout" 0x2E,
        DELEGATED_LOGIN "DelegatedLogin" 0x2F,
        ADJUST_ATTRIBUTE "AdjustAttribute" 0x30,
        SET_ATTRIBUTE "SetAttribute" 0x31,
        SET_ENDPOINT_ROLE "SetEndpointRole" 0x32,
        PKCS11 "PKCS11" 0x33,
        INTEROP "Interop" 0x34,
        REPROVISION "ReProvision" 0x35,
        SET_DEFAULTS "SetDefaults" 0x36,
        SET_CONSTRAINTS "SetConstraints" 0x37,
        GET_CONSTRAINTS "GetConstraints" 0x38,
        QUERY_ASYNCHRONOUS_REQUESTS "QueryAsynchronousRequests" 0x39,
        PROCESS "Process" 0x3A,
        PING "Ping" 0x3B,
    }
    /// The values of `PaddingMethod`.
    padding_method "PaddingMethod" {
        NONE "None" 0x1,
        OAEP "OAEP" 0x2,
        PKCS5 "PKCS5" 0x3,
        SSL3 "SSL3" 0x4,
        ZEROS "Zeros" 0x5,
        ANSI_X923 "ANSIX923" 0x6,
        ISO_10126 "ISO10126" 0x7,
        PKCS1V15 "PKCS1v15" 0x8,
        X931 "X931" 0x9,
        PSS "PSS" 0xA,
    }
    /// The values of `ProtectionLevel`.
    protection_level "ProtectionLevel" {
        HIGH "High" 0x1,
        LOW "Low" 0x2,
    }
    /// The values of `QueryFunction`.
    query_function "QueryFunction" {
        QUERY_OPERATIONS "QueryOperations" 0x1,
        QUERY_OBJECTS "QueryObjects" 0x2,
        QUERY_SERVER_INFORMATION "QueryServerInformation" 0x3,
        QUERY_APPLICATION_NAMESPACES "QueryApplicationNamespaces" 0x4,
        QUERY_EXTENSION_LIST "QueryExtensionList" 0x5,
        QUERY_EXTENSION_MAP "QueryExtensionMap" 0x6,
        QUERY_ATTESTATION_TYPES "QueryAttestationTypes" 0x7,
        QUERY_RNGS "QueryRNGs" 0x8,
        QUERY_VALIDATIONS "QueryValidations" 0x9,
        QUERY_PROFILES "QueryProfiles" 0xA,
        QUERY_CAPABILITIES "QueryCapabilities" 0xB,
        QUERY_CLIENT_REGISTRATION_METHODS "QueryClientRegistrationMethods" 0xC,
        QUERY_DEFAULTS_INFORMATION "QueryDefaultsInformation" 0xD,
        QUERY_STORAGE_PROTECTION_MASKS "QueryStorageProtectionMasks" 0xE,
    }
    /// The values of `RNGAlgorithm`.
    rng_algorithm "RNGAlgorithm" {
        UNSPECIFIED "Unspecified" 0x1,
        FIPS186_2 "FIPS186_2" 0x2,
        DRBG "DRBG" 0x3,
        NRBG "NRBG" 0x4,
        ANSI_X931 "ANSI_X931" 0x5,
        ANSI_X962 "ANSI_X962" 0x6,
    }
    /// The values of `RecommendedCurve`.
    recommended_curve "RecommendedCurve" {
        P_192 "P192" 0x1,
        K_163 "K163" 0x2,
        B_163 "B163" 0x3,
        P_224 "P224" 0x4,
        K_233 "K233" 0x5,
        B_233 "B233" 0x6,
        P_256 "P256" 0x7,
        K_283 "K283" 0x8,
        B_283 "B283" 0x9,
        P_384 "P384" 0xA,
        K_409 "K409" 0xB,
        B_409 "B409" 0xC,
        P_521 "P521" 0xD,
        K_571 "K571" 0xE,
        B_571 "B571" 0xF,
        SECP112R1 "SECP112R1" 0x10,
        SECP112R2 "SECP112R2" 0x11,
        SECP128R1 "SECP128R1" 0x12,
        SECP128R2 "SECP128R2" 0x13,
        SECP160K1 "SECP160K1" 0x14,
        SECP160R1 "SECP160R1" 0x15,
        SECP160R2 "SECP160R2" 0x16,
        SECP191K1 "SECP191K1" 0x17,
        SECP224K1 "SECP224K1" 0x18,
        SECP256K1 "SECP256K1" 0x19,
        SECT113R1 "SECT113R1" 0x1A,
        SECT113R2 "SECT113R2" 0x1B,
        SECT131R1 "SECT131R1" 0x1C,
        SECT131R2 "SECT131R2" 0x1D,
        SECT163R1 "SECT163R1" 0x1E,
        SECT193R1 "SECT193R1" 0x1F,
        SECT193R2 "SECT193R2" 0x20,
        SECT239K1 "SECT239K1" 0x21,
        ANSIX9P192V2 "ANSIX9P192V2" 0x22,
        ANSIX9P192V3 "ANSIX9P192V3" 0x23,
        ANSIX9P239V1 "ANSIX9P239V1" 0x24,
        ANSIX9P239V2 "ANSIX9P239V2" 0x25,
        ANSIX9P239V3 "ANSIX9P239V3" 0x26,
        ANSIX9C2PNB163V1 "ANSIX9C2PNB163V1" 0x27,
        ANSIX9C2PNB163V2 "ANSIX9C2PNB163V2" 0x28,
        ANSIX9C2PNB163V3 "ANSIX9C2PNB163V3" 0x29,
        ANSIX9C2PNB176V1 "ANSIX9C2PNB176V1" 0x2A,
        ANSIX9C2TNB191V1 "ANSIX9C2TNB191V1" 0x2B,
        ANSIX9C2TNB191V2 "ANSIX9C2TNB191V2" 0x2C,
        ANSIX9C2TNB191V3 "ANSIX9C2TNB191V3" 0x2D,
        ANSIX9C2PNB208W1 "ANSIX9C2PNB208W1" 0x2E,
        ANSIX9C2TNB239V1 "ANSIX9C2TNB239V1" 0x2F,
        ANSIX9C2TNB239V2 "ANSIX9C2TNB239V2" 0x30,
        ANSIX9C2TNB239V3 "ANSIX9C2TNB239V3" 0x31,
        ANSIX9C2PNB272W1 "ANSIX9C2PNB272W1" 0x32,
        ANSIX9C2PNB304W1 "ANSIX9C2PNB304W1" 0x33,
        ANSIX9C2TNB359V1 "ANSIX9C2TNB359V1" 0x34,
        ANSIX9C2PNB368W1 "ANSIX9C2PNB368W1" 0x35,
        ANSIX9C2TNB431R1 "ANSIX9C2TNB431R1" 0x36,
        BRAINPOOLP160R1 "BRAINPOOLP160R1" 0x37,
        BRAINPOOLP160T1 "BRAINPOOLP160T1" 0x38,
        BRAINPOOLP192R1 "BRAINPOOLP192R1" 0x39,
        BRAINPOOLP192T1 "BRAINPOOLP192T1" 0x3A,
        BRAINPOOLP224R1 "BRAINPOOLP224R1" 0x3B,
        BRAINPOOLP224T1 "BRAINPOOLP224T1" 0x3C,
        BRAINPOOLP256R1 "BRAINPOOLP256R1" 0x3D,
        BRAINPOOLP256T1 "BRAINPOOLP256T1" 0x3E,
        BRAINPOOLP320R1 "BRAINPOOLP320R1" 0x3F,
        BRAINPOOLP320T1 "BRAINPOOLP320T1" 0x40,
        BRAINPOOLP384R1 "BRAINPOOLP384R1" 0x41,
        BRAINPOOLP384T1 "BRAINPOOLP384T1" 0x42,
        BRAINPOOLP512R1 "BRAINPOOLP512R1" 0x43,
        BRAINPOOLP512T1 "BRAINPOOLP512T1" 0x44,
        CURVE25519 "CURVE25519" 0x45,
        CURVE448 "CURVE448" 0x46,
        CURVE_ED25519 "CURVEED25519" 0x80000001,
        CURVE_ED448 "CURVEED448" 0x80000002,
    }
    /// The values of `ResultReason`.
    result_reason "ResultReason" {
        ITEM_NOT_FOUND "Item_Not_Found" 0x1,
        RESPONSE_TOO_LARGE "Response_Too_Large" 0x2,
        AUTHENTICATION_NOT_SUCCESSFUL "Authentication_Not_Successful" 0x3,
        INVALID_MESSAGE "Invalid_Message" 0x4,
        OPERATION_NOT_SUPPORTED "Operation_Not_Supported" 0x5,
        MISSING_DATA "Missing_Data" 0x6,
        INVALID_FIELD "Invalid_Field" 0x7,
        FEATURE_NOT_SUPPORTED "Feature_Not_Supported" 0x8,
        OPERATION_CANCELED_BY_REQUESTER "Operation_Canceled_By_Requester" 0x9,
        CRYPTOGRAPHIC_FAILURE "Cryptographic_Failure" 0xA,
        ILLEGAL_OPERATION "Illegal_Operation" 0xB,
        PERMISSION_DENIED "Permission_Denied" 0xC,
        OBJECT_ARCHIVED "Object_Archived" 0xD,
        INDEX_OUT_OF_BOUNDS "Index_Out_Of_Bounds" 0xE,
        APPLICATION_NAMESPACE_NOT_SUPPORTED "Application_Namespace_Not_Supported" 0xF,
        KEY_FORMAT_TYPE_NOT_SUPPORTED "Key_Format_Type_Not_Supported" 0x10,
        KEY_COMPRESSION_TYPE_NOT_SUPPORTED "Key_Compression_Type_Not_Supported" 0x11,
        ENCODING_OPTION_ERROR "Encoding_Option_Error" 0x12,
        KEY_VALUE_NOT_PRESENT "Key_Value_Not_Present" 0x13,
        ATTESTATION_REQUIRED "Attestation_Required" 0x14,
        ATTESTATION_FAILED "Attestation_Failed" 0x15,
        SENSITIVE "Sensitive" 0x16,
        NOT_EXTRACTABLE "Not_Extractable" 0x17,
        OBJECT_ALREADY_EXISTS "Object_Already_Exists" 0x18,
        GENERAL_FAILURE "General_Failure" 0x100,
        INVALID_TICKET "Invalid_Ticket" 0x19,
        USAGE_LIMIT_EXCEEDED "Usage_Limit_Exceeded" 0x1A,
        NUMERIC_RANGE "Numeric_Range" 0x1B,
        INVALID_DATA_TYPE "Invalid_Data_Type" 0x1C,
        READ_ONLY_ATTRIBUTE "Read_Only_Attribute" 0x1D,
        MULTI_VALUED_ATTRIBUTE "Multi_Valued_Attribute" 0x1E,
        UNSUPPORTED_ATTRIBUTE "Unsupported_Attribute" 0x1F,
        ATTRIBUTE_INSTANCE_NOT_FOUND "Attribute_Instance_Not_Found" 0x20,
        ATTRIBUTE_NOT_FOUND "Attribute_Not_Found" 0x21,
        ATTRIBUTE_READ_ONLY "Attribute_Read_Only" 0x22,
        ATTRIBUTE_SINGLE_VALUED "Attribute_Single_Valued" 0x23,
        BAD_CRYPTOGRAPHIC_PARAMETERS "Bad_Cryptographic_Parameters" 0x24,
        BAD_PASSWORD "Bad_Password" 0x25,
        CODEC_ERROR "Codec_Error" 0x26,
        ILLEGAL_OBJECT_TYPE "Illegal_Object_Type" 0x28,
        INCOMPATIBLE_CRYPTOGRAPHIC_USAGE_MASK "Incompatible_Cryptographic_Usage_Mask" 0x29,
        INTERNAL_SERVER_ERROR "Internal_Server_Error" 0x2A,
        INVALID_ASYNCHRONOUS_CORRELATION_VALUE "Invalid_Asynchronous_Correlation_Value" 0x2B,
        INVALID_ATTRIBUTE "Invalid_Attribute" 0x2C,
        INVALID_ATTRIBUTE_VALUE "Invalid_Attribute_Value" 0x2D,
        INVALID_CORRELATION_VALUE "Invalid_Correlation_Value" 0x2E,
        INVALID_CSR "Invalid_CSR" 0x2F,
        INVALID_OBJECT_TYPE "Invalid_Object_Type" 0x30,
        KEY_WRAP_TYPE_NOT_SUPPORTED "Key_Wrap_Type_Not_Supported" 0x32,
        MISSING_INITIALIZATION_VECTOR "Missing_Initialization_Vector" 0x34,
        NON_UNIQUE_NAME_ATTRIBUTE "Non_Unique_Name_Attribute" 0x35,
        OBJECT_DESTROYED "Object_Destroyed" 0x36,
        OBJECT_NOT_FOUND "Object_Not_Found" 0x37,
        NOT_AUTHORISED "Not_Authorised" 0x39,
        SERVER_LIMIT_EXCEEDED "Server_Limit_Exceeded" 0x3A,
        UNKNOWN_ENUMERATION "Unknown_Enumeration" 0x3B,
        UNKNOWN_MESSAGE_EXTENSION "Unknown_Message_Extension" 0x3C,
        UNKNOWN_TAG "Unknown_Tag" 0x3D,
        UNSUPPORTED_CRYPTOGRAPHIC_PARAMETERS "Unsupported_Cryptographic_Parameters" 0x3E,
        UNSUPPORTED_PROTOCOL_VERSION "Unsupported_Protocol_Version" 0x3F,
        WRAPPING_OBJECT_ARCHIVED "Wrapping_Object_Archived" 0x40,
        WRAPPING_OBJECT_DESTROYED "Wrapping_Object_Destroyed" 0x41,
        WRAPPING_OBJECT_NOT_FOUND "Wrapping_Object_Not_Found" 0x42,
        WRONG_KEY_LIFECYCLE_STATE "Wrong_Key_Lifecycle_State" 0x43,
        PROTECTION_STORAGE_UNAVAILABLE "Protection_Storage_Unavailable" 0x44,
        PKCS11_CODEC_ERROR "PKCS11_Codec_Error" 0x45,
        PKCS11_INVALID_FUNCTION "PKCS11_Invalid_Function" 0x46,
        PKCS11_INVALID_INTERFACE "PKCS11_Invalid_Interface" 0x47,
    }
    /// The values of `ResultStatus`.
    result_status "ResultStatus" {
        SUCCESS "Success" 0x0,
        OPERATION_FAILED "OperationFailed" 0x1,
        OPERATION_PENDING "OperationPending" 0x2,
        OPERATION_UNDONE "OperationUndone" 0x3,
    }
    /// The values of `RevocationReasonCode`.
    revocation_reason_code "RevocationReasonCode" {
        UNSPECIFIED "Unspecified" 0x1,
        KEY_COMPROMISE "KeyCompromise" 0x2,
        CA_COMPROMISE "CACompromise" 0x3,
        AFFILIATION_CHANGED "AffiliationChanged" 0x4,
        SUPERSEDED "Superseded" 0x5,
        CESSATION_OF_OPERATION "CessationOfOperation" 0x6,
        PRIVILEGE_WITHDRAWN "PrivilegeWithdrawn" 0x7,
    }
    /// The values of `SecretDataType`.
    secret_data_type "SecretDataType" {
        PASSWORD "Password" 0x1,
        SEED "Seed" 0x2,
    }
    /// The values of `SplitKeyMethod`.
    split_key_method "SplitKeyMethod" {
        XOR "XOR" 0x1,
        POLYNOMIAL_SHARING_GF_2_16 "PolynomialSharingGf2_16" 0x2,
        POLYNOMIAL_SHARING_PRIME_FIELD "PolynomialSharingPrimeField" 0x3,
        POLYNOMIAL_SHARING_GF_2_8 "PolynomialSharingGf2_8" 0x4,
    }
    /// The values of `State`.
    state "State" {
        PRE_ACTIVE "PreActive" 0x1,
        ACTIVE "Active" 0x2,
        DEACTIVATED "Deactivated" 0x3,
        COMPROMISED "Compromised" 0x4,
        DESTROYED "Destroyed" 0x5,
        DESTROYED_COMPROMISED "Destroyed_Compromised" 0x6,
    }
    /// The values of `UniqueIdentifier`.
    unique_identifier "UniqueIdentifier" {
        ID_PLACEHOLDER "IDPlaceholder" 0x1,
        CERTIFY "Certify" 0x2,
        CREATE "Create" 0x3,
        CREATE_KEY_PAIR "CreateKeyPair" 0x4,
        CREATE_KEY_PAIR_PRIVATE_KEY "CreateKeyPairPrivateKey" 0x5,
        CREATE_KEY_PAIR_PUBLIC_KEY "CreateKeyPairPublicKey" 0x6,
        CREATE_SPLIT_KEY "CreateSplitKey" 0x7,
        DERIVE_KEY "DeriveKey" 0x8,
        IMPORT "Import" 0x9,
        JOIN_SPLIT_KEY "JoinSplitKey" 0xA,
        LOCATE "Locate" 0xB,
        REGISTER "Register" 0xC,
        REKEY "ReKey" 0xD,
        RECERTIFY "ReCertify" 0xE,
        REKEY_KEY_PAIR "ReKeyKeyPair" 0xF,
        REKEY_KEY_PAIR_PRIVATE_KEY "ReKeyKeyPairPrivateKey" 0x10,
        REKEY_KEY_PAIR_PUBLIC_KEY "ReKeyKeyPairPublicKey" 0x11,
    }
    /// The values of `UsageLimitsUnit`.
    usage_limits_unit "UsageLimitsUnit" {
        BYTE "Byte" 0x1,
        OBJECT "Object" 0x2,
    }
    /// The values of `ValidityIndicator`.
    validity_indicator "ValidityIndicator" {
        VALID "Valid" 0x1,
        INVALID "Invalid" 0x2,
        UNKNOWN "Unknown" 0x3,
    }
    /// The values of `WrappingMethod`.
    wrapping_method "WrappingMethod" {
        ENCRYPT "Encrypt" 0x1,
        MAC_SIGN "MACSign" 0x2,
        ENCRYPT_THEN_MAC_SIGN "EncryptThenMACSign" 0x3,
        MAC_SIGN_THEN_ENCRYPT "MACSignThenEncrypt" 0x4,
        TR_31 "TR31" 0x5,
    }
    /// The values of `AsynchronousIndicator`.
    asynchronous_indicator "AsynchronousIndicator" {
        MANDATORY "Mandatory" 0x1,
        OPTIONAL "Optional" 0x2,
        PROHIBITED "Prohibited" 0x3,
    }
    /// The values of `AttestationType`.
    attestation_type "AttestationType" {
        TPM_QUOTE "TPMQuote" 0x1,
        TCG_INTEGRITY_REPORT "TCGIntegrityReport" 0x2,
        SAML_ASSERTION "SAMLAssertion" 0x3,
    }
    /// The values of `BatchErrorContinuationOption`.
    batch_error_continuation_option "BatchErrorContinuationOption" {
        CONTINUE "Continue" 0x1,
        STOP "Stop" 0x2,
        UNDO "Undo" 0x3,
    }
    /// The values of `CredentialType`.
    credential_type "CredentialType" {
        USERNAME_AND_PASSWORD "UsernameAndPassword" 0x1,
        DEVICE "Device" 0x2,
        ATTESTATION "Attestation" 0x3,
        ONE_TIME_PASSWORD "OneTimePassword" 0x4,
        HASHED_PASSWORD "HashedPassword" 0x5,
        TICKET "Ticket" 0x6,
    }
    /// The values of `DRBGAlgorithm`.
    drbg_algorithm "DRBGAlgorithm" {
        UNSPECIFIED "Unspecified" 0x1,
        DUAL_EC "DualEC" 0x2,
        HASH "Hash" 0x3,
        HMAC "HMAC" 0x4,
        CTR "CTR" 0x5,
    }
    /// The values of `FIPS186Variation`.
    fips186_variation "FIPS186Variation" {
        UNSPECIFIED "Unspecified" 0x1,
        GP_X_ORIGINAL "GPXOriginal" 0x2,
        GP_X_CHANGE_NOTICE "GPXChangeNotice" 0x3,
        X_ORIGINAL "XOriginal" 0x4,
        X_CHANGE_NOTICE "XChangeNotice" 0x5,
        K_ORIGINAL "KOriginal" 0x6,
        K_CHANGE_NOTICE "KChangeNotice" 0x7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_and_codes_are_unique_and_found() {
        for table in TABLES {
            let names: BTreeSet<_> = table.values().iter().map(|value| value.0).collect();
            let codes: BTreeSet<_> = table.values().iter().map(|value| value.1).collect();
            assert_eq!(
                (names.len(), codes.len()),
                (table.values().len(), table.values().len()),
                "{}",
                table.title
            );
            for &(name, code) in table.values() {
                assert_eq!((table.code(name), table.name(code)), (Some(code), Some(name)), "{}", table.title);
            }
            assert_eq!((table.code("Nonsense"), table.name(0x7FFF_FFFF)), (None, None));
            assert!(table.names.distance_max() < 16, "{}", table.title);
        }
    }

    #[test]
    fn names_are_spelled_as_the_clients_spell_them() {
        let name = |tag, code| of(tag).and_then(|table| table.name(code)).unwrap();
        assert_eq!(name(Tag::OBJECT_TYPE, object_type::OPAQUE_OBJECT), "OpaqueObject");
        assert_eq!(
            name(Tag::KEY_FORMAT_TYPE, key_format_type::TRANSPARENT_EC_PRIVATE_KEY),
            "TransparentECPrivateKey"
        );
        assert_eq!(name(Tag::BLOCK_CIPHER_MODE, block_cipher_mode::NIST_KEY_WRAP), "NISTKeyWrap");
        assert_eq!(name(Tag::STATE, state::DESTROYED_COMPROMISED), "Destroyed_Compromised");
        assert_eq!(name(Tag::RESULT_REASON, result_reason::ITEM_NOT_FOUND), "Item_Not_Found");
    }
}
