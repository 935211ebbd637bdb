//! What the authorities of clients have revoked: the operator's file with their lists (CRLs, RFC 5280 section 5).
#![forbid(unsafe_code)]

use crate::crypto::sha256;
use crate::limits;
use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::pem::PemObject;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The digest of a file, and the lists in it, each in DER: several in PEM, or one in DER. The error says what is wrong with it.
pub fn read(path: &Path) -> Result<([u8; 32], Vec<Vec<u8>>), String> {
    let in_file = |reason: String| format!("{}: {reason}", path.display());
    let mut content = Vec::new();
    let file = File::open(path).map_err(|error| in_file(format!("cannot be read: {error}")))?;
    let read = file.take(limits::REVOCATIONS_BYTES_MAX + 1).read_to_end(&mut content);
    read.map_err(|error| in_file(format!("cannot be read: {error}")))?;
    if content.len() as u64 > limits::REVOCATIONS_BYTES_MAX {
        return Err(in_file(format!(
            "is longer than {} bytes, which every handshake goes over: leave expired certificates out of the lists, or give \
             clients an authority of their own",
            limits::REVOCATIONS_BYTES_MAX
        )));
    }
    let digest = sha256(&content);
    if !content.starts_with(b"-----BEGIN") && content.first() == Some(&0x30) {
        return Ok((digest, vec![content]));
    }
    let lists: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(&content).collect();
    match lists {
        Ok(lists) if !lists.is_empty() => Ok((digest, lists.iter().map(|list| list.to_vec()).collect())),
        _ => Err(in_file("holds no revocation list, neither in PEM nor in DER".into())),
    }
}
