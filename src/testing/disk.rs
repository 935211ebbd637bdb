//! A disk with the manners of a real one: what was not synced when the power failed may be there, or not, or in part.
#![forbid(unsafe_code)]

use super::choices::Choices;
use redb::StorageBackend;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is written as a whole or not at all.
const SECTOR_BYTES: usize = 512;

/// A disk, shared by the machines that use it one after the other.
#[derive(Clone, Debug, Default)]
pub struct Disk(Arc<Mutex<Platter>>);

#[derive(Debug, Default)]
struct Platter {
    /// What a crash cannot touch.
    durable: Vec<u8>,
    /// What the running machine reads.
    cached: Vec<u8>,
    /// The way from the one to the other.
    unsynced: Vec<Unsynced>,
    /// Machines that have used it; only the last one may.
    lifetimes: u64,
    /// Writes, changes of length and syncs until the power fails.
    operations_left: Option<u64>,
    /// Such operations so far.
    operations: u64,
    bytes_max: Option<u64>,
}

#[derive(Debug)]
enum Unsynced {
    Write { at: usize, bytes: Vec<u8> },
    Length(usize),
}

impl Disk {
    /// An empty disk.
    pub fn new() -> Disk {
        Disk::default()
    }

    /// A disk that holds `bytes`.
    pub fn holding(bytes: Vec<u8>) -> Disk {
        let disk = Disk::new();
        disk.platter().cached.clone_from(&bytes);
        disk.platter().durable = bytes;
        disk
    }

    /// What has been synced.
    pub fn durable(&self) -> Vec<u8> {
        self.platter().durable.clone()
    }

    /// The disk as the next machine sees it; machines before it cannot use it any more.
    pub fn mount(&self) -> Mount {
        let mut platter = self.platter();
        platter.lifetimes += 1;
        Mount { disk: self.clone(), lifetime: platter.lifetimes }
    }

    /// Cuts the power once `operations` more writes, changes of length and syncs were done: what follows fails, until
    /// [`Disk::crash`].
    pub fn fail_after(&self, operations: u64) {
        self.platter().operations_left = Some(operations);
    }

    /// Whether the power has been cut: nothing works until [`Disk::crash`].
    pub fn is_off(&self) -> bool {
        self.platter().operations_left == Some(0)
    }

    /// Lets the disk hold `bytes_max` bytes and no more.
    pub fn limit(&self, bytes_max: u64) {
        self.platter().bytes_max = Some(bytes_max);
    }

    /// Writes, changes of length and syncs done so far.
    pub fn operations(&self) -> u64 {
        self.platter().operations
    }

    /// The machine loses power. Of what was not synced, each sector and each change of length lasts or is lost as
    /// `seed` decides (some seeds lose all, some nothing); the disk is ready for [`Disk::mount`].
    pub fn crash(&self, seed: u64) {
        let mut platter = self.platter();
        let Platter { durable, cached, unsynced, lifetimes, operations_left, .. } = &mut *platter;
        let mut choices = Choices::new(seed);
        // Of four: 0 loses all, 3 nothing, others flip a coin for each.
        let mood = choices.below(4);
        let mut lasts = move || match mood {
            0 => false,
            3 => true,
            _ => choices.one_in(2),
        };
        for change in unsynced.drain(..) {
            match change {
                Unsynced::Length(bytes) => {
                    if lasts() {
                        durable.resize(bytes, 0);
                    }
                }
                Unsynced::Write { mut at, bytes } => {
                    let mut rest = bytes.as_slice();
                    while !rest.is_empty() {
                        let (sector, later) = rest.split_at(rest.len().min(SECTOR_BYTES - at % SECTOR_BYTES));
                        if lasts() && at + sector.len() <= durable.len() {
                            durable[at..at + sector.len()].copy_from_slice(sector);
                        }
                        at += sector.len();
                        rest = later;
                    }
                }
            }
        }
        cached.clone_from(durable);
        *lifetimes += 1;
        *operations_left = None;
    }

