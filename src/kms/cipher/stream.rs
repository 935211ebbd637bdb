//! Data that is encrypted or decrypted in several steps.
#![forbid(unsafe_code)]

use super::super::refusal::Refusal;
use super::suite::Suite;
use crate::crypto::cipher::{Cipher, Direction, Keyed, Running};
use crate::crypto::material::Material;
use crate::crypto::padding::Padding;
use crate::entropy::Entropy;
use crate::limits;
use crate::secret::Buffer;

/// Data that is being encrypted.
pub struct Sealing {
    running: Running,
    cipher: Cipher,
    padding: Option<Padding>,
    tag_bytes: usize,
    bytes: u64,
}

impl Sealing {
    /// Begins.
    pub fn start(suite: Suite, keyed: Keyed<'_>) -> Result<Sealing, Refusal> {
        let (cipher, padding, tag_bytes) = streamed("Encrypt", suite)?;
        let running = Running::start(keyed, Direction::Encrypt, None).ok_or_else(|| {
            Refusal::invalid("Encrypt: the key or nonce has a length that the cipher does not take")
        })?;
        Ok(Sealing { running, cipher, padding, tag_bytes, bytes: 0 })
    }

    /// Encrypts what comes next, as far as it makes whole blocks.
    pub fn update(&mut self, data: &[u8]) -> Result<Buffer, Refusal> {
        self.bytes += data.len() as u64;
        let mut sealed = Buffer::new(Vec::new());
        let done = self.running.update(data, &mut sealed);
        done.filter(|()| self.bytes <= DATA_BYTES_MAX).ok_or_else(too_long)?;
        Ok(sealed)
    }

    /// Encrypts the last piece: what is left, and the authentication tag, empty where there is none.
    pub fn finish(mut self, data: &[u8], entropy: &mut dyn Entropy) -> Result<(Buffer, Vec<u8>), Refusal> {
        let mut sealed = self.update(data)?;
        if let Some(block) = self.cipher.block_bytes() {
            let over = usize::try_from(self.bytes % block as u64).expect("blocks are short");
            match self.padding {
                Some(padding) => {
                    let pad = padding.after(over, block, entropy);
                    self.running.update(&pad, &mut sealed).ok_or_else(too_long)?;
                }
                None if over > 0 => {
                    return Err(Refusal::invalid(format!(
                        "Encrypt: Data must be whole blocks of {block} bytes for {}",
                        self.cipher.name()
                    )));
                }
                None => {}
            }
        }
        let tag = self.running.finish_sealed(&mut sealed).ok_or_else(too_long)?;
        Ok((sealed, tag[..self.tag_bytes].to_vec()))
    }
}

/// What GCM can encrypt with one nonce (NIST SP 800-38D section 5.2.1.1); ChaCha20-Poly1305 could go further.
const DATA_BYTES_MAX: u64 = (1 << 36) - 32;

fn too_long() -> Refusal {
    Refusal::invalid("Encrypt: the data is too long for the cipher")
}

/// Data that is being decrypted.
pub enum Opening {
    /// Nobody knows whether it is genuine: it is given out as it comes, but for the block that may hold the padding.
    Unauthenticated {
        /// The cipher at work.
        running: Running,
        /// The cipher.
        cipher: Cipher,
        /// What is to be taken off at the end.
        padding: Option<Padding>,
        /// Decrypted, and not given out yet.
        held: Buffer,
    },
    /// It is kept as it came until the tag has shown it to be genuine: nothing is given out before.
    Authenticated {
        /// How it is to be decrypted.
        suite: Suite,
        /// Its nonce.
        nonce: Vec<u8>,
        /// What is authenticated beside it.
        additional_data: Vec<u8>,
        /// The tag, where it came with the first step.
        tag: Vec<u8>,
        /// The data.
        kept: Vec<u8>,
    },
}

impl Opening {
    /// Begins.
    pub fn start(suite: Suite, keyed: Keyed<'_>, tag: &[u8]) -> Result<Opening, Refusal> {
        let (cipher, padding, _) = streamed("Decrypt", suite)?;
        if cipher.is_aead() {
            return Ok(Opening::Authenticated {
                suite,
                nonce: keyed.nonce.to_vec(),
                additional_data: keyed.additional_data.to_vec(),
                tag: tag.to_vec(),
                kept: Vec::new(),
            });
        }
        let running = Running::start(keyed, Direction::Decrypt, None).ok_or(Refusal::NotGenuine)?;
        Ok(Opening::Unauthenticated { running, cipher, padding, held: Buffer::new(Vec::new()) })
    }

    /// Bytes that wait for the tag.
    pub fn kept_bytes(&self) -> usize {
        match self {
            Opening::Authenticated { kept, additional_data, .. } => kept.capacity() + additional_data.len(),
            Opening::Unauthenticated { .. } => 0,
        }
    }

    /// Takes what comes next, and gives what can be given out.
    pub fn update(&mut self, data: &[u8]) -> Result<Buffer, Refusal> {
        match self {
            Opening::Authenticated { kept, .. } => {
                if kept.len() + data.len() > limits::STREAM_BYTES_MAX {
                    return Err(Refusal::invalid(format!(
                        "Decrypt: of data with an authentication tag, {} bytes at most come in several steps",
                        limits::STREAM_BYTES_MAX
                    )));
                }
                kept.extend_from_slice(data);
                Ok(Buffer::new(Vec::new()))
            }
            Opening::Unauthenticated { running, cipher, padding, held } => {
                running.update(data, held).ok_or(Refusal::NotGenuine)?;
                let holds = padding.and(cipher.block_bytes()).unwrap_or(0);
                let mut given = Buffer::new(Vec::new());
                let ready = held.len().saturating_sub(holds);
                given.extend_from_slice(&held[..ready]);
                *held = Buffer::new(held[ready..].to_vec());
                Ok(given)
            }
        }
    }

    /// Takes the last piece, and the tag if it did not come before: all that is left to be given out.
    pub fn finish(mut self, key: &Material, data: &[u8], last_tag: &[u8]) -> Result<Buffer, Refusal> {
        let mut given = self.update(data)?;
        match self {
            Opening::Authenticated { suite, nonce, additional_data, tag, kept } => {
                let tag = if tag.is_empty() { last_tag } else { &tag };
                super::check_tag(suite, tag)?;
                let Suite::Cipher { cipher, .. } = suite else { return Err(Refusal::NotGenuine) };
                let keyed = Keyed { cipher, key, nonce: &nonce, additional_data: &additional_data };
                keyed.decrypt(&kept, tag).ok_or(Refusal::NotGenuine)
            }
            Opening::Unauthenticated { running, cipher, padding, mut held } => {
                running.finish(&mut held).ok_or(Refusal::NotGenuine)?;
                let bytes = match (padding, cipher.block_bytes()) {
                    (Some(padding), Some(block)) => {
                        padding.data_bytes(&held, block).ok_or(Refusal::NotGenuine)?
                    }
                    _ => held.len(),
                };
                given.extend_from_slice(&held[..bytes]);
                Ok(given)
            }
        }
    }
}

fn streamed(operation: &str, suite: Suite) -> Result<(Cipher, Option<Padding>, usize), Refusal> {
    match suite {
        Suite::Cipher { cipher, padding, tag_bytes } if cipher.streams() => Ok((cipher, padding, tag_bytes)),
        _ => Err(Refusal::NotSupported(format!(
            "{operation}: {} needs all data at once, and so cannot be done in several steps",
            suite.name()
        ))),
    }
}
