//! Key material: its bytes, and what a cipher makes of them.
#![forbid(unsafe_code)]

use super::aead::AesGcm;
use crate::secret::{Buffer, Secret};
use std::sync::OnceLock;

/// The bytes of a key, of secret data or of an opaque object. AES-GCM, which most requests are for, wants its key
/// expanded: that is done once, when it is first wanted, and lasts as long as the bytes do.
pub struct Material {
    bytes: Secret,
    aes_gcm: OnceLock<Option<AesGcm>>,
}

impl Material {
    /// These bytes.
    pub fn new(bytes: Secret) -> Material {
        Material { bytes, aes_gcm: OnceLock::new() }
    }

    /// A copy of `bytes`.
    pub fn copy_of(bytes: &[u8]) -> Material {
        Material::new(Secret::copy_of(bytes))
    }

    /// No bytes: what is left of an object that is destroyed.
    pub fn none() -> Material {
        Material::copy_of(&[])
    }

    /// The bytes themselves.
    pub fn expose(&self) -> &[u8] {
        self.bytes.expose()
    }

    /// AES-GCM with these bytes for a key; `None` where they are none that AES takes.
    pub fn aes_gcm(&self) -> Option<&AesGcm> {
        self.aes_gcm.get_or_init(|| AesGcm::new(self.expose())).as_ref()
    }
}

impl From<Buffer> for Material {
    fn from(bytes: Buffer) -> Material {
        Material::new(Secret::from(bytes))
    }
}
