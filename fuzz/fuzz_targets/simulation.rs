#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keyway::testing::simulator::fuzz(data));
