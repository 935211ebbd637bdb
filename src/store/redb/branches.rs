//! A file, and in memory the branch pages of its trees.
//!
//! Among a million objects the way to each leads through one of a thousand pages just above the records. redb's own cache,
//! whose pages should stay in that of the processor, is too small for them: the records that are read push them out. To
//! find such a page again in the kernel takes longer than all else on that way. Branch pages hold keys of rows, and no
//! values. Those of rows that came in the order of their keys are half empty: what is empty takes no room here.
#![forbid(unsafe_code)]

use crate::limits::BRANCH_CACHE_BYTES;
use ::redb::{BackendError, StorageBackend};
use std::collections::HashMap;
use std::fmt::{self, Debug, Formatter};
use std::io;
use std::ops::{Bound, Range};
use std::sync::{Mutex, MutexGuard, PoisonError};

const PAGE_BYTES: usize = 4096;
/// What a branch page begins with. Other pages that do are kept as well, and are as right.
const BRANCH: u8 = 2;
/// Pages are kept in pieces of this size, and pieces of zeros not at all.
const PIECE_BYTES: usize = 512;
const PIECES: usize = BRANCH_CACHE_BYTES / PIECE_BYTES;
/// Pieces are allocated together: 2 MB, for which the processor has one page of its own
/// ([`allocator`](crate::shell::allocator)). To look up a thousand small ones in its tables takes as long as what is won.
const ALLOCATED_BYTES: usize = 2 * 1024 * 1024;
/// Stands for a piece of zeros.
const ZEROS: u16 = u16::MAX;
const _: () = assert!(PIECES <= ZEROS as usize && BRANCH_CACHE_BYTES.is_multiple_of(ALLOCATED_BYTES));

type Page = [u8; PAGE_BYTES];

/// A file, and pages of it in memory.
pub(super) struct Branches<B> {
    file: B,
    /// From so many bytes of the file on.
    kept_from_bytes: u64,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// Whether the file is so large that redb's cache has not all of them.
    is_file_large: bool,
    /// The pages that are kept, by their numbers in the file,
    pages: HashMap<u32, Pieces>,
    /// and their numbers, each at the place that its page knows.
    numbers: Vec<u32>,
    /// Pieces that no page has.
    free: Vec<u16>,
    memory: Vec<Vec<u8>>,
    /// What the next one to give way is chosen by.
    choice: u32,
    /// Of the file: what was read before the last one is not kept after it.
    changes: u64,
}

/// What a page consists of.
struct Pieces {
    /// Where its number is among all.
    place: usize,
    pieces: [u16; PAGE_BYTES / PIECE_BYTES],
}

