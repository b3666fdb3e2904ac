//! Work that is carried to its end although its caller may go away, as callers of services do: a database call that is
//! dropped half-way poisons its connection, and an answer that was promised under a key has to come about.
//!
//! Must not know: what the work is.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::runtime::Handle;
use tracing::Instrument;

/// A future that is finished, whatever becomes of who waits for it: dropped before its end, it goes on in a task of
/// its own. Whoever is waited for until the end, as nearly all are, needs none.
#[must_use = "it is begun when it is waited for, or dropped"]
pub struct Finished<T: Send + 'static>(Option<BoxFuture<'static, std::thread::Result<T>>>);

impl<T: Send + 'static> Finished<T> {
    /// `future`, to be finished.
    pub fn of(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self(Some(AssertUnwindSafe(future).catch_unwind().boxed()))
    }
}

impl<T: Send + 'static> Future for Finished<T> {
    /// The error is a panic.
    type Output = std::thread::Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(future) = &mut self.0 else { return Poll::Pending };
        let ended = ready!(future.as_mut().poll(cx));
        self.0 = None;
        Poll::Ready(ended)
    }
}

impl<T: Send + 'static> Drop for Finished<T> {
    fn drop(&mut self) {
        // Without a runtime the process ends, and with it all tasks. The span is the call's: `Instrumented` enters
        // it to drop what it holds.
        if let (Some(future), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(future.in_current_span());
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_handler_is_finished_also_when_nobody_waits_for_it_any_more() -> anyhow::Result<()> {
        for begun in [false, true] {
            let (go, gone) = oneshot::channel::<()>();
            let (done, end) = oneshot::channel();
            let mut handler = Finished::of(async move {
                let _ = gone.await;
                let _ = done.send(());
            });
            if begun {
                assert!(futures::poll!(&mut handler).is_pending());
            }
            drop(handler);
            let _ = go.send(());
            end.await?;
        }
        let ended = Finished::of(async { 7 }).await;
        assert_eq!(ended.ok(), Some(7));
        let defect = Finished::of(async { panic!("a defect") }).await;
        assert!(defect.is_err(), "its caller is told");
        Ok(())
    }

    #[tokio::test]
    async fn a_handler_that_is_not_waited_for_is_still_of_its_call() -> anyhow::Result<()> {
        let _logging = tracing::subscriber::set_default(tracing_subscriber::registry());
        for begun in [false, true] {
            let (go, gone) = oneshot::channel::<()>();
            let (tell, told) = oneshot::channel();
            let handler = Finished::of(async move {
                let _ = gone.await;
                let _ = tell.send(tracing::Span::current().metadata().map(|m| m.name()));
            });
            let mut call = Box::pin(handler.instrument(tracing::info_span!("rpc")));
            if begun {
                assert!(futures::poll!(&mut call).is_pending());
            }
            drop(call);
            let _ = go.send(());
            assert_eq!(told.await?, Some("rpc"), "begun: {begun}");
        }
        Ok(())
    }
}
