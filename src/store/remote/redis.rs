//! Redis, and what speaks its protocol: Valkey, KeyDB.
//!
//! | key | type | |
//! |---|---|---|
//! | `{keyway}:meta` | hash | values of the table `meta` by address |
//! | `{keyway}:rows` | hash | all other values by address |
//! | `{keyway}:order` | sorted set | the addresses of rows that are listed, all with the score 0, so in the order of bytes |
//! | `{keyway}:lock` | string | who is in a transaction; it goes by itself after [`LEASE`] |
//!
//! The braces put all of them into one slot of a cluster. A transaction takes the lock, then watches it together with `meta`,
//! where commits are counted: what it does at its end, in one MULTI, is done only if its lock was never anybody else's and
//! nobody has committed since. So the lock saves work; that no update is lost does not depend on any clock.
//!
//! A commit is as durable as the server is told to make it: `appendonly yes` and `appendfsync always` are what Keyway needs.
#![forbid(unsafe_code)]
#![expect(clippy::disallowed_methods, reason = "locks are waited for in real time; no simulator has a Redis")]

use super::address::{parse, take_option};
use super::tls::{Check, ClientCertificate, Trust};
use super::{COMMITS_NAME, Changes, Connection, Database, Failure, Head, Remote, meta, own_rows};
use crate::limits;
use crate::secret::{Buffer, Secret};
use crate::store::StoreError;
use crate::store::rows::{Table, Value};
use ::redis::{Client, FromRedisValue, RedisError, TlsCertificates, cmd, pipe};
use ring::rand::{SecureRandom, SystemRandom};
use std::collections::HashMap;
use std::ops::Range;
use std::thread;
use std::time::{Duration, Instant};

const META: &str = "{keyway}:meta";
const ROWS: &str = "{keyway}:rows";
const ORDER: &str = "{keyway}:order";
const LOCK: &str = "{keyway}:lock";

/// How long the lock of a server lasts that is not there any more: not as long as others wait for it
/// ([`limits::DATABASE_LOCK_TIMEOUT`]). A transaction that takes longer is undone.
const LEASE: Duration = Duration::from_secs(4);
/// The first pause between attempts to take the lock, doubled each time, and the last.
const LOCK_PAUSE_MIN: Duration = Duration::from_micros(500);
const LOCK_PAUSE_MAX: Duration = Duration::from_millis(16);
/// Values that are asked for at a time.
const VALUES_MAX: usize = 1000;

/// Objects in Redis.
pub type RedisEngine = Remote<Redis>;

impl RedisEngine {
    /// Opens `redis://user:password@host:port/number`, or `rediss://` for TLS; each part but the host may be missing. With
    /// TLS, the option `ssl-ca` is a PEM file of the authorities that are trusted in the place of the public ones. `clear`
    /// removes all objects and grants.
    pub fn open(
        url: &Secret,
        client: Option<ClientCertificate>,
        clear: bool,
    ) -> Result<RedisEngine, StoreError> {
        let mut url_read = parse(url, &["redis", "rediss"])?;
        let check = if url_read.scheme() == "rediss" { Check::Name } else { Check::NoTls };
        let authorities = take_option(&mut url_read, "ssl-ca");
        let trust = Trust::new(check, authorities.as_deref(), client.as_ref())?;
        let opened = match check {
            Check::NoTls => Client::open(url_read.as_str()),
            _ => Client::build_with_tls(
                url_read.as_str(),
                TlsCertificates {
                    client_tls: client.as_ref().map(ClientCertificate::pem),
                    root_cert: Some(trust.pem()),
                },
            ),
        };
        let client =
            opened.map_err(|error| StoreError::Misconfigured(format!("its URL is wrong: {error}")))?;
        Remote::start(Redis { client }, super::describe(url), clear)
    }
}

/// A database of this kind.
pub struct Redis {
    client: Client,
}

impl Database for Redis {
    type Connection = Session;

    const NAME: &'static str = "redis";

