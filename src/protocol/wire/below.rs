//! What a connection stands on, and where it came from.

use super::Wire;
use crate::{
    address::{Address, Credentials},
    defer::{Deferred, Host},
    failure::Failure,
    protocol::transport::Link,
    snapshot::here::Birth,
    time::DelayedCall,
};
use std::{
    any::{Any, TypeId},
    io,
    rc::Rc,
    time::Duration,
};

/// The world below a connection.
pub(crate) trait Below: Host {
    /// The connection has something to do when the callback that runs has returned.
    fn touched(&self, link: &Rc<Link>);
    /// Sends what it can of `data` now; nothing waits before it.
    fn send_now(&self, _wire: &Wire, _data: &[u8]) -> io::Result<usize> {
        Ok(0)
    }
    /// Calls later, if there is a clock here.
    fn call_later(&self, _after: Duration, _call: Box<dyn FnOnce()>) -> Option<DelayedCall> {
        None
    }
    fn local_address(&self, wire: &Wire) -> io::Result<Address>;
    fn no_delay(&self, wire: &Wire) -> io::Result<bool>;
    fn set_no_delay(&self, wire: &Wire, on: bool) -> io::Result<()>;
    fn keep_alive(&self, wire: &Wire) -> io::Result<bool>;
    fn set_keep_alive(&self, wire: &Wire, on: bool) -> io::Result<()>;
    /// Whether descriptors can go with its bytes.
    fn passes_descriptors(&self, _wire: &Wire) -> bool {
        false
    }
    fn peer_credentials(&self, _wire: &Wire) -> io::Result<Credentials> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// The port or connector that a connection came from.
pub(crate) trait Owner {
    /// The factory, or one that it wraps, if its type has this id.
    fn factory(&self, id: TypeId) -> Option<&dyn Any>;
    /// The name of the factory's type, for the message that it is not another one.
    fn factory_name(&self) -> &'static str;
    /// The protocol has been told of its loss.
    fn lost(&self, why: Failure);
    /// Accepts no more, and waits until its connections are over; those that are open at the deadline are aborted. How many those were. None: it accepts nothing.
    fn drain(&self, _deadline: Duration) -> Option<Deferred<usize>> {
        None
    }
    /// Its beginning, which its connections are shown with. None: it is of no reactor, and they are shown nowhere.
    fn birth(&self) -> Option<&Birth> {
        None
    }
}
