//! # Keyway: a key management server for small places
//!
//! A functional core in an imperative shell. [`server::Server`] is one state machine: bytes, completions and the time go
//! in; bytes, closes and jobs come out. It owns no socket, reads no clock and spawns nothing, so that the simulator runs
//! the very code that production runs. `shell` is the rest: sockets on mio, worker threads, signals, clocks.
//!
//! ```text
//!              shell (system calls, threads)        |        core (pure, deterministic)
//!  peer -bytes-> sockets -- Input::Received --------+-> tls -> http -> ttlv -> kmip --+
//!                                                   |                                 v
//!    lanes <------ Output::Submit(Job) -------------+---------- pipeline: prepare -> execute -> finish
//!      |  store lane: many requests, one durable transaction
//!      |  bulk lane : scans, large bodies, and all that reads a database elsewhere
//!      |  certificate lane : PKCS#12 files, whose passwords take long to try
//!      |  egress lane : certificates from an authority
//!      |  key set lane: the keys of issuers of tokens
//!      |  audit lane : who was answered what
//!      |  platform lane : quotes of the hardware
//!      +---------- Input::Completed ----------------+-> (back into the pipeline)
//!  peer <-bytes- sockets <-- Output::Send ----------+<- tls <- http <- ttlv <- kmip <- response
//!  clock --- `now` is an argument of every call ----+-> poll_timeout() tells when to call back
//! ```
//!
//! One reactor accepts for three purposes ([`server::event::Listener`]), which the core opens and closes: the key
//! management, the proofs that a certification authority looks for while an order needs them, and the owner's hand-over of
//! database and certificate before the key management begins. Beside these, it accepts who makes a backup of the embedded
//! database (`shell::backups`), of whom the core knows nothing.
//!
//! The modules are layers; each uses only those above it in this list (`tests/tidy.rs` checks it):
//!
//! | layer | modules | |
//! |---|---|---|
//! | 0 | [`time`], [`secret`], [`entropy`], [`limits`] | vocabulary: no I/O |
//! | 1 | [`wire`], [`crypto`] | codecs and primitives: total functions over bytes |
//! | 2 | [`kms`], [`acme`], [`auth`], [`audit`] | decisions: no bytes, no clock; how they are recorded |
//! | 3 | [`store`], [`bootstrap`], [`pipeline`], [`egress`], [`tee`], [`job`] | what lasts, what its owner hands over, a request's stages, what is slow |
//! | 4 | [`server`] | the core that the shell drives |
//! | 5 | [`config`], [`shell`], [`start`], [`upkeep`] | the world: arguments, sockets, threads, clocks; how all is put together; backups |

pub mod acme;
pub mod audit;
pub mod auth;
pub mod bootstrap;
pub mod config;
pub mod crypto;
pub mod egress;
pub mod entropy;
pub mod job;
pub mod kms;
pub mod limits;
pub mod pipeline;
pub mod secret;
pub mod server;
pub mod shell;
pub mod start;
pub mod store;
pub mod tee;
#[cfg(feature = "testing")]
pub mod testing;
pub mod time;
pub mod upkeep;
pub mod wire;
