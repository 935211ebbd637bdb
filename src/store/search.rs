//! How the objects are found that have several terms: by going through the lists of all terms at a time.
//!
//! Every list is in the order of sequences. Whatever place one list has reached, the others leap there: so as many steps
//! are made as the shortest list has rows, and nothing of it is kept. Of each list, pages are read, small ones where it is
//! leapt through, and larger ones where it is read on.
#![forbid(unsafe_code)]

use super::identifier::Identifier;
use super::rows::{Rows, Table, Value};
use super::tables::{grant_key, number, object_key};
use super::{StoreError, record};
use crate::kms::object::Object;
use crate::kms::view::{Search, SearchEnd, Show};
use crate::limits;
use std::sync::Arc;

/// Rows of a page of a list: at first, how many times as many where all were of use, and at most.
const PAGE_MIN: usize = 16;
const PAGE_GROWTH: usize = 4;
const PAGE_MAX: usize = 1024;
/// Of a term that no more objects have, each is looked at, whether one may know of it or not.
const FEW: usize = 128;
/// Grants that are read to know beforehand what one may know of.
const GRANTS_MAX: usize = 1_000;

/// What one search may look at.
#[derive(Clone, Copy)]
pub struct Bounds {
    /// Rows of lists.
    pub rows: usize,
    /// Objects, and grants.
    pub objects: usize,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { rows: limits::ROWS_READ_MAX, objects: limits::OBJECTS_READ_MAX }
    }
}

/// See [`View::search`](crate::kms::view::View::search).
pub fn run(
    rows: &dyn Rows,
    search: &Search<'_>,
    bounds: Bounds,
    show: &mut Show<'_>,
) -> Result<SearchEnd, StoreError> {
    let mut reader = Reader { rows, rows_left: bounds.rows, has_given_up: false };
    let mut lists: Vec<List<'_>> =
        search.terms.iter().map(|term| List::new(Table::Tags, term, Vec::new())).collect();
    let mut looks_at_each = reader.is_on_few(search.terms)?;
    if !looks_at_each {
        let most = if search.terms.is_empty() { bounds.objects } else { GRANTS_MAX.min(bounds.objects) };
        match reader.granted(search.users, most)? {
            Some(granted) => lists.push(List::new(Table::Owners, search.owner.as_bytes(), granted)),
            None if search.terms.is_empty() => return Ok(SearchEnd::TooMuch),
            None => looks_at_each = true,
        }
    }
    let (mut from, mut objects_left) = (0, bounds.objects);
    while let Some(place) = next_on_all(&mut lists, &mut reader, from)? {
        let Some(left) = objects_left.checked_sub(1) else { return Ok(SearchEnd::TooMuch) };
        objects_left = left;
        let uid = lists.iter().find_map(|list| list.uid_at(place)).expect("all lists have reached it");
        if let Some(object) = reader.object(place, uid)?
            && (!looks_at_each || reader.is_in_sight(&object, search)?)
            && show(Arc::new(object))?.is_break()
        {
            return Ok(SearchEnd::Stopped);
        }
        let Some(next) = place.checked_add(1) else { break };
        from = next;
    }
    Ok(if reader.has_given_up { SearchEnd::TooMuch } else { SearchEnd::Complete })
}

/// The first place at or after `from` that is on all of the lists.
fn next_on_all(
    lists: &mut [List<'_>],
    reader: &mut Reader<'_>,
    from: u64,
) -> Result<Option<u64>, StoreError> {
    let (count, mut place, mut agreeing) = (lists.len(), from, 0);
    while agreeing < count {
        for list in &mut *lists {
            let Some(found) = list.seek(reader, place)? else { return Ok(None) };
            agreeing = if found == place { agreeing + 1 } else { 1 };
            place = found;
            if agreeing == count {
                break;
            }
        }
    }
    Ok(Some(place))
}

/// The sequence of an object, and its identifier.
type Place = (u64, Value);

/// A list of the database, which is read page by page, and further places that are known already.
struct List<'l> {
    table: Table,
    first: &'l [u8],
    /// Places that are not on the list itself, in order.
    more: Vec<Place>,
    page: Vec<Place>,
    /// How far the page was gone through, and how many of its places were of use.
    at: usize,
    used: usize,
    size: usize,
    is_last: bool,
}

