//! What goes into a [`Server`](super::Server) and what comes out of it.
#![forbid(unsafe_code)]

use crate::job::{Completion, Job};
use std::net::SocketAddr;

pub use crate::job::ConnectionId;

/// What connections are accepted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// The key management. It listens from the start, or once it was bootstrapped.
    Main,
    /// Proofs for a certification authority (http-01), in the clear, while an order needs them.
    Challenge,
    /// The hand-over of database and certificate by the owner, until the key management listens.
    Bootstrap,
    /// What the server counts of itself, in the clear, for whoever watches it.
    Metrics,
}

/// One event of the world.
pub enum Input<'a> {
    /// A connection was accepted. The shell accepts at most `connections_max + REFUSED_CONNECTIONS_MAX` at a time.
    Accepted {
        /// Its name from now on.
        connection: ConnectionId,
        /// The other end.
        peer: SocketAddr,
        /// Where it was accepted.
        listener: Listener,
    },
    /// Bytes arrived; they may be decrypted in place and are gone after the call.
    Received {
        /// Where from.
        connection: ConnectionId,
        /// The bytes: at least one.
        bytes: &'a mut [u8],
    },
    /// The peer will send no more (end of file). It may still read.
    Ended {
        /// Which.
        connection: ConnectionId,
    },
    /// The connection is broken: nothing can be sent or received. The shell waits for [`Output::Abort`] to free it.
    Reset {
        /// Which.
        connection: ConnectionId,
    },
    /// Not all of the bytes sent so far could be written; the shell keeps the rest, and reads nothing from this
    /// connection until it is gone. It is told before the next [`Server::handle_timeout`](super::Server::handle_timeout).
    Blocked {
        /// Which.
        connection: ConnectionId,
    },
    /// The rest was written after a [`Input::Blocked`].
    Drained {
        /// Which.
        connection: ConnectionId,
    },
    /// A lane answered, or its queue was full.
    Completed(Completion),
    /// What became of an [`Output::Listen`].
    Listening {
        /// Which.
        listener: Listener,
        /// One line that says why not, if not.
        result: Result<(), String>,
    },
    /// The operator has changed or moved files: the certificate's, the revocation lists, the audit log (SIGHUP).
    Reload,
    /// The operator asks for a new certificate: from its file, or from the authority (SIGUSR1).
    Renew,
    /// The operator asks to finish what is in progress and exit (SIGTERM, SIGINT).
    Shutdown,
    /// After an [`Output::EndLanes`]: no lane runs a job any more, and all answers were told.
    LanesEnded {
        /// Whether that is so: a job may have taken too long.
        in_time: bool,
    },
}

/// One effect on the world.
pub enum Output<'a> {
    /// Write these bytes, in order, keeping what does not go out at once.
    Send {
        /// Where to.
        connection: ConnectionId,
        /// The bytes: valid until the next call of the server.
        bytes: &'a [u8],
    },
    /// When all bytes are written, shut down the write side; go on reading (and delivering) until the peer ends. Ends an
    /// [`Output::Pause`].
    Close {
        /// Which.
        connection: ConnectionId,
    },
    /// Drop the connection at once, with what is not written. The only effect that frees a slot: every
    /// [`Input::Accepted`] is answered by exactly one of it.
    Abort {
        /// Which.
        connection: ConnectionId,
    },
    /// Stop reading from this connection: its request waits for a lane.
    Pause {
        /// Which.
        connection: ConnectionId,
    },
    /// Read again.
    Resume {
        /// Which.
        connection: ConnectionId,
    },
    /// Hand the job to its lane, or answer [`Done::Busy`](crate::job::Done::Busy) at once.
    Submit(Job),
    /// Begin to accept, or go on; answered by an [`Input::Listening`].
    Listen(Listener),
    /// Stop accepting: close the listener, if it is open. Its connections go on.
    StopListening(Listener),
    /// Drop the jobs that were not begun, but for those of the audit log; tell the answers to the others, and then
    /// [`Input::LanesEnded`], before anything else. No connection hears of anything any more: what follows is the last job of
    /// the audit log, if there is one, and [`Output::Exit`].
    EndLanes,
    /// End the process with this exit code, when the audit log has its last lines; nothing follows.
    Exit(u8),
}
