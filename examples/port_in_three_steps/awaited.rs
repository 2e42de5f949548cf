//! Step 3: the whole conversation is one async fn. A small protocol brings it the lines.

use crate::mixed::ask;
use std::{net::SocketAddr, time::Duration};
use twistor::{
    Context, Reactor, Result,
    defer::{CancelOnDrop, DeferredQueue, ensure_deferred},
    error::ConnectionDone,
    factory,
    protocols::basic::{LineControl, LineProtocol, LineReceiver},
    tcp::{ListeningPort, TcpListen},
};

pub(crate) fn listen(reactor: &Reactor, at: TcpListen, almanac: SocketAddr) -> Result<ListeningPort> {
    reactor.listen_tcp(
        at,
        factory(move |_peer| {
            LineReceiver::new(Ear { almanac, lines: DeferredQueue::new(), conversation: None })
        }),
    )
}

struct Ear {
    almanac: SocketAddr,
    lines: DeferredQueue<String>,
    /// The protocol goes when its connection is lost, and the conversation with it.
    conversation: Option<CancelOnDrop<()>>,
}

impl LineProtocol for Ear {
    fn connection_made(&mut self, cx: &Context<Self>) {
        let conversation = cx.spawn(serve(self.almanac, self.lines.clone(), cx.clone()));
        self.conversation = Some(conversation.cancel_on_drop());
    }

    fn line_received(&mut self, cx: &Context<Self>, line: &[u8]) {
        if let Err(full) = self.lines.put(String::from_utf8_lossy(line).into_owned()) {
            cx.fail(full);
        }
    }
}

/// Reads from top to bottom, and answers one line before it looks at the next.
async fn serve(almanac: SocketAddr, lines: DeferredQueue<String>, cx: Context<Ear>) -> Result<()> {
    loop {
        let city = lines.get()?.await?;
        let asked = ensure_deferred(ask(almanac, city.clone()));
        match asked.add_timeout(Duration::from_secs(5), &Reactor::current()).await {
            Ok(weather) => cx.send_line(format!("{city}: {weather}")),
            Err(failure) => {
                failure.trap::<ConnectionDone>()?; // it closed without an answer
                cx.send_line(format!("nobody knows the weather of {city}"));
            }
        }
    }
}
