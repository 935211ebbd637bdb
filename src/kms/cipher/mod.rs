//! Symmetric encryption: the common part of Encrypt and Decrypt, and the finding of keys that are to be used.
#![forbid(unsafe_code)]

pub mod parameters;
pub mod short;
pub mod stream;
pub mod suite;

use super::fields::Fields;
use super::operation::Context;
use super::policy::Authorized;
use super::refusal::{Failure, Refusal};
use super::rights::Rights;
use super::state::State;
use super::streams::Step;
use super::target::{Ambiguity, Target};
use super::wrapping;
use crate::crypto::cipher::{Cipher, Keyed, TAG_BYTES};
use crate::crypto::wrap;
use crate::entropy::Entropy;
use crate::secret::Buffer;
use crate::wire::kmip::dialect::Dialect;
use crate::wire::ttlv::Tag;
use parameters::Parameters;
use short::Short;
use std::borrow::Cow;
use std::ops::Deref;
use stream::{Opening, Sealing};
use suite::Suite;

/// What Encrypt and Decrypt have in common. Empty byte strings are absent ones: clients send them so.
pub struct Message<'r> {
    parameters: Option<Parameters>,
    nonce: &'r [u8],
    additional_data: &'r [u8],
    dialect: Dialect,
}

/// How a key is to be used.
#[derive(Clone, Copy)]
pub struct Plan {
    suite: Suite,
    parameters: Parameters,
}

/// All that is needed beside key and data.
struct Chosen<'r> {
    suite: Suite,
    nonce: Nonce<'r>,
    /// The counter block, where it is not the nonce itself.
    counter: Option<Vec<u8>>,
    additional_data: Cow<'r, [u8]>,
}

impl Chosen<'_> {
    fn keyed<'k>(&'k self, cipher: Cipher, key: &'k Authorized) -> Keyed<'k> {
        let nonce = self.counter.as_deref().unwrap_or(&self.nonce);
        Keyed { cipher, key: key.key(), nonce, additional_data: &self.additional_data }
    }
}

/// Data that was encrypted.
pub struct Sealed<'r> {
    /// Without nonce and tag.
    pub data: Buffer,
    /// Empty where there is none.
    pub nonce: Nonce<'r>,
    /// The authentication tag; empty where there is none.
    pub tag: Short,
    /// What was authenticated beside the data.
    pub additional_data: Cow<'r, [u8]>,
}

/// As the request gave it, or as it was made.
pub enum Nonce<'r> {
    /// The request's.
    Given(&'r [u8]),
    /// A random one.
    Drawn(Short),
}

impl Deref for Nonce<'_> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Nonce::Given(nonce) => nonce,
            Nonce::Drawn(nonce) => nonce,
        }
    }
}