impl<B: StorageBackend> Branches<B> {
    /// Over a file; nothing is kept as long as that has fewer bytes than `kept_from_bytes`.
    pub(super) fn over(file: B, kept_from_bytes: u64) -> io::Result<Branches<B>> {
        let kept = Kept { is_file_large: file.len()? >= kept_from_bytes, ..Kept::default() };
        Ok(Branches { file, kept_from_bytes, kept: Mutex::new(kept) })
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The number of the page that is there, if one begins there; beyond 16 TB, pages have none.
fn number_of(offset: u64) -> Option<u32> {
    u32::try_from(offset / PAGE_BYTES as u64).ok().filter(|_| offset.is_multiple_of(PAGE_BYTES as u64))
}

impl Kept {
    /// Reads the page with this number, if it is kept: `false` where it is not.
    fn read(&self, number: u32, page: &mut Page) -> bool {
        let Some(Pieces { pieces, .. }) = self.pages.get(&number) else { return false };
        for (piece, out) in pieces.iter().zip(page.as_chunks_mut::<PIECE_BYTES>().0) {
            match *piece {
                ZEROS => out.fill(0),
                piece => {
                    let (memory, at) = position(piece);
                    out.copy_from_slice(&self.memory[memory][at]);
                }
            }
        }
        true
    }

    /// Keeps one that is not kept yet.
    fn keep(&mut self, number: u32, page: &Page) {
        if self.memory.is_empty() {
            self.memory.resize_with(BRANCH_CACHE_BYTES / ALLOCATED_BYTES, || vec![0; ALLOCATED_BYTES]);
            self.free = (0..PIECES as u16).rev().collect();
        }
        let mut pieces = [ZEROS; PAGE_BYTES / PIECE_BYTES];
        for (piece, content) in pieces.iter_mut().zip(page.as_chunks::<PIECE_BYTES>().0) {
            if *content != [0; PIECE_BYTES] {
                *piece = self.free_piece();
                let (memory, at) = position(*piece);
                self.memory[memory][at].copy_from_slice(content);
            }
        }
        self.pages.insert(number, Pieces { place: self.numbers.len(), pieces });
        self.numbers.push(number);
    }

    /// A piece that no page has. Where there is none, pages give way, whichever: were it the one that waits longest, each
    /// would go just before its turn came where there are a few too many that are read in turn.
    fn free_piece(&mut self) -> u16 {
        loop {
            if let Some(free) = self.free.pop() {
                return free;
            }
            // A linear congruential generator; its upper bits are the better ones.
            self.choice = self.choice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            self.forget(self.numbers[(self.choice >> 16) as usize % self.numbers.len()]);
        }
    }

    /// Keeps the page with this number no longer.
    fn forget(&mut self, number: u32) {
        let Some(Pieces { place, pieces }) = self.pages.remove(&number) else { return };
        self.free.extend(pieces.into_iter().filter(|piece| *piece != ZEROS));
        self.numbers.swap_remove(place);
        if let Some(moved) = self.numbers.get(place).and_then(|moved| self.pages.get_mut(moved)) {
            moved.place = place;
        }
    }

    /// These bytes of the file are others now.
    fn written(&mut self, bytes: Range<u64>) {
        self.changes += 1;
        let pages = bytes.start / PAGE_BYTES as u64..bytes.end.div_ceil(PAGE_BYTES as u64);
        pages.filter_map(|number| u32::try_from(number).ok()).for_each(|number| self.forget(number));
    }

    /// The file has so many bytes now.
    fn resized(&mut self, len: u64) {
        self.changes += 1;
        let is_cut = |number: &u32| (u64::from(*number) + 1) * PAGE_BYTES as u64 > len;
        let cut: Vec<u32> = self.numbers.iter().copied().filter(is_cut).collect();
        cut.into_iter().for_each(|number| self.forget(number));
    }
}

/// In which of the allocated memory a piece is, and where in it.
fn position(piece: u16) -> (usize, Range<usize>) {
    let at = usize::from(piece) * PIECE_BYTES;
    let begin = at % ALLOCATED_BYTES;
    (at / ALLOCATED_BYTES, begin..begin + PIECE_BYTES)
}

impl<B: StorageBackend> StorageBackend for Branches<B> {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let (Some(number), Ok(page)) = (number_of(offset), <&mut Page>::try_from(&mut *out)) else {
            return self.file.read(offset, out);
        };
        let before = {
            let kept = self.kept();
            if kept.read(number, page) {
                return Ok(());
            }
            kept.changes
        };
        // The disk may take its time: others do not wait for it.
        self.file.read(offset, page)?;
        if page[0] == BRANCH {
            let mut kept = self.kept();
            if kept.is_file_large && kept.changes == before && !kept.pages.contains_key(&number) {
                kept.keep(number, page);
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let done = self.file.set_len(len);
        let mut kept = self.kept();
        kept.resized(len);
        kept.is_file_large = len >= self.kept_from_bytes;
        done
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let done = self.file.write(offset, data);
        self.kept().written(offset..offset + data.len() as u64);
        done
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }
    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }
    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(start, end)
    }
    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }
    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }
    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}

