//! A transaction's changes, kept until its end: few statements make them then, and nothing waits in between.
#![forbid(unsafe_code)]

use super::{Changes, address, beginning_with};
use crate::secret::Buffer;
use crate::store::StoreError;
use crate::store::rows::{Key, Row, Rows, RowsMut, Table, Value, beginning};
use std::cell::OnceCell;
use std::collections::{BTreeMap, btree_map};
use std::ops::Range;

/// Rows that nobody else changes, seen through the changes that were made to them.
pub struct Buffered<R> {
    rows: R,
    changes: Changes,
    /// The last sequence of `rows`, once it was asked for.
    last_sequence: OnceCell<Option<Vec<u8>>>,
}

impl<R: Rows> Buffered<R> {
    /// These rows, unchanged.
    pub fn new(rows: R) -> Buffered<R> {
        Buffered { rows, changes: Changes::new(), last_sequence: OnceCell::new() }
    }

    /// The rows, and all changes to them.
    pub fn into_parts(self) -> (R, Changes) {
        (self.rows, self.changes)
    }

    fn changes_in(&self, range: Range<Vec<u8>>) -> btree_map::Range<'_, Vec<u8>, Option<Value>> {
        self.changes.range(range)
    }
}

impl<R: Rows> Rows for Buffered<R> {
    fn get(&self, key: Key<'_>) -> Result<Option<Value>, StoreError> {
        match self.changes.get(&address(key)) {
            Some(changed) => Ok(changed.clone()),
            None => self.rows.get(key),
        }
    }

    fn list(&self, table: Table, first: &[u8], from: &[u8], limit: usize) -> Result<Vec<Row>, StoreError> {
        let mut range = beginning_with([&[table as u8], beginning(table, first).as_slice()].concat());
        let beginning_bytes = range.start.len();
        range.start.extend_from_slice(from);
        let changes: BTreeMap<&[u8], &Option<Value>> =
            self.changes_in(range).map(|(address, value)| (&address[beginning_bytes..], value)).collect();
        let removed = changes.values().filter(|value| value.is_none()).count();
        // So many that `limit` of them are left when the removed ones are gone.
        let stored = self.rows.list(table, first, from, limit.saturating_add(removed))?;
        if changes.is_empty() {
            return Ok(stored);
        }
        let mut rows: BTreeMap<Vec<u8>, Value> =
            stored.into_iter().filter(|(second, _)| !changes.contains_key(second.as_slice())).collect();
        for (second, value) in changes {
            if let Some(value) = value {
                rows.insert(second.to_vec(), value.clone());
            }
        }
        Ok(rows.into_iter().take(limit).collect())
    }

    fn count(&self, table: Table, first: &[u8], limit: usize) -> Result<usize, StoreError> {
        let beginning = [&[table as u8], beginning(table, first).as_slice()].concat();
        if self.changes_in(beginning_with(beginning)).next().is_none() {
            return self.rows.count(table, first, limit);
        }
        Ok(self.list(table, first, &[], limit)?.len())
    }

    /// Where the last object was removed in this very transaction, its sequence is still told: no new one meets it.
    fn last_sequence(&self) -> Result<Option<Vec<u8>>, StoreError> {
        let stored = match self.last_sequence.get() {
            Some(stored) => stored.clone(),
            None => {
                let stored = self.rows.last_sequence()?;
                self.last_sequence.get_or_init(|| stored).clone()
            }
        };
        let mut put = self.changes_in(super::all_of(Table::Sequences)).filter(|(_, value)| value.is_some());
        let put = put.next_back().map(|(address, _)| address[1..].to_vec());
        Ok(stored.max(put))
    }
}

impl<R: Rows> RowsMut for Buffered<R> {
    fn put(&mut self, key: Key<'_>, value: &[u8]) -> Result<(), StoreError> {
        self.changes.insert(address(key), Some(Buffer::new(value.to_vec())));
        Ok(())
    }

