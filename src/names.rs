//! Names of hosts and their addresses: what a resolver is.
//!
//! A reactor looks names up by a [`HostnameResolver`], in [`connect_tcp`](crate::Reactor::connect_tcp) and in
//! [`resolve`](crate::Reactor::resolve). Its own is the system's. Another one is [installed](crate::Reactor::install_name_resolver): a function, by
//! [`resolver`], or a type that implements the trait.

use crate::{
    defer::{IntoDeferred, maybe_deferred},
    failure::Result,
};
use std::{
    cell::RefCell,
    fmt,
    net::{IpAddr, SocketAddr},
    rc::Rc,
};

/// Finds the addresses of hosts.
///
/// A host that is written as an address is not asked for: that is its own answer.
#[doc(alias = "IHostnameResolver")]
pub trait HostnameResolver {
    /// Begins to look `name` up. `receiver` is told each address as it comes, with `port`, and then that there are no more; within this call too.
    ///
    /// Who cannot go on drops the receiver, or tells it why. After a [cancel](HostResolution::cancel) it is told nothing more.
    #[doc(alias = "resolveHostName")]
    fn resolve_host_name(
        &self,
        name: &str,
        port: u16,
        receiver: Box<dyn ResolutionReceiver>,
    ) -> HostResolution;
}

/// Is told what a [`HostnameResolver`] finds.
#[doc(alias = "IResolutionReceiver")]
pub trait ResolutionReceiver {
    /// An address, of those that are to be tried in this order.
    #[doc(alias = "addressResolved")]
    fn address_resolved(&mut self, address: SocketAddr);

    /// There are no more addresses. A failure tells why there are none, or not all: [`DnsLookupError`](crate::error::DnsLookupError), or another.
    #[doc(alias = "resolutionComplete")]
    fn resolution_complete(self: Box<Self>, result: Result<()>);
}

/// A lookup that is under way. To drop it cancels nothing.
#[doc(alias = "IHostResolution")]
pub struct HostResolution {
    name: String,
    stop: RefCell<Option<Box<dyn FnOnce()>>>,
}

impl HostResolution {
    /// Of that name; `stop` is called by a cancel.
    pub fn new(name: &str, stop: impl FnOnce() + 'static) -> HostResolution {
        HostResolution { name: name.to_string(), stop: RefCell::new(Some(Box::new(stop))) }
    }

    /// One that has come to its end already.
    pub fn over(name: &str) -> HostResolution {
        HostResolution { name: name.to_string(), stop: RefCell::new(None) }
    }

    /// What is looked up.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Ends the lookup: its receiver is told nothing more, and goes.
    pub fn cancel(&self) {
        let stop = self.stop.take();
        if let Some(stop) = stop {
            stop();
        }
    }
}

impl fmt::Debug for HostResolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostResolution").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<R: HostnameResolver + ?Sized> HostnameResolver for Rc<R> {
    fn resolve_host_name(
        &self,
        name: &str,
        port: u16,
        receiver: Box<dyn ResolutionReceiver>,
    ) -> HostResolution {
        (**self).resolve_host_name(name, port, receiver)
    }
}

/// A function as a resolver: it gives all addresses of a name, at once or later.
///
/// # Examples
/// A program that knows the hosts of its own, and asks the former resolver for all other:
/// ```
/// use std::net::IpAddr;
/// use twistor::{Reactor, defer::succeed, error::DnsLookupError, names::resolver};
/// let reactor = Reactor::new()?;
/// reactor.install_name_resolver(resolver(|name: &str| match name {
///     "db.internal" => Ok(vec![IpAddr::from([10, 0, 0, 7])]),
///     _ => Err(DnsLookupError::new(name, std::io::ErrorKind::NotFound.into()).into()),
/// }));
/// let found = reactor.resolve("db.internal").now().expect("it is known")?;
/// assert_eq!(found, IpAddr::from([10, 0, 0, 7]));
/// assert!(reactor.resolve("example.org").now().expect("it is known").unwrap_err().check::<DnsLookupError>());
/// # Ok::<(), twistor::Failure>(())
/// ```
#[doc(alias = "IResolverSimple")]
#[doc(alias = "getHostByName")]
pub fn resolver<R>(find: impl Fn(&str) -> R + 'static) -> impl HostnameResolver
where
    R: IntoDeferred<Output = Vec<IpAddr>>,
{
    Function(find)
}

struct Function<F>(F);

impl<R, F> HostnameResolver for Function<F>
where
    F: Fn(&str) -> R + 'static,
    R: IntoDeferred<Output = Vec<IpAddr>>,
{
    fn resolve_host_name(
        &self,
        name: &str,
        port: u16,
        receiver: Box<dyn ResolutionReceiver>,
    ) -> HostResolution {
        let receiver = Rc::new(RefCell::new(Some(receiver)));
        let found = maybe_deferred(|| (self.0)(name));
        let work = found.cancel_handle();
        let told = receiver.clone();
        found
            .add_both(move |found| {
                let receiver = told.take();
                if let Some(receiver) = receiver {
                    let found = found.map(|all| all.into_iter().map(|ip| SocketAddr::new(ip, port)));
                    tell(receiver, found);
                }
            })
            .or_log("the lookup of a name");
        HostResolution::new(name, move || {
            let receiver = receiver.take();
            drop(receiver);
            work.cancel();
        })
    }
}

/// Tells all at once.
pub(crate) fn tell(
    mut receiver: Box<dyn ResolutionReceiver>,
    found: Result<impl IntoIterator<Item = SocketAddr>>,
) {
    let found = found.map(|all| all.into_iter().for_each(|address| receiver.address_resolved(address)));
    receiver.resolution_complete(found);
}
