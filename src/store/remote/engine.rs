//! The engine over any database that keeps rows elsewhere.
#![forbid(unsafe_code)]

use super::buffered::Buffered;
use super::pool::Pool;
use super::{
    COMMITS_NAME, Changes, Connection, Database, Failure, Head, SCHEMA_NAME, address, all_of, beginning_with,
    meta,
};
use crate::limits;
use crate::secret::Buffer;
use crate::store::StoreError;
use crate::store::rows::{Engine, Key, Row, Rows, RowsMut, Table, Value, beginning};
use crate::store::sealed::SEAL;
use std::cell::RefCell;
use std::sync::{Arc, OnceLock};

/// The version of what is in the database: a program of an earlier one must not write to it, and finds out at its next
/// transaction. What is of one is brought up to date when the database is opened ([`upgrade`](crate::store::upgrade)).
const SCHEMA: u32 = 4;

const OTHER_SEAL: StoreError = StoreError::Locked(
    "it was cleared or sealed by another server: start this one again, with the master secret that it is sealed with now, if any",
);

/// Objects in a database that servers share.
pub struct Remote<D: Database> {
    pool: Arc<Pool<D>>,
    expected_seal: OnceLock<Vec<u8>>,
}

impl<D: Database> Remote<D> {
    /// Prepares the database for rows, and removes those that are there on demand. `place` tells where it is.
    pub(super) fn start(database: D, place: String, clear: bool) -> Result<Remote<D>, StoreError> {
        let pool = Pool::new(database, place.clone());
        let patience = if clear { limits::DATABASE_CLEAR_TIMEOUT } else { limits::DATABASE_ANSWER_TIMEOUT };
        let mut connection = pool.connect(patience)?;
        // Servers that start together may meet here as anywhere.
        let mut prepared = prepare(&mut connection, clear);
        for _ in 1..limits::DATABASE_RUNS_MAX {
            let Err(Failure::Again(_)) = prepared else { break };
            prepared = connection.roll_back().and_then(|()| prepare(&mut connection, clear));
        }
        if let Some(count) = prepared.map_err(|failure| pool.told(failure))? {
            log::warn!("{place} was cleared: {count} objects were erased");
        }
        Ok(Remote { pool: Arc::new(pool), expected_seal: OnceLock::new() })
    }
}

impl<D: Database> Engine for Remote<D> {
    fn name(&self) -> &'static str {
        D::NAME
    }

    fn read(&self) -> Result<Box<dyn Rows>, StoreError> {
        Ok(Box::new(Reading(Arc::clone(&self.pool))))
    }

    fn transact(
        &self,
        work: &mut dyn FnMut(&mut dyn RowsMut) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let seal = self.expected_seal.get();
        self.pool.ask(|connection| transact(connection, seal, work))?
    }

    fn reads_at_once(&self) -> bool {
        false
    }

    fn trouble(&self) -> Option<String> {
        self.pool.trouble()
    }

    fn expected_seal(&self) -> Option<&OnceLock<Vec<u8>>> {
        Some(&self.expected_seal)
    }
}

/// Makes the database one of ours; how many objects were erased, if they were to be.
fn prepare(connection: &mut impl Connection, clear: bool) -> Result<Option<usize>, Failure> {
    connection.prepare()?;
    let head = connection.begin()?;
    if head.schema.is_some() {
        head.check(1)?;
    }
    let (mut erased, mut changes) = (None, Changes::new());
    if clear {
        erased = Some(connection.count(&all_of(Table::Sequences), usize::MAX)?);
        connection.clear()?;
        changes.insert(address(SEAL), Some(Buffer::default()));
    }
    // Written in any case: what cannot be written is better known now.
    changes.insert(meta(SCHEMA_NAME), Some(Buffer::new(SCHEMA.to_be_bytes().to_vec())));
    changes.insert(meta(COMMITS_NAME), Some(head.next_commits()?));
    connection.commit(&changes)?;
    Ok(erased)
}

/// One run of a transaction, and what the work answered if that is what counts.
fn transact(
    connection: &mut impl Connection,
    seal: Option<&Vec<u8>>,
    work: &mut dyn FnMut(&mut dyn RowsMut) -> Result<(), StoreError>,
) -> Result<Result<(), StoreError>, Failure> {
    let ended = attempt(connection, seal, work);
    match &ended {
        Ok(Ok(())) | Err(Failure::Lost(_) | Failure::Silent(_) | Failure::Unsure(_)) => {}
        Ok(Err(_)) | Err(Failure::Again(_) | Failure::Stored(_)) => connection.roll_back()?,
    }
    ended
}

fn attempt(
    connection: &mut impl Connection,
    seal: Option<&Vec<u8>>,
    work: &mut dyn FnMut(&mut dyn RowsMut) -> Result<(), StoreError>,
) -> Result<Result<(), StoreError>, Failure> {
    let head = connection.begin()?;
    head.check(SCHEMA)?;
    head.check_seal(seal)?;
    let writing = Writing { connection: RefCell::new(&mut *connection), failure: RefCell::default() };
    let mut rows = Buffered::new(writing);
    let answer = work(&mut rows);
    let (writing, mut changes) = rows.into_parts();
    // Whatever the work has made of it.
    if let Some(failure) = writing.failure.into_inner() {
        return Err(failure);
    }
    if answer.is_err() {
        return Ok(answer);
    }
    if changes.is_empty() {
        connection.roll_back()?;
    } else {
        changes.insert(meta(COMMITS_NAME), Some(head.next_commits()?));
        connection.commit(&changes).map_err(Failure::of_commit)?;
    }
    Ok(answer)
}

