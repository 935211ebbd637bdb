//! Engines whose database is elsewhere, where several servers share it.
//!
//! To a database, all rows are one ordered map from addresses to values; an address is the number of the row's table and
//! the bytes of its key ([`rows`](super::rows)). What differs from one database to the next is a [`Connection`]; the rest
//! is the same for all: [`pool`] keeps connections and makes new ones after an outage, [`buffered`] keeps the changes of
//! a transaction until its end, [`engine`] runs transactions.
//!
//! Three rows of the table `meta` are there in any case, and are locked by every transaction:
//!
//! | name | value |
//! |---|---|
//! | `schema` | version of what is in the database, 4 bytes |
//! | `commits` | how many transactions have changed something, 8 bytes |
//! | `seal` | what it is sealed with ([`SEAL`]), or nothing |
//!
//! The transactions of all servers are one after the other: each begins by locking these rows, so all that it reads
//! is the last commit. It ends by counting `commits` up: where a lock holds in one node of a cluster only (Galera), two
//! transactions at a time both change this row, and one of them is told to run again. What a lock cannot do then, a
//! conflict does.
#![forbid(unsafe_code)]

mod address;
mod buffered;
mod engine;
mod mysql;
mod pool;
mod postgres;
mod redis;
mod tls;

pub use address::{check, describe};
pub use engine::Remote;
pub use mysql::MySqlEngine;
pub use postgres::PostgresEngine;
pub use redis::RedisEngine;
pub use tls::ClientCertificate;

use super::StoreError;
use super::rows::{Key, SCHEMA_NAME, Table, Value};
use super::sealed::SEAL;
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

/// The kinds of databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// MySQL, MariaDB and what speaks their protocol.
    MySql,
    /// PostgreSQL, likewise.
    PostgreSql,
    /// Redis, likewise.
    Redis,
}

impl Kind {
    /// What its URLs begin with; the first is what is told.
    pub const fn schemes(self) -> &'static [&'static str] {
        match self {
            Kind::MySql => &["mysql"],
            Kind::PostgreSql => &["postgresql", "postgres"],
            Kind::Redis => &["redis", "rediss"],
        }
    }
}

/// A database, and how to reach it.
pub trait Database: Send + Sync + 'static {
    /// What leads to it.
    type Connection: Connection;

    /// The name of its kind, for `/health`.
    const NAME: &'static str;

    /// A new connection, within [`limits::DATABASE_CONNECT_TIMEOUT`](crate::limits::DATABASE_CONNECT_TIMEOUT); each
    /// answer on it comes within `answer_timeout`, or not at all.
    fn connect(&self, answer_timeout: Duration) -> Result<Self::Connection, Failure>;
}

/// A connection to a database. Outside of transactions, each question sees the last commit; in one, likewise, since no
/// other server can commit.
pub trait Connection: Send {
    /// The value at an address.
    fn get(&mut self, address: &[u8]) -> Result<Option<Value>, Failure>;

    /// The values at these addresses, none of them in `meta`, all of one commit.
    fn get_all(&mut self, addresses: &[Vec<u8>]) -> Result<Vec<Option<Value>>, Failure>;

    /// The rows in a range, in the order of their addresses' bytes, `limit` of them at most.
    fn list(&mut self, range: &Range<Vec<u8>>, limit: usize) -> Result<Vec<(Vec<u8>, Value)>, Failure>;

    /// How many rows [`Connection::list`] would give.
    fn count(&mut self, range: &Range<Vec<u8>>, limit: usize) -> Result<usize, Failure>;

    /// The last address in a range.
    fn last(&mut self, range: &Range<Vec<u8>>) -> Result<Option<Vec<u8>>, Failure>;

    /// Makes sure that there is a place for rows, and something to lock.
    fn prepare(&mut self) -> Result<(), Failure>;

    /// Begins a transaction: waits for those of other servers, and locks them out. The values of the engine's own rows.
    fn begin(&mut self) -> Result<Head, Failure>;

