//! Whether the rows of a database fit together ([`rows`](super::rows) says how they should).
#![forbid(unsafe_code)]

use super::identifier::{self, Identifier};
use super::record::Sequence;
use super::rows::{AllRows, Key, Table, parts};
use super::tables::{object_key, sequence_key};
use super::upgrade::UpToDate;
use super::{StoreError, record, sealed};
use crate::kms::object::Object;
use crate::kms::rights::NO_OBJECT;
use crate::kms::terms::{self, Term};

const RIGHTS_BYTES: usize = 4;

/// What a check has seen.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Objects.
    pub objects: u64,
    /// Grants: of one object to one user each.
    pub grants: u64,
    /// How often something did not fit.
    pub findings: u64,
    /// Why only the numbers of rows and the forms of their keys were checked, if so.
    pub counted: Option<Counted>,
}

/// Why nothing was looked at but numbers and keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// The rows are sealed.
    Sealed,
    /// A version of before has written them.
    Older,
}

/// Goes through all rows and tells one sentence for each thing that does not fit; never what is in a record. An error is one
/// of reading, not of the rows.
pub fn check(rows: &dyn AllRows, tell: &mut dyn FnMut(&str)) -> Result<Report, StoreError> {
    let mut check = Check { rows, tell, report: Report::default() };
    check.report.counted = check.cannot_be_read()?;
    match check.report.counted {
        Some(_) => check.count_rows()?,
        None => check.read_rows()?,
    }
    Ok(check.report)
}

struct Check<'c> {
    rows: &'c dyn AllRows,
    tell: &'c mut dyn FnMut(&str),
    report: Report,
}

