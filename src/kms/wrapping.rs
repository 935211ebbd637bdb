//! Keys wrapped by keys (KMIP 2.1, Key Wrapping Data and Key Wrapping Specification): what requests and stored objects say about it, who may do it,
//! and the doing.
//!
//! Whoever wraps or unwraps needs a right on the wrapping key, also where the object is stored wrapped and only to be
//! used: 5.x asks the same, and else a wrapping key that is withdrawn from somebody would go on protecting nothing from
//! them. The right is `encrypt` or `decrypt`, and `get` for clients of 4.9.1, who know no other for this.
//!
//! Unwrapping is done where the store is seen, since the wrapping key is there, and what is wrapped is bounded. What was
//! unwrapped for use stands beside its object and is never put back ([`Authorized::opened`]).
#![forbid(unsafe_code)]

use super::cipher::{self, Usage};
use super::fields::Fields;
use super::managed;
use super::object::Object;
use super::operation::Context;
use super::policy::Authorized;
use super::refusal::{Failure, Refusal};
use super::rights::Rights;
use super::state::State;
use super::target::Target;
use crate::crypto::material::Material;
use crate::crypto::wrap;
use crate::entropy::{Entropy, random};
use crate::limits;
use crate::secret::{Buffer, Secret};
use crate::wire::kmip::dialect::Dialect;
use crate::wire::kmip::enumeration::{
    block_cipher_mode, cryptographic_algorithm, encoding_option, object_type, usage_mask, wrapping_method,
};
use crate::wire::ttlv::{Children, Item, Tag, Value, binary};

/// How a key is wrapped, or is to be: a `KeyWrappingSpecification` or `KeyWrappingData`.
pub struct Wrapping<'r> {
    kek: Target<'r>,
    /// As given, to be repeated in the answer.
    parameters: Option<Fields<'r>>,
    mode: Option<Mode>,
    encoding: Encoding,
    /// Of what GCM has wrapped, where it does not begin with it.
    nonce: &'r [u8],
    /// Those attributes that are to be wrapped with the key; none is all.
    attribute_names: Vec<&'r str>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// RFC 3394.
    KeyWrap,
    /// RFC 5649.
    KeyWrapPadding,
    Gcm,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Encoding {
    /// The bare bytes are wrapped.
    None,
    /// The whole key value is, in binary TTLV.
    Ttlv,
}

impl Mode {
    fn decode(code: u32) -> Result<Mode, Refusal> {
        match code {
            block_cipher_mode::NIST_KEY_WRAP => Ok(Mode::KeyWrap),
            block_cipher_mode::AES_KEY_WRAP_PADDING => Ok(Mode::KeyWrapPadding),
            block_cipher_mode::GCM => Ok(Mode::Gcm),
            _ => Err(Refusal::NotSupported(
                "keys are wrapped by NISTKeyWrap, AESKeyWrapPadding and GCM".into(),
            )),
        }
    }

    fn code(self) -> u32 {
        match self {
            Mode::KeyWrap => block_cipher_mode::NIST_KEY_WRAP,
            Mode::KeyWrapPadding => block_cipher_mode::AES_KEY_WRAP_PADDING,
            Mode::Gcm => block_cipher_mode::GCM,
        }
    }

    /// What each generation of servers takes where a request does not say.
    fn default_of(dialect: Dialect) -> Mode {
        match dialect {
            Dialect::V4 => Mode::KeyWrapPadding,
            Dialect::V5 => Mode::KeyWrap,
        }
    }

    fn unwrap(self, kek: &[u8], wrapped: &[u8]) -> Option<Buffer> {
        match self {
            Mode::KeyWrap => wrap::unwrap(kek, false, wrapped),
            Mode::KeyWrapPadding => wrap::unwrap(kek, true, wrapped),
            Mode::Gcm => wrap::unwrap_gcm(kek, wrapped),
        }
    }
}

