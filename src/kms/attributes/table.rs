//! What KMIP says of each attribute (KMIP 2.1 section 4): its type, how many values it may have, and what a client may
//! do with it. All that is decided about attributes is decided by this table; what is not in it is kept as it came.
#![forbid(unsafe_code)]

use super::super::fields::Fields;
use super::super::refusal::Refusal;
use super::super::state::State;
use super::kind::{self, Kind};
use crate::wire::ttlv::{Item, Tag};
use Client::{Always, Never, Once, While};
use Instances::{Many, One};
use Kind::{Boolean, Bytes, Date, Either, Enumeration, Identifier, Integer, Interval, Structure, Text};

/// What KMIP says of one attribute.
pub struct Rule {
    /// The attribute.
    pub tag: Tag,
    /// The type of its values.
    pub kind: Kind,
    /// How many values an object may have.
    pub instances: Instances,
    /// When a client may set it.
    pub client: Client,
    /// Whether a client may take it away.
    pub deletable: bool,
}

/// How many values of an attribute one object may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instances {
    /// At most one.
    One,
    /// Any number.
    Many,
}

/// When a client may set an attribute. What it may set at all, it may set when the object is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// The server alone does.
    Never,
    /// As long as it has no value.
    Once,
    /// While the object is in one of these states, which refusals call by the name given.
    While(&'static [State], &'static str),
    /// At any time.
    Always,
}

const PRE_ACTIVE: Client = While(&[State::PreActive], "Pre-Active");
const IN_USE: Client = While(&[State::PreActive, State::Active], "Pre-Active or Active");

const DELETABLE: bool = true;
const KEPT: bool = false;

