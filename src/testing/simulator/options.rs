//! How the server of one simulation is set up.
#![forbid(unsafe_code)]

use super::model::OWNER;
use crate::kms::policy::Principal;
use crate::limits::{INLINE_BODY_BYTES_MAX, LANE_JOBS_MAX, Limits};
use crate::server::AuditMode;
use crate::testing::choices::Choices;
use std::time::Duration;

/// Whoever may ask, where tokens or certificates say who does.
pub const USERS: [&str; 3] = [OWNER, "alice", "bob"];

/// What there is beside keys and clients in the clear. It is not drawn with the rest: with the same features, a script means
/// the same whatever else there may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// The server speaks TLS.
    pub tls: bool,
    /// It waits for its owner first.
    pub bootstrap: bool,
    /// Clients change attributes one by one, and look for them.
    pub attributes: bool,
    /// A database that was closed in order is read before it is verified.
    pub verifies_later: bool,
    /// Where the server speaks TLS from the beginning, its clients must show certificates.
    pub client_certificates: bool,
    /// Each client belongs to a tenant, who has a database of his own; unless the server waits for its owner.
    pub tenants: bool,
    /// Where the server speaks TLS from the beginning, a bot orders its certificate.
    pub bot: bool,
}

impl Features {
    /// Those of a seed.
    pub fn of_seed(seed: u64) -> Features {
        let mut choices = Choices::new(!seed);
        Features {
            tls: choices.one_in(4),
            bootstrap: choices.one_in(8),
            attributes: choices.one_in(2),
            verifies_later: choices.one_in(4),
            client_certificates: choices.one_in(2),
            tenants: choices.one_in(6),
            bot: choices.one_in(2),
        }
    }

    /// Those that these bits say.
    pub fn of_bits(bits: u8) -> Features {
        Features {
            tls: bits & 1 != 0,
            bootstrap: bits & 2 != 0,
            attributes: bits & 4 != 0,
            verifies_later: bits & 8 != 0,
            client_certificates: bits & 16 != 0,
            tenants: bits & 32 != 0,
            bot: bits & 64 != 0,
        }
    }
}

/// How many tenants there are, where there are any.
const TENANTS: usize = 2;

/// How long a server waits for its owner that does not wait for ever.
const WINDOW: Duration = Duration::from_secs(60);

/// The options, and what the world around the server is like.
#[derive(Clone, Debug)]
pub struct Options {
    pub features: Features,
    pub limits: Limits,
    /// Jobs that wait in a lane.
    pub jobs_max: usize,
    pub audit: Option<AuditMode>,
    /// Whether the database is sealed, as those of tenants always are.
    pub sealed: bool,
    /// Whether clients must show tokens,
    pub tokens: bool,
    /// which then make no difference.
    pub force_default_username: bool,
    pub privileged_users: Vec<Principal>,
    /// It is about large bodies: there is room for one or two, and their lane is slow.
    pub large_bodies: bool,
    /// How many databases of tenants are open at a time.
    pub open_max: usize,
    /// How long the server waits for its owner, if not for ever.
    pub window: Option<Duration>,
}

impl Options {
    /// Any options.
    pub fn draw(features: Features, choices: &mut Choices) -> Options {
        let large_bodies = choices.one_in(4);
        let tokens = choices.one_in(2);
        let seconds = |choices: &mut Choices, usual| Duration::from_secs(*choices.pick(&[1, 2, usual]));
        let body_bytes_max = if large_bodies { 1024 * 1024 } else { *choices.pick(&[3_000, 1024 * 1024]) };
        // A message of such changes is longer.
        let body_bytes_max = if features.attributes { body_bytes_max.max(8_000) } else { body_bytes_max };
        let mut limits = Limits {
            connections_max: 2 + choices.below(5),
            head_bytes_max: *choices.pick(&[2_000, 16 * 1024]),
            target_bytes_max: *choices.pick(&[100, 1_000]),
            body_bytes_max,
            bodies_bytes_max: if large_bodies { *choices.pick(&[80_000, 150_000]) } else { 1024 * 1024 },
            head_timeout: seconds(choices, 10),
            body_timeout: seconds(choices, 30),
            idle_timeout: seconds(choices, 75),
            write_timeout: seconds(choices, 30),
            drain_timeout: seconds(choices, 10),
            ..Limits::default()
        };
        if features.tls || features.bootstrap {
            limits.handshake_timeout = seconds(choices, 10);
        }
        let privileged = choices.one_in(6);
        Options {
            features,
            limits,
            jobs_max: *choices.pick(&[1, 2, 4, LANE_JOBS_MAX]),
            audit: *choices.pick(&[None, Some(AuditMode::Soon), Some(AuditMode::Required)]),
            sealed: choices.one_in(2) | (features.tenants && !features.bootstrap),
            tokens,
            force_default_username: tokens && choices.one_in(8),
            privileged_users: privileged.then(|| Principal(OWNER.into())).into_iter().collect(),
            large_bodies,
            window: if features.bootstrap { *choices.pick(&[None, Some(WINDOW)]) } else { None },
            open_max: if features.tenants { 1 + choices.below(TENANTS) } else { 1 },
        }
    }

    /// Whether anybody speaks TLS.
    pub fn speaks_tls(&self) -> bool {
        self.features.tls || self.features.bootstrap
    }

    /// Whether clients must show certificates.
    pub fn asks_for_certificates(&self) -> bool {
        self.features.client_certificates && self.features.tls && !self.features.bootstrap
    }

    /// Whether a bot orders the server's certificate.
    pub fn has_bot(&self) -> bool {
        self.features.bot && self.features.tls && !self.features.bootstrap
    }

    /// Whether there are tenants.
    pub fn has_tenants(&self) -> bool {
        self.features.tenants && !self.features.bootstrap
    }

    /// To which tenant the client with this index belongs: all to the same, where there are none.
    pub fn tenant(&self, client: usize) -> usize {
        if self.has_tenants() { client % TENANTS } else { 0 }
    }

    /// Whose the objects are that the client with this index makes.
    pub fn user(&self, client: usize) -> &'static str {
        let is_told = (self.tokens || self.asks_for_certificates()) && !self.force_default_username;
        if is_told { USERS[client % USERS.len()] } else { OWNER }
    }

    /// Whether that user may make objects, as long as nobody says so.
    pub fn may_make(&self, user: &str) -> bool {
        self.privileged_users.is_empty()
            || self.privileged_users.iter().any(|privileged| privileged.0 == user)
    }

    /// The longest time from one answer to the next request's last byte, which the server waits for.
    pub fn patience(&self) -> Duration {
        let Limits { idle_timeout, head_timeout, body_timeout, body_bytes_max, .. } = self.limits;
        let longest = body_bytes_max.max(INLINE_BODY_BYTES_MAX);
        let handshake_timeout =
            if self.speaks_tls() { self.limits.handshake_timeout } else { Duration::ZERO };
        handshake_timeout + idle_timeout + head_timeout + body_timeout + crate::limits::transfer_time(longest)
    }
}
