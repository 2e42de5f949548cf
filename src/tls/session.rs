//! One connection of rustls as a [`Filter`].

use super::{Negotiated, TlsError, TlsErrorKind, TlsVersion, negotiated::version};
use crate::{
    failure::{Failure, Result},
    protocol::{
        data::Outgoing,
        filter::{Filter, Stage},
    },
};
use rustls::Connection;
use std::{
    any::Any,
    io::{self, BufRead, IoSlice, Write},
};

/// So much is sealed at once, in bytes: three full records, which with what is added fit into the buffer that writes are gathered in.
const SEALED: usize = 48 << 10;

pub(super) struct Session {
    connection: Connection,
    /// Who the other side is, for errors.
    peer: String,
    /// The peer has said that its direction ends.
    ended: bool,
}

impl Session {
    pub(super) fn new(mut connection: Connection, peer: String) -> Session {
        connection.set_buffer_limit(Some(SEALED));
        Session { connection, peer, ended: false }
    }

    pub(super) fn negotiated(&self) -> Option<Negotiated> {
        Negotiated::of(&self.connection)
    }

    /// Some records. How many bytes of `sealed` are taken.
    fn open_some(&mut self, mut sealed: &[u8], plain: &mut Vec<u8>) -> Result<usize, TlsError> {
        let length = sealed.len();
        // It takes no bytes if the peer has ended: what follows that is nobody's.
        let taken = self.connection.read_tls(&mut sealed).unwrap_or(0);
        let opened = self.connection.process_new_packets();
        self.take_opened(plain);
        self.ended |= opened.map_err(|why| TlsError::of(&self.peer, why))?.peer_has_closed();
        Ok(if taken == 0 { length } else { taken })
    }

    fn take_opened(&mut self, plain: &mut Vec<u8>) {
        let mut reader = self.connection.reader();
        while let Ok(piece) = reader.fill_buf() {
            let length = piece.len();
            if length == 0 {
                return;
            }
            plain.extend_from_slice(piece);
            reader.consume(length);
        }
    }

    fn flush(&mut self, sealed: &mut Outgoing) {
        while self.connection.wants_write() {
            if self.connection.write_tls(&mut Into(sealed)).unwrap_or(0) == 0 {
                return;
            }
        }
    }

    fn error(&self, kind: TlsErrorKind) -> Failure {
        Failure::of_the_loop(TlsError::new(kind, self.peer.clone()))
    }
}

impl Filter for Session {
    fn open(&mut self, mut sealed: &[u8], plain: &mut Vec<u8>) -> Result<()> {
        while !sealed.is_empty() {
            let taken = self.open_some(sealed, plain).map_err(Failure::of_the_loop)?;
            sealed = &sealed[taken..];
        }
        Ok(())
    }

    fn seal(&mut self, plain: &mut Outgoing, sealed: &mut Outgoing) {
        self.flush(sealed);
        while self.stage() != Stage::Beginning && !plain.is_drained() && sealed.len() < SEALED {
            let taken = plain.lend(|parts| self.connection.writer().write_vectored(parts)).unwrap_or(0);
            if taken == 0 {
                return;
            }
            plain.advance(taken);
            self.flush(sealed);
        }
    }

    fn close(&mut self) {
        self.connection.send_close_notify();
    }

    fn stage(&self) -> Stage {
        if self.ended {
            Stage::Ended
        } else if self.connection.is_handshaking() {
            Stage::Beginning
        } else {
            Stage::Open
        }
    }

    fn half_closes(&self) -> bool {
        version(&self.connection) == Some(TlsVersion::Tls13)
    }

    fn cut_off(&self) -> Failure {
        self.error(TlsErrorKind::Truncated)
    }

    fn late(&self) -> Failure {
        self.error(TlsErrorKind::TimedOut)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Where sealed records go.
struct Into<'a>(&'a mut Outgoing);

impl Write for Into<'_> {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        self.0.copy([record]);
        Ok(record.len())
    }

    fn write_vectored(&mut self, records: &[IoSlice<'_>]) -> io::Result<usize> {
        records.iter().for_each(|record| self.0.copy([record]));
        Ok(records.iter().map(|record| record.len()).sum())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
