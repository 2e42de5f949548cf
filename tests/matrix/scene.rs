//! One cell while it runs.

use crate::{
    actions::{Action, Datagram},
    callbacks::{Acting, Callback, Client, Peer, Sender, Server},
};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};
use twistor::{
    Address, Context, DatagramContext, Failure, Reactor, Result, Transport,
    defer::{Deferred, Promise},
    error::{ConnectionAborted, ConnectionDone, ConnectionLost, Panicked},
    tcp::ListeningPort,
};

pub(crate) const HERE: (&str, u16) = ("127.0.0.1", 0);
/// So long a cell may take. Nothing waits for it unless the cell is wrong.
const DEADLINE: Duration = Duration::from_secs(10);
/// So often it is looked whether all has happened that was to.
const LOOKS: usize = 100;

/// A server with one connection to a client.
pub(crate) struct Scene {
    pub(crate) callback: Callback,
    actions: Vec<Action>,
    pub(crate) reactor: Reactor,
    pub(crate) log: RefCell<Vec<String>>,
    /// What was not to be reported, whenever it was.
    pub(crate) reports: RefCell<Vec<String>>,
    /// All was seen: what the end of the run brings does not count.
    seen: Cell<bool>,
    /// The callback has not returned.
    inside: Cell<bool>,
    acted: Cell<bool>,
    /// Fires when the action was done.
    done: Cell<Option<Promise<()>>>,
    /// How many ends of connections, and UDP ports, are open.
    pub(crate) open: Cell<i32>,
    pub(crate) address: Listening,
    /// What the program holds, all of it.
    pub(crate) handles: RefCell<Handles>,
    acting: RefCell<Option<Context<Acting>>>,
    client: RefCell<Option<Context<Client>>>,
    /// Who sends datagrams, and where to.
    pub(crate) datagrams: Cell<Option<(DatagramContext<Sender>, Address)>>,
    /// What is fired after the callback.
    pub(crate) later: RefCell<Vec<Promise<()>>>,
    /// Has the shutdown go on.
    pub(crate) over: Cell<Option<Promise<()>>>,
}

#[derive(Default)]
pub(crate) struct Handles {
    port: Option<ListeningPort>,
    transport: Option<Transport>,
    context: Option<Context<Acting>>,
}

/// The address that the server listens at.
#[derive(Default)]
pub(crate) struct Listening(RefCell<Option<Address>>);

impl Listening {
    pub(crate) fn get(&self) -> Option<Address> {
        self.0.borrow().clone()
    }
}

impl Scene {
    pub(crate) fn new(reactor: Reactor, callback: Callback, actions: &[Action]) -> (Rc<Scene>, Deferred<()>) {
        let (acted, done) = Deferred::pending();
        let scene = Scene {
            callback,
            actions: actions.to_vec(),
            reactor,
            log: RefCell::default(),
            reports: RefCell::default(),
            seen: Cell::new(false),
            inside: Cell::new(false),
            acted: Cell::new(false),
            done: Cell::new(Some(done)),
            open: Cell::new(0),
            address: Listening::default(),
            handles: RefCell::default(),
            acting: RefCell::default(),
            client: RefCell::default(),
            datagrams: Cell::default(),
            later: RefCell::default(),
            over: Cell::default(),
        };
        (Rc::new(scene), acted)
    }

    /// Runs it until `events` have been seen, or the run has ended by itself, which it must if it `ends`.
    pub(crate) fn run(self: &Rc<Self>, acted: Deferred<()>, events: usize, ends: bool) -> Result<()> {
        let port = self.reactor.listen_tcp(HERE, Server { scene: self.clone(), first: Cell::new(true) })?;
        let address = port.get_host()?;
        self.address.0.replace(Some(address.clone()));
        self.handles.borrow_mut().port = Some(port);
        self.reactor.connect_tcp(&address, Peer(self.clone()));
        let s = self.clone();
        let observed = self.reactor.spawn(async move {
            acted.await?;
            s.observe(events).await
        });
        let r = self.reactor.clone();
        self.reactor.call_later(DEADLINE, move || r.crash().expect("it runs"));
        self.reactor.run_without_signal_handlers()?;
        self.let_go();
        match observed.now() {
            Err(_) => Err(Failure::msg(format!("it is not over after {DEADLINE:?}"))),
            Ok(Err(_)) if ends => Ok(()),
            Ok(Ok(())) if ends => Err(Failure::msg("the run went on")),
            Ok(result) => result,
        }
    }

