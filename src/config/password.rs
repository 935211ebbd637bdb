//! The password of the PKCS#12 file, from one of the places where it may be.
#![forbid(unsafe_code)]

use super::options::{HTTPS_P12_PASSWORD, HTTPS_P12_PASSWORD_FILE};
use super::sources::{Source, Surroundings, Values};
use super::{ConfigError, Warnings};
use crate::secret::Secret;
use std::io::Read;
use std::path::Path;
use zeroize::Zeroizing;

/// Bytes of a file with a password.
const FILE_BYTES_MAX: u64 = 4096;
/// Its name among the credentials that systemd hands to a service (systemd.exec(5), `LoadCredential=`).
const CREDENTIAL: &str = "https-p12-password";

/// The password, and where it came from; an empty one where there is none.
pub fn find(
    values: &mut Values,
    surroundings: &Surroundings<'_>,
    warnings: &mut Warnings,
) -> Result<(Secret, String), ConfigError> {
    let (given, file) = (values.take(&HTTPS_P12_PASSWORD), values.get(&HTTPS_P12_PASSWORD_FILE));
    match (given, file) {
        (Some(_), Some(_)) => Err(ConfigError(
            "--https-p12-password and --https-p12-password-file are both given: give one of them".into(),
        )),
        (Some(given), None) => {
            if given.source == Source::CommandLine {
                warnings.push(
                    "--https-p12-password stands on the command line, where others on this machine can read it: \
                     use --https-p12-password-file"
                        .into(),
                );
            }
            Ok((Secret::new(given.text.into_bytes()), given.source.to_string()))
        }
        (None, Some(file)) => {
            let path = surroundings.working_folder.join(&file.text);
            let password = read_secret(&path).map_err(|reason| {
                ConfigError(format!("--https-p12-password-file: {}: {reason}", path.display()))
            })?;
            Ok((password, path.display().to_string()))
        }
        (None, None) => match (surroundings.variable)("CREDENTIALS_DIRECTORY") {
            Some(folder) if !folder.is_empty() && Path::new(&folder).join(CREDENTIAL).exists() => {
                let path = Path::new(&folder).join(CREDENTIAL);
                let password = read_secret(&path)
                    .map_err(|reason| ConfigError(format!("{}: {reason}", path.display())))?;
                Ok((password, path.display().to_string()))
            }
            _ => Ok((Secret::new(Vec::new()), "default".into())),
        },
    }
}

/// The content of a file with a secret, without the end of its line.
pub(super) fn read_secret(path: &Path) -> Result<Secret, String> {
    // All the room at once: growing would leave copies behind.
    let mut content = Zeroizing::new(Vec::with_capacity(FILE_BYTES_MAX as usize + 1));
    let file = std::fs::File::open(path).map_err(|error| format!("cannot be read: {error}"))?;
    let read = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut content);
    read.map_err(|error| format!("cannot be read: {error}"))?;
    if content.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("is longer than {FILE_BYTES_MAX} bytes, too long for a password"));
    }
    let line = content.strip_suffix(b"\n").unwrap_or(&content);
    Ok(Secret::copy_of(line.strip_suffix(b"\r").unwrap_or(line)))
}
