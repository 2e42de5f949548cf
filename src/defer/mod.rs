//! Deferreds: results that are not there yet, chained callbacks, and `.await` on both.
//!
//! | file | idea |
//! |---|---|
//! | `deferred` | [`Deferred`], the reading end: making one, cancel, pause, its result |
//! | `adding` | its stages |
//! | `timeout` | its timeouts |
//! | `promise` | [`Promise`], the writing end |
//! | `into` | [`IntoDeferred`]: what a stage may give |
//! | `chain` | what the nodes of a chain are to each other, and the one loop that drives them |
//! | `source` | the first node: fired by a promise, failed by a cancel |
//! | `stage` | the other nodes: the user's closures, and waiting for another chain |
//! | `record` | what is pending, who waits for whom, the way of a cancel, pauses; its `reader` copies it out |
//! | `future` | `.await`, [`ensure_deferred`], [`Host`] |
//! | `task` | async code as the first node of a chain |
//! | `cancel` | [`CancelHandle`]: cancelling from elsewhere |
//! | `list` | [`DeferredList`], [`gather_results`], [`race`] |
//! | `sync` | [`DeferredLock`], [`DeferredSemaphore`], [`DeferredQueue`] |

mod adding;
mod cancel;
pub(crate) mod chain;
mod deferred;
mod future;
mod into;
mod list;
mod promise;
pub(crate) mod record;
pub(crate) mod source;
mod stage;
mod sync;
mod task;
mod timeout;

pub use cancel::CancelHandle;
pub use deferred::{Deferred, fail, maybe_deferred, succeed};
pub(crate) use future::current_host;
pub use future::{CancelOnDrop, Host, HostGuard, ensure_deferred, enter_host, from_future};
pub use into::IntoDeferred;
pub use list::{DeferredList, Listed, gather_results, race};
pub use promise::{Fired, Promise};
pub(crate) use promise::{closing as promise_closing, fire_all};
pub use record::pending;
pub(crate) use source::Canceller;
pub(crate) use stage::Kind;
pub use sync::{DeferredLock, DeferredQueue, DeferredSemaphore};
pub use task::Polled;
pub(crate) use task::{spawned, start};
