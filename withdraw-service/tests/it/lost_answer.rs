//! A batch that was written and whose answer never came: nobody is told that it failed for good, and nothing
//! of it is done again, also when the database refuses the connection after it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use anyhow::{Context, ensure};
use cashout_common::random::Random;
use cashout_proto::{Failure, Reason};
use futures::future::join;
use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy, split};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use withdraw_service::domain::status::{Event, Status};
use withdraw_service::service::transition::{Step, advance, born};
use withdraw_service::store::Store;
use withdraw_service::store::book::{Book, Needs};

use crate::harness::{NOON_US, Service};

/// What a statement with one row ends with.
const ONE_ROW: &[u8] = b"SELECT 1\0";
/// How a server turns a connection down: 28000, which no retry helps against.
const REFUSED: &[u8] = b"SFATAL\0VFATAL\0C28000\0Mnot now\0\0";

/// What stands between a store and its database.
#[derive(Default)]
struct Trouble {
    /// The answer of so many statements from now on is lost with its connection; 0 for none.
    lose: AtomicI64,
    /// So many connections after that are refused.
    refuse: AtomicI64,
}

impl Trouble {
    /// A store behind it.
    async fn store(self: &Arc<Self>, url: &str) -> anyhow::Result<Store> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let server: PgConnectOptions = url.parse()?;
        let person = url.split(['/', '@']).nth(2).context("nobody")?;
        let named = server.get_database().context("no database")?;
        let through = format!("postgres://{person}@127.0.0.1:{port}/{named}?sslmode=disable");
        tokio::spawn(self.clone().serve(listener, server));
        Store::open(&through).await
    }

    async fn serve(self: Arc<Self>, listener: TcpListener, server: PgConnectOptions) {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(self.clone().relay(client, server.clone()));
        }
    }

    async fn relay(self: Arc<Self>, mut client: TcpStream, server: PgConnectOptions) {
        if self.lose.load(Ordering::SeqCst) == 0
            && self
                .refuse
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| (n > 0).then_some(n - 1))
                .is_ok()
        {
            let mut hello = [0; 1024];
            let _ = client.read(&mut hello).await;
            let length = u32::try_from(REFUSED.len() + 4).unwrap_or_default().to_be_bytes();
            let _ = client.write_all(&[b"E", &length[..], REFUSED].concat()).await;
            return;
        }
        let port = server.get_port();
        let socket = server.get_socket().map(|path| path.display().to_string());
        let path =
            socket.or_else(|| Some(server.get_host().to_owned()).filter(|h| h.starts_with('/')));
        if let Some(path) = path {
            if let Ok(server) = UnixStream::connect(format!("{path}/.s.PGSQL.{port}")).await {
                self.between(client, server).await;
            }
        } else if let Ok(server) = TcpStream::connect((server.get_host(), port)).await {
            self.between(client, server).await;
        }
    }

    async fn between<S: AsyncRead + AsyncWrite>(&self, client: TcpStream, server: S) {
        let ((mut asked, mut told), (mut answers, mut asks)) = (split(client), split(server));
        let answering = async {
            let mut bytes = [0; 65_536];
            while let Ok(n @ 1..) = answers.read(&mut bytes).await {
                let some = bytes.get(..n).unwrap_or_default();
                let one_row = some.windows(ONE_ROW.len()).any(|window| window == ONE_ROW);
                let left = |n: i64| (n > 0 && one_row).then_some(n - 1);
                if self.lose.fetch_update(Ordering::SeqCst, Ordering::SeqCst, left) == Ok(1)
                    || told.write_all(some).await.is_err()
                {
                    return;
                }
            }
        };
        tokio::select! {
            () = answering => {}
            _ = copy(&mut asked, &mut asks) => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_and_not_answered_is_not_done_again() -> anyhow::Result<()> {
    for refused in [0, 1] {
        let name = format!("lostanswer{refused}");
        let Some(database) = cashout_testing::postgres(&name).await? else { return Ok(()) };
        let service = Service::fresh(&database).await?;
        let (one, two) = (service.request(100).await?.id, service.request(100).await?.id);
        service.stop().await;

        let trouble = Arc::new(Trouble::default());
        let (store, direct) =
            (trouble.store(&database.url).await?, Store::open(&database.url).await?);
        let first = direct.withdrawal(one).await?.context("requested")?;
        let second = direct.withdrawal(two).await?.context("requested")?;
        // From now on it remembers.
        store.decide(Needs::default(), |_: &mut Book| Ok(())).await?;

        // One batch of two jobs, of which one has no key by which it could be known again.
        let (open, gate) = std::sync::mpsc::channel::<()>();
        let (begins, begun) = std::sync::mpsc::channel::<()>();
        let holds = store.clone();
        let waits = tokio::spawn(async move {
            let job = move |_: &mut Book| {
                let _ = begins.send(());
                let _ = gate.recv();
                Ok(())
            };
            holds.decide(Needs::default(), job).await
        });
        tokio::task::block_in_place(|| begun.recv())?;
        let cancelled = first.clone();
        let cancels = store.decide(Needs::claimed(&first), move |book: &mut Book| {
            let mut w = book.unchanged(&cancelled)?.ok_or_else(stale)?;
            advance(book, &mut w, Step::person(Event::Cancel, "user:8", "", NOON_US))
        });
        let mut new = second.clone();
        new.request_key.clear();
        let inserts = store.decide(Needs::default(), move |book: &mut Book| {
            let mut w = new.clone();
            // Every run draws another number, as the service does.
            std::sync::Arc::make_mut(&mut w.asked)
                .cash_sn
                .push_str(&Random::from_os().below(1 << 40).to_string());
            book.insert(&mut w);
            born(book, &w, "user:7");
            Ok(w.id)
        });
        // The answer to the look at the version, then that to the two jobs.
        trouble.refuse.store(refused, Ordering::SeqCst);
        trouble.lose.store(2, Ordering::SeqCst);
        let opened = async { drop(open) };
        let (told, ()) = join(join(cancels, inserts), opened).await;
        waits.await??;
        for told in [told.0.map(drop), told.1.map(drop)] {
            let reason = told.err().map(|failure| failure.reason);
            ensure!(reason == Some(Reason::Unavailable), "{reason:?}");
        }
        ensure!(trouble.lose.load(Ordering::SeqCst) == 0, "no answer was lost");
        let found = direct.withdrawal(one).await?.context("it is gone")?;
        ensure!((found.status, found.version) == (Status::Cancelling, first.version + 1));
        ensure!(direct.withdrawal(two + 1).await?.is_some(), "it was written");
        ensure!(direct.withdrawal(two + 2).await?.is_none(), "it was written twice");
        // The next one is no matter of it.
        store.decide(Needs::id(two), move |book: &mut Book| book.get(two).map(drop)).await?;
    }
    Ok(())
}

fn stale() -> Failure {
    Failure::new(Reason::IllegalTransition, "it changed")
}
