//! KMIP's tags (KMIP 2.1 section 11.56): codes, constants and the names under which JSON knows them.
#![forbid(unsafe_code)]

use super::enumeration::object_type;
use super::names::{self, Names};

/// A tag by its code, known or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(pub u32);

impl Tag {
    /// The name in JSON, as 5.x clients spell it (`UniqueIdentifier`); `None` for a code that no table has.
    pub fn name(self) -> Option<&'static str> {
        self.opening()?.name()
    }

    /// The same with all that is before the name; `None` likewise.
    pub fn opening(self) -> Option<Opening> {
        let (first, openings): (u32, &[Option<Opening>]) = match self.0 {
            STANDARD_FIRST..=STANDARD_LAST => (STANDARD_FIRST, &STANDARD_OPENINGS),
            EXTENSION_FIRST..=EXTENSION_LAST => (EXTENSION_FIRST, &EXTENSION_OPENINGS),
            _ => return None,
        };
        openings[(self.0 - first) as usize]
    }

    /// The same for any tag: what has no name has its code.
    pub fn written(self) -> Opening {
        self.opening().unwrap_or(Opening::Code(self.0))
    }

    /// The tag that JSON calls `name`, in any of the spellings of the two dialects, or as `0x` and six hexadecimal
    /// digits; `None` for what is none.
    pub fn from_name(name: impl AsRef<[u8]>) -> Option<Tag> {
        let name = name.as_ref();
        if let Some(digits) = name.strip_prefix(b"0x") {
            let tag = Tag(u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            return (digits.len() == 6 && SPACES.contains(&(tag.0 >> 16))).then_some(tag);
        }
        NAMES.get(name)
    }

    /// The tag under which an object of this type stands (KMIP 2.1 section 2); `None` for a type without objects.
    pub fn of_object(object_type: u32) -> Option<Tag> {
        OBJECTS.iter().find(|object| object.0 == object_type).map(|object| object.1)
    }

    /// The code of the type of the objects that stand under this tag.
    pub fn object_type(self) -> Option<u32> {
        OBJECTS.iter().find(|object| object.1 == self).map(|object| object.0)
    }

    /// Whether the value is a date: 4.9.1 sends those as LongInteger.
    pub fn is_date(self) -> bool {
        matches!(
            self,
            Tag::ACTIVATION_DATE
                | Tag::ARCHIVE_DATE
                | Tag::COMPROMISE_DATE
                | Tag::COMPROMISE_OCCURRENCE_DATE
                | Tag::DEACTIVATION_DATE
                | Tag::DESTROY_DATE
                | Tag::INITIAL_DATE
                | Tag::LAST_CHANGE_DATE
                | Tag::ORIGINAL_CREATION_DATE
                | Tag::PROCESS_START_DATE
                | Tag::PROTECT_STOP_DATE
                | Tag::TIME_STAMP
                | Tag::VALIDITY_DATE
                | Tag::ROTATE_DATE
                | Tag::SUBMISSION_DATE
        )
    }
}

/// How JSON begins an item: `,{"tag":"State"`. The comma is for an item that has another before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// With the name of a tag.
    Name(&'static str),
    /// With the code of one that has none: `,{"tag":"0x540001"`.
    Code(u32),
}

impl Opening {
    /// Of the text `,{"tag":"State"`, which [`opening`] makes.
    pub(super) const fn new(text: &'static str) -> Opening {
        Opening::Name(text)
    }

    /// The name of the tag, if it has one.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Opening::Name(text) => Some(&text[r#",{"tag":""#.len()..text.len() - 1]),
            Opening::Code(_) => None,
        }
    }

    /// Appends it, with the comma if `out` ends with another item.
    pub fn append(self, out: &mut Vec<u8>) {
        let is_first = out.last() != Some(&b'}');
        match self {
            Opening::Name(text) => out.extend_from_slice(&text.as_bytes()[usize::from(is_first)..]),
            Opening::Code(code) => {
                out.extend_from_slice(
                    &format!(",{{\"tag\":\"0x{code:06X}\"").as_bytes()[usize::from(is_first)..],
                );
            }
        }
    }
}

/// The [`Opening`] with this name, which needs no escapes.
macro_rules! opening {
    ($name:literal) => {
        $crate::wire::kmip::tag::Opening::new(concat!(",{\"tag\":\"", $name, "\""))
    };
}
pub(super) use opening;

const OBJECTS: &[(u32, Tag)] = &[
    (object_type::CERTIFICATE, Tag::CERTIFICATE),
    (object_type::SYMMETRIC_KEY, Tag::SYMMETRIC_KEY),
    (object_type::PUBLIC_KEY, Tag::PUBLIC_KEY),
    (object_type::PRIVATE_KEY, Tag::PRIVATE_KEY),
    (object_type::SPLIT_KEY, Tag::SPLIT_KEY),
    (object_type::SECRET_DATA, Tag::SECRET_DATA),
    (object_type::OPAQUE_OBJECT, Tag::OPAQUE_OBJECT),
    (object_type::PGP_KEY, Tag::PGP_KEY),
    (object_type::CERTIFICATE_REQUEST, Tag::CERTIFICATE_REQUEST),
];

