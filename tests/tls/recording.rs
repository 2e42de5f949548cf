//! A protocol that writes down what it is told, and a wire between two of them in memory.

use std::{cell::RefCell, rc::Rc};
use twistor::{
    Context, Failure, IntoLayer, Layer, Protocol,
    defer::{Deferred, Promise},
    testing::Connected,
    tls::{SecuredLayer, Tls, TlsError, TlsErrorKind, secured},
};

/// What happened, in order.
#[derive(Clone, Default)]
pub(crate) struct Log(Rc<RefCell<Vec<String>>>);

impl Log {
    pub(crate) fn note(&self, text: impl Into<String>) {
        self.0.borrow_mut().push(text.into());
    }

    pub(crate) fn take(&self) -> Vec<String> {
        self.0.take()
    }
}

/// Notes what it is told; says hello when it is connected, if it has something to say.
pub(crate) struct Recorder {
    pub(crate) log: Log,
    pub(crate) hello: &'static [u8],
    /// Fired when it is told of the end.
    pub(crate) ended: Option<Promise<()>>,
}

pub(crate) fn recorder(hello: &'static str) -> (Recorder, Log) {
    let log = Log::default();
    (Recorder { log: log.clone(), hello: hello.as_bytes(), ended: None }, log)
}

/// The same, for who waits for its end.
pub(crate) fn ending_recorder() -> (Recorder, Log, Deferred<()>) {
    let (mut recorder, log) = recorder("");
    let (deferred, promise) = Deferred::pending();
    recorder.ended = Some(promise);
    (recorder, log, deferred)
}

/// A reason, in a word.
pub(crate) fn word(why: &Failure) -> String {
    match why.value::<TlsError>() {
        Some(error) => format!("{:?}", error.kind()),
        None => why.to_string(),
    }
}

impl Protocol for Recorder {
    fn connection_made(&mut self, cx: &Context<Self>) {
        self.log.note("made");
        if !self.hello.is_empty() {
            cx.write(self.hello);
        }
    }

    fn handshake_completed(&mut self, _cx: &Context<Self>) {
        self.log.note("secured");
    }

    fn data_received(&mut self, _cx: &Context<Self>, data: &[u8]) {
        self.log.note(String::from_utf8_lossy(data));
    }

    fn connection_lost(&mut self, _cx: &Context<Self>, why: Failure) {
        self.log.note(format!("lost: {}", word(&why)));
        if let Some(ended) = self.ended.take() {
            ended.callback(());
        }
    }
}

/// Carries bytes between the two until neither has any.
pub(crate) fn pump<A: Layer, B: Layer>(a: &mut Connected<A>, b: &mut Connected<B>) {
    for _ in 0..1000 {
        let (from_a, from_b) = (a.sent(), b.sent());
        if from_a.is_empty() && from_b.is_empty() {
            return;
        }
        b.receive(from_a);
        a.receive(from_b);
    }
    panic!("they never stop");
}

/// Both ends of a connection with TLS from the beginning, over which nothing went yet.
pub(crate) fn ends<A: IntoLayer, B: IntoLayer>(
    (client, a): (impl Into<Tls>, A),
    (server, b): (impl Into<Tls>, B),
) -> (Connected<SecuredLayer<A::Layer>>, Connected<SecuredLayer<B::Layer>>) {
    (twistor::testing::connect(secured(client, a)), twistor::testing::connect(secured(server, b)))
}

pub(crate) fn kind(why: &Failure) -> TlsErrorKind {
    why.value::<TlsError>().unwrap_or_else(|| panic!("no TLS error: {why}")).kind()
}