impl<'r> Message<'r> {
    /// Reads the common fields.
    pub fn decode(fields: Fields<'r>, dialect: Dialect) -> Result<Message<'r>, Refusal> {
        Ok(Message {
            dialect,
            parameters: Parameters::of_request(fields)?,
            nonce: fields.bytes(Tag::IV_COUNTER_NONCE)?.unwrap_or_default(),
            additional_data: fields.bytes(Tag::AUTHENTICATED_ENCRYPTION_ADDITIONAL_DATA)?.unwrap_or_default(),
        })
    }

    /// What is authenticated beside the data comes with the first step (KMIP 2.1 section 6.1.17).
    pub fn check_step(&self, fields: Fields<'_>, step: Step<'_>) -> Result<(), Refusal> {
        if matches!(step, Step::Next(_) | Step::Last(_)) && !self.additional_data.is_empty() {
            let tag = Tag::AUTHENTICATED_ENCRYPTION_ADDITIONAL_DATA;
            return Err(fields.refuse(tag, "must come with the first step"));
        }
        Ok(())
    }

    /// Whether a nonce is drawn to encrypt so, one of those that must never be drawn twice with one key.
    pub fn draws_nonce(&self, plan: &Plan) -> bool {
        let draws =
            matches!(plan.suite, Suite::Cipher { cipher: Cipher::AesGcm | Cipher::ChaCha20Poly1305, .. });
        draws && self.nonce.is_empty()
    }

    /// Whether to encrypt so is as good as to decrypt what others have encrypted with the key: data that are encrypted again
    /// with their own nonce come out bare, and blocks that are encrypted by themselves give the key stream of any nonce.
    pub fn could_decrypt(&self, plan: &Plan) -> bool {
        match plan.suite {
            Suite::KeyWrap { .. } | Suite::Cipher { cipher: Cipher::AesGcmSiv | Cipher::AesXts, .. } => false,
            Suite::Cipher { cipher: Cipher::AesGcm | Cipher::ChaCha20Poly1305, .. } => !self.nonce.is_empty(),
            Suite::Cipher { .. } => true,
        }
    }

    /// Encrypts `data`.
    pub fn encrypt(
        &self,
        key: &Authorized,
        plan: Plan,
        data: &[u8],
        entropy: &mut dyn Entropy,
    ) -> Result<Sealed<'r>, Refusal> {
        let chosen = self.choose_for_encrypt(plan, entropy)?;
        let (data, tag) = match chosen.suite {
            Suite::KeyWrap { padded } => {
                let wrapped = wrap::wrap(key.material(), padded, data).ok_or_else(|| {
                    Refusal::invalid(format!(
                        "Encrypt: Data has a length that {} does not take",
                        chosen.suite.name()
                    ))
                })?;
                (Buffer::new(wrapped), [0; TAG_BYTES])
            }
            Suite::Cipher { cipher, padding, .. } => {
                let padded = match (padding, cipher.block_bytes()) {
                    (Some(padding), Some(block)) => {
                        let pad = padding.after(data.len(), block, entropy);
                        Some(Buffer::new([data, &pad].concat()))
                    }
                    _ => None,
                };
                let data = padded.as_ref().map_or(data, |padded| padded);
                check_data_length("Encrypt", cipher, data.len())?;
                chosen.keyed(cipher, key).encrypt(data).ok_or_else(|| {
                    Refusal::invalid(format!("Encrypt: the data is too long for {}", cipher.name()))
                })?
            }
        };
        let tag = Short::beginning(tag, chosen.suite.tag_bytes());
        Ok(Sealed { data, nonce: chosen.nonce, tag, additional_data: chosen.additional_data })
    }

    /// Begins to encrypt in several steps; the nonce is the request's, or was made.
    pub fn start_encrypting(
        &self,
        key: &Authorized,
        plan: Plan,
        entropy: &mut dyn Entropy,
    ) -> Result<(Sealing, Nonce<'r>), Refusal> {
        let chosen = self.choose_for_encrypt(plan, entropy)?;
        let sealing = Sealing::start(chosen.suite, chosen.keyed(chosen.suite.cipher(), key))?;
        Ok((sealing, chosen.nonce))
    }

    /// Decrypts `data`, to which this tag belongs; empty for none.
    pub fn decrypt(&self, key: &Authorized, data: &[u8], tag: &[u8]) -> Result<Buffer, Refusal> {
        let chosen = self.choose_for_decrypt(key)?;
        check_tag(chosen.suite, tag)?;
        match chosen.suite {
            Suite::KeyWrap { padded } => {
                wrap::unwrap(key.material(), padded, data).ok_or(Refusal::NotGenuine)
            }
            Suite::Cipher { cipher, padding, .. } => {
                check_data_length("Decrypt", cipher, data.len())?;
                let mut opened = chosen.keyed(cipher, key).decrypt(data, tag).ok_or(Refusal::NotGenuine)?;
                if let (Some(padding), Some(block)) = (padding, cipher.block_bytes()) {
                    let bytes = padding.data_bytes(&opened, block).ok_or(Refusal::NotGenuine)?;
                    opened.truncate(bytes);
                }
                Ok(opened)
            }
        }
    }