impl<'r> Wrapping<'r> {
    /// Reads the `KeyWrappingSpecification` of a request, if there is one.
    pub fn of_request(fields: Fields<'r>) -> Result<Option<Wrapping<'r>>, Refusal> {
        let Some(fields) = fields.structure(Tag::KEY_WRAPPING_SPECIFICATION)? else { return Ok(None) };
        let wrapping = Wrapping::decode(fields)?;
        if !wrapping.nonce.is_empty() {
            return Err(fields.refuse(Tag::IV_COUNTER_NONCE, "must be absent: it is the server's to draw"));
        }
        if wrapping.encoding == Encoding::None && !wrapping.attribute_names.is_empty() {
            return Err(
                fields.refuse(Tag::ENCODING_OPTION, "must be TTLVEncoding for attributes to be wrapped")
            );
        }
        Ok(Some(wrapping))
    }

    fn decode(fields: Fields<'r>) -> Result<Wrapping<'r>, Refusal> {
        let method = fields.enumeration(Tag::WRAPPING_METHOD)?;
        if fields.required(Tag::WRAPPING_METHOD, method)? != wrapping_method::ENCRYPT {
            return Err(Refusal::NotSupported("the only WrappingMethod is Encrypt".into()));
        }
        for tag in [Tag::MAC_SIGNATURE_KEY_INFORMATION, Tag::MAC_SIGNATURE] {
            if fields.value(tag).is_some() {
                let name = tag.name().unwrap_or("(extension)");
                return Err(Refusal::NotSupported(format!(
                    "{name}: keys are encrypted, not signed, by their wrapping"
                )));
            }
        }
        let key = fields.structure(Tag::ENCRYPTION_KEY_INFORMATION)?;
        let key = fields.required(Tag::ENCRYPTION_KEY_INFORMATION, key)?;
        let uid = key.identifier(Tag::UNIQUE_IDENTIFIER)?.filter(|uid| !uid.is_empty());
        let parameters = key.structure(Tag::CRYPTOGRAPHIC_PARAMETERS)?;
        let mut mode = None;
        if let Some(parameters) = parameters {
            mode = parameters.enumeration(Tag::BLOCK_CIPHER_MODE)?.map(Mode::decode).transpose()?;
            match parameters.enumeration(Tag::CRYPTOGRAPHIC_ALGORITHM)? {
                None | Some(cryptographic_algorithm::AES) => {}
                Some(_) => return Err(Refusal::NotSupported("keys are wrapped by AES".into())),
            }
        }
        let encoding = match fields.enumeration(Tag::ENCODING_OPTION)? {
            Some(encoding_option::NO_ENCODING) => Encoding::None,
            // KMIP 2.1, Key Wrapping Data: where it is not said, the key value is encoded.
            None | Some(encoding_option::TTLV_ENCODING) => Encoding::Ttlv,
            Some(_) => return Err(fields.refuse(Tag::ENCODING_OPTION, "must be NoEncoding or TTLVEncoding")),
        };
        let nonce = fields.bytes(Tag::IV_COUNTER_NONCE)?.unwrap_or_default();
        if !nonce.is_empty() && mode != Some(Mode::Gcm) {
            return Err(fields.refuse(Tag::IV_COUNTER_NONCE, "must be absent: GCM alone has one"));
        }
        let mut attribute_names = Vec::new();
        for item in fields.items().iter().filter(|item| item.tag == Tag::ATTRIBUTE_NAME) {
            let Value::Text(name) = &item.value else {
                return Err(fields.refuse(Tag::ATTRIBUTE_NAME, "must be a TextString"));
            };
            attribute_names.push(name.as_ref());
        }
        Ok(Wrapping {
            kek: Target::parse(key.required(Tag::UNIQUE_IDENTIFIER, uid)?)?,
            parameters,
            mode,
            encoding,
            nonce,
            attribute_names,
        })
    }

    /// The wrapping key, if this caller may wrap that key with it.
    pub fn find_kek(&self, key: &Authorized, context: &Context<'_>) -> Result<Authorized, Failure> {
        self.find_kek_for(key.object(), key.is_usable(), context)
    }

    fn find_kek_for(
        &self,
        object: &Object,
        bare: bool,
        context: &Context<'_>,
    ) -> Result<Authorized, Failure> {
        if !bare {
            return Err(Refusal::invalid(format!("key {} is wrapped already", object.uid)).into());
        }
        if object.object_type == object_type::OPAQUE_OBJECT {
            return Err(
                Refusal::NotSupported("an OpaqueObject has no key that could be wrapped".into()).into()
            );
        }
        context.effort.wrap(object.material.expose().len() + object.attributes.len())?;
        find_kek(&self.kek, &object.uid, context, Purpose::Wrap, 0)
    }

    /// Whether a nonce is drawn for it.
    pub fn draws_nonce(&self) -> bool {
        self.mode == Some(Mode::Gcm)
    }

    /// The wrapped bytes of a key and the `KeyWrappingData` that say how they came to be.
    pub fn wrap(
        &self,
        kek: &Authorized,
        key_format: u32,
        material: &[u8],
        attributes: &[Item<'_>],
        dialect: Dialect,
        entropy: &mut dyn Entropy,
    ) -> Result<(Vec<u8>, Item<'static>), Refusal> {
        let mode = self.mode.unwrap_or(Mode::default_of(dialect));
        let encoded;
        let plain = match self.encoding {
            Encoding::None => material,
            Encoding::Ttlv => {
                encoded = self.encode(key_format, material, attributes);
                encoded.as_slice()
            }
        };
        if plain.len() > limits::WRAPPED_BYTES_MAX {
            return Err(too_long());
        }
        let wrapped = match mode {
            Mode::KeyWrap => wrap::wrap(kek.material(), false, plain),
            Mode::KeyWrapPadding => wrap::wrap(kek.material(), true, plain),
            Mode::Gcm => wrap::wrap_gcm(kek.material(), &random(entropy), plain),
        };
        let wrapped = wrapped.ok_or_else(|| {
            Refusal::invalid(
                "NISTKeyWrap takes a multiple of 8 bytes, 16 at least: ask for AESKeyWrapPadding",
            )
        })?;
        Ok((wrapped, self.data(mode, kek, dialect)))
    }

    fn encode(&self, key_format: u32, material: &[u8], attributes: &[Item<'_>]) -> Buffer {
        let wanted = |item: &&Item<'_>| {
            self.attribute_names.is_empty() || self.attribute_names.iter().any(|name| is_called(item, name))
        };
        let attributes: Vec<Item<'_>> = attributes.iter().filter(wanted).cloned().collect();
        let mut encoded = Buffer::default();
        binary::encode(&[managed::key_value(key_format, material, attributes)], &mut encoded);
        encoded
    }

    fn data(&self, mode: Mode, kek: &Authorized, dialect: Dialect) -> Item<'static> {
        let mut parameters: Vec<Item<'static>> = Vec::new();
        // 4.9.1 says nothing where the request said nothing.
        if self.mode.is_none() && (dialect == Dialect::V5 || self.parameters.is_some()) {
            parameters.push(Item::enumeration(Tag::BLOCK_CIPHER_MODE, mode.code()));
        }
        for item in self.parameters.into_iter().flat_map(|given| given.items()) {
            if let Value::Enumeration(code) = item.value {
                parameters.push(Item::enumeration(item.tag, code));
            }
        }
        wrapping_data(&kek.object().uid, parameters, self.encoding)
    }
}

/// Wraps a new object with the key of this name, as which it is then stored.
pub fn wrap_at_rest(object: &mut Object, kek: &str, context: &Context<'_>) -> Result<(), Failure> {
    let wrapping = Wrapping {
        kek: Target::parse(kek)?,
        parameters: None,
        mode: Some(Mode::KeyWrapPadding),
        encoding: Encoding::None,
        nonce: &[],
        attribute_names: Vec::new(),
    };
    let kek = wrapping.find_kek_for(object, !object.is_wrapped(), context)?;
    if kek.object().attributes.find(Tag::USAGE_LIMITS).is_some() {
        let uid = &kek.object().uid;
        let text = format!("key {uid} has usage limits: it wraps nothing that is stored");
        return Err(Refusal::NotSupported(text).into());
    }
    let material = object.material.expose();
    let wrapped = (material.len() <= limits::WRAPPED_BYTES_MAX)
        .then(|| wrap::wrap(kek.material(), true, material))
        .flatten()
        .ok_or_else(too_long)?;
    let mode = Item::enumeration(Tag::BLOCK_CIPHER_MODE, Mode::KeyWrapPadding.code());
    object.material = Material::new(Secret::new(wrapped));
    let data = wrapping_data(&kek.object().uid, vec![mode], Encoding::None);
    object.parts.push(&data);
    Ok(())
}

/// The key value that is wrapped in `wrapped`, which belongs to the object `uid`: binary TTLV.
pub fn unwrap(
    uid: &str,
    wrapped: &[u8],
    wrapping: Fields<'_>,
    context: &Context<'_>,
) -> Result<Buffer, Failure> {
    unwrap_at(uid, wrapped, wrapping, context, 0)
}

/// The key as it can be used: where it is stored wrapped, its bytes are unwrapped.
pub fn open(key: Authorized, context: &Context<'_>) -> Result<Authorized, Failure> {
    open_at(key, context, 0)
}

fn open_at(key: Authorized, context: &Context<'_>, depth: usize) -> Result<Authorized, Failure> {
    let object = key.object();
    let Some(Value::Structure(data)) = object.parts.find(Tag::KEY_WRAPPING_DATA) else {
        return Ok(key);
    };
    let data = Fields::new("KeyWrappingData", &data);
    let value = unwrap_at(&object.uid, object.material.expose(), data, context, depth)?;
    let items = decode_value(&value)?;
    let content = managed::Content::bare(object.object_type, object.key_format, &[]);
    let content = content.with_value(Fields::new("KeyValue", &items))?;
    Ok(key.opened(Material::copy_of(content.material)))
}

/// The fields of a key value that [`unwrap`] has found.
pub fn decode_value(value: &[u8]) -> Result<Children<'_>, Refusal> {
    match binary::find(value, Tag::KEY_VALUE) {
        Some(Value::Structure(items)) => Ok(items),
        _ => Err(Refusal::invalid("what was wrapped is no KeyValue in TTLVEncoding")),
    }
}

fn unwrap_at(
    uid: &str,
    wrapped: &[u8],
    data: Fields<'_>,
    context: &Context<'_>,
    depth: usize,
) -> Result<Buffer, Failure> {
    let wrapping = Wrapping::decode(data)?;
    if wrapped.len() > limits::WRAPPED_BYTES_MAX {
        return Err(too_long().into());
    }
    if wrapping.kek.is_tags() {
        // What wraps a key does not change, as what has some tags may; and looking for it takes long.
        let text = format!("the KeyWrappingData of key {uid} must name the wrapping key by its identifier");
        return Err(Refusal::invalid(text).into());
    }
    // Where the mode is not said, two are tried.
    context.effort.wrap(wrapped.len() * if wrapping.mode.is_none() { 2 } else { 1 })?;
    let kek = find_kek(&wrapping.kek, uid, context, Purpose::Unwrap, depth)?;
    let kek = kek.material();
    let plain = match wrapping.mode {
        // The nonce stands apart, or in front.
        Some(Mode::Gcm) => Mode::Gcm.unwrap(kek, &[wrapping.nonce, wrapped].concat()),
        Some(mode) => mode.unwrap(kek, wrapped),
        // Either has an integrity check of its own, and refuses what the other has wrapped.
        None => Mode::KeyWrap.unwrap(kek, wrapped).or_else(|| Mode::KeyWrapPadding.unwrap(kek, wrapped)),
    };
    let plain = plain.ok_or(Refusal::NotGenuine)?;
    Ok(match wrapping.encoding {
        Encoding::Ttlv => plain,
        Encoding::None => {
            let mut value = Buffer::new(Vec::with_capacity(plain.len() + 32));
            let material = Item::bytes(Tag::KEY_MATERIAL, plain.as_slice());
            binary::encode(&[Item::structure(Tag::KEY_VALUE, vec![material])], &mut value);
            value
        }
    })
}

#[derive(Clone, Copy)]
enum Purpose {
    Wrap,
    Unwrap,
}

/// The wrapping key for the object `uid`, opened where it is stored wrapped itself.
fn find_kek(
    target: &Target<'_>,
    uid: &str,
    context: &Context<'_>,
    purpose: Purpose,
    depth: usize,
) -> Result<Authorized, Failure> {
    // Objects may name each other as their wrapping keys.
    if depth >= limits::WRAPPING_DEPTH_MAX {
        let text = format!("key {uid} is wrapped more than {} times", limits::WRAPPING_DEPTH_MAX);
        return Err(Refusal::invalid(text).into());
    }
    let active = |state: State| state == State::Active;
    let usage = match purpose {
        Purpose::Wrap => Usage {
            operation: "Wrap",
            right: Rights::ENCRYPT,
            mask: usage_mask::WRAP_KEY as u32,
            usable: active,
            usable_names: "Active",
            purpose: cipher::Purpose::Protects,
        },
        Purpose::Unwrap if context.dialect == Dialect::V5 => Usage {
            operation: "Unwrap",
            right: Rights::DECRYPT,
            mask: usage_mask::UNWRAP_KEY as u32,
            usable: |state| matches!(state, State::Active | State::Deactivated | State::Compromised),
            usable_names: "Active, Deactivated, Compromised",
            purpose: cipher::Purpose::Processes,
        },
        Purpose::Unwrap => Usage {
            operation: "Unwrap",
            right: Rights::DECRYPT,
            mask: usage_mask::UNWRAP_KEY as u32,
            usable: active,
            usable_names: "Active",
            purpose: cipher::Purpose::Processes,
        },
    };
    let right = if context.dialect == Dialect::V4 { Rights::GET } else { usage.right };
    let kek = cipher::find_stored_key(target, context, Usage { right, ..usage })?;
    let object = kek.object();
    if object.uid == uid {
        return Err(Refusal::invalid(format!("key {uid} cannot wrap itself")).into());
    }
    if object.object_type != object_type::SYMMETRIC_KEY || object.algorithm != cryptographic_algorithm::AES {
        return Err(
            Refusal::NotSupported(format!("key {} is no AES key, as wrapping needs", object.uid)).into()
        );
    }
    let kek = open_at(kek, context, depth + 1)?;
    if !matches!(kek.material().len(), 16 | 24 | 32) {
        let uid = &kek.object().uid;
        return Err(Refusal::NotSupported(format!(
            "key {uid} has not 128, 192 or 256 bits, as wrapping needs"
        ))
        .into());
    }
    Ok(kek)
}

fn wrapping_data(kek: &str, parameters: Vec<Item<'static>>, encoding: Encoding) -> Item<'static> {
    let mut key = vec![Item::text(Tag::UNIQUE_IDENTIFIER, kek.to_owned())];
    if !parameters.is_empty() {
        key.push(Item::structure(Tag::CRYPTOGRAPHIC_PARAMETERS, parameters));
    }
    let encoding = match encoding {
        Encoding::None => encoding_option::NO_ENCODING,
        Encoding::Ttlv => encoding_option::TTLV_ENCODING,
    };
    Item::structure(
        Tag::KEY_WRAPPING_DATA,
        vec![
            Item::enumeration(Tag::WRAPPING_METHOD, wrapping_method::ENCRYPT),
            Item::structure(Tag::ENCRYPTION_KEY_INFORMATION, key),
            Item::enumeration(Tag::ENCODING_OPTION, encoding),
        ],
    )
}

/// Whether this attribute has that name: as in JSON, or with spaces, as KMIP 1 wrote them; for a vendor's, its own.
fn is_called(item: &Item<'_>, name: &str) -> bool {
    let own = match &item.value {
        Value::Structure(fields) if item.tag == Tag::ATTRIBUTE => fields
            .iter()
            .find(|field| field.tag == Tag::ATTRIBUTE_NAME)
            .and_then(|field| field.value.as_text()),
        _ => item.tag.name(),
    };
    own.is_some_and(|own| own == name || own.bytes().eq(name.bytes().filter(|byte| *byte != b' ')))
}

fn too_long() -> Refusal {
    Refusal::invalid(format!("what is wrapped has at most {} bytes", limits::WRAPPED_BYTES_MAX))
}
