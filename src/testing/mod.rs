//! What tests put in the place of the world.
//!
//! # The simulator
//!
//! [`simulator`] plays whole lives of the server, each made of one seed. It drives the very
//! [`Server`](crate::server::Server), [`job::run`](crate::job::run) and
//! [`RedbStore`](crate::store::redb::RedbStore) that production runs, and makes up the rest:
//!
//! * a clock that moves when it is told to;
//! * a network: bytes in pieces, stalls, slow readers, half-closed, reset and forsaken connections, more of them than
//!   the server takes; TLS of both versions in some simulations, with sessions that are resumed, records in pieces or damaged
//!   on their way, and clients who speak HTTP to it;
//! * an owner whom the server waits for in some simulations, with a certificate and a token, who mistypes passwords; and
//!   strangers who would like to be that owner, or cannot wait for the keys;
//! * lanes without threads: bounded queues, batches, answers that come late and in any order among the lanes; an audit log
//!   that is full for a while, an issuer of tokens that does not answer;
//! * a [`disk`] that loses power at any write, also in the middle of a commit and of a start, and with it what was not
//!   synced, whole or torn; on which one operation fails; which is full; in some simulations, a database that was closed in
//!   order is read before it was verified;
//! * clients of both generations and of several users, who pipeline requests of every kind, also for what is another's, who
//!   change attributes one by one in some simulations, and look for them; requests that are just as long as they may be or
//!   a byte longer, and rubbish;
//! * an authority in some simulations, of which the certificates bot orders: one that is away, does not like what it is
//!   asked, or does not find the proof for which it looks at the port that is opened for it;
//! * tenants in some simulations, each with a database of his own, of which few are open at a time, and who try secrets that
//!   open nothing;
//! * options: limits, time-outs, sealed or not, tokens or not, privileged users or not, the audit log soon or before.
//!
//! Every step is held against what the server promises: the contract of each [`Output`](crate::server::event::Output);
//! one answer to each request, in order, or a closed connection, and for a reason; what was answered is on the disk
//! after any crash, and what was refused is not; every answer is one that the model foretells; states go one way;
//! nobody gets what he was not granted, or can tell it from what is not there, least of all what is another tenant's;
//! limits and time-outs hold, no sooner and no later; when the faults are healed everything comes to its end, and no
//! deadline is left. A session of TLS ends with a close_notify, so that a client knows that it has heard everything;
//! nothing is served before the owner has started it; a proof is there as long as its port is open, and in the end
//! there is a valid certificate. The simulator knows every key, and looks for it in every answer but that to Get, in
//! what travels over TLS, in the log, the audit log, the metrics, and on the disk that is sealed; likewise for the
//! owner's token, password and certificate, and the secrets of tenants.
//!
//! Whether it would notice is tried with faults that are planted
//! ([`Sabotage`](simulator::sabotage::Sabotage)): `tests/canary.rs` finds each of them.
//!
//! All chance comes from the seed ([`choices`]), so the same seed is the same course of events: but for what rustls and
//! OpenSSL draw by themselves, of which nothing else depends, since lengths are the same in every run ([`tls`]).
//! `tests/simulation.rs` plays some hundreds of seeds; a failure names its seed and step. To see that seed again, with
//! everything that happens:
//!
//! ```text
//! KEYWAY_SEED=17 cargo test --test simulation -- --nocapture
//! ```
//!
//! `KEYWAY_SEEDS=10000` plays so many. The fuzz target `simulation` lets a fuzzer choose instead of a seed:
//! `KEYWAY_INPUT=file` shows what it has found.
//!
//! # The connection
//!
//! [`connection`] is smaller: one connection, bytes chosen by a fuzzer, lanes that answer at once. It asks whether the
//! answers depend on the pieces in which the bytes arrive.
#![forbid(unsafe_code)]

pub mod choices;
pub mod connection;
pub mod disk;
pub mod simulator;
pub mod tls;

use crate::entropy::Entropy;
use crate::limits::Limits;
use crate::server::clients::ClientIdentity;
use crate::server::{Parts, Tls};
use crate::store::Store;
use crate::time::Now;
use std::sync::Arc;

/// The parts of a server that speaks plain HTTP with everybody and has nothing that is optional.
pub fn parts(store: Arc<dyn Store>, entropy: Box<dyn Entropy>, now: Now) -> Parts {
    Parts {
        limits: Limits::default(),
        default_username: "admin".into(),
        store,
        entropy,
        tls: Tls::Off,
        client_authorities: Vec::new(),
        client_revocations: None,
        client_identity: ClientIdentity::CommonName,
        token_issuers: Vec::new(),
        force_default_username: false,
        privileged_users: Vec::new(),
        decryption_key: None,
        bootstrap: None,
        attestation: None,
        audit: None,
        counts: Arc::default(),
        resident_bytes: || None,
        now,
    }
}
