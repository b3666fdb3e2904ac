//! Writing to a connection that many share: what is ready goes out together.
//!
//! An answer that is ready wakes its connection, which would be run next and write that one answer, while the
//! others are ready too and wait for the processor. Here a connection that has something to write lets those run
//! first (as `batch` does): one write carries all of it, and one read at the other end. Nobody is waited for who
//! is not ready. Must not know: what is written.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker, ready};

use futures::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream that lets ready tasks run before it writes, once for all that is written until it is read again.
/// HTTP/2 reads whenever its connection is run, before it writes: once for each run, then.
///
/// It does not write vectored: so told, HTTP/2 copies messages of up to 1,024 bytes into one buffer and not of up
/// to 256 only, and flushes after each that it does not copy.
#[derive(Debug)]
pub struct Outgoing<S> {
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
    /// It was written. What is written now was ready together with it.
    Over,
}

/// The processor, offered to others.
#[derive(Debug, Default)]
struct Offer {
    taken: AtomicBool,
    writer: AtomicWaker,
}

/// What the runtime wakes when the others had their turn. Also when it is dropped: a runtime that ends, or forgets,
/// keeps nobody from writing.
struct Notice(Arc<Offer>);

impl Wake for Notice {
    fn wake(self: Arc<Self>) {
        drop(self);
    }
}

impl Drop for Notice {
    fn drop(&mut self) {
        self.0.taken.store(true, Ordering::Release);
        self.0.writer.wake();
    }
}

impl<S> Outgoing<S> {
    /// Around `stream`.
    pub fn new(stream: S) -> Self {
        Self { stream, turn: Turn::Idle, offer: Arc::default() }
    }

    /// Ready when those who were ready have run.
    fn poll_turn(&mut self, cx: &Context<'_>) -> Poll<()> {
        if matches!(self.turn, Turn::Ours | Turn::Over) {
            return Poll::Ready(());
        }
        // Each time: an earlier notice may be just about to use up what was registered before.
        self.offer.writer.register(cx.waker());
        if self.turn == Turn::Idle {
            self.turn = Turn::Theirs;
            self.offer.taken.store(false, Ordering::Release);
            // The connection is also run when another answer is ready: only the runtime says that all had their
            // turn. What was handed to it on the first poll is what it wakes.
            let notice = Waker::from(Arc::new(Notice(Arc::clone(&self.offer))));
            let _ = pin!(tokio::task::yield_now()).poll(&mut Context::from_waker(&notice));
        }
        if !self.offer.taken.load(Ordering::Acquire) {
            return Poll::Pending;
        }
        self.turn = Turn::Ours;
        Poll::Ready(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Outgoing<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.turn == Turn::Over {
            self.turn = Turn::Idle;
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Outgoing<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_turn(cx));
        Pin::new(&mut self.stream).poll_write(cx, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        if self.turn == Turn::Ours {
            self.turn = Turn::Over;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Mutex;

    use futures::poll;
    use futures::task::noop_waker;
    use http::{Request, Response};
    use hyper::body::{Bytes, Incoming};
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tokio::sync::Barrier;

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

    /// Notes what is written, at most three bytes at a time. There is nothing to read.
    struct Paper(Log);

    impl AsyncRead for Paper {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

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
        let mut stream = Outgoing::new(Paper(Arc::clone(&log)));
        for round in ["first", "second"] {
            let (theirs, later) = (Arc::clone(&log), Arc::clone(&log));
            assert_eq!(stream.read(&mut [0]).await?, 0);
            tokio::spawn(async move { note(&theirs, round) });
            stream.write_all(b"answer").await?;
            stream.flush().await?;
            tokio::spawn(async move { note(&later, "later") });
            stream.write_all(b"more").await?;
            stream.flush().await?;
            tokio::task::yield_now().await;
        }
        let expected = |round| [round, "ans", "wer", "flushed", "mor", "e", "flushed", "later"];
        assert_eq!(noted(&log), [expected("first"), expected("second")].concat());
        Ok(())
    }

    #[tokio::test]
    async fn being_run_for_another_answer_is_not_the_turn_and_whoever_asked_last_is_woken() {
        let log = Log::default();
        let mut stream = Outgoing::new(Paper(Arc::clone(&log)));
        let nobody = noop_waker();
        for _ in 0..3 {
            let polled =
                Pin::new(&mut stream).poll_write(&mut Context::from_waker(&nobody), b"one");
            assert!(polled.is_pending(), "nobody else has run yet");
        }
        assert!(noted(&log).is_empty());
        // With what joined meanwhile, as HTTP/2 would. It would wait for ever were nobody or another one woken.
        assert!(matches!(stream.write(b"all").await, Ok(3)));
        assert_eq!(noted(&log), ["all"]);
    }

    #[tokio::test]
    async fn a_flush_with_nothing_written_is_no_turn() {
        let log = Log::default();
        let mut stream = Outgoing::new(Paper(Arc::clone(&log)));
        assert!(matches!(poll!(pin!(stream.flush())), Poll::Ready(Ok(()))));
        assert!(poll!(pin!(stream.write(b"one"))).is_pending());
        assert!(matches!(poll!(pin!(stream.flush())), Poll::Ready(Ok(()))));
        tokio::task::yield_now().await;
        assert!(matches!(poll!(pin!(stream.write(b"one"))), Poll::Ready(Ok(3))));
    }

    #[test]
    fn a_runtime_that_ends_or_is_not_there_keeps_nobody_from_writing() -> anyhow::Result<()> {
        let log = Log::default();
        let mut stream = Outgoing::new(Paper(Arc::clone(&log)));
        let nobody = noop_waker();
        let mut cx = Context::from_waker(&nobody);
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let begun = runtime.block_on(async { Pin::new(&mut stream).poll_write(&mut cx, b"one") });
        assert!(begun.is_pending());
        drop(runtime);
        for _ in 0..2 {
            assert!(Pin::new(&mut stream).poll_write(&mut cx, b"one").is_ready());
            assert!(Pin::new(&mut stream).poll_flush(&mut cx).is_ready());
            assert!(
                Pin::new(&mut stream).poll_read(&mut cx, &mut ReadBuf::new(&mut [])).is_ready()
            );
        }
        Ok(())
    }

    /// Counts what is written.
    struct Counted(DuplexStream, Log);

    impl AsyncRead for Counted {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_read(cx, buffer)
        }
    }

    impl AsyncWrite for Counted {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: &[u8],
        ) -> Poll<io::Result<usize>> {
            note(&self.1, "written");
            Pin::new(&mut self.0).poll_write(cx, buffer)
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_flush(cx)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_shutdown(cx)
        }
    }

    /// An answer of so many bytes, in one piece.
    struct Answer(Option<Bytes>);

    impl hyper::body::Body for Answer {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.take().map(|bytes| Ok(hyper::body::Frame::data(bytes))))
        }
    }