/// Rows of `code CONSTANT "JsonName"` become constants and tables.
macro_rules! tags {
    (standard { $($code:literal $constant:ident $name:literal,)* }
     extension { $($x_code:literal $x_constant:ident $x_name:literal,)* }) => {
        #[allow(missing_docs, reason = "the names are the specification's")]
        impl Tag {
            $(pub const $constant: Tag = Tag($code);)*
            $(pub const $x_constant: Tag = Tag($x_code);)*
        }

        static STANDARD_OPENINGS: [Option<Opening>; (STANDARD_LAST - STANDARD_FIRST + 1) as usize] = {
            let mut openings = [None; (STANDARD_LAST - STANDARD_FIRST + 1) as usize];
            $(openings[($code - STANDARD_FIRST) as usize] = Some(opening!($name));)*
            openings
        };

        static EXTENSION_OPENINGS: [Option<Opening>; (EXTENSION_LAST - EXTENSION_FIRST + 1) as usize] = {
            let mut openings = [None; (EXTENSION_LAST - EXTENSION_FIRST + 1) as usize];
            $(openings[($x_code - EXTENSION_FIRST) as usize] = Some(opening!($x_name));)*
            openings
        };

        const NAMED: &[(&str, Tag)] = &[$(($name, Tag($code)),)* $(($x_name, Tag($x_code)),)*];
    };
}

const STANDARD_FIRST: u32 = 0x42_0001;
const STANDARD_LAST: u32 = 0x42_0176;
/// What the codes of tags begin with: the specification's, and those that anybody may give a meaning (KMIP 2.1 section 11.56).
const SPACES: [u32; 2] = [0x42, 0x54];
const EXTENSION_FIRST: u32 = 0x54_A000;
const EXTENSION_LAST: u32 = 0x54_A0FF;

