//! Every cap of the server in one place: sizes, counts, depths and times. What is not named here is derived from it.
#![forbid(unsafe_code)]

use std::time::Duration;

/// Bytes of one unique identifier, user name or tag.
pub const NAME_BYTES_MAX: usize = 512;
/// Tags of one object, system tags included.
pub const TAGS_MAX: usize = 64;
/// Nesting of structures in a TTLV document: a batched Import with a wrapped key and its attributes needs 9.
pub const TTLV_DEPTH_MAX: usize = 16;
/// Keys with a lease of nonces: further ones count each nonce by itself.
pub const NONCE_LEASES_MAX: usize = 16_384;
/// Operations in one message.
pub const BATCH_ITEMS_MAX: usize = 1024;
/// Those of a message that is answered on the reactor; one with more goes to the bulk lane,
pub const INLINE_BATCH_ITEMS_MAX: usize = 128;
/// and so does one whose answer grows beyond that.
pub const INLINE_ANSWER_BYTES_MAX: usize = 256 * 1024;
/// By how many bytes the answer to a message may be longer than what was sent.
pub const MESSAGE_ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Items in one TTLV document.
pub const TTLV_ITEMS_MAX: usize = 65_536;
/// Objects that one request may look at.
pub const OBJECTS_READ_MAX: usize = 100_000;
/// Rows of lists that one search may go through to find them.
pub const ROWS_READ_MAX: usize = 2_000_000;
/// Objects that a Locate looks at beyond those that it was asked for, only to say how many there are.
pub const OBJECTS_COUNTED_MAX: usize = 1_000;
/// Objects that are brought up to date in one transaction, when a database of an older version is opened,
pub const OBJECTS_UPGRADED_MAX: usize = 8_192;
/// and bytes of their records, as long as there is a second one.
pub const UPGRADED_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Objects that one request may change, which all others wait for.
pub const OBJECTS_CHANGED_MAX: usize = 1_000;
/// Bytes of one list of objects.
pub const LIST_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Attributes, filters or references to attributes in one request.
pub const ATTRIBUTES_MAX: usize = 256;
/// Bytes of one object's encoded attributes.
pub const ATTRIBUTES_BYTES_MAX: usize = 64 * 1024;
/// Bytes that are wrapped or unwrapped at once: key wrapping goes over them six times, block by block. A key of 4096 bytes
/// and its attributes are less.
pub const WRAPPED_BYTES_MAX: usize = 128 * 1024;
/// Those of all operations of one request together: some tens of milliseconds.
pub const REQUEST_WRAPPED_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of a seed that is made here.
pub const SEED_BYTES_MAX: usize = 4096;
/// How many keys are unwrapped, each with the next one, for one that is to be used.
pub const WRAPPING_DEPTH_MAX: usize = 4;
/// Bytes of a body that changes something (413): it is read where all changes wait.
pub const WRITE_BODY_BYTES_MAX: usize = 1024 * 1024;
/// Bytes that one request may have out of the random number generator.
pub const RANDOM_BYTES_MAX: usize = 64 * 1024;
/// HMACs that are computed to derive the keys of one request. The bases are read, and so the keys derived, where all changes
/// wait: this is some tens of milliseconds.
pub const DERIVATION_ROUNDS_MAX: usize = 10_000;
/// Encryptions and the like that clients have begun and will continue.
pub const STREAMS_MAX: usize = 1024;
/// Those of one user.
pub const STREAMS_OF_PRINCIPAL_MAX: usize = 64;
/// Bytes of data that waits for its authentication tag, of all of them together.
pub const STREAM_BYTES_MAX: usize = 32 * 1024 * 1024;
/// How long a client may hesitate between two steps.
pub const STREAM_IDLE_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// How often it is looked for those who have hesitated longer.
pub const STREAM_IDLE_INTERVAL: Duration = Duration::from_secs(30);
/// How long a view of the store is kept, and with it the objects that it remembers.
pub const VIEW_AGE_MAX: Duration = Duration::from_secs(1);
/// Objects that a view remembers.
pub const REMEMBERED_OBJECTS: usize = 128;
/// Bytes of an object that is worth remembering.
pub const REMEMBERED_OBJECT_BYTES_MAX: usize = 8 * 1024;
/// Links of one object to others: they leave room for other attributes ([`ATTRIBUTES_MAX`]).
pub const LINKS_MAX: usize = 128;
/// Header fields in a request head.
pub const HEADERS_MAX: usize = 64;
/// Empty lines before a request line (RFC 9112 section 2.2).
pub const LEADING_EMPTY_LINES_MAX: usize = 4;
/// Bytes of the digits and extensions on one chunk-size line.
pub const CHUNK_LINE_BYTES_MAX: usize = 256;
/// Bytes of a PKCS#12 file.
pub const PKCS12_BYTES_MAX: usize = 1024 * 1024;
/// Iterations of password derivation spent on one PKCS#12 file: real files ask for 600,000 in the MAC and in each bag.
pub const PKCS12_ITERATIONS_MAX: u64 = 20_000_000;
/// Nesting of safe contents in a PKCS#12 file.
pub const PKCS12_DEPTH_MAX: usize = 4;
/// Bytes of a body decoded and answered on the reactor; a longer one goes to the bulk lane.
pub const INLINE_BODY_BYTES_MAX: usize = 64 * 1024;
/// Plaintext bytes of one TLS record (RFC 8446 section 5.1).
pub const TLS_RECORD_BYTES_MAX: usize = 16 * 1024;
/// Bytes kept of TLS records that do not make a whole message yet: rustls takes handshake messages of up to 64 KiB, and
/// the records that bring one have heads of their own.
pub const TLS_KEPT_BYTES_MAX: usize = 128 * 1024;
/// Bytes that the reactor reads from one socket at a time: two TLS records with their overhead.
pub const READ_BYTES: usize = 36 * 1024;
/// TLS sessions kept for resumption.
pub const TLS_SESSIONS_MAX: usize = 1024;
/// Cache of the embedded store, in bytes.
pub const STORE_CACHE_BYTES: usize = 1024 * 1024;
/// Cache of the same for the branch pages of a large file, in bytes.
pub const BRANCH_CACHE_BYTES: usize = 4 * 1024 * 1024;
/// From so many bytes on a file is large: what has fewer branch pages needs no cache for them.
pub const BRANCHES_KEPT_FROM_BYTES: u64 = 256 * 1024 * 1024;
/// Cache of the same while its file is verified, which reads everything once.
pub const VERIFYING_CACHE_BYTES: usize = 1024 * 1024;
/// A file of the embedded store that is not larger is verified before anything is answered: it takes some 60 ms.
pub const VERIFIED_FIRST_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Cache of one tenant's database, in bytes.
pub const TENANT_CACHE_BYTES: usize = 512 * 1024;
/// Requests committed in one transaction at most.
pub const GROUP_COMMIT_MAX: usize = 512;
/// Requests that are answered side by side where the database is elsewhere, each over a connection of its own.
pub const READERS: usize = 8;
/// Connections of one server to a database that is elsewhere: for those, and for the lane that writes.
pub const DATABASE_CONNECTIONS_MAX: usize = READERS + 1;
/// How long reaching a database may take.
pub const DATABASE_CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a database may take for one answer, and a request for the attempts that come after a first one.
pub const DATABASE_ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a transaction waits for those of other servers.
pub const DATABASE_LOCK_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a transaction may stand still before the database gives up on its server: others wait for it.
pub const DATABASE_IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a server that starts waits for a database that does not answer yet, since both may be started together.
pub const DATABASE_START_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a connection is kept that nobody uses: less than that, and less than what stands in between has patience.
pub const DATABASE_KEEP_TIMEOUT: Duration = Duration::from_secs(20);
/// How long the first erasure of a database may take.
pub const DATABASE_CLEAR_TIMEOUT: Duration = Duration::from_secs(600);
/// How often a transaction is run before the database counts as busy.
pub const DATABASE_RUNS_MAX: u32 = 8;
/// While a database is away, it is tried once in this time, doubled after each attempt.
pub const DATABASE_PAUSE_MIN: Duration = Duration::from_millis(125);
/// The longest of these times.
pub const DATABASE_PAUSE_MAX: Duration = Duration::from_secs(2);
/// How often the databases of tenants are looked through for such as nobody has asked for meanwhile.
pub const TENANT_IDLE_INTERVAL: Duration = Duration::from_secs(5 * 60);
/// Databases of tenants that are in use at once: one where changes are committed, and one for each reader.
pub const TENANTS_IN_USE_MAX: usize = 1 + READERS;
/// Jobs that wait in the queue of one lane; more are answered "try later" at once.
pub const LANE_JOBS_MAX: usize = 2048;
/// Quotes by the platform that wait for their turn: one after the other is made, and some take seconds. Further ones are
/// answered "try later" as well.
pub const QUOTES_WAITING_MAX: usize = 32;
/// Backups that wait for their turn; further ones are turned away.
pub const BACKUPS_WAITING_MAX: usize = 4;
/// How long whoever makes a backup may take for the next piece of it: meanwhile the file of the database grows.
pub const BACKUP_PIECE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long `keyway backup` waits for the next piece: backups before it may have to be made first.
pub const BACKUP_WAIT_TIMEOUT: Duration = Duration::from_secs(600);
/// Bytes of a key or of a value in a backup: many times those of the largest record.
pub const BACKUP_PART_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Objects that one line of the audit log names.
pub const AUDIT_OBJECTS_MAX: usize = 8;
/// Bytes of one line of the audit log: what a client has a hand in grows by escapes to six times its size at most.
pub const AUDIT_LINE_BYTES_MAX: usize = 128 * 1024;
/// Bytes of lines that wait for the audit log while it cannot be written; further lines are lost, and counted.
pub const AUDIT_WAITING_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How long lines may wait for others to be written with, where no answer waits for them.
pub const AUDIT_LINGER: Duration = Duration::from_millis(100);
/// Bytes of lines that are written without waiting for more.
pub const AUDIT_GROUP_BYTES: usize = 256 * 1024;
/// How long lines for which no answer waits may be lost by a crash of the machine.
pub const AUDIT_SYNC_INTERVAL: Duration = Duration::from_secs(1);
/// Lines of the audit log after which a checkpoint is due,
pub const AUDIT_CHECKPOINT_LINES: usize = 1_000;
/// and how long after the first of them it is.
pub const AUDIT_CHECKPOINT_INTERVAL: Duration = Duration::from_secs(10);
/// How long after a failure the audit log is tried again.
pub const AUDIT_RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// Connections accepted above the cap, to be told so.
pub const REFUSED_CONNECTIONS_MAX: usize = 16;
/// How long a closed connection may linger until the peer has read the last answer.
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(2);
/// How often the files of the certificate and of the revocation lists are looked at for a change.
pub const FILE_CHECK_INTERVAL: Duration = Duration::from_secs(10);
/// How long an order may take until its challenges are known, beyond one request that is under way.
pub const ORDER_BEGIN_TIMEOUT: Duration = Duration::from_secs(120);
/// Connections to the authority in one step of an order. One with a hundred names needs some hundreds, and as many as it
/// waits half seconds; an authority that refuses every nonce is asked no more often.
pub const ORDER_CONNECTIONS_MAX: u32 = 2_000;
/// How long an order may take from its challenges to the certificate, likewise.
pub const ORDER_FINISH_TIMEOUT: Duration = Duration::from_secs(300);
/// How long a certificate is valid that the server makes for itself until a real one is there.
pub const SELF_SIGNED_LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How long the question may take when to renew.
pub const RENEWAL_INFO_TIMEOUT: Duration = Duration::from_secs(60);
/// How long an http-01 challenge is answered after its order has ended: the authority may still look from elsewhere.
pub const CHALLENGE_LINGER: Duration = Duration::from_secs(10);
/// Bytes of a file of the certificates bot.
pub const ACME_FILE_BYTES_MAX: u64 = 256 * 1024;
/// Bytes of the operator's own certification authorities.
pub const AUTHORITIES_BYTES_MAX: u64 = 1024 * 1024;
/// Bytes of the revocation lists of clients' authorities, all of them together: the signature of a list is verified anew in
/// every handshake, which takes its digest on the reactor, some milliseconds for so many bytes.
pub const REVOCATIONS_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Bytes of a token that says who asks; those of large issuers have some 2 KiB.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// How far the clocks of this server and of a token's issuer may be apart.
pub const TOKEN_CLOCK_LEEWAY: Duration = Duration::from_secs(60);
/// Issuers of tokens.
pub const TOKEN_ISSUERS_MAX: usize = 16;
/// Keys in the set of one issuer.
pub const KEY_SET_KEYS_MAX: usize = 64;
/// Bytes of the set of one issuer.
pub const KEY_SET_BYTES_MAX: u64 = 256 * 1024;
/// How long fetching a set may take.
pub const KEY_SET_FETCH_TIMEOUT: Duration = Duration::from_secs(10);
/// How old a set becomes until it is fetched again.
pub const KEY_SET_REFRESH_INTERVAL: Duration = Duration::from_secs(10 * 60);
/// Between the end of one fetch and the next that a token with an unknown key may bring about.
pub const KEY_SET_PAUSE: Duration = Duration::from_secs(5);
/// Until a fetch that has failed is repeated, doubled after each failure.
pub const KEY_SET_RETRY_MIN: Duration = Duration::from_secs(1);
/// The longest of these times.
pub const KEY_SET_RETRY_MAX: Duration = Duration::from_secs(60);
/// Bytes of the header of an encrypted request.
pub const JWE_HEADER_BYTES_MAX: usize = 4 * 1024;
/// Bytes of an encrypted request (413): it is decrypted where all others wait.
pub const JWE_BODY_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Users who may make objects, where not everybody may.
pub const PRIVILEGED_USERS_MAX: usize = 256;
/// The least bytes a second at which a body must arrive and an answer must be taken, beyond the fixed deadlines.
const TRANSFER_BYTES_PER_SECOND_MIN: u64 = 16 * 1024;

