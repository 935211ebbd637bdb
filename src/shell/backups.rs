//! Backups of a database that a server serves: it shows its rows to whoever connects to a socket in the folder of the
//! database, which is its owner's alone.
//!
//! The file itself is locked, and not to be copied while it is written. (redb can share it with a process that reads, but
//! then every read of the server takes four system calls more and waits while a commit writes its header.) The reactor
//! accepts, and a lane of its own sends the rows of one snapshot; whoever asked makes the copy, where and as whom he likes,
//! and no client of the key management comes near it.
#![forbid(unsafe_code)]

pub mod frames;

use self::frames::Sender;
use crate::limits::BACKUP_PIECE_TIMEOUT;
use crate::store::redb::Snapshots;
use crate::store::rows::{AllRows, Table};
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// The socket's name in the folder of the database.
const SOCKET_NAME: &str = "keyway.sock";

/// Where backups are asked for.
pub(super) struct Door {
    socket: UnixListener,
    snapshots: Snapshots,
}

impl Door {
    /// Opens the door of a database that this process has open, so that a socket which is there is nobody's any more.
    pub(super) fn open(snapshots: Snapshots) -> io::Result<Door> {
        let path = snapshots.folder().join(SOCKET_NAME);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let socket = in_folder(snapshots.folder(), UnixListener::bind)?;
        // The umask has left it to its owner already; this is to look like the files beside it.
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        socket.set_nonblocking(true)?;
        Ok(Door { socket, snapshots })
    }

    pub(super) fn register(&self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut SourceFd(&self.socket.as_raw_fd()), token, Interest::READABLE)
    }

    /// The next one who asks, until there is none.
    pub(super) fn next(&self) -> Option<Question> {
        loop {
            match self.socket.accept() {
                Ok((asker, _)) => return Some(Question { asker, snapshots: self.snapshots.clone() }),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    ::log::error!("a backup was asked for in vain: {error}");
                    return None;
                }
            }
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // One that stays is taken for what it is: nobody answers.
        let _ = fs::remove_file(self.snapshots.folder().join(SOCKET_NAME));
    }
}

/// Somebody who makes a backup.
pub(super) struct Question {
    asker: UnixStream,
    snapshots: Snapshots,
}

impl Question {
    /// Sends all rows of the last commit.
    pub(super) fn answer(self) {
        match self.send() {
            Ok(rows) => ::log::info!("a backup was made: {rows} rows"),
            Err(reason) => ::log::warn!("a backup was not made: {reason}"),
        }
    }

    fn send(&self) -> Result<u64, String> {
        let failed = |error: io::Error| error.to_string();
        self.asker.set_write_timeout(Some(BACKUP_PIECE_TIMEOUT)).map_err(failed)?;
        let snapshot = self.snapshots.take().map_err(|error| error.to_string())?;
        let snapshot = snapshot.ok_or("the database is closed")?;
        let mut rows = 0;
        for table in Table::ALL {
            rows += snapshot.rows(table).map_err(|error| error.to_string())?;
        }
        let mut sender = Sender::begin(&self.asker, rows).map_err(failed)?;
        for table in Table::ALL {
            for row in snapshot.all(table).map_err(|error| error.to_string())? {
                let (key, value) = row.map_err(|error| error.to_string())?;
                sender.row(table, &key, &value).map_err(failed)?;
            }
        }
        sender.end().map_err(failed)?;
        Ok(rows)
    }
}

/// A connection to the server that has the database of this folder open; `None` where there is no server.
pub fn connect(folder: &Path) -> io::Result<Option<UnixStream>> {
    match in_folder(folder, UnixStream::connect) {
        Ok(stream) => Ok(Some(stream)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reaches the socket by a path that is short enough for one (unix(7): 108 bytes), however long that of the folder is.
fn in_folder<S>(folder: &Path, reach: impl FnOnce(PathBuf) -> io::Result<S>) -> io::Result<S> {
    let folder = File::open(folder)?;
    reach(PathBuf::from(format!("/proc/self/fd/{}/{SOCKET_NAME}", folder.as_raw_fd())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::redb::RedbStore;

    #[test]
    fn a_door_is_its_owners_and_goes_with_the_server() {
        let long = "a".repeat(120);
        let folder = std::env::temp_dir().join(format!("keyway-door-{}", std::process::id())).join(long);
        let store = RedbStore::open(&folder, false).unwrap();
        assert!(connect(&folder).unwrap().is_none(), "no server");
        let socket = folder.join(SOCKET_NAME);
        fs::write(&socket, "left by whom ever").unwrap();
        for _ in 0..2 {
            let door = Door::open(store.snapshots(&folder)).unwrap();
            assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
            let asker = connect(&folder).unwrap().unwrap();
            door.next().unwrap().answer();
            assert!(door.next().is_none());
            let mut rows = frames::Receiver::begin(asker).unwrap();
            assert_eq!(rows.rows(), 1, "the version of the schema");
            assert!(rows.next().unwrap().is_ok() && rows.next().is_none());
            // As a server that was killed leaves it.
            std::mem::forget(door);
        }
        drop(Door::open(store.snapshots(&folder)).unwrap());
        assert!(!socket.exists());

        let door = Door::open(store.snapshots(&folder)).unwrap();
        drop(store);
        let asker = connect(&folder).unwrap().unwrap();
        door.next().unwrap().answer();
        assert!(frames::Receiver::begin(asker).is_err(), "closed");
        fs::remove_dir_all(folder.parent().unwrap()).unwrap();
    }
}