impl<'l> List<'l> {
    fn new(table: Table, first: &'l [u8], more: Vec<Place>) -> List<'l> {
        List { table, first, more, page: Vec::new(), at: 0, used: 0, size: 0, is_last: false }
    }

    /// The first place at or after `from`, which never goes back.
    fn seek(&mut self, reader: &mut Reader<'_>, from: u64) -> Result<Option<u64>, StoreError> {
        let more = self.more.get(self.more.partition_point(|(place, _)| *place < from));
        let more = more.map(|(place, _)| *place);
        let listed = self.seek_listed(reader, from)?;
        Ok(listed.into_iter().chain(more).min())
    }

    /// The identifier at a place, if it is there that the list was sought for last.
    fn uid_at(&self, place: u64) -> Option<&[u8]> {
        let more = self.more.binary_search_by_key(&place, |(place, _)| *place).ok();
        let found = self.page.get(self.at).filter(|(listed, _)| *listed == place);
        found.or_else(|| self.more.get(more?)).map(|(_, uid)| uid.as_slice())
    }

    fn seek_listed(&mut self, reader: &mut Reader<'_>, from: u64) -> Result<Option<u64>, StoreError> {
        self.at += self.page[self.at..].partition_point(|(place, _)| *place < from);
        if self.at == self.page.len() && !self.is_last {
            self.size = match self.used * 2 >= self.page.len() {
                true => (self.size * PAGE_GROWTH).clamp(PAGE_MIN, PAGE_MAX),
                false => PAGE_MIN,
            };
            let limit = self.size.min(reader.rows_left);
            self.page = reader.page(self.table, self.first, from, limit)?;
            (self.at, self.used, self.is_last) = (0, 0, self.page.len() < limit || limit == 0);
        }
        self.used += 1;
        Ok(self.page.get(self.at).map(|(place, _)| *place))
    }
}

/// Reads rows, no more than so many.
struct Reader<'r> {
    rows: &'r dyn Rows,
    rows_left: usize,
    has_given_up: bool,
}

impl Reader<'_> {
    /// So many places of a list, fewer where it ends; none where no more may be read.
    fn page(
        &mut self,
        table: Table,
        first: &[u8],
        from: u64,
        limit: usize,
    ) -> Result<Vec<Place>, StoreError> {
        self.has_given_up |= limit == 0;
        let rows = self.rows.list(table, first, &from.to_be_bytes(), limit)?;
        self.rows_left -= rows.len();
        rows.into_iter().map(|(sequence, uid)| Ok((u64::from_be_bytes(number(&sequence)?), uid))).collect()
    }

    /// Whether one of the terms is rare.
    fn is_on_few(&self, terms: &[Vec<u8>]) -> Result<bool, StoreError> {
        for term in terms {
            if self.rows.count(Table::Tags, term, FEW + 1)? <= FEW {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The places of the objects on which one of the users was granted something, in order; `None` where there are more
    /// than so many.
    fn granted(&self, users: &[&str], most: usize) -> Result<Option<Vec<Place>>, StoreError> {
        let mut places = Vec::new();
        for user in users {
            let left = most - places.len();
            let grants = self.rows.list(Table::GrantsByUser, user.as_bytes(), &[], left.saturating_add(1))?;
            if grants.len() > left {
                return Ok(None);
            }
            for (uid, _) in grants {
                if let Some(stored) = self.rows.get(object_key(&uid))? {
                    places.push((u64::from_be_bytes(record::sequence(&stored)?), uid.into()));
                }
            }
        }
        places.sort_unstable_by_key(|(place, _)| *place);
        places.dedup_by_key(|(place, _)| *place);
        Ok(Some(places))
    }

    /// The object at a place; `None` where it was removed since the list was read, be it that another has its identifier.
    fn object(&self, place: u64, uid: &[u8]) -> Result<Option<Object>, StoreError> {
        let Some(stored) = self.rows.get(object_key(uid))? else { return Ok(None) };
        match record::decode(&stored)? {
            (sequence, object) if u64::from_be_bytes(sequence) == place => Ok(Some(object)),
            _ => Ok(None),
        }
    }

    fn is_in_sight(&self, object: &Object, search: &Search<'_>) -> Result<bool, StoreError> {
        if object.owner == search.owner {
            return Ok(true);
        }
        let identifier = Identifier::of(&object.uid);
        for user in search.users {
            let grant = grant_key(&identifier, user);
            if self.rows.get(grant)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests;
