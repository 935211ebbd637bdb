//! Keys and quotes from the platform: what the machine itself vouches for, and what only it can compute.
//!
//! | source of keys | what it gives | the key stays the same as long as |
//! |---|---|---|
//! | [`sev_snp`] | a key of AMD's firmware, bound to the guest's measurement | chip and measured guest do |
//! | [`sgx`] | a key of the enclave that Gramine runs, bound to its measurement | processor and enclave do |
//! | [`tpm`] | an HMAC by a key of a TPM 2.0, bound to PCRs if wanted | TPM (not cleared) and PCRs do |
//! | [`key_file`] | the content of a file | the file does |
//!
//! A [`Source`] gives a secret; [`derive`] makes a TLS key of it. A [`Quoter`] has the hardware sign what it is given,
//! together with what runs: [`tsm`], where the kernel has that, or the two confidential platforms by themselves. [`ra_tls`]
//! puts a quote into a certificate.
//! All of them block: they are asked at the start, or in a lane.

pub mod derive;
pub mod key_file;
pub mod ra_tls;
pub mod sev_snp;
pub mod sgx;
pub mod tpm;
pub mod tsm;

use crate::secret::{Buffer, Secret};
use key_file::KeyFile;
use sev_snp::SevSnp;
use sgx::Sgx;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use tpm::{Address, Pcrs, Tpm};
use tsm::Tsm;

/// What keys are derived from. Errors are one line for the operator.
pub trait Source {
    /// The secret: the same for the same salt, as long as the platform is the same.
    fn secret(&self, salt: &[u8]) -> Result<Secret, String>;

    /// Tells the keys of one kind of platform from those of others (the `info` of HKDF).
    fn info(&self) -> &'static [u8];
}

/// What vouches for data and for the program that gives it.
pub trait Quoter: Send + Sync {
    /// A quote (AMD: attestation report) over these bytes. An error is one line.
    fn quote(&self, report_data: &[u8; REPORT_DATA_BYTES]) -> Result<Vec<u8>, String>;

    /// Whose quotes these are. An error is one line.
    fn provider(&self) -> Result<Provider, String>;
}

/// What makes quotes, which tells their format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Provider {
    /// Intel SGX.
    Sgx,
    /// AMD SEV-SNP.
    SevSnp,
    /// Another one, as the kernel names it.
    Other(String),
}

/// Bytes that a quote vouches for, on every platform.
pub const REPORT_DATA_BYTES: usize = 64;
/// Bytes of a quote: those of TDX have about 5 KiB.
const QUOTE_BYTES_MAX: u64 = 1024 * 1024;

/// Which platform the operator wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The first that is there: SEV-SNP, SGX, TPM.
    Auto,
    /// AMD SEV-SNP.
    SevSnp,
    /// Intel SGX under Gramine.
    Sgx,
    /// A TPM 2.0, the kernel's where no address is given.
    Tpm(Option<Address>),
    /// A file with a key.
    KeyFile(PathBuf),
}

/// The platform that the operator wants, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Which.
    pub choice: Choice,
    /// What a TPM is to bind the key to.
    pub pcrs: Option<Pcrs>,
}

/// Where the platforms are found.
pub struct Devices {
    /// The device of the SEV guest driver.
    pub sev_guest: PathBuf,
    /// Gramine's folder.
    pub gramine: PathBuf,
    /// The TPM behind the kernel's resource manager.
    pub tpm: PathBuf,
    /// The kernel's reports by trusted security modules.
    pub tsm: PathBuf,
}

impl Default for Devices {
    fn default() -> Devices {
        Devices {
            sev_guest: "/dev/sev-guest".into(),
            gramine: "/dev/attestation".into(),
            tpm: "/dev/tpmrm0".into(),
            tsm: "/sys/kernel/config/tsm/report".into(),
        }
    }
}

/// What a key is for, and so what another one would mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The server's certificate: clients may have pinned it.
    Certificate,
    /// Sealing the database: it does not open with another one.
    Database,
}

/// The source of keys that is wanted. What a TPM must remember between starts is kept in `folder`.
pub fn source(
    wanted: &Wanted,
    devices: &Devices,
    folder: &Path,
    purpose: Purpose,
) -> Result<Box<dyn Source>, String> {
    let choice = match &wanted.choice {
        Choice::Auto => present(devices)?,
        choice => choice.clone(),
    };
    if wanted.pcrs.is_some() && !matches!(choice, Choice::Tpm(_)) {
        return Err(format!("--tee-tpm-pcrs is for a TPM, but the platform is {choice}"));
    }
    log::info!("keys are derived from the platform: {choice}");
    Ok(match choice {
        Choice::SevSnp => Box::new(SevSnp::new(&devices.sev_guest)),
        Choice::Sgx => Box::new(Sgx::new(&devices.gramine)),
        Choice::Tpm(address) => {
            let address = address.unwrap_or_else(|| Address::File(devices.tpm.clone()));
            Box::new(Tpm::new(address, wanted.pcrs, folder, purpose))
        }
        Choice::KeyFile(path) => Box::new(KeyFile::new(&path)),
        Choice::Auto => unreachable!("it was resolved above"),
    })
}

fn present(devices: &Devices) -> Result<Choice, String> {
    let sgx_key = Sgx::new(&devices.gramine).key_path();
    for (path, choice) in
        [(&devices.sev_guest, Choice::SevSnp), (&sgx_key, Choice::Sgx), (&devices.tpm, Choice::Tpm(None))]
    {
        if path.exists() {
            return Ok(choice);
        }
    }
    Err(format!(
        "this machine has no {}, no {} and no {}: pass such a device in, or name a key file (--tee file:PATH)",
        devices.sev_guest.display(),
        sgx_key.display(),
        devices.tpm.display()
    ))
}

/// What can quote on this machine. An error says what would.
pub fn quoter(devices: &Devices) -> Result<Box<dyn Quoter>, String> {
    if let Some(tsm) = Tsm::find(&devices.tsm) {
        return Ok(Box::new(tsm));
    }
    if devices.sev_guest.exists() {
        return Ok(Box::new(SevSnp::new(&devices.sev_guest)));
    }
    let sgx = Sgx::new(&devices.gramine);
    if sgx.quote_path().exists() {
        return Ok(Box::new(sgx));
    }
    Err(format!(
        "this machine has no {} that can be written to, no {} and no {}",
        devices.tsm.display(),
        devices.sev_guest.display(),
        sgx.quote_path().display()
    ))
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Provider::Sgx => f.write_str("SGX"),
            Provider::SevSnp => f.write_str("SEV-SNP"),
            Provider::Other(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Choice::Auto => f.write_str("auto"),
            Choice::SevSnp => f.write_str("sev-snp"),
            Choice::Sgx => f.write_str("sgx"),
            Choice::Tpm(None) => f.write_str("tpm"),
            Choice::Tpm(Some(address)) => write!(f, "tpm:{address}"),
            Choice::KeyFile(path) => write!(f, "file:{}", path.display()),
        }
    }
}

/// The first bytes of a file, `limit` at most.
fn read_secret(file: File, limit: usize) -> io::Result<Secret> {
    let mut content = Buffer::default();
    file.take(limit as u64).read_to_end(&mut content)?;
    Ok(content.into())
}

/// An error of a file or device, with its path.
fn at(path: &Path) -> impl Fn(io::Error) -> String {
    move |error| format!("{}: {error}", path.display())
}

#[cfg(test)]
mod tests;
