//! A disk with the manners of a real one: what was not synced when the power failed may be there, or not, or in part.
#![forbid(unsafe_code)]

use super::choices::Choices;
use redb::StorageBackend;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is written as a whole or not at all.
const SECTOR_BYTES: usize = 512;

/// A disk, shared by the machines that use it one after the other.
#[derive(Clone, Debug, Default)]
pub struct Disk(Arc<Mutex<Platter>>);

/// The name of the file that is always there.
const MAIN: u128 = 0;

#[derive(Debug, Default)]
struct Platter {
    /// By name. Names last: whoever makes a file syncs its folder before there is anything in it.
    files: BTreeMap<u128, Content>,
    /// Writes, changes of length and syncs until the power fails.
    operations_left: Option<u64>,
    /// Such operations so far.
    operations: u64,
    /// Such operations until one fails, and no other.
    good_operations: Option<u64>,
    bytes_max: Option<u64>,
    /// Something has failed in the last machine.
    has_failed: bool,
    /// Syncs are acknowledged, and nothing lasts for it.
    lies: bool,
    mark: Mark,
}

/// What is in a file.
#[derive(Clone, Debug, Default)]
struct Content {
    /// What a crash cannot touch.
    durable: Vec<u8>,
    /// What the running machine reads.
    cached: Vec<u8>,
    /// The way from the one to the other.
    unsynced: Vec<Unsynced>,
    /// How often it was opened; only who has opened it last may use it.
    lifetimes: u64,
}

impl Content {
    fn holding(bytes: Vec<u8>) -> Content {
        Content { durable: bytes.clone(), cached: bytes, ..Content::default() }
    }
}

impl Platter {
    fn file(&mut self, name: u128) -> &mut Content {
        self.files.entry(name).or_default()
    }

    /// Bytes of all files.
    fn bytes(&self) -> usize {
        self.files.values().map(|file| file.cached.len()).sum()
    }
}

/// A file beside the other, of which only its name is of interest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mark {
    #[default]
    Absent,
    There,
    /// It is gone, and nobody has synced that.
    Removed,
}

#[derive(Clone, Debug)]
enum Unsynced {
    Write { at: usize, bytes: Vec<u8> },
    Length(usize),
}

impl Disk {
    /// An empty disk.
    pub fn new() -> Disk {
        Disk::default()
    }

    /// A disk with a file that holds `bytes`.
    pub fn holding(bytes: Vec<u8>) -> Disk {
        let disk = Disk::new();
        disk.platter().files.insert(MAIN, Content::holding(bytes));
        disk
    }

    /// A good disk with what the machine that uses this one would read.
    pub fn copy(&self) -> Disk {
        let disk = Disk::new();
        let files = self.platter().files.clone();
        let copies = files.into_iter().map(|(name, file)| (name, Content::holding(file.cached)));
        disk.platter().files = copies.collect();
        disk
    }

    /// What has been synced, of all files.
    pub fn durable(&self) -> Vec<u8> {
        self.platter().files.values().flat_map(|file| &file.durable).copied().collect()
    }

    /// Whether nothing waits to be synced.
    pub fn is_synced(&self) -> bool {
        self.platter().files.values().all(|file| file.unsynced.is_empty())
    }

    /// What the machine that uses it would read.
    pub fn content(&self) -> io::Result<Vec<u8>> {
        if self.is_off() {
            return Err(io::Error::other("the power is off"));
        }
        Ok(self.platter().file(MAIN).cached.clone())
    }

    /// Whether there is a file with this name.
    pub fn has(&self, name: u128) -> bool {
        self.platter().files.contains_key(&name)
    }

    /// Removes a file.
    pub fn remove(&self, name: u128) {
        self.platter().files.remove(&name);
    }

    /// Makes a mark beside the file, which lasts; `false` where there is one already.
    pub fn mark(&self) -> bool {
        std::mem::replace(&mut self.platter().mark, Mark::There) != Mark::There
    }

    /// Removes the mark, which may come back after a crash.
    pub fn unmark(&self) {
        let mark = &mut self.platter().mark;
        *mark = if *mark == Mark::Absent { Mark::Absent } else { Mark::Removed };
    }

    /// How many bytes it holds.
    pub fn bytes(&self) -> u64 {
        self.platter().bytes() as u64
    }

    /// The disk as the next machine sees it; machines before it cannot use it any more.
    pub fn mount(&self) -> Mount {
        self.platter().has_failed = false;
        self.mount_file(MAIN)
    }

