//! PostgreSQL, and what speaks its protocol: CockroachDB, YugabyteDB, Aurora.
//!
//! All rows are in one table, `keyway`: `k`, the address, is its primary key, `v` is the value; PostgreSQL orders `bytea` by
//! its bytes. A transaction locks the engine's own rows first and reads with READ COMMITTED, so each of its statements
//! sees what the one before it has committed.
//!
//! Statements are not prepared: each is one message with the types of its parameters, which poolers of connections
//! understand.
#![forbid(unsafe_code)]

mod stream;

use super::address::{parse, take_option};
use super::tls::{Check, ClientCertificate, Trust};
use super::{
    COMMITS_NAME, Changes, Connection, Database, Failure, Head, Remote, address, in_order, meta, own_rows,
};
use crate::limits;
use crate::secret::{Buffer, Secret};
use crate::store::StoreError;
use crate::store::rows::Value;
use crate::store::sealed::SEAL;
use std::error::Error as _;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use stream::Rustls;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, Error, NoTls, Row};

/// Bytes of rows in one statement.
const STATEMENT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Objects in PostgreSQL.
pub type PostgresEngine = Remote<Postgres>;

impl PostgresEngine {
    /// Opens `postgresql://user:password@host:port/database` (or `postgres://`), with the options of the client library and
    /// these of libpq: `sslmode` (`disable`; `prefer`, the default without a client certificate, and `require`, which ask
    /// nobody who answers; `verify-ca`; `verify-full`, the default with one) and `sslrootcert`, a PEM file of the
    /// authorities that are trusted in the place of the public ones. `clear` removes all objects and grants.
    pub fn open(
        url: &Secret,
        client: Option<ClientCertificate>,
        clear: bool,
    ) -> Result<PostgresEngine, StoreError> {
        let mut url_read = parse(url, &["postgresql", "postgres"])?;
        let (mode, check) = match take_option(&mut url_read, "sslmode") {
            None if client.is_some() => (SslMode::Require, Check::Name),
            None => (SslMode::Prefer, Check::Nothing),
            Some(name) if name == "prefer" && client.is_none() => (SslMode::Prefer, Check::Nothing),
            Some(name) => match Check::named(&name) {
                Some(Check::NoTls) if client.is_none() => (SslMode::Disable, Check::NoTls),
                Some(check) if check != Check::NoTls => (SslMode::Require, check),
                _ => {
                    return Err(StoreError::Misconfigured(format!("sslmode in its URL cannot be {name}")));
                }
            },
        };
        let trust = Trust::new(check, take_option(&mut url_read, "sslrootcert").as_deref(), client.as_ref())?;
        let mut config: Config = url_read.as_str().parse().map_err(|error: Error| {
            let reason = error.source().map(ToString::to_string).unwrap_or_default();
            StoreError::Misconfigured(format!("its URL is wrong: {reason}"))
        })?;
        config.ssl_mode(mode).application_name("keyway");
        config.connect_timeout(limits::DATABASE_CONNECT_TIMEOUT);
        let tls = match check {
            Check::NoTls => None,
            _ => Some(Rustls(Arc::new(trust.config(client.as_ref())?))),
        };
        Remote::start(Postgres { config, tls }, super::describe(url), clear)
    }
}

/// A database of this kind.
pub struct Postgres {
    config: Config,
    tls: Option<Rustls>,
}

impl Database for Postgres {
    type Connection = Session;

    const NAME: &'static str = "postgresql";

