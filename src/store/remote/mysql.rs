//! MySQL, MariaDB, and what speaks their protocol: Galera, TiDB, Vitess, Aurora.
//!
//! All rows are in one table, `keyway`: `k`, the address, is its primary key, `v` is the value. A transaction locks the
//! engine's own rows first and reads with READ COMMITTED, so each of its statements sees what the one before it has
//! committed; with REPEATABLE READ, it would see what was there before it had waited for the lock.
#![forbid(unsafe_code)]

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
use ::mysql::prelude::Queryable;
use ::mysql::{Conn, DriverError, Error, Opts, OptsBuilder, SslOpts};
use std::error::Error as _;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::time::Duration;

/// Names are of 512 bytes at most, and two of them make a key; InnoDB takes 3072.
const CREATE: &str = "CREATE TABLE IF NOT EXISTS keyway \
    (k VARBINARY(2048) NOT NULL PRIMARY KEY, v LONGBLOB NOT NULL) ENGINE=InnoDB";

/// Rows in one statement, and bytes of it: servers take 4 MiB at least, if they are not told otherwise.
const STATEMENT_ROWS_MAX: usize = 100;
const STATEMENT_BYTES_MAX: usize = 1024 * 1024;

/// Objects in MySQL or MariaDB.
pub type MySqlEngine = Remote<MySql>;

impl MySqlEngine {
    /// Opens `mysql://user:password@host:port/database`, with the options of the client library; further options are
    /// `ssl-mode` (`disabled`, the default without a client certificate; `required`, which asks nobody who answers;
    /// `verify_ca`; `verify_identity`, the default with one) and `ssl-ca`, a PEM file of the authorities that are trusted
    /// in the place of the public ones. `clear` removes all objects and grants.
    pub fn open(
        url: &Secret,
        client: Option<ClientCertificate>,
        clear: bool,
    ) -> Result<MySqlEngine, StoreError> {
        let mut url_read = parse(url, &["mysql"])?;
        let check = match take_option(&mut url_read, "ssl-mode") {
            None if client.is_none() => Check::NoTls,
            None => Check::Name,
            Some(name) => Check::named(&name)
                .filter(|check| client.is_none() || *check != Check::NoTls)
                .ok_or_else(|| StoreError::Misconfigured(format!("ssl-mode in its URL cannot be {name}")))?,
        };
        let trust = Trust::new(check, take_option(&mut url_read, "ssl-ca").as_deref(), client.as_ref())?;
        let opts = Opts::from_url(url_read.as_str())
            .map_err(|error| StoreError::Misconfigured(format!("its URL is wrong: {error}")))?;
        if opts.get_db_name().is_none() {
            return Err(StoreError::Misconfigured(
                "its URL names no database: mysql://host:port/name".into(),
            ));
        }
        let place = super::describe(url);
        Remote::start(MySql { opts, trust, client }, place, clear)
    }
}

/// A database of this kind.
pub struct MySql {
    opts: Opts,
    trust: Trust,
    client: Option<ClientCertificate>,
}

impl Database for MySql {
    type Connection = Conn;

    const NAME: &'static str = "mysql";

