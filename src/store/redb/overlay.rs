//! A file that is read and stays as it is: what is written to it is kept in memory, and forgotten in the end.
//!
//! redb verifies a database only where it may write to it, and writes then: that it is open, what it has recovered after
//! a crash, that it was closed. That is little, beside what is only read.
#![forbid(unsafe_code)]

use ::redb::backends::FileBackend;
use ::redb::{BackendError, StorageBackend};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

const PAGE_BYTES: u64 = 4096;

/// A file below, and pages in memory above it.
#[derive(Debug)]
pub(super) struct Overlay {
    file: FileBackend,
    /// Whether this process holds its locks already.
    is_our_own: bool,
    written: Mutex<Written>,
}

#[derive(Debug)]
struct Written {
    bytes: u64,
    /// As much of the file as has not been cut off.
    file_bytes: u64,
    /// By their number.
    pages: BTreeMap<u64, Box<[u8; PAGE_BYTES as usize]>>,
}

impl Overlay {
    /// Over a file that is open for reading.
    pub(super) fn new(file: File) -> Result<Overlay, ::redb::DatabaseError> {
        Overlay::over(file, false)
    }

    /// Over a file that this process has open as a database, to which nothing is written meanwhile.
    pub(super) fn of_our_own(file: File) -> Result<Overlay, ::redb::DatabaseError> {
        Overlay::over(file, true)
    }

    fn over(file: File, is_our_own: bool) -> Result<Overlay, ::redb::DatabaseError> {
        let file = FileBackend::new(file)?;
        let bytes = file.len()?;
        let written = Mutex::new(Written { bytes, file_bytes: bytes, pages: BTreeMap::new() });
        Ok(Overlay { file, is_our_own, written })
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the file has there; zeros behind its end.
    fn read_file(&self, file_bytes: u64, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let there = file_bytes.saturating_sub(offset).min(out.len() as u64) as usize;
        let (there, behind) = out.split_at_mut(there);
        behind.fill(0);
        if there.is_empty() { Ok(()) } else { self.file.read(offset, there) }
    }
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.written().bytes)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let written = self.written();
        let end = offset + out.len() as u64;
        if end > written.bytes {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.read_file(written.file_bytes, offset, out)?;
        for (number, page) in written.pages.range(offset / PAGE_BYTES..end.div_ceil(PAGE_BYTES)) {
            let start = number * PAGE_BYTES;
            let (from, to) = (start.max(offset), (start + PAGE_BYTES).min(end));
            let part = &page[(from - start) as usize..(to - start) as usize];
            out[(from - offset) as usize..(to - offset) as usize].copy_from_slice(part);
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut written = self.written();
        written.bytes = len;
        // What grows again later begins with zeros.
        written.file_bytes = written.file_bytes.min(len);
        written.pages.retain(|number, page| {
            let kept = len.saturating_sub(number * PAGE_BYTES).min(PAGE_BYTES);
            page[kept as usize..].fill(0);
            kept > 0
        });
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, mut offset: u64, mut data: &[u8]) -> io::Result<()> {
        let mut written = self.written();
        while !data.is_empty() {
            let (number, within) = (offset / PAGE_BYTES, offset % PAGE_BYTES);
            let (part, later) = data.split_at(data.len().min((PAGE_BYTES - within) as usize));
            let mut page = match written.pages.remove(&number) {
                Some(page) => page,
                None => {
                    let mut page = Box::new([0; PAGE_BYTES as usize]);
                    self.read_file(written.file_bytes, number * PAGE_BYTES, &mut page[..])?;
                    page
                }
            };
            page[within as usize..][..part.len()].copy_from_slice(part);
            written.pages.insert(number, page);
            offset += part.len() as u64;
            data = later;
        }
        Ok(())
    }

    // Whoever writes the file holds its locks for himself; whoever only reads it shares them.

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.try_lock_shared_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        if self.is_our_own { Ok(true) } else { self.file.try_lock_shared_range(start, end) }
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        if self.is_our_own { Ok(()) } else { self.file.unlock_range(start, end) }
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        if self.is_our_own { Ok(false) } else { self.file.query_lock_range(start, end) }
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::choices::Choices;

    #[test]
    fn it_reads_as_a_file_that_was_written_to_and_the_file_stays() {
        let path = std::env::temp_dir().join(format!("keyway-overlay-{}", std::process::id()));
        let content: Vec<u8> = (0..30_000_u32).map(|at| (at % 251) as u8 + 1).collect();
        std::fs::write(&path, &content).unwrap();
        let overlay = Overlay::new(File::open(&path).unwrap()).unwrap();
        let mut model = content.clone();
        let mut choices = Choices::new(1);
        for step in 0..2_000 {
            let offset = choices.below(model.len());
            let bytes = choices.below(20_000.min(model.len() - offset + 1));
            match choices.below(10) {
                0 => {
                    let length = choices.below(60_000) + 1;
                    overlay.set_len(length as u64).unwrap();
                    model.resize(length, 0);
                }
                1..5 => {
                    let data = vec![step as u8; bytes];
                    overlay.write(offset as u64, &data).unwrap();
                    model[offset..offset + bytes].copy_from_slice(&data);
                }
                _ => {
                    let mut read = vec![0xEE; bytes];
                    overlay.read(offset as u64, &mut read).unwrap();
                    assert!(read == model[offset..offset + bytes], "step {step}");
                }
            }
            assert_eq!(overlay.len().unwrap(), model.len() as u64);
        }
        assert!(overlay.read(model.len() as u64, &mut [0]).is_err(), "behind the end");
        assert!(std::fs::read(&path).unwrap() == content);
        std::fs::remove_file(&path).unwrap();
    }
}
