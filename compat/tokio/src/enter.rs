//! A future that is polled, and dropped, inside of a tokio runtime.

use crate::bridge::{Shared, stopped};
use std::{
    future::{self, Future},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};
use twistor::Result;

pub(crate) struct Entered<T: 'static> {
    future: Pin<Box<dyn Future<Output = Result<T>>>>,
    shared: Rc<Shared>,
}

impl<T: 'static> Entered<T> {
    pub(crate) fn new(future: impl Future<Output = Result<T>> + 'static, shared: Rc<Shared>) -> Entered<T> {
        Entered { future: Box::pin(future), shared }
    }
}

impl<T: 'static> Future for Entered<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        let Ok(handle) = self.shared.handle() else { return stopped() };
        let _inside = handle.enter();
        self.future.as_mut().poll(cx)
    }
}

impl<T: 'static> Drop for Entered<T> {
    /// What the future holds may ask tokio for something while it is dropped.
    fn drop(&mut self) {
        let handle = self.shared.handle();
        let _inside = handle.as_ref().map(|handle| handle.enter());
        self.future = Box::pin(future::pending());
    }
}
