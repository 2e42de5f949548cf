//! [`SystemResolver`]: names by getaddrinfo, in threads of its own.

use super::hosts::Hosts;
use crate::{
    error::DnsLookupError,
    failure::{Failure, Result},
    names::{HostResolution, HostnameResolver, ResolutionReceiver, tell},
    reactor::{
        Reactor,
        core::Core,
        pool::{Pool, Whose},
    },
    report,
    snapshot::here::Birth,
};
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    fmt, io,
    net::{SocketAddr, ToSocketAddrs},
    panic::Location,
    rc::{Rc, Weak},
};

/// At most so many names are looked up at a time. Where the network's server is silent each takes ten seconds or more.
const THREADS: usize = 8;

/// What blocks: the addresses of a name, with port 0.
type LookUp = fn(&str) -> io::Result<Vec<SocketAddr>>;

/// The system's resolver, which a reactor has if no other is installed.
///
/// A name of which the hosts file has addresses of one family is answered at once, by a look at the file. For all other getaddrinfo is called, in up to eight threads that do nothing else: a server that does not
/// answer keeps no other work waiting, and not the end of a run either. Whoever asks for a name that is being looked up shares the answer. When the
/// last of them cancels, it is taken back if it has not begun, and else let go: nothing can stop getaddrinfo.
///
/// In a [simulation](crate::testing::Simulation) it knows the hosts that the test has named, and answers in a later turn.
#[doc(alias = "GAIResolver")]
#[doc(alias = "ThreadedResolver")]
#[doc(alias = "BlockingResolver")]
pub struct SystemResolver {
    this: Rc<System>,
}

impl SystemResolver {
    /// The resolver of that reactor.
    pub fn new(reactor: &Reactor) -> SystemResolver {
        SystemResolver::of(&reactor.core)
    }

    pub(crate) fn of(core: &Rc<Core>) -> SystemResolver {
        match core.driver.is_virtual() {
            true => SystemResolver::with(core, None, ask_the_driver),
            false => SystemResolver::with(core, Some(Hosts::new("/etc/hosts")), get_addr_info),
        }
    }

    pub(super) fn with(core: &Rc<Core>, hosts: Option<Hosts>, look_up: LookUp) -> SystemResolver {
        let system = System {
            core: Rc::downgrade(core),
            pool: Pool::new(core, "resolver".to_string(), 0..=THREADS, Whose::Loop),
            hosts: RefCell::new(hosts),
            look_up,
            lookups: RefCell::default(),
            told: RefCell::default(),
            last: Cell::default(),
        };
        SystemResolver { this: Rc::new(system) }
    }
}

struct System {
    core: Weak<Core>,
    pool: Rc<Pool>,
    /// None: the world is in memory, and has none.
    hosts: RefCell<Option<Hosts>>,
    look_up: LookUp,
    /// Those under way, by name. Each has somebody who waits.
    lookups: RefCell<BTreeMap<String, Lookup>>,
    /// Those who are being told, by the number of the job: who asks again meanwhile begins another one.
    told: RefCell<BTreeMap<u32, Vec<Waiter>>>,
    /// The number of the last who has asked.
    last: Cell<u64>,
}

struct Lookup {
    /// The number of its job.
    job: u32,
    waiters: Vec<Waiter>,
}

struct Waiter {
    number: u64,
    port: u16,
    receiver: Box<dyn ResolutionReceiver>,
}

impl HostnameResolver for SystemResolver {
    fn resolve_host_name(
        &self,
        name: &str,
        port: u16,
        receiver: Box<dyn ResolutionReceiver>,
    ) -> HostResolution {
        // Names are the same in any case.
        let key = name.to_ascii_lowercase();
        let Some(core) = self.this.core.upgrade() else { return HostResolution::over(name) };
        if let Some(found) = self.this.in_hosts(&key, port) {
            tell(receiver, Ok(found));
            return HostResolution::over(name);
        }
        let number = self.this.last.get() + 1;
        self.this.last.set(number);
        self.this.wait(&core, &key, Waiter { number, port, receiver });
        let this = Rc::downgrade(&self.this);
        HostResolution::new(name, move || {
            if let Some(this) = this.upgrade() {
                this.leave(&key, number);
            }
        })
    }
}

impl System {
    fn in_hosts(&self, name: &str, port: u16) -> Option<Vec<SocketAddr>> {
        let mut hosts = self.hosts.borrow_mut();
        Some(hosts.as_mut()?.find(name)?.iter().map(|ip| SocketAddr::new(*ip, port)).collect())
    }