    fn connect(&self, answer_timeout: Duration) -> Result<Session, Failure> {
        let connection = self.client.get_connection_with_timeout(limits::DATABASE_CONNECT_TIMEOUT)?;
        connection.set_read_timeout(Some(answer_timeout))?;
        connection.set_write_timeout(Some(answer_timeout))?;
        Ok(Session { connection, is_locked: false, clears: false })
    }
}

/// A connection, and the transaction on it.
pub struct Session {
    connection: ::redis::Connection,
    /// The lock is ours, and watched.
    is_locked: bool,
    /// The transaction began by removing everything.
    clears: bool,
}

impl Session {
    fn ask<T: FromRedisValue>(&mut self, command: &mut ::redis::Cmd) -> Result<T, Failure> {
        Ok(command.query(&mut self.connection)?)
    }

    /// Takes the lock as soon as nobody has it.
    fn lock(&mut self) -> Result<[u8; 16], Failure> {
        let mut token = [0; 16];
        SystemRandom::new().fill(&mut token).map_err(|_| Failure::Lost("no randomness".to_owned()))?;
        let (begin, mut pause) = (Instant::now(), LOCK_PAUSE_MIN);
        let mut take = cmd("SET");
        take.arg(LOCK).arg(&token).arg("NX").arg("PX").arg(LEASE.as_millis() as u64);
        while !self.ask::<bool>(&mut take)? {
            if begin.elapsed() >= limits::DATABASE_LOCK_TIMEOUT {
                return Err(Failure::Again("other servers are in a transaction".to_owned()));
            }
            thread::sleep(pause);
            pause = (pause * 2).min(LOCK_PAUSE_MAX);
        }
        Ok(token)
    }

    fn setting(&mut self, name: &str) -> Option<String> {
        // Where it must not be asked for, nothing is known.
        let all: Option<HashMap<String, String>> = self.ask(cmd("CONFIG").arg("GET").arg(name)).ok();
        all?.remove(name)
    }
}

impl Connection for Session {
    fn get(&mut self, address: &[u8]) -> Result<Option<Value>, Failure> {
        let value: Option<Vec<u8>> = self.ask(cmd("HGET").arg(hash_of(address)).arg(address))?;
        Ok(value.map(Buffer::new))
    }

    fn get_all(&mut self, addresses: &[Vec<u8>]) -> Result<Vec<Option<Value>>, Failure> {
        let values: Vec<Option<Vec<u8>>> = self.ask(cmd("HMGET").arg(ROWS).arg(addresses))?;
        Ok(values.into_iter().map(|value| value.map(Buffer::new)).collect())
    }