    /// Begins to decrypt in several steps. The tag may come now, or at the end.
    pub fn start_decrypting(&self, key: &Authorized, tag: &[u8]) -> Result<Opening, Refusal> {
        let chosen = self.choose_for_decrypt(key)?;
        if chosen.suite.tag_bytes() == 0 || !tag.is_empty() {
            check_tag(chosen.suite, tag)?;
        }
        Opening::start(chosen.suite, chosen.keyed(chosen.suite.cipher(), key), tag)
    }

    fn choose_for_encrypt(&self, plan: Plan, entropy: &mut dyn Entropy) -> Result<Chosen<'r>, Refusal> {
        let Plan { suite, parameters } = plan;
        if let Suite::Cipher { cipher: cipher @ (Cipher::TripleDesCbc | Cipher::TripleDesEcb), .. } = suite {
            // NIST SP 800-131A: Triple DES is for what was encrypted before.
            return Err(Refusal::NotSupported(format!("{} is for Decrypt only", cipher.name())));
        }
        let nonce = match self.nonce {
            [] => {
                let bytes = suite.nonce_bytes(&parameters);
                let mut nonce = [0; Short::BYTES_MAX];
                entropy.fill(&mut nonce[..bytes]);
                Nonce::Drawn(Short::beginning(nonce, bytes))
            }
            _ if parameters.random_nonce => {
                return Err(Refusal::invalid(
                    "Encrypt: IVCounterNonce must be absent, since the CryptographicParameters ask for a RandomIV",
                ));
            }
            nonce => Nonce::Given(nonce),
        };
        self.chosen(suite, parameters, nonce)
    }

    fn choose_for_decrypt(&self, key: &Authorized) -> Result<Chosen<'r>, Refusal> {
        let Plan { suite, parameters } = self.plan(key)?;
        if self.nonce.is_empty() && suite.nonce_bytes(&parameters) > 0 {
            return Err(Refusal::invalid("Decrypt: missing field `IVCounterNonce`"));
        }
        self.chosen(suite, parameters, Nonce::Given(self.nonce))
    }

    fn chosen(&self, suite: Suite, parameters: Parameters, nonce: Nonce<'r>) -> Result<Chosen<'r>, Refusal> {
        let counter = suite.counter(&nonce, &parameters)?;
        suite.check_lengths(&nonce, &parameters)?;
        Ok(Chosen { suite, additional_data: self.additional_data(suite, &parameters)?, nonce, counter })
    }

    /// What the message and the key say.
    pub fn plan(&self, key: &Authorized) -> Result<Plan, Refusal> {
        let parameters = match self.parameters {
            Some(parameters) => parameters,
            None => Parameters::of_key(key.object())?,
        };
        Ok(Plan { suite: Suite::choose(key, &parameters)?, parameters })
    }

    /// What is authenticated beside the data. To clients of 4.9.1, an `InitialCounterValue` was a part of it; to others it is
    /// the beginning of a counter, and GCM has its own.
    fn additional_data(&self, suite: Suite, parameters: &Parameters) -> Result<Cow<'r, [u8]>, Refusal> {
        match (suite, parameters.initial_counter) {
            (Suite::Cipher { cipher: Cipher::AesGcm, .. }, Some(_)) if self.dialect == Dialect::V5 => {
                let rule = "InitialCounterValue must be absent for AES-GCM";
                Err(Refusal::invalid(format!("CryptographicParameters: {rule}")))
            }
            (Suite::Cipher { cipher: Cipher::AesGcm, .. }, Some(counter)) => {
                Ok(Cow::Owned([self.additional_data, &counter.to_le_bytes()].concat()))
            }
            _ if self.additional_data.is_empty() || suite.tag_bytes() > 0 => {
                Ok(Cow::Borrowed(self.additional_data))
            }
            _ => Err(Refusal::invalid(format!(
                "AuthenticatedEncryptionAdditionalData must be absent: {} authenticates nothing",
                suite.name()
            ))),
        }
    }
}