/// The time that a transfer of so many bytes may take beyond the fixed deadline.
pub const fn transfer_time(bytes: usize) -> Duration {
    Duration::from_secs(bytes as u64 / TRANSFER_BYTES_PER_SECOND_MIN)
}

/// The caps that an operator may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open connections; further ones are told 503 (or a TLS alert) and closed.
    pub connections_max: usize,
    /// Bytes of a request line and its header fields (431).
    pub head_bytes_max: usize,
    /// Bytes of a request target (414).
    pub target_bytes_max: usize,
    /// Bytes of a request body (413).
    pub body_bytes_max: usize,
    /// Bytes of all bodies that are being received or answered, and of all answers until they are taken, beyond
    /// [`INLINE_BODY_BYTES_MAX`] each (503).
    pub bodies_bytes_max: usize,
    /// Databases of tenants that are open; at least [`TENANTS_IN_USE_MAX`], so that one can always be closed for another.
    pub open_databases_max: usize,
    /// From accept to the end of the TLS handshake.
    pub handshake_timeout: Duration,
    /// From the first byte of a head to its last (408).
    pub head_timeout: Duration,
    /// From the head to the last byte of the body (408), longer for bodies that need it.
    pub body_timeout: Duration,
    /// Between requests.
    pub idle_timeout: Duration,
    /// Until the peer has taken an answer, longer for answers that need it.
    pub write_timeout: Duration,
    /// From SIGTERM to the exit, for the requests in progress.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections_max: 4096,
            head_bytes_max: 16 * 1024,
            target_bytes_max: 8 * 1024,
            body_bytes_max: 64 * 1024 * 1024,
            bodies_bytes_max: 128 * 1024 * 1024,
            open_databases_max: 16,
            handshake_timeout: Duration::from_secs(10),
            head_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(75),
            write_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(10),
        }
    }
}

