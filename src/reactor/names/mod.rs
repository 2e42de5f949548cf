//! Names: what the reactor looks them up with, and how a program asks.
//!
//! | file | idea |
//! |---|---|
//! | `mod` | `resolve`, `install_name_resolver` |
//! | `system` | [`SystemResolver`]: names by getaddrinfo |
//! | `hosts` | the hosts file |

mod hosts;
mod system;
#[cfg(test)]
mod tests;

pub use system::SystemResolver;

use super::{Reactor, core::Core, jobs::Job};
use crate::{
    defer::{Canceller, Deferred, record::Role},
    error::DnsLookupError,
    failure::{Failure, Result},
    names::{HostResolution, HostnameResolver, ResolutionReceiver, tell},
    snapshot::here::Birth,
    trace::Place,
};
use std::{
    cell::RefCell,
    io,
    net::{IpAddr, SocketAddr},
    panic::Location,
    rc::{Rc, Weak},
    time::Duration,
};

/// So long a lookup may take that is not part of connecting: Twisted's resolver waits a minute.
const DEADLINE: Duration = Duration::from_secs(60);

/// Twisted's `IReactorPluggableNameResolver`, and `resolve` of its `IReactorCore`.
impl Reactor {
    /// The first address of a host. One that is written as an address is its own answer.
    ///
    /// It may be one of IPv6. To cancel the Deferred ends the lookup.
    ///
    /// # Errors
    /// [`DnsLookupError`] if there is none, with the resolver's words, or no answer after a minute; for another time there is
    /// [`add_timeout`](Deferred::add_timeout). [`ReactorNotRunning`](crate::error::ReactorNotRunning) if the run ends before.
    ///
    /// # Examples
    /// ```
    /// use twistor::{error::DnsLookupError, testing::Simulation};
    /// let sim = Simulation::new();
    /// let reactor = sim.reactor();
    /// sim.host("db.example", ["10.0.0.2".parse().expect("an address")]);
    /// let found = reactor.resolve("db.example");
    /// assert_eq!(sim.wait_for(found)?.to_string(), "10.0.0.2");
    /// let unknown = reactor.resolve("db.exmaple");
    /// assert!(sim.wait_for(unknown).unwrap_err().check::<DnsLookupError>());
    /// # Ok::<(), twistor::Failure>(())
    /// ```
    #[track_caller]
    pub fn resolve(&self, name: &str) -> Deferred<IpAddr> {
        let name = name.to_string();
        self.resolve_all(&name, 0).add_callback(move |all| match all.first() {
            Some(address) => Ok(address.ip()),
            None => Err(no_address(&name)),
        })
    }

    /// All addresses of a host, with that port, in the order to try them.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    #[doc(alias = "resolveHostName")]
    #[track_caller]
    pub fn resolve_all(&self, name: &str, port: u16) -> Deferred<Vec<SocketAddr>> {
        let all = resolve_all(&self.core, name, port, Location::caller());
        let name = name.to_string();
        all.add_timeout_with(DEADLINE, self, move |_cancelled, after| {
            let late = io::Error::new(io::ErrorKind::TimedOut, format!("no answer in {after:?}"));
            Err(DnsLookupError::new(name, late).into())
        })
    }

    /// Looks a name up and tells `receiver` each address as it comes, in a call from the loop or in this one. No deadline ends it but a cancel, and the end of the run.
    #[track_caller]
    pub fn resolve_host_name(
        &self,
        name: &str,
        port: u16,
        receiver: impl ResolutionReceiver + 'static,
    ) -> HostResolution {
        look_up(&self.core, Location::caller(), name, port, Box::new(receiver)).0
    }

    /// What names are looked up with.
    #[doc(alias = "nameResolver")]
    #[doc(alias = "IReactorPluggableNameResolver")]
    pub fn name_resolver(&self) -> Rc<dyn HostnameResolver> {
        name_resolver(&self.core)
    }

