#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keyway::crypto::pkcs12::fuzz(data));