#[rustfmt::skip]
tags! {
standard {
    0x420001 ACTIVATION_DATE "ActivationDate",
    0x420002 APPLICATION_DATA "ApplicationData",
    0x420003 APPLICATION_NAMESPACE "ApplicationNamespace",
    0x420004 APPLICATION_SPECIFIC_INFORMATION "ApplicationSpecificInformation",
    0x420005 ARCHIVE_DATE "ArchiveDate",
    0x420006 ASYNCHRONOUS_CORRELATION_VALUE "AsynchronousCorrelationValue",
    0x420007 ASYNCHRONOUS_INDICATOR "AsynchronousIndicator",
    0x420008 ATTRIBUTE "Attribute",
    0x420009 ATTRIBUTE_INDEX "AttributeIndex",
    0x42000A ATTRIBUTE_NAME "AttributeName",
    0x42000B ATTRIBUTE_VALUE "AttributeValue",
    0x42000C AUTHENTICATION "Authentication",
    0x42000D BATCH_COUNT "BatchCount",
    0x42000E BATCH_ERROR_CONTINUATION_OPTION "BatchErrorContinuationOption",
    0x42000F BATCH_ITEM "BatchItem",
    0x420010 BATCH_ORDER_OPTION "BatchOrderOption",
    0x420011 BLOCK_CIPHER_MODE "BlockCipherMode",
    0x420012 CANCELLATION_RESULT "CancellationResult",
    0x420013 CERTIFICATE "Certificate",
    0x420014 CERTIFICATE_IDENTIFIER "CertificateIdentifier",
    0x420015 CERTIFICATE_ISSUER "CertificateIssuer",
    0x420016 CERTIFICATE_ISSUER_ALTERNATIVE_NAME "CertificateIssuerAlternativeName",
    0x420017 CERTIFICATE_ISSUER_DISTINGUISHED_NAME "CertificateIssuerDistinguishedName",
    0x420018 CERTIFICATE_REQUEST "CertificateRequest",
    0x420019 CERTIFICATE_REQUEST_TYPE "CertificateRequestType",
    0x42001A CERTIFICATE_SUBJECT "CertificateSubject",
    0x42001B CERTIFICATE_SUBJECT_ALTERNATIVE_NAME "CertificateSubjectAlternativeName",
    0x42001C CERTIFICATE_SUBJECT_DISTINGUISHED_NAME "CertificateSubjectDistinguishedName",
    0x42001D CERTIFICATE_TYPE "CertificateType",
    0x42001E CERTIFICATE_VALUE "CertificateValue",
    0x42001F COMMON_TEMPLATE_ATTRIBUTE "CommonTemplateAttribute",
    0x420020 COMPROMISE_DATE "CompromiseDate",
    0x420021 COMPROMISE_OCCURRENCE_DATE "CompromiseOccurrenceDate",
    0x420022 CONTACT_INFORMATION "ContactInformation",
    0x420023 CREDENTIAL "Credential",
    0x420024 CREDENTIAL_TYPE "CredentialType",
    0x420025 CREDENTIAL_VALUE "CredentialValue",
    0x420026 CRITICALITY_INDICATOR "CriticalityIndicator",
    0x420027 CRT_COEFFICIENT "CRTCoefficient",
    0x420028 CRYPTOGRAPHIC_ALGORITHM "CryptographicAlgorithm",
    0x420029 CRYPTOGRAPHIC_DOMAIN_PARAMETERS "CryptographicDomainParameters",
    0x42002A CRYPTOGRAPHIC_LENGTH "CryptographicLength",
    0x42002B CRYPTOGRAPHIC_PARAMETERS "CryptographicParameters",
    0x42002C CRYPTOGRAPHIC_USAGE_MASK "CryptographicUsageMask",
    0x42002D CUSTOM_ATTRIBUTE "CustomAttribute",
    0x42002E D "D",
    0x42002F DEACTIVATION_DATE "DeactivationDate",
    0x420030 DERIVATION_DATA "DerivationData",
    0x420031 DERIVATION_METHOD "DerivationMethod",
    0x420032 DERIVATION_PARAMETERS "DerivationParameters",
    0x420033 DESTROY_DATE "DestroyDate",
    0x420034 DIGEST "Digest",
    0x420035 DIGEST_VALUE "DigestValue",
    0x420036 ENCRYPTION_KEY_INFORMATION "EncryptionKeyInformation",
    0x420037 G "G",
    0x420038 HASHING_ALGORITHM "HashingAlgorithm",
    0x420039 INITIAL_DATE "InitialDate",
    0x42003A INITIALIZATION_VECTOR "InitializationVector",
    0x42003B ISSUER "Issuer",
    0x42003C ITERATION_COUNT "IterationCount",
    0x42003D IV_COUNTER_NONCE "IVCounterNonce",
    0x42003E J "J",
    0x42003F KEY "Key",
    0x420040 KEY_BLOCK "KeyBlock",
    0x420041 KEY_COMPRESSION_TYPE "KeyCompressionType",
    0x420042 KEY_FORMAT_TYPE "KeyFormatType",
    0x420043 KEY_MATERIAL "KeyMaterial",
    0x420044 KEY_PART_IDENTIFIER "KeyPartIdentifier",
    0x420045 KEY_VALUE "KeyValue",
    0x420046 KEY_WRAPPING_DATA "KeyWrappingData",
    0x420047 KEY_WRAPPING_SPECIFICATION "KeyWrappingSpecification",
    0x420048 LAST_CHANGE_DATE "LastChangeDate",
    0x420049 LEASE_TIME "LeaseTime",
    0x42004A LINK "Link",
    0x42004B LINK_TYPE "LinkType",
    0x42004C LINKED_OBJECT_IDENTIFIER "LinkedObjectIdentifier",
    0x42004D MAC_SIGNATURE "MACOrSignature",
    0x42004E MAC_SIGNATURE_KEY_INFORMATION "MACOrSignatureKeyInformation",
    0x42004F MAXIMUM_ITEMS "MaximumItems",
    0x420050 MAXIMUM_RESPONSE_SIZE "MaximumResponseSize",
    0x420051 MESSAGE_EXTENSION "MessageExtension",
    0x420052 MODULUS "Modulus",
    0x420053 NAME "Name",
    0x420054 NAME_TYPE "NameType",
    0x420055 NAME_VALUE "NameValue",
    0x420056 OBJECT_GROUP "ObjectGroup",
    0x420057 OBJECT_TYPE "ObjectType",
    0x420058 OFFSET "Offset",
    0x420059 OPAQUE_DATA_TYPE "OpaqueDataType",
    0x42005A OPAQUE_DATA_VALUE "OpaqueDataValue",
    0x42005B OPAQUE_OBJECT "OpaqueObject",
    0x42005C OPERATION "Operation",
    0x42005D OPERATION_POLICY_NAME "OperationPolicyName",
    0x42005E P "P",
    0x42005F PADDING_METHOD "PaddingMethod",
    0x420060 PRIME_EXPONENT_P "PrimeExponentP",
    0x420061 PRIME_EXPONENT_Q "PrimeExponentQ",
    0x420062 PRIME_FIELD_SIZE "PrimeFieldSize",
    0x420063 PRIVATE_EXPONENT "PrivateExponent",
    0x420064 PRIVATE_KEY "PrivateKey",
    0x420065 PRIVATE_KEY_TEMPLATE_ATTRIBUTE "PrivateKeyTemplateAttribute",
    0x420066 PRIVATE_KEY_UNIQUE_IDENTIFIER "PrivateKeyUniqueIdentifier",
    0x420067 PROCESS_START_DATE "ProcessStartDate",
    0x420068 PROTECT_STOP_DATE "ProtectStopDate",
    0x420069 PROTOCOL_VERSION "ProtocolVersion",
    0x42006A PROTOCOL_VERSION_MAJOR "ProtocolVersionMajor",
    0x42006B PROTOCOL_VERSION_MINOR "ProtocolVersionMinor",
    0x42006C PUBLIC_EXPONENT "PublicExponent",
    0x42006D PUBLIC_KEY "PublicKey",
    0x42006E PUBLIC_KEY_TEMPLATE_ATTRIBUTE "PublicKeyTemplateAttribute",
    0x42006F PUBLIC_KEY_UNIQUE_IDENTIFIER "PublicKeyUniqueIdentifier",
    0x420070 PUT_FUNCTION "PutFunction",
    0x420071 Q "Q",
    0x420072 Q_STRING "QString",
    0x420073 QLENGTH "Qlength",
    0x420074 QUERY_FUNCTION "QueryFunction",
    0x420075 RECOMMENDED_CURVE "RecommendedCurve",
    0x420076 REPLACED_UNIQUE_IDENTIFIER "ReplacedUniqueIdentifier",
    0x420077 REQUEST_HEADER "RequestHeader",
    0x420078 REQUEST_MESSAGE "RequestMessage",
    0x420079 REQUEST_PAYLOAD "RequestPayload",
    0x42007A RESPONSE_HEADER "ResponseHeader",
    0x42007B RESPONSE_MESSAGE "ResponseMessage",
    0x42007C RESPONSE_PAYLOAD "ResponsePayload",
    0x42007D RESULT_MESSAGE "ResultMessage",
    0x42007E RESULT_REASON "ResultReason",
    0x42007F RESULT_STATUS "ResultStatus",
    0x420080 REVOCATION_MESSAGE "RevocationMessage",
    0x420081 REVOCATION_REASON "RevocationReason",
    0x420082 REVOCATION_REASON_CODE "RevocationReasonCode",
    0x420083 KEY_ROLE_TYPE "KeyRoleType",
    0x420084 SALT "Salt",
    0x420085 SECRET_DATA "SecretData",
    0x420086 SECRET_DATA_TYPE "SecretDataType",
    0x420087 SERIAL_NUMBER "SerialNumber",
    0x420088 SERVER_INFORMATION "ServerInformation",
    0x420089 SPLIT_KEY "SplitKey",
    0x42008A SPLIT_KEY_METHOD "SplitKeyMethod",
    0x42008B SPLIT_KEY_PARTS "SplitKeyParts",
    0x42008C SPLIT_KEY_THRESHOLD "SplitKeyThreshold",
    0x42008D STATE "State",
    0x42008E STORAGE_STATUS_MASK "StorageStatusMask",
    0x42008F SYMMETRIC_KEY "SymmetricKey",
    0x420090 TEMPLATE "Template",
    0x420091 TEMPLATE_ATTRIBUTE "TemplateAttribute",
    0x420092 TIME_STAMP "TimeStamp",
    0x420093 UNIQUE_BATCH_ITEM_ID "UniqueBatchItemID",
    0x420094 UNIQUE_IDENTIFIER "UniqueIdentifier",
    0x420095 USAGE_LIMITS "UsageLimits",
    0x420096 USAGE_LIMITS_COUNT "UsageLimitsCount",
    0x420097 USAGE_LIMITS_TOTAL "UsageLimitsTotal",
    0x420098 USAGE_LIMITS_UNIT "UsageLimitsUnit",
    0x420099 USERNAME "Username",
    0x42009A VALIDITY_DATE "ValidityDate",
    0x42009B VALIDITY_INDICATOR "ValidityIndicator",
    0x42009C VENDOR_EXTENSION "VendorExtension",
    0x42009D VENDOR_IDENTIFICATION "VendorIdentification",
    0x42009E WRAPPING_METHOD "WrappingMethod",
    0x42009F X "X",
    0x4200A0 Y "Y",
    0x4200A1 PASSWORD "Password",
    0x4200A2 DEVICE_IDENTIFIER "DeviceIdentifier",
    0x4200A3 ENCODING_OPTION "EncodingOption",
    0x4200A4 EXTENSION_INFORMATION "ExtensionInformation",
    0x4200A5 EXTENSION_NAME "ExtensionName",
    0x4200A6 EXTENSION_TAG "ExtensionTag",
    0x4200A7 EXTENSION_TYPE "ExtensionType",
    0x4200A8 FRESH "Fresh",
    0x4200A9 MACHINE_IDENTIFIER "MachineIdentifier",
    0x4200AA MEDIA_IDENTIFIER "MediaIdentifier",
    0x4200AB NETWORK_IDENTIFIER "NetworkIdentifier",
    0x4200AC OBJECT_GROUP_MEMBER "ObjectGroupMember",
    0x4200AD CERTIFICATE_LENGTH "CertificateLength",
    0x4200AE DIGITAL_SIGNATURE_ALGORITHM "DigitalSignatureAlgorithm",
    0x4200AF CERTIFICATE_SERIAL_NUMBER "CertificateSerialNumber",
    0x4200B0 DEVICE_SERIAL_NUMBER "DeviceSerialNumber",
    0x4200B1 ISSUER_ALTERNATIVE_NAME "IssuerAlternativeName",
    0x4200B2 ISSUER_DISTINGUISHED_NAME "IssuerDistinguishedName",
    0x4200B3 SUBJECT_ALTERNATIVE_NAME "SubjectAlternativeName",
    0x4200B4 SUBJECT_DISTINGUISHED_NAME "SubjectDistinguishedName",
    0x4200B5 X509_CERTIFICATE_IDENTIFIER "X509CertificateIdentifier",
    0x4200B6 X509_CERTIFICATE_ISSUER "X509CertificateIssuer",
    0x4200B7 X509_CERTIFICATE_SUBJECT "X509CertificateSubject",
    0x4200B8 KEY_VALUE_LOCATION "KeyValueLocation",
    0x4200B9 KEY_VALUE_LOCATION_VALUE "KeyValueLocationValue",
    0x4200BA KEY_VALUE_LOCATION_TYPE "KeyValueLocationType",
    0x4200BB KEY_VALUE_PRESENT "KeyValuePresent",
    0x4200BC ORIGINAL_CREATION_DATE "OriginalCreationDate",
    0x4200BD PGP_KEY "PGPKey",
    0x4200BE PGP_KEY_VERSION "PGPKeyVersion",
    0x4200BF ALTERNATIVE_NAME "AlternativeName",
    0x4200C0 ALTERNATIVE_NAME_VALUE "AlternativeNameValue",
    0x4200C1 ALTERNATIVE_NAME_TYPE "AlternativeNameType",
    0x4200C2 DATA "Data",
    0x4200C3 SIGNATURE_DATA "SignatureData",
    0x4200C4 DATA_LENGTH "DataLength",
    0x4200C5 RANDOM_IV "RandomIV",
    0x4200C6 MAC_DATA "MACData",
    0x4200C7 ATTESTATION_TYPE "AttestationType",
    0x4200C8 NONCE "Nonce",
    0x4200C9 NONCE_ID "NonceID",
    0x4200CA NONCE_VALUE "NonceValue",
    0x4200CB ATTESTATION_MEASUREMENT "AttestationMeasurement",
    0x4200CC ATTESTATION_ASSERTION "AttestationAssertion",
    0x4200CD IV_LENGTH "IVLength",
    0x4200CE TAG_LENGTH "TagLength",
    0x4200CF FIXED_FIELD_LENGTH "FixedFieldLength",
    0x4200D0 COUNTER_LENGTH "CounterLength",
    0x4200D1 INITIAL_COUNTER_VALUE "InitialCounterValue",
    0x4200D2 INVOCATION_FIELD_LENGTH "InvocationFieldLength",
    0x4200D3 ATTESTATION_CAPABLE_INDICATOR "AttestationCapableIndicator",
    0x4200D4 OFFSET_ITEMS "OffsetItems",
    0x4200D5 LOCATED_ITEMS "LocatedItems",
    0x4200D6 CORRELATION_VALUE "CorrelationValue",
    0x4200D7 INIT_INDICATOR "InitIndicator",
    0x4200D8 FINAL_INDICATOR "FinalIndicator",
    0x4200D9 RNG_PARAMETERS "RNGParameters",
    0x4200DA RNG_ALGORITHM "RNGAlgorithm",
    0x4200DB DRBG_ALGORITHM "DRBGAlgorithm",
    0x4200DC FIPS186_VARIATION "FIPS186Variation",
    0x4200DD PREDICTION_RESISTANCE "PredictionResistance",
    0x4200DE RANDOM_NUMBER_GENERATOR "RandomNumberGenerator",
    0x4200DF VALIDATION_INFORMATION "ValidationInformation",
    0x4200E0 VALIDATION_AUTHORITY_TYPE "ValidationAuthorityType",
    0x4200E1 VALIDATION_AUTHORITY_COUNTRY "ValidationAuthorityCountry",
    0x4200E2 VALIDATION_AUTHORITY_URI "ValidationAuthorityURI",
    0x4200E3 VALIDATION_VERSION_MAJOR "ValidationVersionMajor",
    0x4200E4 VALIDATION_VERSION_MINOR "ValidationVersionMinor",
    0x4200E5 VALIDATION_TYPE "ValidationType",
    0x4200E6 VALIDATION_LEVEL "ValidationLevel",
    0x4200E7 VALIDATION_CERTIFICATE_IDENTIFIER "ValidationCertificateIdentifier",
    0x4200E8 VALIDATION_CERTIFICATE_URI "ValidationCertificateURI",
    0x4200E9 VALIDATION_VENDOR_URI "ValidationVendorURI",
    0x4200EA VALIDATION_PROFILE "ValidationProfile",
    0x4200EB PROFILE_INFORMATION "ProfileInformation",
    0x4200EC PROFILE_NAME "ProfileName",
    0x4200ED SERVER_URI "ServerURI",
    0x4200EE SERVER_PORT "ServerPort",
    0x4200EF STREAMING_CAPABILITY "StreamingCapability",
    0x4200F0 ASYNCHRONOUS_CAPABILITY "AsynchronousCapability",
    0x4200F1 ATTESTATION_CAPABILITY "AttestationCapability",
    0x4200F2 UNWRAP_MODE "UnwrapMode",
    0x4200F3 DESTROY_ACTION "DestroyAction",
    0x4200F4 SHREDDING_ALGORITHM "ShreddingAlgorithm",
    0x4200F5 RNG_MODE "RNGMode",
    0x4200F6 CLIENT_REGISTRATION_METHOD "ClientRegistrationMethod",
    0x4200F7 CAPABILITY_INFORMATION "CapabilityInformation",
    0x4200F8 KEY_WRAP_TYPE "KeyWrapType",
    0x4200F9 BATCH_UNDO_CAPABILITY "BatchUndoCapability",
    0x4200FA BATCH_CONTINUE_CAPABILITY "BatchContinueCapability",
    0x4200FB PKCS12_FRIENDLY_NAME "PKCS12FriendlyName",
    0x4200FC DESCRIPTION "Description",
    0x4200FD COMMENT "Comment",
    0x4200FE AUTHENTICATED_ENCRYPTION_ADDITIONAL_DATA "AuthenticatedEncryptionAdditionalData",
    0x4200FF AUTHENTICATED_ENCRYPTION_TAG "AuthenticatedEncryptionTag",
    0x420100 SALT_LENGTH "SaltLength",
    0x420101 MASK_GENERATOR "MaskGenerator",
    0x420102 MASK_GENERATOR_HASHING_ALGORITHM "MaskGeneratorHashingAlgorithm",
    0x420103 P_SOURCE "PSource",
    0x420104 TRAILER_FIELD "TrailerField",
    0x420105 CLIENT_CORRELATION_VALUE "ClientCorrelationValue",
    0x420106 SERVER_CORRELATION_VALUE "ServerCorrelationValue",
    0x420107 DIGESTED_DATA "DigestedData",
    0x420108 CERTIFICATE_SUBJECT_CN "CertificateSubjectCn",
    0x420109 CERTIFICATE_SUBJECT_O "CertificateSubjectO",
    0x42010A CERTIFICATE_SUBJECT_OU "CertificateSubjectOu",
    0x42010B CERTIFICATE_SUBJECT_EMAIL "CertificateSubjectEmail",
    0x42010C CERTIFICATE_SUBJECT_C "CertificateSubjectC",
    0x42010D CERTIFICATE_SUBJECT_ST "CertificateSubjectSt",
    0x42010E CERTIFICATE_SUBJECT_L "CertificateSubjectL",
    0x42010F CERTIFICATE_SUBJECT_UID "CertificateSubjectUid",
    0x420110 CERTIFICATE_SUBJECT_SERIAL_NUMBER "CertificateSubjectSerialNumber",
    0x420111 CERTIFICATE_SUBJECT_TITLE "CertificateSubjectTitle",
    0x420112 CERTIFICATE_SUBJECT_DC "CertificateSubjectDc",
    0x420113 CERTIFICATE_SUBJECT_DN_QUALIFIER "CertificateSubjectDnQualifier",
    0x420114 CERTIFICATE_ISSUER_CN "CertificateIssuerCn",
    0x420115 CERTIFICATE_ISSUER_O "CertificateIssuerO",
    0x420116 CERTIFICATE_ISSUER_OU "CertificateIssuerOu",
    0x420117 CERTIFICATE_ISSUER_EMAIL "CertificateIssuerEmail",
    0x420118 CERTIFICATE_ISSUER_C "CertificateIssuerC",
    0x420119 CERTIFICATE_ISSUER_ST "CertificateIssuerSt",
    0x42011A CERTIFICATE_ISSUER_L "CertificateIssuerL",
    0x42011B CERTIFICATE_ISSUER_UID "CertificateIssuerUid",
    0x42011C CERTIFICATE_ISSUER_SERIAL_NUMBER "CertificateIssuerSerialNumber",
    0x42011D CERTIFICATE_ISSUER_TITLE "CertificateIssuerTitle",
    0x42011E CERTIFICATE_ISSUER_DC "CertificateIssuerDc",
    0x42011F CERTIFICATE_ISSUER_DN_QUALIFIER "CertificateIssuerDnQualifier",
    0x420120 SENSITIVE "Sensitive",
    0x420121 ALWAYS_SENSITIVE "AlwaysSensitive",
    0x420122 EXTRACTABLE "Extractable",
    0x420123 NEVER_EXTRACTABLE "NeverExtractable",
    0x420124 REPLACE_EXISTING "ReplaceExisting",
    0x420125 ATTRIBUTES "Attributes",
    0x420126 COMMON_ATTRIBUTES "CommonAttributes",
    0x420127 PRIVATE_KEY_ATTRIBUTES "PrivateKeyAttributes",
    0x420128 PUBLIC_KEY_ATTRIBUTES "PublicKeyAttributes",
    0x420129 EXTENSION_ENUMERATION "ExtensionEnumeration",
    0x42012A EXTENSION_ATTRIBUTE "ExtensionAttribute",
    0x42012B EXTENSION_PARENT_STRUCTURE_TAG "ExtensionParentStructureTag",
    0x42012C EXTENSION_DESCRIPTION "ExtensionDescription",
    0x42012D SERVER_NAME "ServerName",
    0x42012E SERVER_SERIAL_NUMBER "ServerSerialNumber",
    0x42012F SERVER_VERSION "ServerVersion",
    0x420130 SERVER_LOAD "ServerLoad",
    0x420131 PRODUCT_NAME "ProductName",
    0x420132 BUILD_LEVEL "BuildLevel",
    0x420133 BUILD_DATE "BuildDate",
    0x420134 CLUSTER_INFO "ClusterInfo",
    0x420135 ALTERNATE_FAILOVER_ENDPOINTS "AlternateFailoverEndpoints",
    0x420136 SHORT_UNIQUE_IDENTIFIER "ShortUniqueIdentifier",
    0x420138 TAG "Tag",
    0x420139 CERTIFICATE_REQUEST_UNIQUE_IDENTIFIER "CertificateRequestUniqueIdentifier",
    0x42013A NIST_KEY_TYPE "NISTKeyType",
    0x42013B ATTRIBUTE_REFERENCE "AttributeReference",
    0x42013C CURRENT_ATTRIBUTE "CurrentAttribute",
    0x42013D NEW_ATTRIBUTE "NewAttribute",
    0x420140 CERTIFICATE_REQUEST_VALUE "CertificateRequestValue",
    0x420141 LOG_MESSAGE "LogMessage",
    0x420142 PROFILE_VERSION "ProfileVersion",
    0x420143 PROFILE_VERSION_MAJOR "ProfileVersionMajor",
    0x420144 PROFILE_VERSION_MINOR "ProfileVersionMinor",
    0x420145 PROTECTION_LEVEL "ProtectionLevel",
    0x420146 PROTECTION_PERIOD "ProtectionPeriod",
    0x420147 QUANTUM_SAFE "QuantumSafe",
    0x420148 QUANTUM_SAFE_CAPABILITY "QuantumSafeCapability",
    0x420149 TICKET "Ticket",
    0x42014A TICKET_TYPE "TicketType",
    0x42014B TICKET_VALUE "TicketValue",
    0x42014C REQUEST_COUNT "RequestCount",
    0x42014D RIGHTS "Rights",
    0x42014E OBJECTS "Objects",
    0x42014F OPERATIONS "Operations",
    0x420150 RIGHT "Right",
    0x420151 ENDPOINT_ROLE "EndpointRole",
    0x420152 DEFAULTS_INFORMATION "DefaultsInformation",
    0x420153 OBJECT_DEFAULTS "ObjectDefaults",
    0x420154 EPHEMERAL "Ephemeral",
    0x420155 SERVER_HASHED_PASSWORD "ServerHashedPassword",
    0x420156 ONE_TIME_PASSWORD "OneTimePassword",
    0x420157 HASHED_PASSWORD "HashedPassword",
    0x420158 ADJUSTMENT_TYPE "AdjustmentType",
    0x420159 PKCS11_INTERFACE "PKCS11Interface",
    0x42015A PKCS11_FUNCTION "PKCS11Function",
    0x42015B PKCS11_INPUT_PARAMETERS "PKCS11InputParameters",
    0x42015C PKCS11_OUTPUT_PARAMETERS "PKCS11OutputParameters",
    0x42015D PKCS11_RETURN_CODE "PKCS11ReturnCode",
    0x42015E PROTECTION_STORAGE_MASK "ProtectionStorageMask",
    0x42015F PROTECTION_STORAGE_MASKS "ProtectionStorageMasks",
    0x420160 INTEROP_FUNCTION "InteropFunction",
    0x420161 INTEROP_IDENTIFIER "InteropIdentifier",
    0x420162 ADJUSTMENT_VALUE "AdjustmentValue",
    0x420163 COMMON_PROTECTION_STORAGE_MASKS "CommonProtectionStorageMasks",
    0x420164 PRIVATE_PROTECTION_STORAGE_MASKS "PrivateProtectionStorageMasks",
    0x420165 PUBLIC_PROTECTION_STORAGE_MASKS "PublicProtectionStorageMasks",
    0x420166 OBJECT_GROUPS "ObjectGroups",
    0x420167 OBJECT_TYPES "ObjectTypes",
    0x420168 CONSTRAINTS "Constraints",
    0x420169 CONSTRAINT "Constraint",
    0x42016A ROTATE_INTERVAL "RotateInterval",
    0x42016B ROTATE_AUTOMATIC "RotateAutomatic",
    0x42016C ROTATE_OFFSET "RotateOffset",
    0x42016D ROTATE_DATE "RotateDate",
    0x42016E ROTATE_GENERATION "RotateGeneration",
    0x42016F ROTATE_NAME "RotateName",
    0x420170 ROTATE_NAME_VALUE "RotateNameValue",
    0x420171 ROTATE_NAME_TYPE "RotateNameType",
    0x420172 ROTATE_LATEST "RotateLatest",
    0x420173 ASYNCHRONOUS_REQUEST "AsynchronousRequest",
    0x420174 SUBMISSION_DATE "SubmissionDate",
    0x420175 PROCESSING_STAGE "ProcessingStage",
    0x420176 ASYNCHRONOUS_CORRELATION_VALUES "AsynchronousCorrelationValues",
}
// What the two clients send and the specification gives no code: in the range that it leaves to vendors.
extension {
    0x54A000 OBJECT "Object",
    0x54A001 CASCADE "Cascade",
    0x54A002 REMOVE "Remove",
    0x54A003 EXPECTED_OBJECT_TYPE "ExpectedObjectType",
    0x54A004 OBJECT_UNIQUE_IDENTIFIER "ObjectUniqueIdentifier",
    0x54A005 AMOUNT_OF_SEED_DATA "AmountOfSeedData",
    0x54A006 CERTIFICATE_ATTRIBUTES "CertificateAttributes",
}
}

