//! The JSON codec alone: requests of both dialects read, and answers written.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a benchmark may fail")]
#![allow(missing_docs, reason = "criterion_group makes a public function")]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use keyway::wire::kmip::dialect::{self, Dialect};
use keyway::wire::ttlv::Arena;
use std::hint::black_box;

const ENCRYPT_V4: &str = r#"{"tag":"Encrypt","type":"Structure","value":[{"tag":"UniqueIdentifier","type":"TextString","value":"9ffb9a4c-2ae0-4cf5-a6b4-4d0d2e5f1d58"},{"tag":"Data","type":"ByteString","value":"5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A"}]}"#;
const ENCRYPT_V5: &str = r#"{"tag":"Encrypt","value":[{"tag":"UniqueIdentifier","type":"TextString","value":"9ffb9a4c-2ae0-4cf5-a6b4-4d0d2e5f1d58"},{"tag":"CryptographicParameters","value":[{"tag":"BlockCipherMode","type":"Enumeration","value":"GCM"},{"tag":"CryptographicAlgorithm","type":"Enumeration","value":"AES"}]},{"tag":"Data","type":"ByteString","value":"5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A"}]}"#;
const CREATE_V4: &str = r#"{"tag":"Create","type":"Structure","value":[{"tag":"ObjectType","type":"Enumeration","value":"SymmetricKey"},{"tag":"Attributes","type":"Structure","value":[{"tag":"CryptographicAlgorithm","type":"Enumeration","value":"AES"},{"tag":"CryptographicLength","type":"Integer","value":256},{"tag":"CryptographicUsageMask","type":"Integer","value":2108},{"tag":"KeyFormatType","type":"Enumeration","value":"TransparentSymmetricKey"},{"tag":"ObjectType","type":"Enumeration","value":"SymmetricKey"}]}]}"#;

const REQUESTS: [(&str, &str); 3] =
    [("Encrypt, 4.9.1", ENCRYPT_V4), ("Encrypt, 5.x", ENCRYPT_V5), ("Create, 4.9.1", CREATE_V4)];

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    for (name, request) in REQUESTS {
        group.throughput(Throughput::Bytes(request.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter_batched_ref(
                || request.as_bytes().to_vec(),
                |body| {
                    let arena = Arena::new();
                    assert_eq!(dialect::decode(body, &arena).unwrap().fields.len(), fields_of(request));
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn fields_of(request: &str) -> usize {
    match request {
        ENCRYPT_V5 => 3,
        _ => 2,
    }
}

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    for (name, request) in REQUESTS {
        let (mut body, arena) = (request.as_bytes().to_vec(), Arena::new());
        let request = dialect::decode(&mut body, &arena).unwrap();
        for dialect in [Dialect::V4, Dialect::V5] {
            let mut out = Vec::with_capacity(4096);
            group.bench_function(format!("{name}, as {dialect:?}"), |bencher| {
                bencher.iter(|| {
                    out.clear();
                    dialect::encode(dialect, request.root, black_box(&request.fields), &mut out);
                    black_box(&out);
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, decode, encode);
criterion_main!(benches);