    fn platter(&self) -> MutexGuard<'_, Platter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A disk in a machine.
#[derive(Debug)]
pub struct Mount {
    disk: Disk,
    lifetime: u64,
}

impl Mount {
    /// The disk, where this machine still runs.
    fn platter(&self) -> io::Result<MutexGuard<'_, Platter>> {
        let platter = self.disk.platter();
        if platter.lifetimes != self.lifetime || platter.operations_left == Some(0) {
            return Err(io::Error::other("the power is off"));
        }
        Ok(platter)
    }

    /// The disk, for one operation that the power must last for.
    fn operate(&self) -> io::Result<MutexGuard<'_, Platter>> {
        let mut platter = self.platter()?;
        if let Some(left) = &mut platter.operations_left {
            *left -= 1;
        }
        platter.operations += 1;
        Ok(platter)
    }
}

impl StorageBackend for Mount {
    fn len(&self) -> io::Result<u64> {
        Ok(self.platter()?.cached.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let platter = self.platter()?;
        let stored = span(&platter.cached, offset, out.len())?;
        out.copy_from_slice(&platter.cached[stored]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut platter = self.operate()?;
        if platter.bytes_max.is_some_and(|max| len > max) {
            return Err(ErrorKind::StorageFull.into());
        }
        let len = usize::try_from(len).map_err(io::Error::other)?;
        platter.cached.resize(len, 0);
        platter.unsynced.push(Unsynced::Length(len));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut platter = self.operate()?;
        let Platter { durable, unsynced, .. } = &mut *platter;
        for change in unsynced.drain(..) {
            match change {
                Unsynced::Length(bytes) => durable.resize(bytes, 0),
                Unsynced::Write { at, bytes } => durable[at..at + bytes.len()].copy_from_slice(&bytes),
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut platter = self.operate()?;
        let span = span(&platter.cached, offset, data.len())?;
        let at = span.start;
        platter.cached[span].copy_from_slice(data);
        platter.unsynced.push(Unsynced::Write { at, bytes: data.to_vec() });
        Ok(())
    }
}

/// `bytes` bytes from `offset`, where `stored` has them: redb sets the length before it writes.
fn span(stored: &[u8], offset: u64, bytes: usize) -> io::Result<std::ops::Range<usize>> {
    let start = usize::try_from(offset).map_err(io::Error::other)?;
    match start.checked_add(bytes) {
        Some(end) if end <= stored.len() => Ok(start..end),
        _ => Err(ErrorKind::UnexpectedEof.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_synced_lasts_and_the_rest_may_not() {
        let (mut kept, mut lost) = (0, 0);
        for seed in 0..100 {
            let disk = Disk::new();
            let mount = disk.mount();
            mount.set_len(2048).unwrap();
            mount.write(0, &[1; 1024]).unwrap();
            mount.sync_data().unwrap();
            mount.write(512, &[2; 1024]).unwrap();
            disk.crash(seed);
            assert!(mount.len().is_err(), "a machine without power");

            let mut bytes = [0; 2048];
            disk.mount().read(0, &mut bytes).unwrap();
            assert_eq!(bytes[..512], [1; 512]);
            for (sector, before) in [(&bytes[512..1024], 1), (&bytes[1024..1536], 0)] {
                assert!(sector == [2; 512] || sector == [before; 512], "sectors are whole");
                *if sector[0] == 2 { &mut kept } else { &mut lost } += 1;
            }
        }
        assert!(kept > 50 && lost > 50, "{kept} and {lost}");
    }

    #[test]
    fn the_power_fails_when_it_was_told_to() {
        let disk = Disk::new();
        let mount = disk.mount();
        disk.fail_after(2);
        mount.set_len(10).unwrap();
        mount.write(0, &[1]).unwrap();
        assert!(mount.sync_data().is_err() && mount.len().is_err());
        assert_eq!(disk.operations(), 2);
        disk.crash(0);
        disk.mount().sync_data().unwrap();
    }
}