    fn connect(&self, answer_timeout: Duration) -> Result<Conn, Failure> {
        let opts = OptsBuilder::from_opts(self.opts.clone())
            .tcp_connect_timeout(Some(limits::DATABASE_CONNECT_TIMEOUT))
            .read_timeout(Some(answer_timeout))
            .write_timeout(Some(answer_timeout))
            // The URL says where it is.
            .prefer_socket(false)
            .init(vec![
                "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED".to_owned(),
                "SET SESSION autocommit = 1".to_owned(),
                "SET SESSION sql_mode = 'STRICT_ALL_TABLES'".to_owned(),
            ]);
        let mut connection = if self.trust.check == Check::NoTls {
            Conn::new(opts)?
        } else {
            // Until the connection stands.
            let _trusted = self.trust.lend();
            let identity = self.client.as_ref().map(ClientCertificate::lend).transpose()?;
            let ssl = SslOpts::default()
                .with_client_identity(identity.as_ref().map(|identity| identity.files()))
                .with_danger_accept_invalid_certs(self.trust.check == Check::Nothing)
                .with_danger_skip_domain_validation(self.trust.check != Check::Name);
            Conn::new(opts.ssl_opts(ssl))?
        };
        // Not all that speak the protocol know these. The second frees the lock of a server that has stopped in the
        // middle of a transaction.
        for (variable, value) in [
            ("innodb_lock_wait_timeout", limits::DATABASE_LOCK_TIMEOUT),
            ("wait_timeout", limits::DATABASE_IDLE_TIMEOUT),
        ] {
            match connection.query_drop(format!("SET SESSION {variable} = {}", value.as_secs())) {
                Ok(()) | Err(Error::MySqlError(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(connection)
    }
}

impl Connection for Conn {
    fn get(&mut self, address: &[u8]) -> Result<Option<Value>, Failure> {
        let value: Option<Vec<u8>> = self.exec_first("SELECT v FROM keyway WHERE k = ?", (address,))?;
        Ok(value.map(Buffer::new))
    }

    fn get_all(&mut self, addresses: &[Vec<u8>]) -> Result<Vec<Option<Value>>, Failure> {
        let get = format!("SELECT k, v FROM keyway WHERE k IN ({})", repeated("?", addresses.len()));
        let rows = self.exec_map(get, parameters(addresses.iter()), |(k, v)| (k, Buffer::new(v)))?;
        Ok(in_order(addresses, rows))
    }

    fn list(&mut self, range: &Range<Vec<u8>>, limit: usize) -> Result<Vec<(Vec<u8>, Value)>, Failure> {
        const LIST: &str = "SELECT k, v FROM keyway WHERE k >= ? AND k < ? ORDER BY k LIMIT ?";
        let parameters = (range.start.as_slice(), range.end.as_slice(), at_most(limit));
        Ok(self.exec_map(LIST, parameters, |(address, value)| (address, Buffer::new(value)))?)
    }

    fn count(&mut self, range: &Range<Vec<u8>>, limit: usize) -> Result<usize, Failure> {
        const COUNT: &str =
            "SELECT COUNT(*) FROM (SELECT k FROM keyway WHERE k >= ? AND k < ? LIMIT ?) AS counted";
        let parameters = (range.start.as_slice(), range.end.as_slice(), at_most(limit));
        Ok(self.exec_first(COUNT, parameters)?.unwrap_or_default())
    }

    fn last(&mut self, range: &Range<Vec<u8>>) -> Result<Option<Vec<u8>>, Failure> {
        const LAST: &str = "SELECT k FROM keyway WHERE k >= ? AND k < ? ORDER BY k DESC LIMIT 1";
        Ok(self.exec_first(LAST, (range.start.as_slice(), range.end.as_slice()))?)
    }

    fn prepare(&mut self) -> Result<(), Failure> {
        const IS_THERE: &str = "SELECT COUNT(*) FROM information_schema.tables \
            WHERE table_schema = DATABASE() AND table_name = 'keyway'";
        // Its user may have no right to make tables, where it is there.
        if self.query_first::<u64, _>(IS_THERE)?.unwrap_or_default() == 0 {
            self.query_drop(CREATE)?;
        }
        const PUT: &str = "INSERT IGNORE INTO keyway (k, v) VALUES (?, ?), (?, '')";
        let nothing_yet = 0_u64.to_be_bytes();
        Ok(self.exec_drop(PUT, (meta(COMMITS_NAME), nothing_yet, address(SEAL)))?)
    }

    fn begin(&mut self) -> Result<Head, Failure> {
        const LOCK: &str = "SELECT k, v FROM keyway WHERE k IN (?, ?, ?) ORDER BY k FOR UPDATE";
        self.query_drop("START TRANSACTION")?;
        let found = self.exec_map(LOCK, parameters(own_rows().iter()), |(k, v)| (k, Buffer::new(v)))?;
        Ok(Head::of(found))
    }

    fn clear(&mut self) -> Result<(), Failure> {
        let own = parameters(own_rows().iter());
        Ok(self.exec_drop("DELETE FROM keyway WHERE k NOT IN (?, ?, ?)", own)?)
    }

    fn commit(&mut self, changes: &Changes) -> Result<(), Failure> {
        let (mut put, mut removed) = (Vec::new(), Vec::new());
        for (address, value) in changes {
            match value {
                Some(value) => put.push((address, value)),
                None => removed.push(address),
            }
        }
        for rows in removed.chunks(STATEMENT_ROWS_MAX) {
            let statement = format!("DELETE FROM keyway WHERE k IN ({})", repeated("?", rows.len()));
            self.exec_drop(statement, parameters(rows.iter().copied()))?;
        }
        let mut put = put.as_slice();
        while !put.is_empty() {
            let (rows, rest) = put.split_at(fitting(put));
            let statement = format!("REPLACE INTO keyway (k, v) VALUES {}", repeated("(?,?)", rows.len()));
            self.exec_drop(statement, parameters(rows.iter().flat_map(|(k, v)| [*k, &***v])))?;
            put = rest;
        }
        Ok(self.query_drop("COMMIT")?)
    }

    fn roll_back(&mut self) -> Result<(), Failure> {
        Ok(self.query_drop("ROLLBACK")?)
    }
}

/// How many of the rows go into one statement, one at least.
fn fitting(rows: &[(&Vec<u8>, &Value)]) -> usize {
    let mut bytes = 0;
    let fits = |(address, value): &&(&Vec<u8>, &Value)| {
        bytes += address.len() + value.len();
        bytes <= STATEMENT_BYTES_MAX
    };
    rows.iter().take(STATEMENT_ROWS_MAX).take_while(fits).count().max(1)
}

fn repeated(part: &str, count: usize) -> String {
    vec![part; count].join(",")
}

fn parameters<'p>(values: impl Iterator<Item = &'p Vec<u8>>) -> Vec<::mysql::Value> {
    values.map(|value| ::mysql::Value::Bytes(value.clone())).collect()
}

/// As many as the protocol can say: it has no word for all.
fn at_most(limit: usize) -> u64 {
    i64::try_from(limit).unwrap_or(i64::MAX).unsigned_abs()
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match &error {
            // The loser of a deadlock or of a certification (Galera); a lock that did not come in time; a row that was
            // changed since (MariaDB); a conflict of writes (TiDB).
            Error::MySqlError(server) if matches!(server.code, 1213 | 1205 | 1020 | 8002 | 8022 | 9007) => {
                Failure::Again(error.to_string())
            }
            Error::IoError(io) if is_timeout(io) => Failure::Silent(error.to_string()),
            Error::CodecError(codec)
                if codec.source().and_then(|io| io.downcast_ref()).is_some_and(is_timeout) =>
            {
                Failure::Silent(error.to_string())
            }
            Error::DriverError(DriverError::ConnectTimeout | DriverError::Timeout) => {
                Failure::Silent(error.to_string())
            }
            _ => Failure::Lost(error.to_string()),
        }
    }
}

/// The answer of a socket with a timeout, as POSIX has it and as it says.
fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
