//! Every committed input of every fuzz target, through the very function that the target calls.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// Bytes of a committed input: a corpus is read by people.
const INPUT_BYTES_MAX: u64 = 8 * 1024;

macro_rules! targets {
    ($($name:literal => $body:path,)*) => {
        /// The targets: their names, their bodies, and how these are spelt.
        const TARGETS: &[(&str, fn(&[u8]), &str)] = &[$(($name, $body, stringify!($body)),)*];
    };
}

targets! {
    "connection" => keyway::testing::connection::fuzz,
    "http" => keyway::wire::http::fuzz,
    "jose" => keyway::wire::jose::fuzz,
    "multipart" => keyway::wire::multipart::fuzz,
    "pkcs12" => keyway::crypto::pkcs12::fuzz,
    "record" => keyway::store::record::fuzz,
    "simulation" => keyway::testing::simulator::fuzz,
    "tls" => keyway::testing::connection::tls::fuzz,
    "tls_conversation" => keyway::testing::connection::tls::fuzz_conversation,
    "ttlv" => keyway::wire::ttlv::fuzz,
}

fn fuzz_folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(name)
}

/// The files or folders in a folder, by name.
fn names_in(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn every_target_is_named_here_and_has_a_corpus() {
    let expected: BTreeSet<String> = TARGETS.iter().map(|(name, ..)| name.to_string()).collect();
    let sources = names_in(&fuzz_folder("fuzz_targets"));
    let targets = sources.iter().map(|name| name.strip_suffix(".rs").unwrap().to_owned()).collect();
    assert_eq!(expected, targets, "this test, and fuzz/fuzz_targets");
    assert_eq!(expected, names_in(&fuzz_folder("corpus")), "this test, and fuzz/corpus");
    let manifest = fs::read_to_string(fuzz_folder("Cargo.toml")).unwrap();
    for (name, _, body) in TARGETS {
        let source = fs::read_to_string(fuzz_folder("fuzz_targets").join(format!("{name}.rs"))).unwrap();
        let call = format!("{}(data)", body.replace(' ', ""));
        assert!(source.contains(&call), "fuzz/fuzz_targets/{name}.rs does not call {call}");
        let path = format!("path = \"fuzz_targets/{name}.rs\"");
        assert!(manifest.contains(&path), "fuzz/Cargo.toml has no binary with {path}");
    }
}

#[test]
fn every_input_keeps_the_properties_of_its_target() {
    let mut failed = Vec::new();
    for (name, body, _) in TARGETS {
        let folder = fuzz_folder("corpus").join(name);
        let inputs = names_in(&folder);
        assert!(!inputs.is_empty(), "fuzz/corpus/{name} is empty");
        for input in inputs {
            let path = folder.join(&input);
            assert!(fs::metadata(&path).unwrap().len() <= INPUT_BYTES_MAX, "{} is too long", path.display());
            let data = fs::read(&path).unwrap();
            if catch_unwind(AssertUnwindSafe(|| body(&data))).is_err() {
                failed.push(format!("fuzz/corpus/{name}/{input}"));
            }
        }
    }
    assert!(failed.is_empty(), "their panics are above: {failed:#?}");
}
