//! Intel SGX under Gramine, which shows the enclave what it needs as files.
#![forbid(unsafe_code)]

use super::{Provider, QUOTE_BYTES_MAX, Quoter, REPORT_DATA_BYTES, Source, at, read_secret};
use crate::secret::Secret;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Bytes of a sealing key (EGETKEY).
const KEY_BYTES: usize = 16;
/// Bytes of a public key in PEM: RSA with 3072 bits has 600.
const PEM_BYTES_MAX: u64 = 64 * 1024;

/// An enclave that Gramine runs.
pub struct Sgx {
    folder: PathBuf,
}

impl Sgx {
    /// The enclave whose files are in this folder.
    pub fn new(folder: &Path) -> Sgx {
        Sgx { folder: folder.to_owned() }
    }

    /// The sealing key that is bound to the enclave's measurement.
    pub fn key_path(&self) -> PathBuf {
        self.folder.join("keys/_sgx_mrenclave")
    }

    /// Where quotes are read.
    pub fn quote_path(&self) -> PathBuf {
        self.folder.join("quote")
    }
}

/// The PEM file with the key that the enclave is signed with: nothing secret, and nothing that the server uses itself.
pub fn read_public_key(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(PEM_BYTES_MAX).read_to_string(&mut text));
    read.map_err(at(path))?;
    Ok(text)
}

impl Source for Sgx {
    fn secret(&self, _salt: &[u8]) -> Result<Secret, String> {
        let path = self.key_path();
        let secret =
            File::open(&path).and_then(|file| read_secret(file, KEY_BYTES + 1)).map_err(at(&path))?;
        match secret.expose().len() {
            KEY_BYTES => Ok(secret),
            bytes => Err(format!("{}: must have {KEY_BYTES} bytes, but has {bytes}", path.display())),
        }
    }

    fn info(&self) -> &'static [u8] {
        b"intel-sealing-key"
    }
}

impl Quoter for Sgx {
    /// Not by two threads at a time: what is written holds for the whole enclave.
    fn quote(&self, report_data: &[u8; REPORT_DATA_BYTES]) -> Result<Vec<u8>, String> {
        let (input, output) = (self.folder.join("user_report_data"), self.quote_path());
        let written =
            OpenOptions::new().write(true).open(&input).and_then(|mut file| file.write_all(report_data));
        written.map_err(at(&input))?;
        let mut quote = Vec::new();
        let read = File::open(&output).and_then(|file| file.take(QUOTE_BYTES_MAX).read_to_end(&mut quote));
        read.map_err(at(&output))?;
        if quote.is_empty() {
            return Err(format!("{}: is empty: Gramine was not set up for quotes", output.display()));
        }
        Ok(quote)
    }

    fn provider(&self) -> Result<Provider, String> {
        Ok(Provider::Sgx)
    }
}