impl Head {
    /// Looks for a version that this program knows, `oldest` at least; also while the server runs, since a later program
    /// may have started beside it.
    fn check(&self, oldest: u32) -> Result<(), Failure> {
        match self.schema.as_ref().map(|schema| schema.as_slice().try_into().map(u32::from_be_bytes)) {
            Some(Ok(found)) if (oldest..=SCHEMA).contains(&found) => Ok(()),
            Some(Ok(found)) if found > SCHEMA => {
                Err(Failure::Stored(StoreError::Newer { found, known: SCHEMA }))
            }
            _ => Err(corrupt("its schema has no such version")),
        }
    }

    /// Looks for the seal that is expected, if one is: another server may have cleared the database, or sealed it.
    fn check_seal(&self, expected: Option<&Vec<u8>>) -> Result<(), Failure> {
        let found = self.seal.as_ref().map_or(&[][..], |seal| seal.as_slice());
        match expected.is_none_or(|expected| expected == found) {
            true => Ok(()),
            false => Err(Failure::Stored(OTHER_SEAL)),
        }
    }

    fn next_commits(&self) -> Result<Value, Failure> {
        let commits =
            self.commits.as_ref().map(|commits| commits.as_slice().try_into().map(u64::from_be_bytes));
        match commits {
            Some(Ok(commits)) => Ok(Buffer::new(commits.wrapping_add(1).to_be_bytes().to_vec())),
            _ => Err(corrupt("nothing counts its commits")),
        }
    }
}

fn corrupt(what: &str) -> Failure {
    Failure::Stored(StoreError::Corrupt(what.to_owned()))
}

/// Reads of a server, each of the last commit at its time.
struct Reading<D: Database>(Arc<Pool<D>>);

impl<D: Database> Rows for Reading<D> {
    fn are_of_one_commit(&self) -> bool {
        false
    }

    fn get(&self, key: Key<'_>) -> Result<Option<Value>, StoreError> {
        self.0.ask(|connection| connection.get(&address(key)))
    }

    fn get_all(&self, keys: &[Key<'_>]) -> Result<Vec<Option<Value>>, StoreError> {
        let addresses: Vec<Vec<u8>> = keys.iter().map(|key| address(*key)).collect();
        self.0.ask(|connection| connection.get_all(&addresses))
    }

    fn list(&self, table: Table, first: &[u8], from: &[u8], limit: usize) -> Result<Vec<Row>, StoreError> {
        self.0.ask(|connection| list(connection, table, first, from, limit))
    }

    fn count(&self, table: Table, first: &[u8], limit: usize) -> Result<usize, StoreError> {
        self.0.ask(|connection| connection.count(&listed(table, first), limit))
    }

    fn last_sequence(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.ask(last_sequence)
    }
}

/// Reads of a transaction. The first failure stays: what the transaction asks later, the database does not hear.
struct Writing<'c, C> {
    connection: RefCell<&'c mut C>,
    failure: RefCell<Option<Failure>>,
}

impl<C: Connection> Writing<'_, C> {
    fn ask<T>(&self, question: impl FnOnce(&mut C) -> Result<T, Failure>) -> Result<T, StoreError> {
        let mut failure = self.failure.borrow_mut();
        if failure.is_none() {
            match question(&mut self.connection.borrow_mut()) {
                Ok(answer) => return Ok(answer),
                Err(found) => *failure = Some(found),
            }
        }
        // Nobody sees this: what counts is the failure itself.
        Err(StoreError::Unavailable("the transaction has failed".to_owned()))
    }
}

impl<C: Connection> Rows for Writing<'_, C> {
    fn get(&self, key: Key<'_>) -> Result<Option<Value>, StoreError> {
        self.ask(|connection| connection.get(&address(key)))
    }

    fn list(&self, table: Table, first: &[u8], from: &[u8], limit: usize) -> Result<Vec<Row>, StoreError> {
        self.ask(|connection| list(connection, table, first, from, limit))
    }

    fn count(&self, table: Table, first: &[u8], limit: usize) -> Result<usize, StoreError> {
        self.ask(|connection| connection.count(&listed(table, first), limit))
    }

    fn last_sequence(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.ask(last_sequence)
    }
}

/// The addresses of the rows with this first part.
fn listed(table: Table, first: &[u8]) -> std::ops::Range<Vec<u8>> {
    beginning_with([&[table as u8], beginning(table, first).as_slice()].concat())
}

fn list(
    connection: &mut impl Connection,
    table: Table,
    first: &[u8],
    from: &[u8],
    limit: usize,
) -> Result<Vec<Row>, Failure> {
    let mut range = listed(table, first);
    let beginning_bytes = range.start.len();
    range.start.extend_from_slice(from);
    let mut rows = connection.list(&range, limit)?;
    for (address, _) in &mut rows {
        if address.len() < beginning_bytes {
            return Err(corrupt("a list is of other rows"));
        }
        address.drain(..beginning_bytes);
    }
    Ok(rows)
}

fn last_sequence(connection: &mut impl Connection) -> Result<Option<Vec<u8>>, Failure> {
    let last = connection.last(&all_of(Table::Sequences))?;
    Ok(last.map(|address| address.into_iter().skip(1).collect()))
}
