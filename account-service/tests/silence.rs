//! A database server that is gone without a word: the connection stays open and says nothing. Writes
//! go on over a new connection, and readiness tells the truth meanwhile.

mod support;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use support::{Stack, credit};
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;

trait Both: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Both for T {}

/// Where a PostgreSQL address leads: a socket file in the directory `host`, or a host and port.
async fn connect(url: &str) -> anyhow::Result<Box<dyn Both>> {
    let rest = url.split("://").nth(1).context("an address")?;
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let server = authority.rsplit('@').next().unwrap_or_default();
    let (host, port) = server.split_once(':').unwrap_or((server, "5432"));
    let directory = url.split("host=").nth(1).and_then(|h| h.split('&').next());
    Ok(match directory.filter(|d| d.starts_with('/')) {
        Some(directory) => {
            Box::new(UnixStream::connect(format!("{directory}/.s.PGSQL.{port}")).await?)
        }
        None => Box::new(TcpStream::connect(format!("{host}:{port}")).await?),
    })
}

/// Passes connections on; those that were open when `silenced` grew pass nothing any more.
async fn proxy(listener: TcpListener, url: Arc<str>, silenced: watch::Receiver<u32>) {
    while let Ok((mut near, _)) = listener.accept().await {
        let (url, mut silenced) = (url.clone(), silenced.clone());
        silenced.borrow_and_update();
        tokio::spawn(async move {
            let Ok(mut far) = connect(&url).await else { return };
            tokio::select! {
                _ = copy_bidirectional(&mut near, &mut far) => {}
                _ = silenced.changed() => {
                    // Both ends stay open, nothing moves.
                    std::future::pending::<()>().await;
                }
            }
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_falls_silent_stops_writes_for_seconds_not_for_ever() -> anyhow::Result<()> {
    let Some(database) = cashout_testing::postgres("silence").await? else { return Ok(()) };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let near = listener.local_addr()?;
    let (silence, silenced) = watch::channel(0);
    tokio::spawn(proxy(listener, Arc::from(database.url.as_str()), silenced));
    let rest = database.url.split("://").nth(1).context("an address")?;
    let user = rest.split('@').next().unwrap_or_default();
    let name = rest.split('?').next().and_then(|r| r.rsplit('/').next()).unwrap_or_default();
    let mut s = Stack::start(&format!("postgres://{user}@{near}/{name}")).await?;
    s.open(&[7]).await?;
    s.client.post_transfer(credit("before", 7, 1)).await?;
    silence.send_modify(|n| *n += 1);
    // Asked again under the same key until it is answered, as every caller does.
    let started = std::time::Instant::now();
    while s.client.post_transfer(credit("after", 7, 1)).await.is_err() {
        anyhow::ensure!(started.elapsed() < Duration::from_secs(60), "writes are stuck");
    }
    // Readers had connections of their own, which are replaced one by one.
    let balance = loop {
        match s.balance(7).await {
            Ok(balance) => break balance,
            Err(_) => {
                anyhow::ensure!(started.elapsed() < Duration::from_secs(90), "reads are stuck")
            }
        }
    };
    assert_eq!(balance, (2, 0));
    s.running.stop().await;
    support::verified(&database.url).await
}
