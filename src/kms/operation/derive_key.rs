//! Derive Key (KMIP 2.1 section 6.1.10): a key or secret that another one and public data determine.
#![forbid(unsafe_code)]

use super::super::attributes::{self, Template};
use super::super::cipher::parameters::{self, Parameters};
use super::super::cipher::{self, Purpose};
use super::super::fields::Fields;
use super::super::managed::{self, Content};
use super::super::object::Object;
use super::super::refusal::{Failure, Refusal};
use super::super::rights::Rights;
use super::super::state::State;
use super::super::symmetric;
use super::super::target::Target;
use super::super::view::{Change, Changes, StoreError};
use super::super::wrapping;
use super::{Context, Effect, Operation};
use crate::crypto::hash::Hash;
use crate::crypto::kdf;
use crate::crypto::mac::Mac;
use crate::entropy::{Entropy, uuid_v7};
use crate::limits;
use crate::secret::Buffer;
use crate::time::Timestamp;
use crate::wire::kmip::dialect::Dialect;
use crate::wire::kmip::enumeration::{
    cryptographic_algorithm, derivation_method, key_format_type, link_type, object_type, secret_data_type,
    usage_mask,
};
use crate::wire::ttlv::{Item, Tag, binary};

/// The request, and from `prepare` on the identifier of the new object.
pub struct DeriveKey<'r> {
    base: Target<'r>,
    /// Secret data that is the derivation data.
    data_object: Option<Target<'r>>,
    object_type: u32,
    derivation: Derivation<'r>,
    algorithm: u32,
    length_bits: u32,
    template: Template<'r>,
    dialect: Dialect,
    uid: String,
}

/// How the new bytes come out of those of the base.
struct Derivation<'r> {
    method: Method,
    /// That of the pseudorandom function; where it is not said, the base says it.
    hash: Option<Hash>,
    salt: &'r [u8],
    /// What tells several derivations from one base apart.
    data: Option<&'r [u8]>,
    iterations: usize,
}

/// KMIP 2.1 section 11.12.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    Pbkdf2,
    Hash,
    Hmac,
    CounterMode,
    Hkdf,
}