    /// How often a server writes that has so many answers of so many bytes ready at once.
    async fn writes(answers: usize, bytes: usize) -> anyhow::Result<usize> {
        let (log, all) = (Log::default(), Arc::new(Barrier::new(answers)));
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let service = {
            let log = Arc::clone(&log);
            hyper::service::service_fn(move |_: Request<Incoming>| {
                let (log, all) = (Arc::clone(&log), Arc::clone(&all));
                async move {
                    // A task each, as at our boundary.
                    let waiting = tokio::spawn(async move { all.wait().await.is_leader() });
                    if waiting.await.unwrap_or_default() {
                        note(&log, "all are ready");
                    }
                    Ok::<_, Infallible>(Response::new(Answer(Some(Bytes::from(vec![7; bytes])))))
                }
            })
        };
        let stream = TokioIo::new(Outgoing::new(Counted(ours, Arc::clone(&log))));
        let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        tokio::spawn(server.serve_connection(stream, service));
        let (send, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(theirs))
                .await?;
        tokio::spawn(connection);
        let asked = (0..answers).map(|_| {
            let mut send = send.clone();
            async move { send.send_request(Request::new(Answer(None))).await.map(drop) }
        });
        futures::future::try_join_all(asked).await?;
        Ok(noted(&log).iter().rev().take_while(|what| *what == "written").count())
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn answers_that_are_ready_together_share_writes_whatever_their_size() -> anyhow::Result<()>
    {
        for (bytes, most) in [(40, 4), (600, 8)] {
            let found = tokio::spawn(writes(64, bytes)).await??;
            assert!((1..=most).contains(&found), "64 answers of {bytes} bytes: {found} writes");
        }
        Ok(())
    }
}