impl Check<'_> {
    fn cannot_be_read(&self) -> Result<Option<Counted>, StoreError> {
        if self.rows.get(sealed::DATA_KEY)?.is_some() {
            return Ok(Some(Counted::Sealed));
        }
        Ok((UpToDate::read(self.rows)? != UpToDate::Whole).then_some(Counted::Older))
    }

    fn find(&mut self, what: String) {
        self.report.findings += 1;
        (self.tell)(&what);
    }

    /// Each object has one identifier and one owner, and each grant is there both ways: so much can be counted.
    fn count_rows(&mut self) -> Result<(), StoreError> {
        let mut counts = [0_u64; Table::ALL.len()];
        for table in Table::ALL {
            for row in self.rows.all(table)? {
                counts[table as usize] += 1;
                if parts(table, &row?.0).is_none() {
                    self.find(format!("{}: a key has not its form", table.name()));
                }
            }
        }
        self.report.objects = counts[Table::Objects as usize];
        self.report.grants = counts[Table::GrantsByObject as usize];
        for (table, other) in [
            (Table::Sequences, Table::Objects),
            (Table::Owners, Table::Objects),
            (Table::GrantsByUser, Table::GrantsByObject),
        ] {
            let [count, others] = [table, other].map(|table| counts[table as usize]);
            if count != others {
                self.find(format!("{}: {count} rows for the {others} of {}", table.name(), other.name()));
            }
        }
        Ok(())
    }

    fn read_rows(&mut self) -> Result<(), StoreError> {
        for row in self.rows.all(Table::Objects)? {
            let (uid, record) = row?;
            self.object(&uid, &record)?;
        }
        for row in self.rows.all(Table::Sequences)? {
            let (sequence, uid) = row?;
            if self.object_at(&sequence, &uid)?.is_none() {
                self.find(format!("sequences: {} does not lead to its object", shown_sequence(&sequence)));
            }
        }
        for table in [Table::Tags, Table::Owners] {
            for row in self.rows.all(table)? {
                let (key, uid) = row?;
                self.listed(table, &key, &uid)?;
            }
        }
        for (table, other) in
            [(Table::GrantsByObject, Table::GrantsByUser), (Table::GrantsByUser, Table::GrantsByObject)]
        {
            for row in self.rows.all(table)? {
                let (key, rights) = row?;
                self.grant(table, other, &key, &rights)?;
            }
        }
        Ok(())
    }

    /// A record can be read, and is found by its identifier, its sequence, its tags, its terms and its owner.
    fn object(&mut self, uid: &[u8], record: &[u8]) -> Result<(), StoreError> {
        self.report.objects += 1;
        let (sequence, object) = match record::decode(record) {
            Ok(placed) => placed,
            Err(error) => {
                let what = if let StoreError::Corrupt(what) = error { what } else { error.to_string() };
                self.find(format!("objects: {}: {what}", shown_identifier(uid)));
                return Ok(());
            }
        };
        if Identifier::of(&object.uid).as_ref() != uid {
            let (found, its_own) = (shown_identifier(uid), shown(object.uid.as_bytes()));
            self.find(format!("objects: {found} leads to the record of {its_own}"));
            return Ok(());
        }
        let sequence = &sequence[..];
        if self.rows.get(sequence_key(sequence))?.is_none_or(|found| *found != uid) {
            self.find(format!("objects: {} is not found by its sequence", shown_identifier(uid)));
        }
        let mut found_by: Vec<Term> = object.tags.iter().map(|tag| terms::of_tag(tag)).collect();
        found_by.extend(terms::of(&object));
        let found_by = found_by.iter().map(|term| (Table::Tags, term.as_slice()));
        for (table, name) in found_by.chain([(Table::Owners, object.owner.as_bytes())]) {
            let found = self.rows.get(Key::new(table, name, sequence))?;
            if found.is_none_or(|found| *found != uid) {
                let (table, name, uid) = (table.name(), shown(name), shown_identifier(uid));
                self.find(format!("{table}: {uid} is missing below {name}"));
            }
        }
        Ok(())
    }

    /// What a list names has that tag or owner.
    fn listed(&mut self, table: Table, key: &[u8], uid: &[u8]) -> Result<(), StoreError> {
        let Some((name, sequence)) = parts(table, key) else {
            self.find(format!("{}: a key has not its form", table.name()));
            return Ok(());
        };
        let belongs = self.object_at(sequence, uid)?.is_some_and(|object| match table {
            Table::Tags if name.first() == Some(&terms::MARK) => {
                terms::of(&object).iter().any(|term| term == name)
            }
            Table::Tags => object.tags.iter().any(|tag| tag.as_bytes() == name),
            _ => object.owner.as_bytes() == name,
        });
        if !belongs {
            let (table, name, uid) = (table.name(), shown(name), shown_identifier(uid));
            self.find(format!("{table}: {uid} does not belong below {name}"));
        }
        Ok(())
    }

    /// A grant is on an object, or on none as it should be, allows something, and is there the other way round.
    fn grant(&mut self, table: Table, other: Table, key: &[u8], rights: &[u8]) -> Result<(), StoreError> {
        let Some((first, second)) = parts(table, key) else {
            self.find(format!("{}: a key has not its form", table.name()));
            return Ok(());
        };
        let (uid, user) = match table {
            Table::GrantsByObject => (first, second),
            _ => (second, first),
        };
        let it = format!("{}: the grant on {} to {}", table.name(), shown_identifier(uid), shown(user));
        if self.rows.get(Key::new(other, second, first))?.is_none_or(|found| *found != rights) {
            self.find(format!("{it} is not the same in {}", other.name()));
        }
        if table == Table::GrantsByObject {
            self.report.grants += 1;
            let is_on_none = uid == NO_OBJECT.as_bytes();
            if !is_on_none && self.rows.get(object_key(uid))?.is_none() {
                self.find(format!("{it} is on no object"));
            }
            if rights.len() != RIGHTS_BYTES || rights == [0; RIGHTS_BYTES] {
                self.find(format!("{it} allows nothing"));
            }
        }
        Ok(())
    }

    /// The object of this identifier, if it has this sequence; `None` also where its record cannot be read, which is a
    /// finding of its own.
    fn object_at(&self, sequence: &[u8], uid: &[u8]) -> Result<Option<Object>, StoreError> {
        let record = self.rows.get(object_key(uid))?;
        let placed = record.and_then(|record| record::decode(&record).ok());
        let is_it =
            |(at, object): &(Sequence, Object)| at == sequence && Identifier::of(&object.uid).as_ref() == uid;
        Ok(placed.filter(is_it).map(|(_, object)| object))
    }
}

/// A name as it can be printed; a term is a digest.
fn shown(name: &[u8]) -> String {
    if name.first() == Some(&terms::MARK) {
        return "a term".to_owned();
    }
    format!("\"{}\"", String::from_utf8_lossy(name).escape_debug())
}

fn shown_identifier(stored: &[u8]) -> String {
    identifier::read(stored).map_or_else(|_| shown(stored), |uid| shown(uid.as_bytes()))
}

fn shown_sequence(sequence: &[u8]) -> String {
    match sequence.try_into() {
        Ok(bytes) => u64::from_be_bytes(bytes).to_string(),
        Err(_) => format!("{sequence:02x?}"),
    }
}