impl<'r> Operation<'r> for DeriveKey<'r> {
    const NAME: &'static str = "DeriveKey";
    const EFFECT: Effect = Effect::Writes;
    const MAKES_OBJECTS: bool = true;
    type Found = ();

    fn decode(fields: Fields<'r>, dialect: Dialect) -> Result<Self, Refusal> {
        let object_type = fields.enumeration(Tag::OBJECT_TYPE)?;
        let object_type = fields.required(Tag::OBJECT_TYPE, object_type)?;
        if !matches!(object_type, object_type::SYMMETRIC_KEY | object_type::SECRET_DATA) {
            return Err(fields.refuse(Tag::OBJECT_TYPE, "must be SymmetricKey or SecretData"));
        }
        let attributes = fields.structure(Tag::ATTRIBUTES)?;
        let template = Template::decode(fields.required(Tag::ATTRIBUTES, attributes)?)?;
        // A length decides what is derived: there is none to assume.
        let length_bits = template
            .length_bits
            .ok_or_else(|| Refusal::invalid("DeriveKey: the Attributes must hold a CryptographicLength"))?;
        let algorithm = match (object_type, template.algorithm) {
            (object_type::SECRET_DATA, _) => 0,
            (_, algorithm) => algorithm.unwrap_or(cryptographic_algorithm::AES),
        };
        symmetric::length_bytes(algorithm, length_bits)?;
        // `ckms` names the base apart; KMIP, as every other object, and perhaps another one that is the data. Neither is an
        // item before this one in a batch.
        let (base, data_object) = match fields.text(Tag::OBJECT_UNIQUE_IDENTIFIER)? {
            Some(uid) if !uid.is_empty() => (Some(uid), None),
            _ => {
                let mut uids = fields.texts(Tag::UNIQUE_IDENTIFIER)?.into_iter();
                let found = (uids.next(), uids.next());
                if uids.next().is_some() {
                    return Err(fields.refuse(Tag::UNIQUE_IDENTIFIER, "may be given twice at most"));
                }
                found
            }
        };
        let base = fields.required(Tag::UNIQUE_IDENTIFIER, base.filter(|uid| !uid.is_empty()))?;
        let derivation = Derivation::decode(fields)?;
        if data_object.is_some() && derivation.data.is_some() {
            let rule = "must be absent where a second UniqueIdentifier names it";
            return Err(fields.refuse(Tag::DERIVATION_DATA, rule));
        }
        Ok(DeriveKey {
            base: Target::parse(base)?,
            data_object: data_object.map(Target::parse).transpose()?,
            object_type,
            derivation,
            algorithm,
            length_bits,
            template,
            dialect,
            uid: String::new(),
        })
    }

    fn prepare(&mut self, entropy: &mut dyn Entropy, _now: Timestamp) -> Result<(), Refusal> {
        self.uid = match self.template.uid {
            Some(uid) if !uid.is_empty() => managed::checked_uid(uid)?.to_owned(),
            _ => uuid_v7(entropy),
        };
        Ok(())
    }

    fn execute(&mut self, context: &Context<'_>) -> Result<((), Changes), Failure> {
        let usage = cipher::Usage {
            operation: "DeriveKey",
            right: Rights::DERIVE_KEY,
            mask: usage_mask::DERIVE_KEY as u32,
            usable: |state| state == State::Active,
            usable_names: "Active",
            purpose: Purpose::Protects,
        };
        let base = cipher::find_key(&self.base, context, usage)?;
        if !matches!(base.object().object_type, object_type::SYMMETRIC_KEY | object_type::SECRET_DATA) {
            let uid = &base.object().uid;
            return Err(Refusal::NotSupported(format!(
                "DeriveKey: {uid} is no symmetric key, and no secret data"
            ))
            .into());
        }
        let data_object = self.data_object.as_ref().map(|data| cipher::find_key(data, context, usage));
        let data_object = data_object.transpose()?;
        let data = match &data_object {
            None => self.derivation.data.unwrap_or_default(),
            Some(data) if data.object().object_type == object_type::SECRET_DATA => data.material(),
            Some(data) => {
                let uid = &data.object().uid;
                return Err(Refusal::invalid(format!(
                    "DeriveKey: {uid}, the derivation data, is no SecretData"
                ))
                .into());
            }
        };
        if context.view.object(&self.uid)?.is_some() {
            return Err(Refusal::AlreadyExists.into());
        }
        let bytes = self.length_bits as usize / 8;
        let of_base = parameters::hash_of_hmac(base.object().algorithm);
        let hash = self.derivation.hash.or(of_base).unwrap_or(Hash::Sha256);
        self.derivation.check(hash, bytes)?;
        context.effort.derive(self.derivation.rounds(hash, data, bytes))?;
        let material = self.derivation.derive(hash, base.material(), data, bytes)?;
        let mut derived = self.new_object(&material, context)?;
        link(&mut derived, link_type::DERIVATION_BASE_OBJECT_LINK, &base.object().uid, context.now)?;
        let mut changes = vec![];
        let mut base = base.into_object();
        if link(&mut base, link_type::DERIVED_KEY_LINK, &derived.uid, context.now)? {
            changes.push(Change::Replace(base));
        }
        changes.push(Change::Insert(derived));
        Ok(((), changes))
    }

    fn finish(
        self,
        (): (),
        _entropy: &mut dyn Entropy,
        reply: &mut dyn FnMut(&[Item<'_>]),
    ) -> Result<(), Failure> {
        reply(&[Item::text(Tag::UNIQUE_IDENTIFIER, self.uid)]);
        Ok(())
    }
}

impl DeriveKey<'_> {
    fn new_object(&self, material: &[u8], context: &Context<'_>) -> Result<Object, Failure> {
        let is_key = self.object_type == object_type::SYMMETRIC_KEY;
        let mut content = Content::bare(self.object_type, key_format_type::RAW, material);
        content.algorithm = is_key.then_some(self.algorithm);
        content.length_bits = Some(self.length_bits);
        content.kind = (!is_key).then(|| Item::enumeration(Tag::SECRET_DATA_TYPE, secret_data_type::SEED));
        let (uid, template) = (self.uid.clone(), &self.template);
        let mut object = managed::new_object(uid, &content, template, self.dialect, context.now)?;
        object.owner = context.principal.0.clone();
        if let Some(kek) = template.wrapping_key {
            wrapping::wrap_at_rest(&mut object, kek, context)?;
        }
        Ok(object)
    }
}

