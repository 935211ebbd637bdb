//! Secrets, each from one of the places where it may be: an option, a file that another option names, or the credentials
//! that systemd hands to a service.
#![forbid(unsafe_code)]

use super::options::Spec;
use super::sources::{Source, Surroundings, Values};
use super::{ConfigError, Warnings};
use crate::secret::{Buffer, Secret};
use std::io::Read;
use std::path::Path;

/// Bytes of a file with a secret.
const FILE_BYTES_MAX: u64 = 4096;

/// A secret that was found.
pub struct Found {
    /// It.
    pub secret: Secret,
    /// Where it came from, for the operator.
    pub source: String,
    /// It stood on the command line.
    is_exposed: bool,
}

impl Found {
    /// Warns of a secret that others on this machine can read.
    pub fn warn_if_exposed(&self, option: &Spec, file: &Spec, warnings: &mut Warnings) {
        if self.is_exposed {
            warnings.push(format!(
                "--{} stands on the command line, where others on this machine can read it: use --{}",
                option.name, file.name
            ));
        }
    }
}

/// Looks for a secret. `option` is the one that holds it and `file` the one that names a file; the option's name is that of
/// the credential too (systemd.exec(5), `LoadCredential=`).
pub fn find(
    option: &Spec,
    file: &Spec,
    values: &mut Values,
    surroundings: &Surroundings<'_>,
) -> Result<Option<Found>, ConfigError> {
    let read = |path: &Path, told: &str| {
        let secret = read_secret(path);
        let secret = secret.map_err(|reason| ConfigError(format!("{told}{}: {reason}", path.display())))?;
        Ok(Some(Found { secret, source: path.display().to_string(), is_exposed: false }))
    };
    match (values.take(option), values.get(file)) {
        (Some(_), Some(_)) => Err(ConfigError(format!(
            "--{} and --{} are both given: give one of them",
            option.name, file.name
        ))),
        (Some(given), None) => Ok(Some(Found {
            source: given.source.to_string(),
            is_exposed: given.source == Source::CommandLine,
            secret: Secret::new(given.text.into_bytes()),
        })),
        (None, Some(given)) => {
            read(&surroundings.working_folder.join(&given.text), &format!("--{}: ", file.name))
        }
        (None, None) => match (surroundings.variable)("CREDENTIALS_DIRECTORY") {
            Some(folder) if !folder.is_empty() && Path::new(&folder).join(option.name).exists() => {
                read(&Path::new(&folder).join(option.name), "")
            }
            _ => Ok(None),
        },
    }
}

/// The content of a file with a secret, without the end of its line.
pub fn read_secret(path: &Path) -> Result<Secret, String> {
    let content = read_file(path, FILE_BYTES_MAX)?;
    let line = content.expose().strip_suffix(b"\n").unwrap_or(content.expose());
    Ok(Secret::copy_of(line.strip_suffix(b"\r").unwrap_or(line)))
}

/// The content of a secret file of so many bytes at most.
pub(super) fn read_file(path: &Path, bytes_max: u64) -> Result<Secret, String> {
    let mut content = Buffer::default();
    let file = std::fs::File::open(path).map_err(|error| format!("cannot be read: {error}"))?;
    let read = file.take(bytes_max + 1).read_to_end(&mut content);
    read.map_err(|error| format!("cannot be read: {error}"))?;
    if content.len() as u64 > bytes_max {
        return Err(format!("is longer than {bytes_max} bytes"));
    }
    Ok(Secret::new(std::mem::take(&mut *content)))
}