/// In the order of the specification.
#[rustfmt::skip]
const TABLE: [Rule; 63] = [
    rule(Tag::ACTIVATION_DATE, Date, One, PRE_ACTIVE, KEPT),
    rule(Tag::ALTERNATIVE_NAME, Structure(&kind::ALTERNATIVE_NAME), Many, Always, DELETABLE),
    rule(Tag::ALWAYS_SENSITIVE, Boolean, One, Never, KEPT),
    rule(Tag::APPLICATION_SPECIFIC_INFORMATION, Structure(&kind::APPLICATION_SPECIFIC_INFORMATION), Many, Always, DELETABLE),
    rule(Tag::ARCHIVE_DATE, Date, One, Never, KEPT),
    rule(Tag::CERTIFICATE_ATTRIBUTES, Structure(&[]), One, Never, KEPT),
    rule(Tag::CERTIFICATE_TYPE, Enumeration, One, Never, KEPT),
    rule(Tag::CERTIFICATE_LENGTH, Integer, One, Never, KEPT),
    rule(Tag::COMMENT, Text, One, Always, DELETABLE),
    rule(Tag::COMPROMISE_DATE, Date, One, Never, KEPT),
    rule(Tag::COMPROMISE_OCCURRENCE_DATE, Date, One, Never, KEPT),
    rule(Tag::CONTACT_INFORMATION, Text, One, Always, DELETABLE),
    rule(Tag::CRYPTOGRAPHIC_ALGORITHM, Enumeration, One, Once, KEPT),
    rule(Tag::CRYPTOGRAPHIC_DOMAIN_PARAMETERS, Structure(&kind::CRYPTOGRAPHIC_DOMAIN_PARAMETERS), One, Once, KEPT),
    rule(Tag::CRYPTOGRAPHIC_LENGTH, Integer, One, Once, KEPT),
    rule(Tag::CRYPTOGRAPHIC_PARAMETERS, Structure(&kind::CRYPTOGRAPHIC_PARAMETERS), Many, Always, DELETABLE),
    rule(Tag::CRYPTOGRAPHIC_USAGE_MASK, Integer, One, Always, KEPT),
    rule(Tag::DEACTIVATION_DATE, Date, One, IN_USE, KEPT),
    rule(Tag::DESCRIPTION, Text, One, Always, DELETABLE),
    rule(Tag::DESTROY_DATE, Date, One, Never, KEPT),
    rule(Tag::DIGEST, Structure(&kind::DIGEST), Many, Never, KEPT),
    rule(Tag::DIGITAL_SIGNATURE_ALGORITHM, Enumeration, Many, Never, KEPT),
    rule(Tag::EXTRACTABLE, Boolean, One, Always, KEPT),
    rule(Tag::FRESH, Boolean, One, Never, KEPT),
    rule(Tag::INITIAL_DATE, Date, One, Never, KEPT),
    rule(Tag::KEY_FORMAT_TYPE, Enumeration, One, Never, KEPT),
    rule(Tag::KEY_VALUE_LOCATION, Structure(&kind::KEY_VALUE_LOCATION), Many, Always, DELETABLE),
    rule(Tag::KEY_VALUE_PRESENT, Boolean, One, Never, KEPT),
    rule(Tag::LAST_CHANGE_DATE, Date, One, Never, KEPT),
    rule(Tag::LEASE_TIME, Interval, One, Never, KEPT),
    rule(Tag::LINK, Structure(&kind::LINK), Many, Always, DELETABLE),
    rule(Tag::NAME, Structure(&kind::NAME), Many, Always, DELETABLE),
    rule(Tag::NEVER_EXTRACTABLE, Boolean, One, Never, KEPT),
    rule(Tag::NIST_KEY_TYPE, Enumeration, One, Once, KEPT),
    rule(Tag::OBJECT_GROUP, Text, Many, Always, DELETABLE),
    rule(Tag::OBJECT_TYPE, Enumeration, One, Never, KEPT),
    rule(Tag::OPAQUE_DATA_TYPE, Enumeration, One, Never, KEPT),
    rule(Tag::ORIGINAL_CREATION_DATE, Date, One, Never, KEPT),
    rule(Tag::PKCS12_FRIENDLY_NAME, Text, One, Always, DELETABLE),
    rule(Tag::PROCESS_START_DATE, Date, One, IN_USE, KEPT),
    rule(Tag::PROTECT_STOP_DATE, Date, One, IN_USE, KEPT),
    rule(Tag::PROTECTION_LEVEL, Enumeration, One, Once, KEPT),
    rule(Tag::PROTECTION_PERIOD, Interval, One, Once, KEPT),
    rule(Tag::PROTECTION_STORAGE_MASK, Integer, One, Never, KEPT),
    rule(Tag::QUANTUM_SAFE, Boolean, One, Once, KEPT),
    rule(Tag::RANDOM_NUMBER_GENERATOR, Structure(&kind::RANDOM_NUMBER_GENERATOR), One, Never, KEPT),
    rule(Tag::REVOCATION_REASON, Structure(&kind::REVOCATION_REASON), One, Never, KEPT),
    rule(Tag::ROTATE_AUTOMATIC, Boolean, One, Always, DELETABLE),
    rule(Tag::ROTATE_DATE, Date, One, Never, KEPT),
    rule(Tag::ROTATE_GENERATION, Integer, One, Never, KEPT),
    rule(Tag::ROTATE_INTERVAL, Interval, One, Always, DELETABLE),
    rule(Tag::ROTATE_LATEST, Boolean, One, Never, KEPT),
    rule(Tag::ROTATE_NAME, Either(&Text, &Structure(&kind::ROTATE_NAME)), One, Always, DELETABLE),
    rule(Tag::ROTATE_OFFSET, Interval, One, Always, DELETABLE),
    rule(Tag::SENSITIVE, Boolean, One, Always, KEPT),
    rule(Tag::SHORT_UNIQUE_IDENTIFIER, Either(&Text, &Bytes), One, Never, KEPT),
    rule(Tag::STATE, Enumeration, One, Never, KEPT),
    rule(Tag::UNIQUE_IDENTIFIER, Identifier, One, Never, KEPT),
    rule(Tag::USAGE_LIMITS, Structure(&kind::USAGE_LIMITS), One, Always, DELETABLE),
    rule(Tag::ATTRIBUTE, Structure(&kind::VENDOR_ATTRIBUTE), Many, Always, DELETABLE),
    rule(Tag::X509_CERTIFICATE_IDENTIFIER, Structure(&[]), One, Never, KEPT),
    rule(Tag::X509_CERTIFICATE_ISSUER, Structure(&[]), One, Never, KEPT),
    rule(Tag::X509_CERTIFICATE_SUBJECT, Structure(&[]), One, Never, KEPT),
];