    fn connect(&self, answer_timeout: Duration) -> Result<Session, Failure> {
        let lost = |error: std::io::Error| Failure::Lost(error.to_string());
        let runtime = Builder::new_current_thread().enable_all().build().map_err(lost)?;
        let connecting = async {
            // The other half moves the bytes, whenever somebody waits for an answer; it ends with the client.
            Ok(match &self.tls {
                None => {
                    let (client, connection) = self.config.connect(NoTls).await?;
                    tokio::spawn(connection);
                    client
                }
                Some(tls) => {
                    let (client, connection) = self.config.connect(tls.clone()).await?;
                    tokio::spawn(connection);
                    client
                }
            })
        };
        let client = match wait(&runtime, limits::DATABASE_CONNECT_TIMEOUT * 2, connecting) {
            Ok(client) => client,
            Err(failure) => {
                // Not to be dropped: that would wait for a name that is still being resolved.
                runtime.shutdown_background();
                return Err(failure);
            }
        };
        let session = Session { client, runtime, answer_timeout };
        // The last two free the lock of a server that has stopped in the middle of a transaction, and keep the promise of
        // a commit where the database's default does not.
        session.run(&format!(
            "SET lock_timeout = {}; SET idle_in_transaction_session_timeout = {}; \
             SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
            limits::DATABASE_LOCK_TIMEOUT.as_millis(),
            limits::DATABASE_IDLE_TIMEOUT.as_millis()
        ))?;
        Ok(session)
    }
}

/// A connection, and what it is waited with.
pub struct Session {
    client: Client,
    runtime: Runtime,
    answer_timeout: Duration,
}

impl Session {
    fn run(&self, statements: &str) -> Result<(), Failure> {
        wait(&self.runtime, self.answer_timeout, self.client.batch_execute(statements))
    }

