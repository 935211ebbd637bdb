//! An enclave of SGX, as Gramine shows it to the program in it: files below `/dev/attestation`.

use super::mounts::{Mounts, skipped};
use super::{Scratch, run};
use std::fs;
use std::thread::{self, JoinHandle};

/// Where the report data are in a quote: behind its header, at the end of the report body.
pub const REPORT_DATA: std::ops::Range<usize> = 368..432;
/// Bytes of a quote with its signature and the certificates of the key that made it.
const QUOTE_BYTES: usize = 4734;

/// A place whose `/dev` is a folder of ours.
pub struct Enclave {
    scratch: Scratch,
    pub mounts: Mounts,
}

impl Enclave {
    /// One with the files of Gramine. `None` where this machine does not let its users mount.
    pub fn new() -> Option<Enclave> {
        let scratch = Scratch::new();
        fs::create_dir(scratch.file("attestation")).unwrap();
        fs::write(scratch.file("attestation/user_report_data"), b"").unwrap();
        run("mkfifo", [scratch.file("attestation/quote")]);
        let Some(mounts) = Mounts::new(&["--bind", &scratch.file(""), "/dev"]) else {
            skipped("an enclave");
            return None;
        };
        Some(Enclave { scratch, mounts })
    }

    /// Quotes once; gives the quote, whose measurement is made up and whose signature is none.
    pub fn quote(&self) -> JoinHandle<Vec<u8>> {
        let [data, pipe] =
            ["user_report_data", "quote"].map(|name| self.scratch.file(&format!("attestation/{name}")));
        thread::spawn(move || {
            // The program has written before it opens the pipe.
            let mut out = fs::File::options().write(true).open(pipe).unwrap();
            let mut quote: Vec<u8> = (0..QUOTE_BYTES).map(|at| (at % 251) as u8).collect();
            quote[REPORT_DATA].copy_from_slice(&fs::read(data).unwrap());
            std::io::Write::write_all(&mut out, &quote).unwrap();
            quote
        })
    }

    /// From now on every quote has these bytes.
    pub fn always_quote(&self, bytes: &[u8]) {
        let path = self.scratch.file("attestation/quote");
        fs::remove_file(&path).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// From now on there is a device of SEV-SNP too, which does nothing.
    pub fn add_sev_guest(&self) {
        fs::write(self.scratch.file("sev-guest"), b"").unwrap();
    }
}