    fn remove(&mut self, key: Key<'_>) -> Result<(), StoreError> {
        self.changes.insert(address(key), None);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::all_of;
    use super::*;
    use crate::testing::choices::Choices;

    /// Rows in a map: the model, and what a database would have.
    #[derive(Clone, Default)]
    struct Map(BTreeMap<Vec<u8>, Vec<u8>>);

    impl Rows for Map {
        fn get(&self, key: Key<'_>) -> Result<Option<Value>, StoreError> {
            Ok(self.0.get(&address(key)).cloned().map(Buffer::new))
        }
        fn list(
            &self,
            table: Table,
            first: &[u8],
            from: &[u8],
            limit: usize,
        ) -> Result<Vec<Row>, StoreError> {
            let beginning = [&[table as u8], beginning(table, first).as_slice()].concat();
            let rows = self.0.iter().filter_map(|(address, value)| {
                Some((address.strip_prefix(beginning.as_slice())?.to_vec(), Buffer::new(value.clone())))
            });
            Ok(rows.filter(|(second, _)| second.as_slice() >= from).take(limit).collect())
        }
        fn count(&self, table: Table, first: &[u8], limit: usize) -> Result<usize, StoreError> {
            Ok(self.list(table, first, &[], limit)?.len())
        }
        fn last_sequence(&self) -> Result<Option<Vec<u8>>, StoreError> {
            Ok(self.0.range(all_of(Table::Sequences)).next_back().map(|(address, _)| address[1..].to_vec()))
        }
    }

    const NAMES: [&[u8]; 6] = [b"", b"a", b"a\0", b"ab", b"\xff", b"\xff\xff"];

    fn key(choices: &mut Choices) -> Key<'static> {
        let mut name = || NAMES[choices.below(NAMES.len())];
        let (first, second) = (name(), name());
        Key::new(Table::ALL[choices.below(Table::ALL.len())], first, second)
    }

    fn assert_alike(buffered: &impl Rows, model: &Map, removed_last: bool) {
        for table in Table::ALL {
            for first in NAMES {
                for second in NAMES {
                    let key = Key::new(table, first, second);
                    assert_eq!(buffered.get(key).unwrap(), model.get(key).unwrap());
                }
                if matches!(table, Table::Meta | Table::Objects) {
                    continue;
                }
                for limit in [0, 1, 2, 3, 100, usize::MAX] {
                    for from in NAMES {
                        let (found, expected) = (
                            buffered.list(table, first, from, limit).unwrap(),
                            model.list(table, first, from, limit).unwrap(),
                        );
                        assert_eq!(found, expected, "{table:?} {first:?} {from:?} {limit}");
                    }
                    let expected = model.count(table, first, limit).unwrap();
                    assert_eq!(buffered.count(table, first, limit).unwrap(), expected);
                }
            }
        }
        let (found, expected) = (buffered.last_sequence().unwrap(), model.last_sequence().unwrap());
        assert!(found == expected || removed_last && found > expected, "{found:?}, not {expected:?}");
    }

    #[test]
    fn rows_are_seen_through_their_changes() {
        for seed in 0..40 {
            let mut choices = Choices::new(seed);
            let mut stored = Map::default();
            for _ in 0..choices.below(60) {
                let key = key(&mut choices);
                stored.0.insert(address(key), vec![choices.below(9) as u8]);
            }
            let (mut model, mut buffered) = (stored.clone(), Buffered::new(stored.clone()));
            let mut removed_last = false;
            for _ in 0..12 {
                let key = key(&mut choices);
                if choices.one_in(2) {
                    removed_last |= key.table == Table::Sequences;
                    buffered.remove(key).unwrap();
                    model.0.remove(&address(key));
                } else {
                    let value = vec![10 + choices.below(9) as u8];
                    buffered.put(key, &value).unwrap();
                    model.0.insert(address(key), value);
                }
                assert_alike(&buffered, &model, removed_last);
            }
            // What is told at the end makes of the one what the other is.
            let (mut applied, changes) = buffered.into_parts();
            for (address, value) in changes {
                match value {
                    Some(value) => drop(applied.0.insert(address, value.to_vec())),
                    None => drop(applied.0.remove(&address)),
                }
            }
            assert_eq!(applied.0, model.0);
        }
    }
}
