//! A descriptor that is read and written as a file is: a pipe, a terminal.

use rustix::{
    fd::OwnedFd,
    io::{read, write, writev},
};
use std::io::{self, IoSlice};

/// What is there; 0 at the end.
pub(super) fn receive(file: &OwnedFd, buffer: &mut [u8]) -> io::Result<usize> {
    Ok(read(file, buffer)?)
}

/// A part of it. There is no call that spares the SIGPIPE of a pipe that nobody reads: Rust's programs ignore it, and then it is an error like another.
pub(super) fn send(file: &OwnedFd, data: &[IoSlice<'_>]) -> io::Result<usize> {
    let sent = match data {
        [one] => write(file, one)?,
        many => writev(file, &many[..many.len().min(super::socket::MOST_SLICES)])?,
    };
    Ok(sent)
}
