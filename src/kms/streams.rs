//! What clients do in several steps (KMIP 2.1 section 6.1, `InitIndicator`, `CorrelationValue`, `FinalIndicator`).
//!
//! What a step leaves is kept here until the next one names it. A step takes it out, works without holding up others, and
//! puts it back: two steps that name the same cannot mix, for the second finds nothing, and a step that fails ends it all.
//! Nothing of this lasts beyond the process, nor longer than a client hesitates.
#![forbid(unsafe_code)]

use super::cipher::stream::{Opening, Sealing};
use super::fields::Fields;
use super::operation::Context;
use super::policy::Authorized;
use super::refusal::Refusal;
use crate::crypto::hash::Hashing;
use crate::crypto::mac::Mac;
use crate::crypto::sha256;
use crate::entropy::{Entropy, random};
use crate::limits;
use crate::time::Timestamp;
use crate::wire::kmip::dialect::Dialect;
use crate::wire::ttlv::Tag;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes of a correlation value: nobody guesses one.
const CORRELATION_BYTES: usize = 16;
type Correlation = [u8; CORRELATION_BYTES];

/// Which step a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'r> {
    /// All at once.
    Only,
    /// The first of several.
    First,
    /// One in between; it names what the steps before it left.
    Next(&'r [u8]),
    /// The last of several, likewise.
    Last(&'r [u8]),
}

impl<'r> Step<'r> {
    /// Reads the indicators. 4.9.1 knew no steps, and gave correlation values another meaning.
    pub fn decode(fields: Fields<'r>, dialect: Dialect) -> Result<Step<'r>, Refusal> {
        let (init, last) = (fields.boolean(Tag::INIT_INDICATOR)?, fields.boolean(Tag::FINAL_INDICATOR)?);
        if dialect == Dialect::V4 {
            return if init {
                Err(fields.refuse(Tag::INIT_INDICATOR, "must be absent"))
            } else {
                Ok(Step::Only)
            };
        }
        let correlation = fields.bytes(Tag::CORRELATION_VALUE)?.filter(|value| !value.is_empty());
        match (init, correlation, last) {
            (true, Some(_), _) => {
                Err(fields.refuse(Tag::CORRELATION_VALUE, "must be absent beside the InitIndicator"))
            }
            (true, None, true) | (false, None, false) => Ok(Step::Only),
            (true, None, false) => Ok(Step::First),
            (false, None, true) => fields.required(Tag::CORRELATION_VALUE, None),
            (false, Some(value), false) => Ok(Step::Next(value)),
            (false, Some(value), true) => Ok(Step::Last(value)),
        }
    }

    /// The `Data` of the request; of several steps, each may be without.
    pub fn data(self, fields: Fields<'r>) -> Result<&'r [u8], Refusal> {
        let data = fields.bytes(Tag::DATA)?;
        if self == Step::Only { fields.required(Tag::DATA, data) } else { Ok(data.unwrap_or_default()) }
    }
}

/// What a step leaves to the next one.
pub enum Work {
    /// Encrypt.
    Sealing(Sealing),
    /// Decrypt.
    Opening(Opening),
    /// MAC, and MACVerify.
    Authenticating(Mac),
    /// Hash.
    Hashing(Hashing),
}

impl Work {
    fn kept_bytes(&self) -> usize {
        match self {
            Work::Opening(opening) => opening.kept_bytes(),
            Work::Sealing(_) | Work::Authenticating(_) | Work::Hashing(_) => 0,
        }
    }
}

/// Whose work it is: nobody else's step, no other operation's and none with another key finds it.
#[derive(Clone, PartialEq, Eq)]
struct Owner {
    tenant: Option<u128>,
    principal: String,
    operation: &'static str,
    /// A digest of the key's identifier and bytes; zeros where there is no key.
    key: [u8; 32],
}

struct Entry {
    owner: Owner,
    work: Work,
    last_step: Timestamp,
}

/// All work in progress. The mutex is held for a look at the table, never while data is worked on: requests are answered on
/// the reactor and in lanes, and none may wait for another.
type Table = Mutex<BTreeMap<Correlation, Entry>>;

/// The work in progress of all clients, or of those of one tenant. Clones share it.
#[derive(Clone, Default)]
pub struct Streams(Arc<Scope>);

#[derive(Default)]
struct Scope {
    table: Arc<Table>,
    tenant: Option<u128>,
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Streams")
    }
}

impl Streams {
    /// The same for the clients of this tenant, who share nothing but the limits with others.
    pub fn of_tenant(&self, tenant: u128) -> Streams {
        Streams(Arc::new(Scope { table: Arc::clone(&self.0.table), tenant: Some(tenant) }))
    }

    /// Whether nothing is in progress.
    pub fn is_empty(&self) -> bool {
        self.table().is_empty()
    }

    /// Lets go of what no client has gone on with in time: it holds keys and data.
    pub fn forget_idle(&self, now: Timestamp) {
        forget_idle(&mut self.table(), now);
    }

    fn table(&self) -> MutexGuard<'_, BTreeMap<Correlation, Entry>> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One step's access to the work of its client, by an operation, with a key that it may use now.
pub struct Session {
    streams: Streams,
    owner: Owner,
    now: Timestamp,
}

impl Session {
    /// For a step of `operation` with this key, whose rights and state were just looked at; `None` for an only step. What a
    /// step goes on from is used up by it, so it cannot be one of several operations of a request: those are perhaps done
    /// twice.
    pub fn of(
        step: Step<'_>,
        context: &Context<'_>,
        operation: &'static str,
        key: Option<&Authorized>,
    ) -> Result<Option<Box<Session>>, Refusal> {
        match step {
            Step::Only => return Ok(None),
            Step::Next(_) | Step::Last(_) if !context.is_alone => {
                return Err(Refusal::NotSupported(format!(
                    "{operation}: a step after the first is the only item of its message"
                )));
            }
            Step::First | Step::Next(_) | Step::Last(_) => {}
        }
        let digest = |key: &Authorized| {
            let uid = key.object().uid.as_bytes();
            sha256(&[sha256(uid), sha256(key.material())].concat())
        };
        let streams = context.streams.clone();
        let owner = Owner {
            tenant: streams.0.tenant,
            principal: context.principal.0.clone(),
            operation,
            key: key.map_or([0; 32], digest),
        };
        Ok(Some(Box::new(Session { streams, owner, now: context.now })))
    }

    /// Keeps what a first step leaves: the correlation value for the next one.
    pub fn begin(&self, work: Work, entropy: &mut dyn Entropy) -> Result<Correlation, Refusal> {
        let correlation = random::<CORRELATION_BYTES>(entropy);
        let mut table = self.streams.table();
        forget_idle(&mut table, self.now);
        let of_principal = |entry: &&Entry| {
            entry.owner.principal == self.owner.principal && entry.owner.tenant == self.owner.tenant
        };
        if table.len() >= limits::STREAMS_MAX
            || table.values().filter(of_principal).count() >= limits::STREAMS_OF_PRINCIPAL_MAX
        {
            return Err(Refusal::NotSupported(format!(
                "{}: too much is going on in several steps: end some of it, or try again later",
                self.owner.operation
            )));
        }
        self.put(&mut table, correlation, work)?;
        Ok(correlation)
    }

    /// Takes out what the step before left. What was never there, what waited too long and what is not this client's is the
    /// same.
    pub fn take(&self, correlation: &[u8]) -> Result<Work, Refusal> {
        let unknown = || {
            Refusal::invalid(format!("{}: CorrelationValue is not known, or no longer", self.owner.operation))
        };
        let correlation = Correlation::try_from(correlation).map_err(|_| unknown())?;
        let mut table = self.streams.table();
        forget_idle(&mut table, self.now);
        table.get(&correlation).filter(|entry| entry.owner == self.owner).ok_or_else(unknown)?;
        Ok(table.remove(&correlation).expect("it was just found").work)
    }

    /// Puts back what a step in between leaves, under the correlation value that it was taken out by.
    pub fn put_back(&self, correlation: &[u8], work: Work) -> Result<(), Refusal> {
        let correlation = correlation.try_into().expect("work was taken out by it");
        self.put(&mut self.streams.table(), correlation, work)
    }

    fn put(
        &self,
        table: &mut BTreeMap<Correlation, Entry>,
        correlation: Correlation,
        work: Work,
    ) -> Result<(), Refusal> {
        let kept: usize = table.values().map(|entry| entry.work.kept_bytes()).sum();
        if work.kept_bytes() > 0 && kept + work.kept_bytes() > limits::STREAM_BYTES_MAX {
            return Err(Refusal::NotSupported(format!(
                "{}: too much data is waiting for its authentication tag: send it all at once, or try again later",
                self.owner.operation
            )));
        }
        table.insert(correlation, Entry { owner: self.owner.clone(), work, last_step: self.now });
        Ok(())
    }
}

fn forget_idle(table: &mut BTreeMap<Correlation, Entry>, now: Timestamp) {
    table.retain(|_, entry| now < entry.last_step + limits::STREAM_IDLE_TIMEOUT);
}
