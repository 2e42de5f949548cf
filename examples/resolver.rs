//! Looks names up, all at once, and prints each address as it comes. Names may be given addresses of their own: a resolver that knows these is put before
//! the system's. The exit code is 1 if a name has no address.
//!
//! Run with: `cargo run --example resolver -- db.internal=10.0.0.7 db.internal localhost no-such.invalid`

use std::{collections::HashMap, env, net::SocketAddr, process::ExitCode, rc::Rc};
use twistor::{
    Failure, Reactor, Result,
    defer::{Deferred, Promise, gather_results},
    error::SystemExit,
    names::{HostResolution, HostnameResolver, ResolutionReceiver},
    react,
};

/// Knows some hosts itself, and asks the former resolver for all others.
struct Table {
    hosts: HashMap<String, SocketAddr>,
    former: Rc<dyn HostnameResolver>,
}

impl HostnameResolver for Table {
    fn resolve_host_name(
        &self,
        name: &str,
        port: u16,
        mut receiver: Box<dyn ResolutionReceiver>,
    ) -> HostResolution {
        let Some(address) = self.hosts.get(name) else {
            return self.former.resolve_host_name(name, port, receiver);
        };
        receiver.address_resolved(SocketAddr::new(address.ip(), port));
        receiver.resolution_complete(Ok(()));
        HostResolution::over(name)
    }
}

/// Prints what comes, and tells its promise whether something did.
struct Printing {
    name: String,
    found: bool,
    over: Promise<bool>,
}

impl ResolutionReceiver for Printing {
    fn address_resolved(&mut self, address: SocketAddr) {
        self.found = true;
        println!("{} has address {}", self.name, address.ip());
    }

    fn resolution_complete(self: Box<Self>, result: Result<()>) {
        if let Err(failure) = result {
            println!("{}: {}", self.name, failure.message());
        }
        self.over.callback(self.found);
    }
}

fn look_up(reactor: &Reactor, name: &str) -> Deferred<bool> {
    let (deferred, over) = Deferred::pending();
    // To drop what this gives cancels nothing.
    reactor.resolve_host_name(name, 0, Printing { name: name.to_string(), found: false, over });
    deferred
}

fn main() -> ExitCode {
    react(async |reactor: Reactor| {
        let (mut hosts, mut names) = (HashMap::new(), vec![]);
        for argument in env::args().skip(1) {
            match argument.split_once('=') {
                Some((name, ip)) => drop(hosts.insert(name.to_string(), SocketAddr::new(ip.parse()?, 0))),
                None => names.push(argument),
            }
        }
        if names.is_empty() {
            return Err(Failure::msg("which names? see the top of the example's file"));
        }
        let former = reactor.name_resolver();
        reactor.install_name_resolver(Table { hosts, former });
        let lookups = names.iter().map(|name| look_up(&reactor, name));
        let found = gather_results(lookups.collect::<Vec<_>>()).await?;
        if found.contains(&false) { Err(SystemExit::new(1).into()) } else { Ok(()) }
    })
}