/// Other spellings of the two dialects.
const ALIASES: &[(&str, Tag)] = &[
    ("AttributeReferences", Tag::ATTRIBUTE_REFERENCE),
    ("CertificateIssuerCN", Tag::CERTIFICATE_ISSUER_CN),
    ("CertificateIssuerDC", Tag::CERTIFICATE_ISSUER_DC),
    ("CertificateIssuerDNQualifier", Tag::CERTIFICATE_ISSUER_DN_QUALIFIER),
    ("CertificateIssuerOU", Tag::CERTIFICATE_ISSUER_OU),
    ("CertificateIssuerST", Tag::CERTIFICATE_ISSUER_ST),
    ("CertificateIssuerUID", Tag::CERTIFICATE_ISSUER_UID),
    ("CertificateSubjectCN", Tag::CERTIFICATE_SUBJECT_CN),
    ("CertificateSubjectDC", Tag::CERTIFICATE_SUBJECT_DC),
    ("CertificateSubjectDNQualifier", Tag::CERTIFICATE_SUBJECT_DN_QUALIFIER),
    ("CertificateSubjectOU", Tag::CERTIFICATE_SUBJECT_OU),
    ("CertificateSubjectST", Tag::CERTIFICATE_SUBJECT_ST),
    ("CertificateSubjectUID", Tag::CERTIFICATE_SUBJECT_UID),
    ("Header", Tag::REQUEST_HEADER),
    ("Items", Tag::BATCH_ITEM),
    ("IvCounterNonce", Tag::IV_COUNTER_NONCE),
    ("MACSignature", Tag::MAC_SIGNATURE),
    ("MACSignatureKeyInformation", Tag::MAC_SIGNATURE_KEY_INFORMATION),
    ("Message", Tag::REQUEST_MESSAGE),
    ("QLength", Tag::QLENGTH),
    ("Timestamp", Tag::TIME_STAMP),
    ("UniqueBatchItemId", Tag::UNIQUE_BATCH_ITEM_ID),
    ("VendorAttributes", Tag::ATTRIBUTE),
];

