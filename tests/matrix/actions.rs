//! What is done in a callback.

use crate::{
    callbacks::{Client, Datagrams},
    scene::{HERE, Scene},
};
use std::{mem, rc::Rc};
use twistor::{
    Address, DatagramContext,
    defer::{Deferred, succeed},
    error::{Abandoned, CancelledError, NotListeningError, ProtocolGone},
    factory,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Write,
    LoseConnection,
    Abort,
    Stop,
    AddCallback,
    Fire,
    Cancel,
    Connect,
    Listen,
    Drop,
    Panic,
}

pub(crate) const PANIC: &str = "an action of the matrix";

/// The UDP port whose callback it is, and who sent the datagram.
pub(crate) type Datagram<'a> = Option<(&'a DatagramContext<Datagrams>, &'a Address)>;

impl Action {
    #[rustfmt::skip]
    pub(crate) const ALL: [Action; 11] = [
        Action::Write, Action::LoseConnection, Action::Abort, Action::Stop, Action::AddCallback, Action::Fire,
        Action::Cancel, Action::Connect, Action::Listen, Action::Drop, Action::Panic,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Action::Write => "write",
            Action::LoseConnection => "lose_connection",
            Action::Abort => "abort",
            Action::Stop => "stop",
            Action::AddCallback => "add_callback",
            Action::Fire => "fire",
            Action::Cancel => "cancel",
            Action::Connect => "connect",
            Action::Listen => "listen",
            Action::Drop => "drop",
            Action::Panic => "panic",
        }
    }

    pub(crate) fn act(self, scene: &Rc<Scene>, datagram: Datagram<'_>) {
        match self {
            Action::Write => write(scene, datagram),
            Action::LoseConnection => lose(scene, datagram),
            Action::Abort => scene.connection().abort_connection(),
            Action::Stop => match scene.reactor.stop() {
                Ok(()) => scene.log("stops"),
                Err(_) => scene.log("does not stop"),
            },
            Action::AddCallback => add_callback(scene),
            Action::Fire => fire(scene, datagram),
            Action::Cancel => cancel(scene),
            Action::Connect => connect(scene),
            Action::Listen => listen(scene),
            Action::Drop => let_go(scene),
            Action::Panic => std::panic::panic_any(PANIC),
        }
    }
}

fn write(scene: &Scene, datagram: Datagram<'_>) {
    match datagram {
        Some((cx, from)) => match cx.write_to("answer", from) {
            Ok(()) => {}
            Err(failure) => assert!(failure.check::<NotListeningError>(), "{failure}"), // it was stopped
        },
        None => scene.connection().write("answer"),
    }
}

fn lose(scene: &Scene, datagram: Datagram<'_>) {
    match datagram {
        Some((cx, _)) => cx.stop_listening().or_log("the end of a port"),
        None => scene.connection().lose_connection(),
    }
}

/// To a Deferred that has fired, and to one that is fired later.
fn add_callback(scene: &Rc<Scene>) {
    let (s, late) = (scene.clone(), scene.clone());
    succeed(()).add_callback(move |()| s.log("stage")).or_log("a stage");
    let (deferred, promise) = Deferred::<()>::pending();
    deferred.add_callback(move |()| late.log("late stage")).or_log("a stage");
    scene.later.borrow_mut().push(promise);
}

/// Deferreds with a plain stage, and with a method of the protocol.
fn fire(scene: &Rc<Scene>, datagram: Datagram<'_>) {
    let ((plain, fire_plain), (bound, fire_bound)) = (Deferred::<()>::pending(), Deferred::<()>::pending());
    let s = scene.clone();
    plain.add_callback(move |()| s.log("stage")).or_log("a stage");
    let called = match datagram {
        Some((cx, _)) => bound.add_callback(cx.bind(|own, _, ()| own.scene.log("method"))),
        None => bound.add_callback(scene.context().bind(|own, _, ()| own.scene.log("method"))),
    };
    let s = scene.clone();
    let gone = called.add_errback(move |failure| {
        failure.trap::<ProtocolGone>()?;
        s.log("no method");
        Ok(())
    });
    gone.or_log("a method");
    fire_plain.callback(());
    fire_bound.callback(());
}

fn cancel(scene: &Rc<Scene>) {
    let (s, told) = (scene.clone(), scene.clone());
    let (deferred, promise) = Deferred::<()>::cancellable(move |_| s.log("canceller"));
    let deferred = deferred.add_errback(move |failure| {
        failure.trap::<CancelledError>()?;
        told.log("cancelled");
        Ok(())
    });
    deferred.cancel();
    promise.callback(());
    deferred.or_log("what was cancelled");
}

fn connect(scene: &Rc<Scene>) {
    scene.reactor.connect_tcp(&scene.address.get().expect("it listens"), client(scene));
}

fn listen(scene: &Rc<Scene>) {
    let s = scene.clone();
    let serving = factory(move |_| {
        s.log("serves");
        Client { scene: s.clone(), name: "another" }
    });
    let port = scene.reactor.listen_tcp(HERE, serving).expect("a port");
    scene.reactor.connect_tcp(&port.get_host().expect("it listens"), client(scene));
}

/// A client that closes its connection at once.
fn client(scene: &Rc<Scene>) -> impl twistor::ClientFactory + use<> {
    let scene = scene.clone();
    factory(move |_| Client { scene: scene.clone(), name: "new" })
}

/// All handles, and a promise.
fn let_go(scene: &Rc<Scene>) {
    let s = scene.clone();
    let (deferred, promise) = Deferred::<()>::pending();
    let deferred = deferred.add_errback(move |failure| {
        failure.trap::<Abandoned>()?;
        s.log("abandoned");
        Ok(())
    });
    deferred.or_log("what was abandoned");
    drop(promise);
    drop(mem::take(&mut *scene.handles.borrow_mut()));
}