    fn list(&mut self, range: &Range<Vec<u8>>, limit: usize) -> Result<Vec<(Vec<u8>, Value)>, Failure> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut list = cmd("ZRANGEBYLEX");
        list.arg(ORDER).arg(from(range)).arg(to(range)).arg("LIMIT").arg(0).arg(limit);
        let addresses: Vec<Vec<u8>> = self.ask(&mut list)?;
        let mut rows = Vec::with_capacity(addresses.len());
        for some in addresses.chunks(VALUES_MAX) {
            let values: Vec<Option<Vec<u8>>> = self.ask(cmd("HMGET").arg(ROWS).arg(some))?;
            // What was removed since is not there any more.
            let found = some.iter().zip(values).filter_map(|(k, v)| Some((k.clone(), Buffer::new(v?))));
            rows.extend(found);
        }
        Ok(rows)
    }

    fn count(&mut self, range: &Range<Vec<u8>>, limit: usize) -> Result<usize, Failure> {
        let count: usize = self.ask(cmd("ZLEXCOUNT").arg(ORDER).arg(from(range)).arg(to(range)))?;
        Ok(count.min(limit))
    }

    fn last(&mut self, range: &Range<Vec<u8>>) -> Result<Option<Vec<u8>>, Failure> {
        let mut last = cmd("ZREVRANGEBYLEX");
        last.arg(ORDER).arg(to(range)).arg(from(range)).arg("LIMIT").arg(0).arg(1);
        Ok(self.ask::<Vec<Vec<u8>>>(&mut last)?.pop())
    }

    fn prepare(&mut self) -> Result<(), Failure> {
        for (name, needed) in
            [("appendonly", "yes"), ("appendfsync", "always"), ("maxmemory-policy", "noeviction")]
        {
            if let Some(found) = self.setting(name).filter(|found| found != needed) {
                log::warn!("Redis may lose keys: its setting {name} is {found}, and must be {needed}");
            }
        }
        let nothing_yet = 0_u64.to_be_bytes();
        self.ask(cmd("HSETNX").arg(META).arg(meta(COMMITS_NAME)).arg(&nothing_yet))
    }

    fn begin(&mut self) -> Result<Head, Failure> {
        let token = self.lock()?;
        self.clears = false;
        let mut watching = pipe();
        watching.cmd("WATCH").arg(LOCK).arg(META).ignore();
        watching.cmd("GET").arg(LOCK);
        watching.cmd("HMGET").arg(META).arg(&own_rows());
        type Answer = (Option<Vec<u8>>, [Option<Vec<u8>>; 3]);
        let (lock, own): Answer = watching.query(&mut self.connection)?;
        if lock.is_none_or(|lock| lock != token) {
            return Err(Failure::Again("the lock was lost".to_owned()));
        }
        self.is_locked = true;
        let [commits, schema, seal] = own.map(|value| value.map(Buffer::new));
        Ok(Head { schema, commits, seal })
    }

    fn clear(&mut self) -> Result<(), Failure> {
        self.clears = true;
        Ok(())
    }

    fn commit(&mut self, changes: &Changes) -> Result<(), Failure> {
        let mut commit = pipe();
        commit.atomic();
        if self.clears {
            commit.cmd("DEL").arg(META).arg(ROWS).arg(ORDER).ignore();
        }
        for (address, value) in changes {
            match value {
                Some(value) => {
                    commit.cmd("HSET").arg(hash_of(address)).arg(address).arg(value.as_slice()).ignore();
                    if is_listed(address) {
                        commit.cmd("ZADD").arg(ORDER).arg(0).arg(address).ignore();
                    }
                }
                None => {
                    commit.cmd("HDEL").arg(hash_of(address)).arg(address).ignore();
                    if is_listed(address) {
                        commit.cmd("ZREM").arg(ORDER).arg(address).ignore();
                    }
                }
            }
        }
        commit.cmd("DEL").arg(LOCK).ignore();
        self.is_locked = false;
        match commit.query::<Option<()>>(&mut self.connection)? {
            Some(()) => Ok(()),
            None => Err(Failure::Again("the lock was lost".to_owned())),
        }
    }

    /// Removes the lock, if it is still ours: it is watched.
    fn roll_back(&mut self) -> Result<(), Failure> {
        if !std::mem::take(&mut self.is_locked) {
            return self.ask(&mut cmd("UNWATCH"));
        }
        let mut unlock = pipe();
        unlock.atomic().cmd("DEL").arg(LOCK).ignore();
        let _: Option<()> = unlock.query(&mut self.connection)?;
        Ok(())
    }
}

fn hash_of(address: &[u8]) -> &'static str {
    if address.first() == Some(&(Table::Meta as u8)) { META } else { ROWS }
}

/// Records, and what is known of the database itself, are only ever asked for one by one.
fn is_listed(address: &[u8]) -> bool {
    address.first() > Some(&(Table::Objects as u8))
}

/// The ends of a range, in the words of the commands.
fn from(range: &Range<Vec<u8>>) -> Vec<u8> {
    [b"[", range.start.as_slice()].concat()
}

fn to(range: &Range<Vec<u8>>) -> Vec<u8> {
    [b"(", range.end.as_slice()].concat()
}

impl From<RedisError> for Failure {
    fn from(error: RedisError) -> Failure {
        match error.is_timeout() {
            true => Failure::Silent(error.to_string()),
            false => Failure::Lost(error.to_string()),
        }
    }
}