const fn rule(tag: Tag, kind: Kind, instances: Instances, client: Client, deletable: bool) -> Rule {
    Rule { tag, kind, instances, client, deletable }
}

/// What KMIP says of this attribute; `None` where it knows none of that tag.
pub fn rule_of(tag: Tag) -> Option<&'static Rule> {
    TABLE.iter().find(|rule| rule.tag == tag)
}

/// How many values of this attribute an object may have.
pub fn instances(tag: Tag) -> Instances {
    rule_of(tag).map_or(One, |rule| rule.instances)
}

/// Refuses a value that is not of its attribute's type. `fields` is where it stands.
pub fn check(fields: Fields<'_>, item: &Item<'_>) -> Result<(), Refusal> {
    match rule_of(item.tag) {
        Some(rule) => rule.kind.check(fields, item),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The titles of KMIP 2.1 sections 4.1 to 4.63, as JSON spells them; a vendor attribute is an `Attribute`.
    const SECTIONS: [&str; 63] = [
        "ActivationDate",
        "AlternativeName",
        "AlwaysSensitive",
        "ApplicationSpecificInformation",
        "ArchiveDate",
        "CertificateAttributes",
        "CertificateType",
        "CertificateLength",
        "Comment",
        "CompromiseDate",
        "CompromiseOccurrenceDate",
        "ContactInformation",
        "CryptographicAlgorithm",
        "CryptographicDomainParameters",
        "CryptographicLength",
        "CryptographicParameters",
        "CryptographicUsageMask",
        "DeactivationDate",
        "Description",
        "DestroyDate",
        "Digest",
        "DigitalSignatureAlgorithm",
        "Extractable",
        "Fresh",
        "InitialDate",
        "KeyFormatType",
        "KeyValueLocation",
        "KeyValuePresent",
        "LastChangeDate",
        "LeaseTime",
        "Link",
        "Name",
        "NeverExtractable",
        "NISTKeyType",
        "ObjectGroup",
        "ObjectType",
        "OpaqueDataType",
        "OriginalCreationDate",
        "PKCS12FriendlyName",
        "ProcessStartDate",
        "ProtectStopDate",
        "ProtectionLevel",
        "ProtectionPeriod",
        "ProtectionStorageMask",
        "QuantumSafe",
        "RandomNumberGenerator",
        "RevocationReason",
        "RotateAutomatic",
        "RotateDate",
        "RotateGeneration",
        "RotateInterval",
        "RotateLatest",
        "RotateName",
        "RotateOffset",
        "Sensitive",
        "ShortUniqueIdentifier",
        "State",
        "UniqueIdentifier",
        "UsageLimits",
        "Attribute",
        "X509CertificateIdentifier",
        "X509CertificateIssuer",
        "X509CertificateSubject",
    ];

    #[test]
    fn every_attribute_of_the_specification_is_in_the_table() {
        assert_eq!(TABLE.each_ref().map(|rule| rule.tag.name().unwrap()), SECTIONS);
    }

    #[test]
    fn dates_are_dates_and_what_only_the_server_sets_stays() {
        for rule in &TABLE {
            assert_eq!(rule.tag.is_date(), matches!(rule.kind, Date), "{:?}", rule.tag.name());
            assert!(rule.client != Never || !rule.deletable, "{:?}", rule.tag.name());
        }
    }
}
