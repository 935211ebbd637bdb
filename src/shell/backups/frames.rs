//! How the rows of a backup travel between two processes of one program on one machine.
//!
//! | bytes | |
//! |---|---|
//! | 16 | [`HEAD`]: what it is, and the version of this form |
//! | 8 | how many rows follow |
//! | 1 + 4 + 4 + n + m | each row: number of its table, length of its key, length of its value; its key, its value |
//! | 1 | [`END`]: the rows were all that there are |
//!
//! Integers are big-endian.
#![forbid(unsafe_code)]

use crate::limits::BACKUP_PART_BYTES_MAX;
use crate::secret::Buffer;
use crate::store::rows::{Row, Table};
use std::io::{self, BufReader, BufWriter, ErrorKind, Read, Write};

const HEAD: &[u8; 16] = b"keyway backup 1\n";
/// No table has this number.
const END: u8 = 0xFF;
const BUFFER_BYTES: usize = 64 * 1024;

/// Sends rows.
pub struct Sender<W: Write>(BufWriter<W>);

impl<W: Write> Sender<W> {
    /// Begins, with the number of rows that will follow.
    pub fn begin(to: W, rows: u64) -> io::Result<Sender<W>> {
        let mut to = BufWriter::with_capacity(BUFFER_BYTES, to);
        to.write_all(HEAD)?;
        to.write_all(&rows.to_be_bytes())?;
        Ok(Sender(to))
    }

    /// Sends a row.
    pub fn row(&mut self, table: Table, key: &[u8], value: &[u8]) -> io::Result<()> {
        let length =
            |part: &[u8]| u32::try_from(part.len()).map_err(|_| io::Error::from(ErrorKind::FileTooLarge));
        self.0.write_all(&[table as u8])?;
        self.0.write_all(&length(key)?.to_be_bytes())?;
        self.0.write_all(&length(value)?.to_be_bytes())?;
        self.0.write_all(key)?;
        self.0.write_all(value)
    }

    /// Says that these were all.
    pub fn end(mut self) -> io::Result<()> {
        self.0.write_all(&[END])?;
        self.0.flush()
    }
}

/// The rows that come, until the end was said; what is cut is an error.
pub struct Receiver<R: Read> {
    from: BufReader<R>,
    rows: u64,
    has_ended: bool,
}

impl<R: Read> Receiver<R> {
    /// Reads the beginning.
    pub fn begin(from: R) -> io::Result<Receiver<R>> {
        let mut from = BufReader::with_capacity(BUFFER_BYTES, from);
        let mut head = [0; HEAD.len()];
        from.read_exact(&mut head)?;
        if head != *HEAD {
            return Err(io::Error::new(ErrorKind::InvalidData, "another version of the program answers"));
        }
        let rows = u64::from_be_bytes(array(&mut from)?);
        Ok(Receiver { from, rows, has_ended: false })
    }

    /// How many rows were announced.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    fn row(&mut self) -> io::Result<Option<(Table, Row)>> {
        let [number] = array(&mut self.from)?;
        if number == END {
            return Ok(None);
        }
        let wrong = |what| io::Error::new(ErrorKind::InvalidData, what);
        let table = *Table::ALL.get(usize::from(number)).ok_or_else(|| wrong("there is no such table"))?;
        let mut lengths = [0; 2];
        for length in &mut lengths {
            *length = u32::from_be_bytes(array(&mut self.from)?) as usize;
            if *length > BACKUP_PART_BYTES_MAX {
                return Err(wrong("a row is too long"));
            }
        }
        let mut key = vec![0; lengths[0]];
        self.from.read_exact(&mut key)?;
        let mut value = Buffer::new(vec![0; lengths[1]]);
        self.from.read_exact(&mut value)?;
        Ok(Some((table, (key, value))))
    }
}

impl<R: Read> Iterator for Receiver<R> {
    type Item = io::Result<(Table, Row)>;

    fn next(&mut self) -> Option<io::Result<(Table, Row)>> {
        if self.has_ended {
            return None;
        }
        let row = self.row().transpose();
        self.has_ended = !matches!(row, Some(Ok(_)));
        row
    }
}

fn array<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_travel_and_what_is_cut_is_an_error() {
        let rows =
            [(Table::Objects, "a", "1"), (Table::Sequences, "", ""), (Table::GrantsByUser, "key", "value")];
        let mut sent = Vec::new();
        let mut sender = Sender::begin(&mut sent, 3).unwrap();
        for (table, key, value) in rows {
            sender.row(table, key.as_bytes(), value.as_bytes()).unwrap();
        }
        sender.end().unwrap();

        let receiver = Receiver::begin(sent.as_slice()).unwrap();
        assert_eq!(receiver.rows(), 3);
        let received: Vec<_> = receiver.map(Result::unwrap).collect();
        for ((table, key, value), (into, row)) in rows.iter().zip(&received) {
            assert_eq!(
                (*table, key.as_bytes(), value.as_bytes()),
                (*into, row.0.as_slice(), row.1.as_slice())
            );
        }
        for cut in 0..sent.len() {
            let told = Receiver::begin(&sent[..cut]).and_then(|rows| rows.collect::<io::Result<Vec<_>>>());
            assert!(told.is_err(), "{cut}");
        }
        assert!(Receiver::begin(&b"HTTP/1.1 400 Bad Request"[..]).is_err());
        let mut long = sent[..24].to_vec();
        long.extend([2, 0xFF, 0xFF, 0xFF, 0xFF]);
        assert!(Receiver::begin(long.as_slice()).unwrap().next().unwrap().is_err());
    }
}
