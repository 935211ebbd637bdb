//! stub
#![forbid(unsafe_code)]
pub struct AesGcm;
impl AesGcm {
    pub fn new(_k: &[u8]) -> Option<AesGcm> {
        None
    }
    pub fn seal(&self, _n: &[u8; 12], _a: &[u8], _d: &mut [u8]) -> [u8; 16] {
        [0; 16]
    }
    pub fn open(&self, _n: &[u8; 12], _a: &[u8], _d: &mut [u8], _t: &[u8; 16]) -> bool {
        false
    }
}
