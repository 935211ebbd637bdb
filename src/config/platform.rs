//! The options of keys and quotes from the platform.
#![forbid(unsafe_code)]

use super::options as o;
use super::sources::{Surroundings, Values};
use super::{ConfigError, Warnings, data_folder, invalid};
use crate::tee::tpm::{Address, Pcrs};
use crate::tee::{Choice, Wanted};
use std::path::PathBuf;

/// Which platform is used, and how.
pub struct Platform {
    /// Where keys come from, if any are wanted.
    pub wanted: Wanted,
    /// The PEM file with the key that the enclave is signed with.
    pub enclave_public_key: Option<PathBuf>,
}

/// The platform that is wanted.
pub(super) fn find(
    values: &Values,
    surroundings: &Surroundings<'_>,
    warnings: &mut Warnings,
) -> Result<Platform, ConfigError> {
    for spec in [&o::TEE, &o::TEE_TPM_PCRS] {
        let is_used =
            [&o::CERTBOT_USE_TEE_KEY, &o::MASTER_USE_TEE_KEY].iter().any(|use_of| values.is_set(use_of));
        if values.is_set(spec) && !is_used {
            warnings.push(format!(
                "--{} has no effect without --certbot-use-tee-key or --master-use-tee-key",
                spec.name
            ));
        }
    }
    let pcrs = match values.get(&o::TEE_TPM_PCRS) {
        None => None,
        Some(given) => Some(Pcrs::parse(&given.text).ok_or_else(|| {
            invalid(values, &o::TEE_TPM_PCRS, "must be numbers from 0 to 23, with commas between them")
        })?),
    };
    let folder = data_folder(values, &o::TEE_DIR_PATH, surroundings)?;
    let enclave_public_key =
        values.get(&o::SGX_PUBLIC_SIGNER_KEY_FILENAME).map(|given| folder.join(&given.text));
    Ok(Platform { wanted: Wanted { choice: choice(values, surroundings)?, pcrs }, enclave_public_key })
}

fn choice(values: &Values, surroundings: &Surroundings<'_>) -> Result<Choice, ConfigError> {
    let in_working_folder = |path: &str| surroundings.working_folder.join(path);
    match values.text(&o::TEE).split_once(':') {
        None => match values.text(&o::TEE) {
            "auto" => return Ok(Choice::Auto),
            "sev-snp" => return Ok(Choice::SevSnp),
            "sgx" => return Ok(Choice::Sgx),
            "tpm" => return Ok(Choice::Tpm(None)),
            _ => {}
        },
        Some(("file", path)) if !path.is_empty() => return Ok(Choice::KeyFile(in_working_folder(path))),
        Some(("tpm", path)) if path.contains('/') => {
            return Ok(Choice::Tpm(Some(Address::File(in_working_folder(path)))));
        }
        Some(("tpm", address))
            if address.rsplit_once(':').is_some_and(|(host, port)| {
                !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
            }) =>
        {
            return Ok(Choice::Tpm(Some(Address::Tcp(address.to_owned()))));
        }
        Some(_) => {}
    }
    let reason = "must be auto, sev-snp, sgx, tpm, tpm:PATH (with a slash), tpm:HOST:PORT or file:PATH";
    Err(invalid(values, &o::TEE, reason))
}
