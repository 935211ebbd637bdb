//! Effects on their way to the shell, and the one buffer that all bytes leave through.
#![forbid(unsafe_code)]

use super::event::{ConnectionId, Listener, Output};
use crate::job::Job;
use crate::secret::Buffer;
use std::collections::VecDeque;
use std::ops::Range;

/// A queue of effects.
#[derive(Default)]
pub struct Outputs {
    queue: VecDeque<Queued>,
    /// Over plain HTTP, it holds secrets.
    buffer: Buffer,
    /// Up to where the buffer has been queued.
    queued_bytes: usize,
    exited: bool,
}

enum Queued {
    Send(ConnectionId, Range<usize>),
    Close(ConnectionId),
    Abort(ConnectionId),
    Pause(ConnectionId),
    Resume(ConnectionId),
    Submit(Job),
    Listen(Listener),
    StopListening(Listener),
    Exit(u8),
}

impl Outputs {
    /// Where bytes to be sent are appended; [`Outputs::send_buffered`] says to whom.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Appends bytes to the buffer, and empties where they were. Where nothing else is in it, they are not copied.
    pub fn take_over(&mut self, bytes: &mut Buffer) {
        if self.buffer.is_empty() {
            std::mem::swap(&mut self.buffer, bytes);
        } else {
            self.buffer.extend_from_slice(bytes);
            bytes.wipe();
        }
    }

    /// Sends what was appended since the last call.
    pub fn send_buffered(&mut self, connection: ConnectionId) {
        if self.queued_bytes < self.buffer.len() {
            self.queue.push_back(Queued::Send(connection, self.queued_bytes..self.buffer.len()));
            self.queued_bytes = self.buffer.len();
        }
    }

    /// See [`Output::Close`].
    pub fn close(&mut self, connection: ConnectionId) {
        self.queue.push_back(Queued::Close(connection));
    }

    /// See [`Output::Abort`].
    pub fn abort(&mut self, connection: ConnectionId) {
        self.queue.push_back(Queued::Abort(connection));
    }

    /// See [`Output::Pause`].
    pub fn pause(&mut self, connection: ConnectionId) {
        self.queue.push_back(Queued::Pause(connection));
    }

    /// See [`Output::Resume`].
    pub fn resume(&mut self, connection: ConnectionId) {
        self.queue.push_back(Queued::Resume(connection));
    }

    /// See [`Output::Submit`].
    pub fn submit(&mut self, job: Job) {
        self.queue.push_back(Queued::Submit(job));
    }

    /// See [`Output::Listen`].
    pub fn listen(&mut self, listener: Listener) {
        self.queue.push_back(Queued::Listen(listener));
    }

    /// See [`Output::StopListening`].
    pub fn stop_listening(&mut self, listener: Listener) {
        self.queue.push_back(Queued::StopListening(listener));
    }

    /// See [`Output::Exit`]; the first one counts.
    pub fn exit(&mut self, code: u8) {
        if !std::mem::replace(&mut self.exited, true) {
            self.queue.push_back(Queued::Exit(code));
        }
    }

    /// The next effect. When there is none, the buffer is wiped.
    pub fn poll(&mut self) -> Option<Output<'_>> {
        let Some(next) = self.queue.pop_front() else {
            self.buffer.wipe();
            self.queued_bytes = 0;
            return None;
        };
        Some(match next {
            Queued::Send(connection, range) => Output::Send { connection, bytes: &self.buffer[range] },
            Queued::Close(connection) => Output::Close { connection },
            Queued::Abort(connection) => Output::Abort { connection },
            Queued::Pause(connection) => Output::Pause { connection },
            Queued::Resume(connection) => Output::Resume { connection },
            Queued::Submit(job) => Output::Submit(job),
            Queued::Listen(listener) => Output::Listen(listener),
            Queued::StopListening(listener) => Output::StopListening(listener),
            Queued::Exit(code) => {
                // What was asked for meanwhile has no one left to do it.
                self.queue.clear();
                Output::Exit(code)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_follows_an_exit() {
        let id = ConnectionId { slot: 0, generation: 0 };
        let mut outputs = Outputs::default();
        outputs.buffer().extend_from_slice(b"before");
        outputs.send_buffered(id);
        outputs.exit(3);
        outputs.buffer().extend_from_slice(b"after");
        outputs.send_buffered(id);
        outputs.exit(0);
        assert!(matches!(outputs.poll(), Some(Output::Send { bytes: b"before", .. })));
        assert!(matches!(outputs.poll(), Some(Output::Exit(3))));
        assert!(outputs.poll().is_none());
    }
}
