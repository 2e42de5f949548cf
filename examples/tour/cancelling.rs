//! Timeouts, cancelling, and failures that say where they come from.

use crate::narrator::say;
use std::time::Duration;
use twistor::{
    Reactor, Result,
    defer::{Deferred, DeferredLock},
    error::TimeoutError,
};

pub(crate) async fn tour() -> Result<()> {
    let reactor = Reactor::current();
    let (work, promise) =
        Deferred::<u32>::cancellable(|_promise| say("canceller", "is called once, and stops the work"));
    let line = work
        .add_timeout(Duration::from_millis(2), &reactor)
        .add_callback(|n| {
            say("callback", "is never called");
            Ok(n)
        })
        .add_errback(|failure| {
            let timeout = failure.trap::<TimeoutError>()?;
            say("errback", format!("traps it: {timeout}; the chain goes on with 0"));
            Ok(0)
        })
        .await?;
    say("tour", format!("has {line} from the await"));
    say("late promise", format!("fires all the same, and is told: {:?}", promise.callback(42)));

    let lock = DeferredLock::new();
    lock.acquire().await?;
    let waiting = lock.run(|| say("second in line", "runs inside release()"));
    say("tour", format!("has the lock; {} waits for it; releases", lock.waiting()));
    lock.release()?;
    waiting.await?;

    let lost = reactor
        .spawn(async {
            let number: u32 = "twelve".parse()?;
            Ok(number)
        })
        .add_callback(|number| Ok(number + 1))
        .await;
    if let Err(failure) = lost {
        say("failure", format!("{}; and the way that it took:", failure.message()));
        failure.way().to_string().split(" -> ").for_each(|step| say("", step));
    }
    Ok(())
}