const ENTRIES: [(&str, Tag); NAMED.len() + ALIASES.len()] = {
    let mut entries = [("", Tag(0)); NAMED.len() + ALIASES.len()];
    let mut at = 0;
    while at < entries.len() {
        entries[at] = if at < NAMED.len() { NAMED[at] } else { ALIASES[at - NAMED.len()] };
        at += 1;
    }
    entries
};

static SLOTS: [u16; names::slot_count(ENTRIES.len())] = names::slots(&ENTRIES);
static NAMES: Names<Tag> = Names::new(&ENTRIES, &SLOTS);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_and_every_code_named() {
        for &(name, tag) in NAMED {
            assert_eq!(Tag::from_name(name), Some(tag), "{name}");
            assert_eq!(tag.name(), Some(name));
        }
        for &(name, tag) in ALIASES {
            assert_eq!(Tag::from_name(name), Some(tag), "{name}");
        }
        assert_eq!(Tag::from_name("0x420094"), Some(Tag::UNIQUE_IDENTIFIER));
        assert_eq!(Tag::from_name("0x54FFFF"), Some(Tag(0x54_FFFF)));
        for unknown in ["", "Foo", "uniqueidentifier", "0x42", "0x+20094", "0x4200941", "0x530000"] {
            assert_eq!(Tag::from_name(unknown), None, "{unknown}");
        }
        assert_eq!(Tag(0x42_0009 - 9).name(), None);
        assert_eq!(Tag(u32::MAX).name(), None);
    }

    #[test]
    fn no_name_is_far_from_its_slot() {
        assert!(NAMES.distance_max() < 16, "{}", NAMES.distance_max());
    }
}
