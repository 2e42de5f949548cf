//! Idle means asleep: in five seconds no thread of the process runs, not even once, standalone and in every host.
//!
//! Each case is a process of its own; all of them sleep at the same time.

#[path = "support/child.rs"]
#[allow(dead_code, reason = "nobody waits for the end of these children: they are killed")]
mod child;

use std::{fs, future::Future, pin::Pin, thread, time::Duration};
use twistor::{Context, Protocol, Reactor, factory};

/// What a process that is idle is given to get there.
const SETTLE: Duration = Duration::from_secs(1);
const IDLE: Duration = Duration::from_secs(5);

struct Silent;

impl Protocol for Silent {
    fn data_received(&mut self, cx: &Context<Self>, data: &[u8]) {
        cx.write(data);
    }
}

type Guest = Pin<Box<dyn Future<Output = ()>>>;

/// Who drives the reactor, by name.
const HOSTS: [(&str, fn(Reactor)); 7] = [
    ("run", |reactor| reactor.run().unwrap()),
    ("run that has parked in async-io", |reactor| {
        reactor.spawn(foreign_for_a_while()).or_log("test");
        reactor.run().unwrap();
    }),
    ("LocalPool", |reactor| futures::executor::LocalPool::new().run_until(guest(reactor))),
    ("LocalExecutor", |reactor| {
        let executor = async_executor::LocalExecutor::new();
        async_io::block_on(executor.run(executor.spawn(guest(reactor))));
    }),
    ("futures-lite", |reactor| futures_lite::future::block_on(guest(reactor))),
    ("tokio", |reactor| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(guest(reactor));
    }),
    ("a LocalSet of tokio", |reactor| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let set = tokio::task::LocalSet::new();
        set.block_on(&runtime, guest(reactor));
    }),
];

fn guest(reactor: Reactor) -> Guest {
    Box::pin(async move { reactor.drive().await.unwrap() })
}

/// So many wakes that the loop parks in async-io; then nothing, and it sleeps there.
async fn foreign_for_a_while() -> twistor::Result<()> {
    for _ in 0..100 {
        async_io::Timer::after(Duration::from_micros(100)).await;
    }
    Ok(())
}

/// A server with everything that may wait: a port, a connection, a far timer, tasks that wait for it, for async-io and for ever.
fn server() -> Reactor {
    let reactor = Reactor::new().unwrap();
    let port = reactor.listen_tcp(("127.0.0.1", 0), factory(|_| Silent)).unwrap();
    let to = port.get_host().unwrap().as_inet().unwrap();
    reactor.connect_tcp(to, factory(|_| Silent));
    reactor.call_later(Duration::from_secs(3600), || ());
    reactor.spawn(std::future::pending::<twistor::Result<()>>()).or_log("test");
    reactor
        .spawn(async {
            async_io::Timer::after(Duration::from_millis(100)).await;
            child::tell("ready");
            Ok(())
        })
        .or_log("test");
    reactor
}

/// How often a thread of the process has stopped running, of its own accord or not.
fn switches(process: u32) -> u64 {
    let threads = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let of = |thread: fs::DirEntry| {
        let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        let counts = status.lines().filter_map(|line| {
            let (name, count) = line.split_once(':')?;
            name.ends_with("ctxt_switches").then(|| count.trim().parse::<u64>().unwrap())
        });
        counts.sum::<u64>()
    };
    threads.map(|thread| of(thread.unwrap())).sum()
}

#[test]
fn nothing_runs_in_five_idle_seconds() {
    if let Some(role) = child::role() {
        let (_, host) = HOSTS.into_iter().find(|(name, _)| *name == role).unwrap();
        return host(server());
    }
    let children: Vec<_> = HOSTS
        .iter()
        .map(|(name, _)| (name, child::start("nothing_runs_in_five_idle_seconds", name)))
        .collect();
    for (name, child) in &children {
        assert_eq!(child.told().as_deref(), Some("ready"), "{name}");
    }
    thread::sleep(SETTLE);
    let count = || children.iter().map(|(_, child)| switches(child.id())).collect::<Vec<_>>();
    let before = count();
    thread::sleep(IDLE);
    let woken: Vec<_> = children.iter().zip(before.iter().zip(count())).collect();
    for ((name, _), (before, after)) in woken {
        assert!(*before > 0, "{name} has run");
        assert_eq!(after - before, 0, "{name} was woken");
    }
}
