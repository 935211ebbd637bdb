//! stub
#![forbid(unsafe_code)]
#![allow(missing_docs, unused)]
use ring::aead::*;
pub struct AesGcm(LessSafeKey);
impl AesGcm {
    pub fn new(k: &[u8]) -> Option<AesGcm> {
        Some(AesGcm(LessSafeKey::new(
            UnboundKey::new(if k.len() == 16 { &AES_128_GCM } else { &AES_256_GCM }, k).ok()?,
        )))
    }
    pub fn seal(&self, n: &[u8; 12], a: &[u8], d: &mut [u8]) -> [u8; 16] {
        self.0
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(*n), Aad::from(a), d)
            .unwrap()
            .as_ref()
            .try_into()
            .unwrap()
    }
    pub fn open(&self, n: &[u8; 12], a: &[u8], d: &mut [u8], t: &[u8; 16]) -> bool {
        let mut v = d.to_vec();
        v.extend(t);
        match self.0.open_in_place(Nonce::assume_unique_for_key(*n), Aad::from(a), &mut v) {
            Ok(p) => {
                d.copy_from_slice(p);
                true
            }
            Err(_) => false,
        }
    }
}