impl Limits {
    /// What the server takes at most when every connection does its worst: buffers, bodies and their answers, the cache
    /// of the store, the queues of the lanes, and what is kept between requests.
    pub fn memory_bound_bytes(&self) -> usize {
        // Of small answers, a peer that takes none holds as many bytes as are made at a time, and one more.
        let per_connection = TLS_STATE_BYTES + READ_BYTES + self.head_bytes_max + 2 * INLINE_BODY_BYTES_MAX;
        let bodies =
            BODY_COPIES * self.bodies_bytes_max + LANES_OF_REQUESTS * LANE_JOBS_MAX * INLINE_BODY_BYTES_MAX;
        let connections = self.connections_max + REFUSED_CONNECTIONS_MAX;
        // There is one database, or those of tenants.
        let stores =
            (STORE_CACHE_BYTES + BRANCH_CACHE_BYTES).max(self.open_databases_max * TENANT_CACHE_BYTES);
        // A stream's own state is a few cipher blocks and a key schedule.
        let streams = STREAM_BYTES_MAX + STREAMS_MAX * 4 * 1024;
        // A key's name, and a leaf of a tree for it.
        let leases = NONCE_LEASES_MAX * (NAME_BYTES_MAX + 128);
        // Of the reactor's view and the bulk lane's.
        let remembered = 2 * REMEMBERED_OBJECTS * REMEMBERED_OBJECT_BYTES_MAX;
        let kept = streams + leases + remembered + AUDIT_WAITING_BYTES_MAX;
        FIXED_BYTES + stores + connections * per_connection + bodies + kept
    }
}

/// What rustls keeps for one connection, with a handshake under way.
const TLS_STATE_BYTES: usize = 64 * 1024 + TLS_KEPT_BYTES_MAX;
/// A large body and what is made of it; or its answer, the answer's encryption, and what the socket has not taken.
const BODY_COPIES: usize = 4;
/// Lanes with requests of any size, which stay there when those who wait for them have gone.
const LANES_OF_REQUESTS: usize = 2;
/// Code, stacks, sessions for resumption.
const FIXED_BYTES: usize = 16 * 1024 * 1024;
