//! The numbers that the child wants, kept free of the pipe by which a failed exec is told.
//!
//! `Command` opens that pipe itself, under whatever number is free. Were it one that the child wants, the child would put its own descriptor
//! there, and the error would go into that instead of to us. So the numbers are taken before. One that is in use already is of somebody else
//! here; if they close it in this very moment, on another thread, the pipe may still land there. The child sees that, because
//! what is there is not what was there before, and it is started once more.

use crate::raw::{Identity, identity};
use rustix::io::fcntl_dupfd_cloexec;
use std::{
    io,
    os::fd::{AsRawFd, OwnedFd, RawFd},
    sync::Arc,
};

/// A number of a descriptor, until the child is started.
enum Claim {
    /// It was free, and is ours now.
    Held { _copy: OwnedFd },
    /// It is somebody else's, who has this open under it.
    Stranger(RawFd, Option<Identity>),
}

/// A claim on each number.
pub(crate) struct Claims(Vec<Claim>);

impl Claims {
    pub(crate) fn stake(descriptors: &[(RawFd, Arc<OwnedFd>)]) -> io::Result<Claims> {
        descriptors
            .iter()
            .map(|(number, any)| Claim::stake(*number, any))
            .collect::<io::Result<_>>()
            .map(Claims)
    }

    /// The numbers that are in use, and by what.
    pub(crate) fn strangers(&self) -> impl Iterator<Item = (RawFd, Option<Identity>)> {
        self.0.iter().filter_map(|claim| match claim {
            Claim::Held { .. } => None,
            Claim::Stranger(number, identity) => Some((*number, *identity)),
        })
    }
}

impl Claim {
    fn stake(number: RawFd, any: &OwnedFd) -> io::Result<Claim> {
        let copy = fcntl_dupfd_cloexec(any, number)?; // the lowest that is free from `number` on
        if copy.as_raw_fd() == number {
            return Ok(Claim::Held { _copy: copy });
        }
        Ok(Claim::Stranger(number, identity(number)))
    }
}