    /// Has names looked up with `resolver` from now on. Gives the former one, to which it may turn.
    ///
    /// A resolver that needs the reactor asks [`Reactor::current`]: one that keeps a handle would keep it open.
    ///
    /// # Examples
    /// ```
    /// use std::net::IpAddr;
    /// use twistor::{names::resolver, testing::Simulation};
    /// let sim = Simulation::new();
    /// let reactor = sim.reactor();
    /// let former = reactor.install_name_resolver(resolver(|_name: &str| Ok(vec![IpAddr::from([127, 0, 0, 1])])));
    /// assert!(sim.wait_for(reactor.resolve("any.name"))?.is_loopback());
    /// reactor.install_name_resolver(former);
    /// assert!(sim.wait_for(reactor.resolve("any.name")).is_err());
    /// # Ok::<(), twistor::Failure>(())
    /// ```
    #[doc(alias = "installNameResolver")]
    #[doc(alias = "installResolver")]
    pub fn install_name_resolver(
        &self,
        resolver: impl HostnameResolver + 'static,
    ) -> Rc<dyn HostnameResolver> {
        let former = self.name_resolver();
        self.core.name_resolver.replace(Some(Rc::new(resolver)));
        former
    }
}

fn name_resolver(core: &Rc<Core>) -> Rc<dyn HostnameResolver> {
    let mut resolver = core.name_resolver.borrow_mut();
    resolver.get_or_insert_with(|| Rc::new(SystemResolver::of(core))).clone()
}

/// Begins a lookup, shown at that place. Gives the number it is shown under too.
pub(crate) fn look_up(
    core: &Rc<Core>,
    place: Place,
    name: &str,
    port: u16,
    receiver: Box<dyn ResolutionReceiver>,
) -> (HostResolution, u32) {
    if let Ok(ip) = name.parse() {
        tell(receiver, Ok([SocketAddr::new(ip, port)]));
        return (HostResolution::over(name), 0);
    }
    let job = core.jobs.begin(format!("lookup of {name}"), place);
    let number = job.serial();
    let shown = Box::new(Shown { receiver, _job: job });
    (name_resolver(core).resolve_host_name(name, port, shown), number)
}

/// Is shown as long as its lookup goes on.
struct Shown {
    receiver: Box<dyn ResolutionReceiver>,
    _job: Job,
}

impl ResolutionReceiver for Shown {
    fn address_resolved(&mut self, address: SocketAddr) {
        self.receiver.address_resolved(address);
    }

    fn resolution_complete(self: Box<Self>, result: Result<()>) {
        let Shown { receiver, _job } = *self;
        drop(_job);
        receiver.resolution_complete(result);
    }
}

fn resolve_all(core: &Rc<Core>, name: &str, port: u16, place: Place) -> Deferred<Vec<SocketAddr>> {
    let (number, resolution) = (Birth::at(place).serial, Rc::<RefCell<Option<HostResolution>>>::default());
    let (weak, begun) = (Rc::downgrade(core), resolution.clone());
    let cancel = move |promise| {
        let begun: Option<HostResolution> = begun.take();
        if let Some(begun) = begun {
            begun.cancel();
        }
        if let Some(core) = weak.upgrade() {
            core.awaited.forget(number);
        }
        drop(promise); // which fails it
    };
    let (deferred, promise) = Deferred::driven(place, core.driven.clone(), Canceller::Once(Box::new(cancel)));
    core.awaited.insert(number, move |found| {
        promise.fire_at(found, place);
    });
    let all = All { core: Rc::downgrade(core), name: name.to_string(), number, found: vec![] };
    let (begun, job) = look_up(core, place, name, port, Box::new(all));
    deferred.describe(Role::Chain, job);
    resolution.replace(Some(begun));
    deferred
}

/// Collects the addresses. If it goes before the end, nobody will bring them.
struct All {
    core: Weak<Core>,
    name: String,
    number: u32,
    found: Vec<SocketAddr>,
}

impl ResolutionReceiver for All {
    fn address_resolved(&mut self, address: SocketAddr) {
        self.found.push(address);
    }

    /// Why some are missing matters to nobody who has others.
    fn resolution_complete(mut self: Box<Self>, result: Result<()>) {
        let found = std::mem::take(&mut self.found);
        let found = match result {
            _ if !found.is_empty() => Ok(found),
            Ok(()) => Err(no_address(&self.name)),
            Err(failure) => Err(failure),
        };
        if let Some(core) = self.core.upgrade() {
            core.awaited.bring(self.number, found);
        }
    }
}

impl Drop for All {
    fn drop(&mut self) {
        if let Some(core) = self.core.upgrade() {
            core.awaited.forget(self.number);
        }
    }
}

fn no_address(name: &str) -> Failure {
    DnsLookupError::new(name, io::Error::new(io::ErrorKind::NotFound, "the name has no address")).into()
}