    /// The same for one file, which is made where it is not there. Whether the disk has failed is not forgotten.
    pub fn mount_file(&self, name: u128) -> Mount {
        let mut platter = self.platter();
        let file = platter.file(name);
        file.lifetimes += 1;
        Mount { disk: self.clone(), name, lifetime: file.lifetimes }
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

    /// Whether the machine that uses it was told of a failure: from then on it may do nothing right any more.
    pub fn has_failed(&self) -> bool {
        self.is_off() || self.platter().has_failed
    }

    /// Lets one operation fail once `operations` more were done, and nothing after it.
    pub fn fail_once_after(&self, operations: u64) {
        self.platter().good_operations = Some(operations);
    }

    /// Lets the disk hold `bytes_max` bytes and no more.
    pub fn limit(&self, bytes_max: u64) {
        self.platter().bytes_max = Some(bytes_max);
    }

    /// No more faults, of those that a machine survives: there is room, and no operation fails.
    pub fn heal(&self) {
        let mut platter = self.platter();
        (platter.good_operations, platter.bytes_max) = (None, None);
    }

    /// From now on it claims to have synced, and has not: what a drive does that has a cache and no battery. No server can
    /// keep its promises on it, so that it shows whether anybody would notice.
    pub fn lie(&self) {
        self.platter().lies = true;
    }

    /// Writes, changes of length and syncs done so far.
    pub fn operations(&self) -> u64 {
        self.platter().operations
    }

    /// The process ends, and the machine goes on: whoever mounts the disk next reads what was written.
    pub fn abandon(&self) {
        let mut platter = self.platter();
        platter.files.values_mut().for_each(|file| file.lifetimes += 1);
        (platter.operations_left, platter.has_failed) = (None, false);
    }

    /// The machine loses power. Of what was not synced, each sector and each change of length lasts or is lost as
    /// `seed` decides (some seeds lose all, some nothing), and one sector in a hundred is torn: of that, the first bytes
    /// last. The disk is ready for [`Disk::mount`].
    pub fn crash(&self, seed: u64) {
        let mut platter = self.platter();
        let Platter { files, operations_left, has_failed, mark, .. } = &mut *platter;
        if *mark == Mark::Removed {
            *mark = if seed.is_multiple_of(2) { Mark::There } else { Mark::Absent };
        }
        let mut choices = Choices::new(seed);
        // Of four: 0 loses all, 3 nothing, others flip a coin for each.
        let mood = choices.below(4);
        // How many of so many bytes last.
        let mut lasting = move |bytes: usize| match mood {
            0 => 0,
            3 => bytes,
            _ if choices.one_in(100) => choices.below(bytes),
            _ if choices.one_in(2) => bytes,
            _ => 0,
        };
        for file in files.values_mut() {
            let Content { durable, cached, unsynced, lifetimes } = file;
            for change in unsynced.drain(..) {
                match change {
                    Unsynced::Length(bytes) => {
                        if lasting(1) == 1 {
                            durable.resize(bytes, 0);
                        }
                    }
                    Unsynced::Write { mut at, bytes } => {
                        let mut rest = bytes.as_slice();
                        while !rest.is_empty() {
                            let (sector, later) =
                                rest.split_at(rest.len().min(SECTOR_BYTES - at % SECTOR_BYTES));
                            let lasts = lasting(sector.len());
                            if at + lasts <= durable.len() {
                                durable[at..at + lasts].copy_from_slice(&sector[..lasts]);
                            }
                            at += sector.len();
                            rest = later;
                        }
                    }
                }
            }
            cached.clone_from(durable);
            *lifetimes += 1;
        }
        (*operations_left, *has_failed) = (None, false);
    }

    fn platter(&self) -> MutexGuard<'_, Platter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A disk in a machine.
#[derive(Debug)]
pub struct Mount {
    disk: Disk,
    name: u128,
    lifetime: u64,
}

impl Mount {
    /// The disk, where this machine still runs.
    fn platter(&self) -> io::Result<MutexGuard<'_, Platter>> {
        let platter = self.disk.platter();
        let lifetime = platter.files.get(&self.name).map(|file| file.lifetimes);
        if lifetime != Some(self.lifetime) || platter.operations_left == Some(0) {
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
        match &mut platter.good_operations {
            Some(0) => {
                platter.good_operations = None;
                platter.has_failed = true;
                Err(io::Error::other("the disk has a bad moment"))
            }
            Some(left) => {
                *left -= 1;
                Ok(platter)
            }
            None => Ok(platter),
        }
    }
}

impl StorageBackend for Mount {
    fn len(&self) -> io::Result<u64> {
        Ok(self.platter()?.file(self.name).cached.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut platter = self.platter()?;
        let cached = &platter.file(self.name).cached;
        out.copy_from_slice(&cached[span(cached, offset, out.len())?]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut platter = self.operate()?;
        let others = (platter.bytes() - platter.file(self.name).cached.len()) as u64;
        if platter.bytes_max.is_some_and(|max| others + len > max) {
            platter.has_failed = true;
            return Err(ErrorKind::StorageFull.into());
        }
        let len = usize::try_from(len).map_err(io::Error::other)?;
        let file = platter.file(self.name);
        file.cached.resize(len, 0);
        file.unsynced.push(Unsynced::Length(len));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut platter = self.operate()?;
        if platter.lies {
            return Ok(());
        }
        let Content { durable, unsynced, .. } = platter.file(self.name);
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
        let file = platter.file(self.name);
        let span = span(&file.cached, offset, data.len())?;
        let at = span.start;
        file.cached[span].copy_from_slice(data);
        file.unsynced.push(Unsynced::Write { at, bytes: data.to_vec() });
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
        let (mut kept, mut lost, mut torn) = (0, 0, 0);
        for seed in 0..1000 {
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
                let lasts = sector.iter().take_while(|byte| **byte == 2).count();
                assert!(
                    sector[lasts..].iter().all(|byte| *byte == before),
                    "the first bytes are new, or all"
                );
                match lasts {
                    512 => kept += 1,
                    0 => lost += 1,
                    _ => torn += 1,
                }
            }
        }
        assert!(kept > 500 && lost > 500 && torn > 0, "{kept}, {lost} and {torn}");
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

    #[test]
    fn one_operation_fails_and_there_is_only_so_much_room() {
        let disk = Disk::new();
        let mount = disk.mount();
        disk.fail_once_after(1);
        mount.set_len(10).unwrap();
        assert!(mount.write(0, &[1]).is_err());
        mount.write(0, &[2]).unwrap();
        disk.limit(10);
        assert_eq!(mount.set_len(11).unwrap_err().kind(), ErrorKind::StorageFull);
        disk.heal();
        mount.set_len(11).unwrap();
        disk.abandon();
        let mut bytes = [0; 1];
        assert!(mount.read(0, &mut bytes).is_err(), "a process that has ended");
        disk.mount().read(0, &mut bytes).unwrap();
        assert_eq!(bytes, [2]);
    }

    #[test]
    fn files_share_the_disk_and_nothing_else() {
        let disk = Disk::new();
        let (main, other) = (disk.mount(), disk.mount_file(7));
        main.set_len(10).unwrap();
        disk.limit(15);
        assert_eq!(other.set_len(6).unwrap_err().kind(), ErrorKind::StorageFull);
        other.set_len(5).unwrap();
        other.write(0, &[7; 5]).unwrap();
        main.sync_data().unwrap();
        assert_eq!((disk.durable(), disk.is_synced()), (vec![0; 10], false));
        other.sync_data().unwrap();
        assert_eq!((disk.bytes(), disk.is_synced()), (15, true));
        disk.crash(0);
        assert!(main.len().is_err() && other.len().is_err(), "a machine without power");
        let copy = disk.copy().mount_file(7);
        let mut bytes = [0; 5];
        copy.read(0, &mut bytes).unwrap();
        assert_eq!(bytes, [7; 5]);
        disk.remove(7);
        assert!(!disk.has(7) && disk.has(MAIN) && copy.len().is_ok());
    }

    #[test]
    fn a_mark_lasts_and_its_removal_may_not() {
        let disk = Disk::new();
        assert!(disk.mark() && !disk.mark());
        disk.crash(0);
        assert!(!disk.mark(), "it has lasted");
        disk.unmark();
        assert!(disk.mark() && !disk.mark());
        let is_back = |seed| {
            disk.unmark();
            disk.crash(seed);
            !disk.mark()
        };
        assert!((0..20).any(is_back) && !(0..20).all(is_back));
    }

    #[test]
    fn what_a_liar_has_synced_may_be_lost() {
        let is_lost = |seed| {
            let disk = Disk::new();
            disk.lie();
            let mount = disk.mount();
            mount.set_len(10).unwrap();
            mount.sync_data().unwrap();
            disk.crash(seed);
            disk.durable().is_empty()
        };
        assert!((0..20).any(is_lost));
    }
}