impl<B: Debug> Debug for Branches<B> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Branches").field("file", &self.file).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kms::object::Object;
    use crate::kms::view::Change;
    use crate::store::redb::RedbStore;
    use crate::store::rows::{AllRows, Table};
    use crate::store::{Store, Transaction};
    use crate::testing::choices::Choices;
    use ::redb::backends::InMemoryBackend;
    use std::collections::{BTreeMap, BTreeSet};

    fn page(first: u8, rest: u8) -> Page {
        let mut page = [rest; PAGE_BYTES];
        page[0] = first;
        page
    }

    /// A file of so many pages.
    fn file(pages: u64) -> InMemoryBackend {
        let file = InMemoryBackend::new();
        file.set_len(pages * PAGE_BYTES as u64).unwrap();
        file
    }

    fn read(branches: &Branches<InMemoryBackend>, number: u64) -> Page {
        let mut out = [5; PAGE_BYTES];
        branches.read(number * PAGE_BYTES as u64, &mut out).unwrap();
        out
    }

    /// Whether a page is kept: what is changed below is not seen.
    fn is_kept(branches: &Branches<InMemoryBackend>, number: u64) -> bool {
        let before = read(branches, number);
        branches.file.write(number * PAGE_BYTES as u64, &page(9, 9)).unwrap();
        let after = read(branches, number);
        branches.file.write(number * PAGE_BYTES as u64, &before).unwrap();
        after == before
    }

    #[test]
    fn branch_pages_of_a_large_file_are_kept_until_they_change() {
        let branches = Branches::over(file(10), 10 * PAGE_BYTES as u64).unwrap();
        branches.write(0, &[page(BRANCH, 1), page(1, 1), page(BRANCH, 2)].concat()).unwrap();
        assert_eq!([0, 1, 2].map(|number| is_kept(&branches, number)), [true, false, true]);
        let changed = page(BRANCH, 3);
        branches.write(2 * PAGE_BYTES as u64, &changed).unwrap();
        assert_eq!((read(&branches, 0), read(&branches, 2)), (page(BRANCH, 1), changed));
        let mut across = [0; PAGE_BYTES];
        branches.read(1, &mut across).unwrap();
        assert_eq!(across, [1; PAGE_BYTES], "no page begins there");
        // A part of one, over its end.
        branches.write(PAGE_BYTES as u64 - 1, &[7, 7]).unwrap();
        assert_eq!((read(&branches, 0)[PAGE_BYTES - 1], read(&branches, 1)[0]), (7, 7));
        // What is cut off and comes again is empty, and a file that is small keeps nothing.
        branches.set_len(2 * PAGE_BYTES as u64).unwrap();
        branches.set_len(9 * PAGE_BYTES as u64).unwrap();
        assert_eq!(read(&branches, 2), page(0, 0));
        branches.write(2 * PAGE_BYTES as u64, &changed).unwrap();
        assert!(!is_kept(&branches, 2));
    }

    /// The first half of a page.
    fn half(content: u8) -> Page {
        let mut half = page(BRANCH, content);
        half[PAGE_BYTES / 2..].fill(0);
        half
    }

    #[test]
    fn a_page_that_is_half_empty_takes_half_the_room() {
        let there_is_room_for = |page: fn(u8) -> Page| {
            let mut kept = Kept::default();
            for number in 0..PIECES as u32 {
                kept.keep(number, &page(number as u8 | 1));
            }
            let mut out = [5; PAGE_BYTES];
            for number in kept.numbers.clone() {
                assert!(kept.read(number, &mut out));
                assert!(out == page(number as u8 | 1), "page {number}");
            }
            kept.pages.len()
        };
        assert_eq!(there_is_room_for(|content| page(BRANCH, content)), BRANCH_CACHE_BYTES / PAGE_BYTES);
        assert_eq!(there_is_room_for(half), 2 * BRANCH_CACHE_BYTES / PAGE_BYTES);
    }

    #[test]
    fn of_a_few_too_many_that_are_read_in_turn_most_are_there() {
        const ROOM: usize = 2 * BRANCH_CACHE_BYTES / PAGE_BYTES;
        let (mut kept, mut out) = (Kept::default(), [0; PAGE_BYTES]);
        let mut found = 0;
        for number in (0..ROOM as u32 * 9 / 8).cycle().take(10 * ROOM) {
            if kept.read(number, &mut out) {
                found += 1;
            } else {
                kept.keep(number, &half(1));
            }
        }
        assert!(found > 6 * ROOM, "{found} of {} were there", 10 * ROOM);
    }

    #[test]
    fn what_is_not_kept_any_more_leaves_its_room() {
        let mut kept = Kept::default();
        (0..100).for_each(|number| kept.keep(number, &half(1)));
        kept.written(10 * PAGE_BYTES as u64 + 1..20 * PAGE_BYTES as u64 + 1);
        kept.resized(90 * PAGE_BYTES as u64 - 1);
        let numbers: BTreeSet<u32> = kept.numbers.iter().copied().collect();
        assert_eq!(numbers, (0..10).chain(21..89).collect());
        assert_eq!(kept.free.len(), PIECES - kept.numbers.len() * PAGE_BYTES / PIECE_BYTES / 2);
        (0..89).for_each(|number| kept.forget(number));
        assert_eq!((kept.pages.len(), kept.numbers.len(), kept.free.len()), (0, 0, PIECES));
    }

    /// Random changes to a database whose reads nearly all come here, beside one whose reads do not.
    #[test]
    fn a_database_is_the_same_with_it_and_without() {
        const CACHE_BYTES: usize = 16 * 1024;
        let with = Branches::over(InMemoryBackend::new(), 0).unwrap();
        let with = RedbStore::start(with, false, CACHE_BYTES, None).unwrap();
        let without = RedbStore::start(InMemoryBackend::new(), false, CACHE_BYTES, None).unwrap();
        let (mut choices, mut there) = (Choices::new(1), BTreeSet::new());
        for _ in 0..60 {
            let mut changed = BTreeMap::new();
            for _ in 0..choices.below(60) {
                let uid = choices.below(1_000).to_string();
                let is_removed = there.contains(&uid);
                changed.entry(uid).or_insert(is_removed);
            }
            for (uid, is_removed) in &changed {
                if *is_removed {
                    there.remove(uid)
                } else {
                    there.insert(uid.clone())
                };
            }
            let change = |(uid, is_removed): (&String, &bool)| match is_removed {
                true => Change::Remove { uid: uid.clone() },
                false => Change::Insert(Object::example(uid)),
            };
            for store in [&with, &without] {
                let apply = &mut |transaction: &mut dyn Transaction| {
                    transaction.apply(changed.iter().map(change).collect())
                };
                Store::transact(store, apply).unwrap();
            }
            let rows = |store: &RedbStore| {
                let rows = store.snapshot().unwrap();
                Table::ALL.map(|table| rows.all(table).unwrap().map(Result::unwrap).collect::<Vec<_>>())
            };
            assert!(rows(&with) == rows(&without));
        }
        assert!(there.len() > 100, "pages of both kinds");
    }
}