    /// In a transaction: removes all rows, at its end at the latest, but for the engine's own, which are then put anew.
    fn clear(&mut self) -> Result<(), Failure>;

    /// Makes these changes and ends the transaction. They last when this returns.
    fn commit(&mut self, changes: &Changes) -> Result<(), Failure>;

    /// Ends the transaction as if it had not been.
    fn roll_back(&mut self) -> Result<(), Failure>;
}

/// What the engine's own rows hold, where they are there.
pub struct Head {
    /// The version of what is in the database.
    pub schema: Option<Value>,
    /// How many transactions have changed something.
    pub commits: Option<Value>,
    /// What the database is sealed with.
    pub seal: Option<Value>,
}

impl Head {
    /// From those of the engine's own rows that were found.
    fn of(found: Vec<(Vec<u8>, Value)>) -> Head {
        let mut found: BTreeMap<_, _> = found.into_iter().collect();
        let [commits, schema, seal] = own_rows().map(|address| found.remove(&address));
        Head { schema, commits, seal }
    }
}

/// The values at these addresses, among rows that were found.
fn in_order(addresses: &[Vec<u8>], rows: Vec<(Vec<u8>, Value)>) -> Vec<Option<Value>> {
    let mut found: BTreeMap<_, _> = rows.into_iter().collect();
    addresses.iter().map(|address| found.remove(address)).collect()
}

/// What is to be changed, by address; no value removes the row.
pub type Changes = BTreeMap<Vec<u8>, Option<Value>>;

/// Why a database has not done what it was asked for.
#[derive(Debug)]
pub enum Failure {
    /// It has to do with what other servers do: run the transaction again.
    Again(String),
    /// The connection is of no use any more. Nothing was changed.
    Lost(String),
    /// Nothing was heard in time, and asking anew would take as long. Nothing was changed.
    Silent(String),
    /// The connection was lost when the transaction was to be committed: perhaps it was.
    Unsure(String),
    /// The fault is with what is stored.
    Stored(StoreError),
}

impl Failure {
    /// What happened, for the operator.
    fn reason(self) -> String {
        match self {
            Failure::Again(reason) | Failure::Lost(reason) | Failure::Silent(reason) => reason,
            Failure::Unsure(reason) => format!("{reason}; whether the last change was made is not known"),
            Failure::Stored(error) => error.to_string(),
        }
    }

    /// The same failure, of a commit.
    fn of_commit(self) -> Failure {
        match self {
            Failure::Lost(reason) | Failure::Silent(reason) => Failure::Unsure(reason),
            other => other,
        }
    }
}

const COMMITS_NAME: &[u8] = b"commits";

/// The addresses of the engine's own rows, in order.
fn own_rows() -> [Vec<u8>; 3] {
    [meta(COMMITS_NAME), meta(SCHEMA_NAME), address(SEAL)]
}

/// Where a row is.
fn address(key: Key<'_>) -> Vec<u8> {
    [&[key.table as u8], key.bytes().as_slice()].concat()
}

fn meta(name: &[u8]) -> Vec<u8> {
    address(Key::new(Table::Meta, name, &[]))
}

/// The addresses that begin so. The last byte of a prefix never stands alone: the first is the number of a table.
fn beginning_with(prefix: Vec<u8>) -> Range<Vec<u8>> {
    let mut end = prefix.clone();
    while end.pop_if(|byte| *byte == u8::MAX).is_some() {}
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    prefix..end
}

/// The addresses of a table.
fn all_of(table: Table) -> Range<Vec<u8>> {
    beginning_with(vec![table as u8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_ends_where_the_prefix_does() {
        assert_eq!(all_of(Table::Sequences), vec![2]..vec![3]);
        assert_eq!(beginning_with(vec![3, 0, 255]), vec![3, 0, 255]..vec![3, 1]);
        assert_eq!(beginning_with(vec![3, 255, 255]), vec![3, 255, 255]..vec![4]);
        assert_eq!(meta(b"schema"), b"\0schema");
    }
}
