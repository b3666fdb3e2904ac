//! Writing to a connection that many share: what is ready goes out together.
//!
//! An answer that is ready wakes its connection, which would be run next and write that one answer, while the
//! others are ready too and wait for the processor. Here a connection that has something to write lets those run
//! first (as `batch` does): one write carries all of it, and one read at the other end. Nobody is waited for who
//! is not ready. Must not know: what is written.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker, ready};

use futures::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream that lets ready tasks run before it writes, once for all that is written until the next flush.
#[derive(Debug)]
pub struct Together<S> {
    stream: S,
    turn: Turn,
    offer: Arc<Offer>,
}

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// Nothing is being written.
    Idle,
    /// Something is to be written; the others run first.
    Theirs,
    /// The others had their turn: what is to be written is written.
    Ours,
}

/// The processor, offered to others until the runtime wakes this.
#[derive(Debug, Default)]
struct Offer {
    taken: AtomicBool,
    writer: AtomicWaker,
}

impl Wake for Offer {
    fn wake(self: Arc<Self>) {
        self.taken.store(true, Ordering::Release);
        self.writer.wake();
    }
}

impl<S> Together<S> {
    /// Around `stream`.
    pub fn new(stream: S) -> Self {
        Self { stream, turn: Turn::Idle, offer: Arc::default() }
    }

    /// Ready when those who were ready have run.
    fn poll_turn(&mut self, cx: &Context<'_>) -> Poll<()> {
        if self.turn == Turn::Ours {
            return Poll::Ready(());
        }
        self.offer.writer.register(cx.waker());
        if self.turn == Turn::Idle {
            self.turn = Turn::Theirs;
            self.offer.taken.store(false, Ordering::Release);
            // The connection is also run when another answer is ready: only the runtime says that all had their
            // turn. What was handed to it on the first poll is what it wakes.
            let waker = Waker::from(self.offer.clone());
            let _ = pin!(tokio::task::yield_now()).poll(&mut Context::from_waker(&waker));
        }
        if !self.offer.taken.load(Ordering::Acquire) {
            return Poll::Pending;
        }
        self.turn = Turn::Ours;
        Poll::Ready(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Together<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Together<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_turn(cx));
        Pin::new(&mut self.stream).poll_write(cx, buffer)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_turn(cx));
        Pin::new(&mut self.stream).poll_write_vectored(cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        if self.turn == Turn::Ours {
            self.turn = Turn::Idle;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures::poll;
    use tokio::io::AsyncWriteExt;

    use super::*;

    /// Who did what, in order.
    type Log = Arc<Mutex<Vec<String>>>;

    fn note(log: &Log, what: &str) {
        if let Ok(mut log) = log.lock() {
            log.push(what.to_owned());
        }
    }

    fn noted(log: &Log) -> Vec<String> {
        log.lock().map(|log| log.clone()).unwrap_or_default()
    }

    /// Notes what is written, at most three bytes at a time.
    struct Paper(Log);

    impl AsyncWrite for Paper {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &[u8],
        ) -> Poll<io::Result<usize>> {
            let taken = &buffer[..buffer.len().min(3)];
            note(&self.0, &String::from_utf8_lossy(taken));
            Poll::Ready(Ok(taken.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            note(&self.0, "flushed");
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn those_who_are_ready_run_first_and_once_for_all_that_is_written() -> io::Result<()> {
        let log = Log::default();
        let mut stream = Together::new(Paper(Arc::clone(&log)));
        for round in ["first", "second"] {
            let (theirs, later) = (Arc::clone(&log), Arc::clone(&log));
            tokio::spawn(async move { note(&theirs, round) });
            stream.write_all(b"answer").await?;
            tokio::spawn(async move { note(&later, "later") });
            stream.write_all(b"more").await?;
            stream.flush().await?;
            tokio::task::yield_now().await;
        }
        let expected = |round| [round, "ans", "wer", "mor", "e", "flushed", "later"];
        assert_eq!(noted(&log), [expected("first"), expected("second")].concat());
        Ok(())
    }

    #[tokio::test]
    async fn being_woken_by_another_answer_is_not_the_turn() {
        let log = Log::default();
        let mut stream = Together::new(Paper(Arc::clone(&log)));
        {
            let mut writing = pin!(stream.write(b"one"));
            for _ in 0..3 {
                assert!(poll!(writing.as_mut()).is_pending(), "nobody else has run yet");
            }
        }
        assert!(noted(&log).is_empty());
        tokio::task::yield_now().await;
        // With what joined meanwhile, as HTTP/2 would.
        assert!(matches!(poll!(pin!(stream.write(b"all"))), Poll::Ready(Ok(3))));
        assert_eq!(noted(&log), ["all"]);
    }

    #[tokio::test]
    async fn a_flush_with_nothing_written_is_no_turn() {
        let log = Log::default();
        let mut stream = Together::new(Paper(Arc::clone(&log)));
        assert!(matches!(poll!(pin!(stream.flush())), Poll::Ready(Ok(()))));
        assert!(poll!(pin!(stream.write(b"one"))).is_pending());
        assert!(matches!(poll!(pin!(stream.flush())), Poll::Ready(Ok(()))));
        tokio::task::yield_now().await;
        assert!(matches!(poll!(pin!(stream.write(b"one"))), Poll::Ready(Ok(3))));
    }
}
