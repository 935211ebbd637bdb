//! A file, and in memory the branch pages of its trees.
//!
//! Among a million objects the way to each leads through one of a thousand pages just above the records. redb's own cache,
//! whose pages should stay in that of the processor, is too small for them: the records that are read push them out. To
//! find such a page again in the kernel takes longer than all else on that way. Branch pages hold keys of rows, and no
//! values.
#![forbid(unsafe_code)]

use crate::limits::BRANCH_CACHE_BYTES;
use ::redb::{BackendError, StorageBackend};
use std::fmt::{self, Debug, Formatter};
use std::io;
use std::ops::{Bound, Range};
use std::sync::{Mutex, MutexGuard, PoisonError};

const PAGE_BYTES: usize = 4096;
/// What a branch page begins with. Other pages that do are kept as well, and are as right.
const BRANCH: u8 = 2;
/// Pages that share a set: their numbers fill one line of the processor's cache.
const WAYS: usize = 16;
/// Pages are allocated together: 2 MB, for which the processor has one page of its own
/// ([`allocator`](crate::shell::allocator)). To look up a thousand small ones in its tables takes as long as what is won.
const ALLOCATED_BYTES: usize = 2 * 1024 * 1024;
const SETS_ALLOCATED: usize = ALLOCATED_BYTES / PAGE_BYTES / WAYS;
const SETS: usize = BRANCH_CACHE_BYTES / PAGE_BYTES / WAYS;
/// Stands where no page is.
const NOTHING: u32 = u32::MAX;

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
    /// Of each set, the numbers of its pages in the file,
    numbers: Vec<[u32; WAYS]>,
    /// and a bit for each that was asked for lately: the others give way first.
    asked: Vec<u16>,
    pages: Vec<Vec<u8>>,
    /// Of the file: what was read before the last one is not kept after it.
    changes: u64,
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

/// The set of the page with this number.
fn set_of(number: u32) -> usize {
    (number.wrapping_mul(0x9E37_79B9) >> 16) as usize % SETS
}

impl Kept {
    /// The page with this number.
    fn page(&mut self, number: u32) -> Option<&Page> {
        let set = set_of(number);
        let way = self.numbers.get(set)?.iter().position(|kept| *kept == number)?;
        self.ask(set, way);
        self.place(set, way).as_chunks().0.first()
    }

    /// Keeps one that is not there: where none is, or instead of one that was not asked for lately.
    fn keep(&mut self, number: u32, page: &Page) {
        if self.numbers.is_empty() {
            self.numbers = vec![[NOTHING; WAYS]; SETS];
            self.asked = vec![0; SETS];
            self.pages.resize_with(SETS / SETS_ALLOCATED, || vec![0; ALLOCATED_BYTES]);
        }
        let set = set_of(number);
        let free = self.numbers[set].iter().position(|kept| *kept == NOTHING);
        let way = free.unwrap_or(self.asked[set].trailing_ones() as usize);
        self.numbers[set][way] = number;
        self.ask(set, way);
        self.place(set, way).copy_from_slice(page);
    }

    fn ask(&mut self, set: usize, way: usize) {
        let asked = &mut self.asked[set];
        *asked |= 1 << way;
        // There is always one that gives way.
        if *asked == u16::MAX {
            *asked = 1 << way;
        }
    }

    fn place(&mut self, set: usize, way: usize) -> &mut [u8] {
        let at = (set % SETS_ALLOCATED * WAYS + way) * PAGE_BYTES;
        &mut self.pages[set / SETS_ALLOCATED][at..at + PAGE_BYTES]
    }

    /// Of these bytes of the file, nothing is kept.
    fn forget(&mut self, changed: Range<u64>) {
        self.changes += 1;
        let changed = changed.start / PAGE_BYTES as u64..changed.end.div_ceil(PAGE_BYTES as u64);
        let is_changed = |number: &&mut u32| changed.contains(&u64::from(**number));
        self.numbers.iter_mut().flatten().filter(is_changed).for_each(|number| *number = NOTHING);
    }
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
            let mut kept = self.kept();
            if let Some(known) = kept.page(number) {
                *page = *known;
                return Ok(());
            }
            kept.changes
        };
        // The disk may take its time: others do not wait for it.
        self.file.read(offset, page)?;
        if page[0] == BRANCH {
            let mut kept = self.kept();
            if kept.is_file_large && kept.changes == before && kept.page(number).is_none() {
                kept.keep(number, page);
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let done = self.file.set_len(len);
        let mut kept = self.kept();
        kept.forget(len..u64::MAX);
        kept.is_file_large = len >= self.kept_from_bytes;
        done
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let done = self.file.write(offset, data);
        self.kept().forget(offset..offset + data.len() as u64);
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
        let mut out = [0; PAGE_BYTES];
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

    #[test]
    fn what_is_asked_for_stays_and_what_is_not_gives_way() {
        let of_one_set: Vec<u32> = (0..).filter(|number| set_of(*number) == 3).take(1 + 3 * WAYS).collect();
        let (busy, others) = of_one_set.split_first().unwrap();
        let mut kept = Kept::default();
        kept.keep(*busy, &page(BRANCH, 0));
        for (number, content) in others.iter().zip(1..) {
            kept.keep(*number, &page(BRANCH, content));
            assert_eq!(kept.page(*number), Some(&page(BRANCH, content)));
            assert_eq!(kept.page(*busy), Some(&page(BRANCH, 0)), "after {content} others");
        }
        kept.forget(0..u64::from(*busy + 1) * PAGE_BYTES as u64);
        assert_eq!(kept.page(*busy), None);
        let there = others.iter().filter(|number| kept.page(**number).is_some()).count();
        assert!((WAYS / 2..WAYS).contains(&there), "{there} of the others");
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
