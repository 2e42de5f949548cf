//! hyper's server on the reactor: HTTP in async code, beside callbacks, with state in an `Rc`. No tokio runtime is there at all.
//!
//! Run with: `cargo run -p twistor-tokio --example hyper_server -- 8080`, then `curl http://127.0.0.1:8080/` a few times.
//!
//! You will see how often you came. Who has not sent his request's header after ten seconds is shown out. Ctrl-C ends it.

use http_body_util::Full;
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use std::{cell::Cell, rc::Rc, time::Duration};
use twistor::{Address, Reactor, Result, Stream, serve, task::defer_later};
use twistor_tokio::{OnReactor, StreamExt as _};

/// So long may a client take to send a header.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Of all connections. One thread, so neither a lock nor an atomic.
#[derive(Default)]
struct Visits(Cell<u32>);

impl Visits {
    /// It may await whatever is on the reactor, such as this timer.
    async fn answer(self: Rc<Self>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
        self.0.set(self.0.get() + 1);
        let number = self.0.get();
        let text = format!("visit {number} to {}\n", request.uri().path());
        let text = defer_later(&Reactor::current(), Duration::from_millis(1), move || Ok(text)).await?;
        Ok(Response::new(Full::from(text)))
    }
}

pub(crate) fn listen(reactor: &Reactor, port: u16) -> Result<Address> {
    let visits = Rc::new(Visits::default());
    let site = serve(move |stream: Stream| {
        let visits = visits.clone();
        async move {
            http1::Builder::new()
                .timer(OnReactor)
                .header_read_timeout(PATIENCE)
                .serve_connection(stream.into_hyper(), service_fn(|request| visits.clone().answer(request)))
                .await?;
            Ok(())
        }
    });
    reactor.listen_tcp(("127.0.0.1", port), site)?.get_host()
}

fn main() -> Result<()> {
    let port = std::env::args().nth(1).map_or(Ok(8080), |port| port.parse())?;
    let reactor = Reactor::new()?;
    println!("listening on {}", listen(&reactor, port)?);
    reactor.run()
}