    /// Joins the lookup of the name, or begins it.
    fn wait(self: &Rc<Self>, core: &Rc<Core>, name: &str, waiter: Waiter) {
        let mut lookups = self.lookups.borrow_mut();
        if let Some(lookup) = lookups.get_mut(name) {
            return lookup.waiters.push(waiter);
        }
        let birth = Birth::at(Location::caller());
        lookups.insert(name.to_string(), Lookup { job: birth.serial, waiters: vec![waiter] });
        drop(lookups);
        let asked = Asked { system: Rc::downgrade(self), name: name.to_string(), job: birth.serial };
        let (look_up, name) = (self.look_up, name.to_string());
        core.awaited.have_done(
            core,
            &self.pool,
            birth,
            move || Ok(look_up(&name)?),
            move |found| {
                asked.told(found);
            },
        );
    }

    /// One does not wait any more. Without any, the lookup is forgotten.
    fn leave(&self, name: &str, number: u64) {
        let mut lookups = self.lookups.borrow_mut();
        let Some((lookup, at)) = lookups.get_mut(name).and_then(|lookup| {
            let at = position(&lookup.waiters, number)?;
            Some((lookup, at))
        }) else {
            drop(lookups);
            return self.tell_no_more(number);
        };
        let gone = lookup.waiters.remove(at);
        let left = lookup.waiters.is_empty().then_some(lookup.job);
        if left.is_some() {
            lookups.remove(name);
        }
        drop(lookups);
        drop(gone);
        if let Some(job) = left {
            drop(self.pool.take_back(job));
            if let Some(core) = self.core.upgrade() {
                core.awaited.forget(job);
            }
        }
    }

    /// One of those who are being told is not told.
    fn tell_no_more(&self, number: u64) {
        let mut told = self.told.borrow_mut();
        let gone = told.values_mut().find_map(|waiters| {
            let at = position(waiters, number)?;
            Some(waiters.remove(at))
        });
        drop(told);
        drop(gone);
    }

    /// That lookup is over: those who wait are to be told. Another one of the same name goes on.
    fn finish(&self, name: &str, job: u32) {
        let mut lookups = self.lookups.borrow_mut();
        if lookups.get(name).is_some_and(|lookup| lookup.job == job)
            && let Some(lookup) = lookups.remove(name)
        {
            self.told.borrow_mut().insert(job, lookup.waiters);
        }
    }

    /// The next who is to be told.
    fn next(&self, job: u32) -> Option<Waiter> {
        let mut told = self.told.borrow_mut();
        let waiters = told.get_mut(&job)?;
        if waiters.is_empty() {
            told.remove(&job);
            return None;
        }
        Some(waiters.remove(0))
    }
}

fn position(waiters: &[Waiter], number: u64) -> Option<usize> {
    waiters.iter().position(|waiter| waiter.number == number)
}

/// A lookup for which somebody waits. If it goes without an answer, for the reactor has closed, so do they.
struct Asked {
    system: Weak<System>,
    name: String,
    job: u32,
}

impl Asked {
    /// One after another: each may cancel those after it.
    fn next(&self) -> Option<Waiter> {
        let system = self.system.upgrade()?;
        system.finish(&self.name, self.job);
        system.next(self.job)
    }

    /// Each is told, in the order they came.
    fn told(self, found: Result<Vec<SocketAddr>>) {
        while let Some(Waiter { port, receiver, .. }) = self.next() {
            let all = found.as_ref().map_err(|failure| self.error(failure));
            let all = all.map(|all| all.iter().map(|address| with_port(*address, port)));
            // Its panic is none of the others'.
            if let Err(panicked) = report::guarded(|| tell(receiver, all)) {
                report::unhandled("a receiver of addresses", panicked);
            }
        }
    }

    fn error(&self, failure: &Failure) -> Failure {
        match failure.value::<io::Error>() {
            Some(error) => {
                DnsLookupError::new(&self.name, io::Error::new(error.kind(), error.to_string())).into()
            }
            None => failure.clone(),
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        while let Some(waiter) = self.next() {
            drop(waiter);
        }
    }
}

fn with_port(mut address: SocketAddr, port: u16) -> SocketAddr {
    address.set_port(port);
    address
}

/// Whatever goes wrong is of the kind NotFound, with the resolver's words: the standard library gives the failures of getaddrinfo no kind of their own.
pub(super) fn get_addr_info(name: &str) -> io::Result<Vec<SocketAddr>> {
    let not_found = |error| io::Error::new(io::ErrorKind::NotFound, error);
    let found: Vec<_> = (name, 0).to_socket_addrs().map_err(not_found)?.collect();
    if found.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    }
    Ok(found)
}

/// Of a world in memory, whose pools are calls of the reactor.
fn ask_the_driver(name: &str) -> io::Result<Vec<SocketAddr>> {
    Core::current().map_or(Err(io::ErrorKind::NotFound.into()), |core| core.driver.look_up(name))
}

impl fmt::Debug for SystemResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.this.lookups.borrow().keys().cloned().collect();
        f.debug_struct("SystemResolver").field("lookups", &names).finish_non_exhaustive()
    }
}
