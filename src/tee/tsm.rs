//! Quotes through the kernel, whatever the platform (SEV-SNP, TDX, ..): a folder of its own in configfs for each (Linux,
//! `Documentation/ABI/testing/configfs-tsm-report`).
#![forbid(unsafe_code)]

use super::{Provider, QUOTE_BYTES_MAX, Quoter, REPORT_DATA_BYTES, at};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

/// Folders that others, or a run of ours that was killed, may have left.
const FOLDERS_MAX: u32 = 1024;
/// Bytes of a number or a name.
const WORD_BYTES_MAX: u64 = 64;

/// The kernel's reports by trusted security modules.
pub struct Tsm {
    base: PathBuf,
}

impl Tsm {
    /// What reports through this folder; `None` where the kernel has none, or no platform behind it.
    pub fn find(base: &Path) -> Option<Tsm> {
        let tsm = Tsm { base: base.to_owned() };
        let folder = tsm.make_folder().ok()?;
        fs::remove_dir(folder).ok()?;
        Some(tsm)
    }

    fn make_folder(&self) -> Result<PathBuf, String> {
        for number in 0..FOLDERS_MAX {
            let folder = self.base.join(format!("keyway-{number}"));
            match fs::create_dir(&folder) {
                Ok(()) => return Ok(folder),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(at(&folder)(error)),
            }
        }
        Err(format!("{}: has too many folders of servers that were killed: remove them", self.base.display()))
    }

    /// Does something with a folder of its own.
    fn with_folder<T>(&self, use_it: impl FnOnce(&Path) -> Result<T, String>) -> Result<T, String> {
        let folder = self.make_folder()?;
        let result = use_it(&folder);
        // The kernel removes its files with the folder.
        let removed = fs::remove_dir(&folder).map_err(at(&folder));
        result.and_then(|result| removed.map(|()| result))
    }
}

impl Quoter for Tsm {
    fn quote(&self, report_data: &[u8; REPORT_DATA_BYTES]) -> Result<Vec<u8>, String> {
        self.with_folder(|folder| exchange(folder, report_data))
    }

    fn provider(&self) -> Result<Provider, String> {
        self.with_folder(provider)
    }
}

/// Writes what is to be vouched for and reads the quote. The kernel counts what is written: so nobody else has written
/// in between.
fn exchange(folder: &Path, report_data: &[u8; REPORT_DATA_BYTES]) -> Result<Vec<u8>, String> {
    let before = generation(folder)?;
    let input = folder.join("inblob");
    let written =
        OpenOptions::new().write(true).open(&input).and_then(|mut file| file.write_all(report_data));
    written.map_err(at(&input))?;
    let (output, mut quote) = (folder.join("outblob"), Vec::new());
    let read = File::open(&output).and_then(|file| file.take(QUOTE_BYTES_MAX).read_to_end(&mut quote));
    read.map_err(at(&output))?;
    if generation(folder)? != before + 1 {
        return Err(format!("{}: somebody else has used this folder", folder.display()));
    }
    if quote.is_empty() {
        return Err(format!("{}: is empty", output.display()));
    }
    Ok(quote)
}

fn generation(folder: &Path) -> Result<u64, String> {
    let path = folder.join("generation");
    read_word(&path)?.parse().map_err(|_| format!("{}: is no number", path.display()))
}

/// Which of the kernel's drivers answers.
fn provider(folder: &Path) -> Result<Provider, String> {
    let name = read_word(&folder.join("provider"))?;
    Ok(if name == "sev_guest" { Provider::SevSnp } else { Provider::Other(name) })
}

/// The content of a file with one short line.
fn read_word(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(WORD_BYTES_MAX).read_to_string(&mut text))
        .map_err(at(path))?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests;