impl<'r> Derivation<'r> {
    fn decode(fields: Fields<'r>) -> Result<Derivation<'r>, Refusal> {
        let method = fields.enumeration(Tag::DERIVATION_METHOD)?;
        let method = match fields.required(Tag::DERIVATION_METHOD, method)? {
            derivation_method::PBKDF2 => Method::Pbkdf2,
            derivation_method::HASH => Method::Hash,
            derivation_method::HMAC => Method::Hmac,
            derivation_method::NIST800_108_C => Method::CounterMode,
            derivation_method::HKDF => Method::Hkdf,
            _ => {
                return Err(Refusal::NotSupported(
                    "DeriveKey: the DerivationMethods are PBKDF2, HASH, HMAC, NIST800108C and HKDF".into(),
                ));
            }
        };
        let given = fields.structure(Tag::DERIVATION_PARAMETERS)?;
        let given = fields.required(Tag::DERIVATION_PARAMETERS, given)?;
        let parameters = Parameters::of_request(given)?.unwrap_or_default();
        let of_hmac = |code| {
            parameters::hash_of_hmac(code).ok_or_else(|| {
                let rule = "must be that of an HMAC: it is the pseudorandom function";
                given.refuse(Tag::CRYPTOGRAPHIC_ALGORITHM, rule)
            })
        };
        let of_algorithm = parameters.algorithm.map(of_hmac).transpose()?;
        let hash = parameters.hash.map(parameters::hash).transpose()?;
        if hash.is_some() && of_algorithm.is_some_and(|other| Some(other) != hash) {
            let rule = "must be that of the CryptographicAlgorithm";
            return Err(given.refuse(Tag::HASHING_ALGORITHM, rule));
        }
        let data = given.bytes(Tag::DERIVATION_DATA)?;
        if given.items().iter().filter(|item| item.tag == Tag::DERIVATION_DATA).count() > 1 {
            return Err(given.refuse(Tag::DERIVATION_DATA, "may be given once"));
        }
        let salt = given.bytes(Tag::SALT)?.unwrap_or_default();
        let iterations = given.count(Tag::ITERATION_COUNT)?;
        if method == Method::Pbkdf2 {
            given.required(Tag::SALT, (!salt.is_empty()).then_some(()))?;
            given.required(Tag::ITERATION_COUNT, iterations)?;
        }
        Ok(Derivation {
            method,
            hash: hash.or(of_algorithm),
            salt,
            data,
            iterations: iterations.unwrap_or_default(),
        })
    }

    /// Whether so many bytes can be derived, and in the time that there is: everybody's changes wait meanwhile.
    fn check(&self, hash: Hash, bytes: usize) -> Result<(), Refusal> {
        let most = match self.method {
            Method::Pbkdf2 => {
                let rounds = kdf::pbkdf2_rounds(hash, self.iterations, bytes);
                if self.iterations == 0 || rounds > limits::DERIVATION_ROUNDS_MAX {
                    return Err(Refusal::invalid(format!(
                        "DeriveKey: IterationCount must be 1 to {} for a key of this length",
                        limits::DERIVATION_ROUNDS_MAX / bytes.div_ceil(hash.bytes()).max(1)
                    )));
                }
                usize::MAX
            }
            Method::Hash | Method::Hmac => hash.bytes(),
            Method::CounterMode | Method::Hkdf => 255 * hash.bytes(),
        };
        if bytes > most {
            return Err(Refusal::invalid(format!(
                "DeriveKey: CryptographicLength may be {} at most with this DerivationMethod and HashingAlgorithm",
                most * 8
            )));
        }
        Ok(())
    }

    /// How long that takes, in HMACs of a short text.
    fn rounds(&self, hash: Hash, data: &[u8], bytes: usize) -> usize {
        /// A text of so many bytes takes twice as long as an empty one.
        const TEXT_BYTES: usize = 512;
        let text = 1 + data.len() / TEXT_BYTES;
        match self.method {
            Method::Pbkdf2 => kdf::pbkdf2_rounds(hash, self.iterations, bytes),
            Method::Hash | Method::Hmac => text,
            Method::CounterMode | Method::Hkdf => bytes.div_ceil(hash.bytes()).saturating_mul(text),
        }
    }

    fn derive(&self, hash: Hash, base: &[u8], data: &[u8], bytes: usize) -> Result<Buffer, Refusal> {
        let derived = match self.method {
            Method::Pbkdf2 => kdf::pbkdf2(hash, base, self.salt, self.iterations, bytes),
            Method::Hkdf => kdf::hkdf(hash, base, self.salt, data, bytes),
            Method::CounterMode => kdf::counter_mode(hash, base, data, bytes),
            Method::Hash => {
                let input = Buffer::new([base, data].concat());
                Some(Buffer::new(hash.digest(&input)))
            }
            Method::Hmac => Mac::hmac(hash, base).map(|mut mac| {
                mac.update(data);
                Buffer::new(mac.finish())
            }),
        };
        let mut derived =
            derived.ok_or_else(|| Refusal::invalid("DeriveKey: nothing can be derived from an empty key"))?;
        derived.truncate(bytes);
        Ok(derived)
    }
}

/// Links an object to another; false where it has as many links as it may. Then only the derived object, which has but one
/// base, tells of the two: a base must not grow with each key that is derived from it.
fn link(object: &mut Object, kind: u32, other: &str, now: Timestamp) -> Result<bool, Failure> {
    let before = object.attributes.clone();
    let corrupt = |error| StoreError::Corrupt(format!("the attributes of object {}: {error}", object.uid));
    let mut links = binary::decode(&before).map_err(corrupt)?;
    links.retain(|item| item.tag == Tag::LINK);
    if links.len() >= limits::LINKS_MAX {
        return Ok(false);
    }
    links.push(Item::structure(
        Tag::LINK,
        vec![Item::enumeration(Tag::LINK_TYPE, kind), Item::text(Tag::LINKED_OBJECT_IDENTIFIER, other)],
    ));
    attributes::set(object, links, now)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::material::Material;
    use crate::kms::operation::tests::{Trial, key, structure, uid};

    /// A key of 256 bits from "k", with a salt.
    fn request(method: u32) -> [Item<'static>; 5] {
        let parameters = [
            structure(Tag::CRYPTOGRAPHIC_PARAMETERS, [Item::enumeration(Tag::HASHING_ALGORITHM, 6)]),
            Item::bytes(Tag::SALT, &b"salt"[..]),
            Item::integer(Tag::ITERATION_COUNT, 4096),
        ];
        [
            uid("k"),
            Item::enumeration(Tag::OBJECT_TYPE, object_type::SYMMETRIC_KEY),
            Item::enumeration(Tag::DERIVATION_METHOD, method),
            structure(Tag::DERIVATION_PARAMETERS, parameters),
            structure(Tag::ATTRIBUTES, [Item::integer(Tag::CRYPTOGRAPHIC_LENGTH, 256)]),
        ]
    }

    fn base() -> Object {
        Object { material: Material::copy_of(b"password"), ..key("k") }
    }

    #[test]
    fn the_same_comes_of_the_same_and_both_know_of_each_other() {
        let mut kms = Trial::over([base()]);
        // The PBKDF2 of "password" and "salt" with SHA-256, 4096 times (RFC 7914 has others; these are widely published).
        let known = "c5e478d59288c841aa530db6845c4c8d962893a001ce4e11a4963873aa98134a";
        let answer = kms.ask("DeriveKey", &request(derivation_method::PBKDF2)).unwrap();
        let derived = kms.object(answer[0].value.as_text().unwrap()).unwrap();
        let digits: String = derived.material.expose().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!((digits.as_str(), derived.owner.as_str()), (known, "o"));
        for object in [&derived, &kms.object("k").unwrap()] {
            assert!(object.attributes.find(Tag::LINK).is_some());
        }
    }

    #[test]
    fn a_base_is_used_by_whom_it_was_granted_to() {
        let mut kms = Trial::over([base()]).user("bob", &[("k", Rights::GET)]);
        assert!(kms.ask("DeriveKey", &request(derivation_method::HKDF)).is_err());
        let mut kms = Trial::over([base()]).user("bob", &[("k", Rights::GET.with(Rights::DERIVE_KEY))]);
        let answer = kms.ask("DeriveKey", &request(derivation_method::HKDF)).unwrap();
        assert_eq!(kms.object(answer[0].value.as_text().unwrap()).unwrap().owner, "bob");
    }
}