    fn rows(&self, statement: &str, parameters: &[Parameter<'_>]) -> Result<Vec<Row>, Failure> {
        wait(&self.runtime, self.answer_timeout, self.client.query_typed(statement, parameters))
    }

    /// The addresses and values that a statement selects.
    fn pairs(&self, statement: &str, parameters: &[Parameter<'_>]) -> Result<Vec<(Vec<u8>, Value)>, Failure> {
        let rows = self.rows(statement, parameters)?;
        rows.iter().map(|row| Ok((row.try_get(0)?, Buffer::new(row.try_get(1)?)))).collect()
    }

    fn row(&self, statement: &str, parameters: &[Parameter<'_>]) -> Result<Option<Row>, Failure> {
        Ok(self.rows(statement, parameters)?.into_iter().next())
    }

    fn execute(&self, statement: &str, parameters: &[Parameter<'_>]) -> Result<(), Failure> {
        let executing = self.client.execute_typed(statement, parameters);
        wait(&self.runtime, self.answer_timeout, executing).map(drop)
    }
}

type Parameter<'p> = (&'p (dyn ToSql + Sync), Type);

/// Waits for an answer, but no longer than so.
fn wait<T>(
    runtime: &Runtime,
    timeout: Duration,
    answer: impl Future<Output = Result<T, Error>>,
) -> Result<T, Failure> {
    match runtime.block_on(async { tokio::time::timeout(timeout, answer).await }) {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Failure::Silent(format!("no answer came in {timeout:?}"))),
    }
}

impl Connection for Session {
    fn get(&mut self, address: &[u8]) -> Result<Option<Value>, Failure> {
        let row = self.row("SELECT v FROM keyway WHERE k = $1", &[(&address, Type::BYTEA)])?;
        row.map(|row| Ok(Buffer::new(row.try_get(0)?))).transpose()
    }

    fn get_all(&mut self, addresses: &[Vec<u8>]) -> Result<Vec<Option<Value>>, Failure> {
        const GET: &str = "SELECT k, v FROM keyway WHERE k = ANY($1)";
        Ok(in_order(addresses, self.pairs(GET, &[(&addresses, Type::BYTEA_ARRAY)])?))
    }

    fn list(&mut self, range: &Range<Vec<u8>>, limit: usize) -> Result<Vec<(Vec<u8>, Value)>, Failure> {
        const LIST: &str = "SELECT k, v FROM keyway WHERE k >= $1 AND k < $2 ORDER BY k LIMIT $3";
        let limit = at_most(limit);
        self.pairs(LIST, &[(&range.start, Type::BYTEA), (&range.end, Type::BYTEA), (&limit, Type::INT8)])
    }

    fn count(&mut self, range: &Range<Vec<u8>>, limit: usize) -> Result<usize, Failure> {
        const COUNT: &str =
            "SELECT count(*) FROM (SELECT 1 FROM keyway WHERE k >= $1 AND k < $2 LIMIT $3) AS counted";
        let limit = at_most(limit);
        let row =
            self.row(COUNT, &[(&range.start, Type::BYTEA), (&range.end, Type::BYTEA), (&limit, Type::INT8)])?;
        let count: i64 = row.map_or(Ok(0), |row| row.try_get(0))?;
        Ok(usize::try_from(count).unwrap_or_default())
    }

    fn last(&mut self, range: &Range<Vec<u8>>) -> Result<Option<Vec<u8>>, Failure> {
        const LAST: &str = "SELECT k FROM keyway WHERE k >= $1 AND k < $2 ORDER BY k DESC LIMIT 1";
        let row = self.row(LAST, &[(&range.start, Type::BYTEA), (&range.end, Type::BYTEA)])?;
        row.map(|row| Ok(row.try_get(0)?)).transpose()
    }

    fn prepare(&mut self) -> Result<(), Failure> {
        // Its user may have no right to make tables, where it is there.
        if self.row("SELECT 1 WHERE to_regclass('keyway') IS NOT NULL", &[])?.is_none() {
            self.run("CREATE TABLE IF NOT EXISTS keyway (k bytea PRIMARY KEY, v bytea NOT NULL)")?;
        }
        let nothing_yet = 0_u64.to_be_bytes();
        self.execute(
            "INSERT INTO keyway (k, v) VALUES ($1, $2), ($3, '') ON CONFLICT DO NOTHING",
            &[
                (&meta(COMMITS_NAME), Type::BYTEA),
                (&nothing_yet.as_slice(), Type::BYTEA),
                (&address(SEAL), Type::BYTEA),
            ],
        )
    }

    fn begin(&mut self) -> Result<Head, Failure> {
        const LOCK: &str = "SELECT k, v FROM keyway WHERE k = ANY($1) ORDER BY k FOR UPDATE";
        self.run("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")?;
        self.pairs(LOCK, &[(&own_rows().as_slice(), Type::BYTEA_ARRAY)]).map(Head::of)
    }

    fn clear(&mut self) -> Result<(), Failure> {
        let own = own_rows();
        self.execute("DELETE FROM keyway WHERE k <> ALL($1)", &[(&own.as_slice(), Type::BYTEA_ARRAY)])
    }

    fn commit(&mut self, changes: &Changes) -> Result<(), Failure> {
        const PUT: &str = "INSERT INTO keyway (k, v) SELECT * FROM unnest($1, $2) \
            ON CONFLICT (k) DO UPDATE SET v = excluded.v";
        let removed = changes.iter().filter(|(_, value)| value.is_none());
        let removed: Vec<&[u8]> = removed.map(|(address, _)| address.as_slice()).collect();
        if !removed.is_empty() {
            self.execute("DELETE FROM keyway WHERE k = ANY($1)", &[(&removed, Type::BYTEA_ARRAY)])?;
        }
        let (mut addresses, mut values, mut bytes) = (Vec::new(), Vec::new(), 0);
        let mut put = changes.iter().filter_map(|(k, v)| Some((k, v.as_ref()?))).peekable();
        while let Some((address, value)) = put.next() {
            addresses.push(address.as_slice());
            values.push(value.as_slice());
            bytes += address.len() + value.len();
            if bytes >= STATEMENT_BYTES_MAX || put.peek().is_none() {
                self.execute(PUT, &[(&addresses, Type::BYTEA_ARRAY), (&values, Type::BYTEA_ARRAY)])?;
                (addresses, values, bytes) = (Vec::new(), Vec::new(), 0);
            }
        }
        self.run("COMMIT")
    }

    fn roll_back(&mut self) -> Result<(), Failure> {
        self.run("ROLLBACK")
    }
}

/// As many as the protocol can say: it has no word for all.
fn at_most(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        // What the library says by itself is the kind of the error alone.
        let reason = match error.source() {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        match error.code() {
            // Two servers that make the table at a time meet in the catalogue.
            Some(
                &SqlState::T_R_SERIALIZATION_FAILURE
                | &SqlState::T_R_DEADLOCK_DETECTED
                | &SqlState::LOCK_NOT_AVAILABLE
                | &SqlState::UNIQUE_VIOLATION
                | &SqlState::DUPLICATE_TABLE,
            ) => Failure::Again(reason),
            _ => Failure::Lost(reason),
        }
    }
}