    /// Looks until all has happened, and a while longer for what was not to; then ends the run.
    async fn observe(self: &Rc<Self>, events: usize) -> Result<()> {
        self.fire_what_is_later();
        for _ in 0..LOOKS {
            self.look().await?;
            if self.log.borrow().len() >= events {
                break;
            }
        }
        self.look().await?;
        self.look().await?;
        self.seen.set(true);
        match self.over.take() {
            Some(over) => {
                over.callback(());
            }
            None => self.reactor.stop()?,
        }
        Ok(())
    }

    /// A connection to the server that says something and hears it again; and a datagram. With that the loop has turned a few times.
    async fn look(&self) -> Result<()> {
        let mut stream = self.reactor.connect_stream(&self.address.get().expect("it listens")).await?;
        stream.write_all(b"hello").await?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).await?;
        assert_eq!(&answer, b"hello");
        if let Some((sender, to)) = self.datagrams.take() {
            sender.write_to("again", &to)?;
        }
        Ok(())
    }

    fn fire_what_is_later(&self) {
        for later in self.later.take() {
            later.callback(());
        }
    }

    fn let_go(&self) {
        self.seen.set(true);
        self.fire_what_is_later();
        self.handles.take();
        self.acting.take();
        self.client.take();
        self.datagrams.take();
        self.done.take();
    }

    // ---- what the program is told

    /// The callback under test.
    pub(crate) fn callback(self: &Rc<Self>, datagram: Datagram<'_>) {
        assert!(!self.acted.replace(true), "the callback comes once");
        struct Inside<'a>(&'a Scene);
        impl Drop for Inside<'_> {
            fn drop(&mut self) {
                self.0.inside.set(false);
                self.0.reactor.call_later(Duration::ZERO, {
                    let done = self.0.done.take();
                    move || {
                        if let Some(done) = done {
                            done.callback(());
                        }
                    }
                });
            }
        }
        self.inside.set(true);
        let _inside = Inside(self);
        self.actions.iter().for_each(|action| action.act(self, datagram));
    }

    pub(crate) fn has_acted(&self) -> bool {
        self.acted.get()
    }

    pub(crate) fn is_made(self: &Rc<Self>, cx: &Context<Acting>) {
        let mut handles = self.handles.borrow_mut();
        handles.transport = Some(cx.transport());
        handles.context = Some(cx.clone());
        drop(handles);
        self.acting.replace(Some(cx.clone()));
        self.provoke_if_made();
    }

    pub(crate) fn peer_is_made(self: &Rc<Self>, cx: &Context<Client>) {
        self.client.replace(Some(cx.clone()));
        self.provoke_if_made();
    }

    /// When both ends are there.
    fn provoke_if_made(self: &Rc<Self>) {
        let client = self.client.borrow().clone();
        if let (Some(client), true) = (client, self.acting.borrow().is_some()) {
            let s = self.clone();
            self.reactor.call_later(Duration::ZERO, move || s.callback.provoke(&s, &client));
        }
    }

    pub(crate) fn connection(&self) -> Transport {
        self.context().transport()
    }

    pub(crate) fn context(&self) -> Context<Acting> {
        self.acting.borrow().clone().expect("the connection was made")
    }

    // ---- the log

    pub(crate) fn log(&self, event: impl Into<String>) {
        if self.seen.get() {
            return;
        }
        let inside = if self.inside.get() { "in: " } else { "" };
        self.log.borrow_mut().push(format!("{inside}{}", event.into()));
    }

    pub(crate) fn opened(&self) {
        self.open.set(self.open.get() + 1);
    }

    pub(crate) fn closed_unseen(&self) {
        self.open.set(self.open.get() - 1);
    }

    pub(crate) fn closed(&self, who: &str, why: &Failure) {
        self.closed_unseen();
        let names = [
            (why.check::<ConnectionDone>(), "done"),
            (why.check::<ConnectionAborted>(), "aborted"),
            (why.check::<ConnectionLost>(), "lost"),
            (why.check::<Panicked>(), "panicked"),
        ];
        let why =
            names.iter().find(|(is, _)| *is).map_or_else(|| why.to_string(), |(_, name)| (*name).into());
        self.log(format!("{who} lost: {why}"));
    }
}
