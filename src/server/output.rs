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
    /// The lanes are to end, and then the process: nobody is left for anything else.
    is_ending: bool,
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
    EndLanes,
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
            self.push(Queued::Send(connection, self.queued_bytes..self.buffer.len()));
            self.queued_bytes = self.buffer.len();
        }
    }

    /// See [`Output::Close`].
    pub fn close(&mut self, connection: ConnectionId) {
        self.push(Queued::Close(connection));
    }

    /// See [`Output::Abort`].
    pub fn abort(&mut self, connection: ConnectionId) {
        self.push(Queued::Abort(connection));
    }

    /// See [`Output::Pause`].
    pub fn pause(&mut self, connection: ConnectionId) {
        self.push(Queued::Pause(connection));
    }

    /// See [`Output::Resume`].
    pub fn resume(&mut self, connection: ConnectionId) {
        self.push(Queued::Resume(connection));
    }

    /// See [`Output::Submit`].
    pub fn submit(&mut self, job: Job) {
        self.push(Queued::Submit(job));
    }

    /// See [`Output::Listen`].
    pub fn listen(&mut self, listener: Listener) {
        self.push(Queued::Listen(listener));
    }

    /// See [`Output::StopListening`].
    pub fn stop_listening(&mut self, listener: Listener) {
        self.push(Queued::StopListening(listener));
    }

    /// See [`Output::EndLanes`]; only [`Outputs::exit`] follows.
    pub fn end_lanes(&mut self) {
        self.push(Queued::EndLanes);
        self.is_ending = true;
    }

    /// See [`Output::Exit`]; `last` is the last job.
    pub fn exit(&mut self, code: u8, last: Option<Job>) {
        self.queue.extend(last.map(Queued::Submit));
        self.queue.push_back(Queued::Exit(code));
    }

    fn push(&mut self, queued: Queued) {
        if !self.is_ending {
            self.queue.push_back(queued);
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
            Queued::EndLanes => Output::EndLanes,
            Queued::Exit(code) => Output::Exit(code),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_an_exit_follows_the_end_of_the_lanes() {
        let id = ConnectionId { slot: 0, generation: 0 };
        let mut outputs = Outputs::default();
        outputs.buffer().extend_from_slice(b"before");
        outputs.send_buffered(id);
        outputs.end_lanes();
        outputs.buffer().extend_from_slice(b"after");
        outputs.send_buffered(id);
        outputs.end_lanes();
        outputs.exit(3, None);
        assert!(matches!(outputs.poll(), Some(Output::Send { bytes: b"before", .. })));
        assert!(matches!(outputs.poll(), Some(Output::EndLanes)));
        assert!(matches!(outputs.poll(), Some(Output::Exit(3))));
        assert!(outputs.poll().is_none());
    }
}