fn check_tag(suite: Suite, tag: &[u8]) -> Result<(), Refusal> {
    let refuse = |rule: &str| {
        Err(Refusal::invalid(format!("Decrypt: AuthenticatedEncryptionTag {rule} for {}", suite.name())))
    };
    match (suite.tag_bytes(), tag.len()) {
        (0, 0) => Ok(()),
        (0, _) => refuse("must be absent"),
        (_, 0) => Err(Refusal::invalid("Decrypt: missing field `AuthenticatedEncryptionTag`")),
        (bytes, found) if bytes == found => Ok(()),
        (bytes, _) => refuse(&format!("must have {bytes} bytes")),
    }
}

fn check_data_length(operation: &str, cipher: Cipher, bytes: usize) -> Result<(), Refusal> {
    let (least, most) = cipher.data_bytes();
    let name = cipher.name();
    if bytes < least || bytes > most {
        return Err(Refusal::invalid(format!(
            "{operation}: Data must have {least} to {most} bytes for {name}"
        )));
    }
    match cipher.block_bytes() {
        Some(block) if !bytes.is_multiple_of(block) => Err(Refusal::invalid(format!(
            "{operation}: Data must be whole blocks of {block} bytes for {name}"
        ))),
        _ => Ok(()),
    }
}

/// What a key is wanted for.
#[derive(Clone, Copy)]
pub struct Usage {
    /// For texts.
    pub operation: &'static str,
    /// What the principal must be allowed.
    pub right: Rights,
    /// What the key must be made for: one of these bits is enough.
    pub mask: u32,
    /// The states in which it may be done.
    pub usable: fn(State) -> bool,
    /// Their names, for texts.
    pub usable_names: &'static str,
    /// Whether the key protects data with it, or processes what is protected.
    pub purpose: Purpose,
}

/// Protecting ends with the Protect Stop Date, processing begins with the Process Start Date (KMIP 2.1 sections 4.45, 4.46).
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Encrypt, MAC, DeriveKey.
    Protects,
    /// Decrypt, MACVerify.
    Processes,
}

/// The key that `target` names, if it may be used for this; unwrapped where it is stored wrapped.
pub fn find_key(target: &Target<'_>, context: &Context<'_>, usage: Usage) -> Result<Authorized, Failure> {
    wrapping::open(find_stored_key(target, context, usage)?, context)
}

/// The same as it is stored.
pub fn find_stored_key(
    target: &Target<'_>,
    context: &Context<'_>,
    usage: Usage,
) -> Result<Authorized, Failure> {
    let Usage { operation, right, mask, usable, usable_names, purpose } = usage;
    let state = |key: &Authorized| key.object().state_at(context.now);
    let fits = |key: &Authorized| usable(state(key)) && key.object().usage_mask & mask != 0;
    let Some(key) = target.resolve_one(context, operation, right, fits, Ambiguity::Refused)? else {
        return Err(Refusal::KeyNotFound { operation, uid: target.text.to_owned() }.into());
    };
    let uid = || target.text.to_owned();
    let state = state(&key);
    if !usable(state) {
        let (uid, allowed) = (uid(), usable_names);
        return Err(Refusal::StateForbids { operation, uid, state, allowed }.into());
    }
    if key.object().usage_mask & mask == 0 {
        return Err(Refusal::MaskForbids { operation, uid: uid() }.into());
    }
    let (date, allows) = match purpose {
        Purpose::Protects => ("ProtectStopDate has passed", key.object().may_protect(context.now)),
        Purpose::Processes => ("ProcessStartDate is still to come", key.object().may_process(context.now)),
    };
    if !allows {
        return Err(Refusal::DateForbids { operation, date, uid: uid() }.into());
    }
    Ok(key)
}
