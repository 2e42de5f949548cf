//! One end of a connection in the network, as the kernel keeps it.
//!
//! Facts from Linux: what was received before a reset can still be read; a reset of a connection whose peer had ended its direction is
//! EPIPE, else ECONNRESET; an error is told once, after which there is an end to read and nobody to write to.

use super::network::Key;
use rustix::io::Errno;
use std::{
    collections::VecDeque,
    io::{self, IoSlice, Read},
    net::SocketAddr,
    time::Duration,
};

/// So many bytes at most wait on the way to a reader, or for it.
pub(super) const ROOM: usize = 64 << 10;

/// How far an end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its request is on the way, or waits for room in the port's queue.
    Connecting,
    /// Each direction is open until it ends.
    Open,
    /// Refused or reset: both directions are over.
    Over,
}

/// What travels to an end.
#[derive(Debug)]
pub(super) enum Packet {
    Data(Vec<u8>),
    /// The other end sends no more.
    End,
    Reset,
}

#[derive(Debug)]
pub(super) struct Stream {
    pub(super) phase: Phase,
    /// The other end; none if it is not there yet, or has closed.
    pub(super) peer: Option<Key>,
    pub(super) remote: SocketAddr,
    /// So many bytes at most wait on the way here, or to be read.
    pub(super) capacity: usize,
    inbox: VecDeque<u8>,
    /// What is on its way here, with the time of its arrival.
    flight: VecDeque<(Duration, Packet)>,
    /// How many bytes of data that is.
    flying: usize,
    /// The peer's direction has ended; what is in the inbox is the last.
    ended: bool,
    /// Its own direction has ended.
    pub(super) shut: bool,
    /// Told once.
    error: Option<Errno>,
    /// There is no room for what it sends before this time.
    stuck_until: Duration,
}

impl Stream {
    pub(super) fn new(phase: Phase, peer: Option<Key>, remote: SocketAddr) -> Stream {
        Stream {
            phase,
            peer,
            remote,
            capacity: ROOM,
            inbox: VecDeque::new(),
            flight: VecDeque::new(),
            flying: 0,
            ended: false,
            shut: false,
            error: None,
            stuck_until: Duration::ZERO,
        }
    }

    // ---- the way in -------------------------------------------------------------------------------------------------

    /// When the next packet may arrive at the earliest: not before those that were sent before it.
    pub(super) fn not_before(&self) -> Duration {
        self.flight.back().map_or(Duration::ZERO, |(at, _)| *at)
    }

    pub(super) fn travel(&mut self, at: Duration, packet: Packet) {
        if let Packet::Data(data) = &packet {
            self.flying += data.len();
        }
        self.flight.push_back((at, packet));
    }

    /// Takes in what has come by now.
    pub(super) fn arrive(&mut self, now: Duration) {
        while self.flight.front().is_some_and(|(at, _)| *at <= now) {
            match self.flight.pop_front() {
                Some((_, Packet::Data(data))) => {
                    self.flying -= data.len();
                    self.inbox.extend(&data);
                }
                Some((_, Packet::End)) => self.ended = true,
                Some((_, Packet::Reset)) => self.reset(),
                None => {}
            }
        }
    }

    fn reset(&mut self) {
        self.over(if self.ended { Errno::PIPE } else { Errno::CONNRESET });
    }

    /// Both directions are over, for this reason.
    pub(super) fn over(&mut self, error: Errno) {
        self.error = Some(error);
        (self.phase, self.peer) = (Phase::Over, None);
        (self.ended, self.shut) = (true, true);
        self.flight.clear();
        self.flying = 0;
    }

    /// How many bytes the other end may send.
    pub(super) fn room(&self) -> usize {
        self.capacity.saturating_sub(self.inbox.len() + self.flying)
    }

    /// How many bytes there are to receive.
    pub(super) fn available(&self) -> usize {
        self.inbox.len()
    }

    /// Whether it is a whole connection that takes bytes.
    pub(super) fn may_send(&self) -> bool {
        self.phase == Phase::Open && !self.shut && self.error.is_none()
    }

    pub(super) fn is_stuck(&self, now: Duration) -> bool {
        now < self.stuck_until && !self.shut && self.error.is_none()
    }

    /// There is no room for what it sends before that time.
    pub(super) fn stick(&mut self, until: Duration) {
        self.stuck_until = self.stuck_until.max(until);
    }

    /// Whether something that was sent to it would be lost if it closed.
    pub(super) fn has_unread(&self) -> bool {
        !self.inbox.is_empty() || self.flying > 0
    }

    // ---- what its owner asks ----------------------------------------------------------------------------------------

    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.inbox.is_empty() {
            // The queue lies in two pieces at most, and gives one at a time.
            let first = self.inbox.read(buffer)?;
            return Ok(first + self.inbox.read(&mut buffer[first..])?);
        }
        self.check()?;
        if self.ended { Ok(0) } else { Err(Errno::AGAIN.into()) }
    }

    /// Takes what is sent, of which there is `room` for.
    pub(super) fn take_from(&mut self, data: &[IoSlice<'_>], room: usize) -> io::Result<Vec<u8>> {
        self.check()?;
        if self.shut {
            return Err(Errno::PIPE.into());
        }
        let length: usize = data.iter().map(|slice| slice.len()).sum();
        if self.phase == Phase::Connecting || (room == 0 && length > 0) {
            return Err(Errno::AGAIN.into());
        }
        let mut taken = Vec::with_capacity(length.min(room));
        for slice in data {
            let left = room - taken.len();
            taken.extend_from_slice(&slice[..slice.len().min(left)]);
        }
        Ok(taken)
    }

    /// Whether nothing more comes.
    pub(super) fn is_at_end(&self) -> bool {
        self.inbox.is_empty() && self.ended
    }

    /// The error that waits, once.
    pub(super) fn check(&mut self) -> io::Result<()> {
        self.error.take().map_or(Ok(()), |error| Err(error.into()))
    }

    /// Whether it can be read, and written, if there is so much room at the other end.
    pub(super) fn readiness(&self, room: usize) -> (bool, bool) {
        let broken = self.error.is_some() || (self.ended && self.shut);
        let read = !self.inbox.is_empty() || self.ended;
        let write = self.phase != Phase::Connecting && (room > 0 || self.shut);
        (read || broken, write || broken)
    }
}
