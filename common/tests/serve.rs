//! Clients that take a connection and give nothing for it: the one slot is free again in time.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use cashout_common::serve::{Limits, Version, accept};
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// A server with one connection at a time that answers four megabytes.
async fn server() -> anyhow::Result<(SocketAddr, CancellationToken)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let stop = CancellationToken::new();
    let limits = Limits {
        version: Version::Http1,
        connections: 1,
        header_timeout: Duration::from_millis(200),
        ..Limits::default()
    };
    let service = tower::service_fn(|_: Request<Incoming>| async {
        Ok::<_, Infallible>(Response::new("x".repeat(4 << 20)))
    });
    tokio::spawn(accept(listener, service, limits, stop.clone()));
    Ok((address, stop))
}

/// Whether somebody else is served within seconds.
async fn served(address: SocketAddr) -> anyhow::Result<bool> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await?;
    let mut start = [0; 15];
    let read = tokio::time::timeout(Duration::from_secs(5), stream.read_exact(&mut start)).await;
    Ok(matches!(read, Ok(Ok(_))) && start == *b"HTTP/1.1 200 OK")
}

#[tokio::test]
async fn whoever_gives_nothing_does_not_keep_a_connection() -> anyhow::Result<()> {
    let pipelined = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".repeat(64);
    for (what, sent) in [
        ("connects and says nothing", b"".as_slice()),
        ("says half a word", b"GET"),
        ("never ends its headers", b"GET / HTTP/1.1\r\nhost: x\r\n"),
        ("asks and never reads", &pipelined),
    ] {
        let (address, stop) = server().await?;
        let mut idle = TcpStream::connect(address).await?;
        idle.write_all(sent).await?;
        assert!(served(address).await?, "{what}");
        stop.cancel();
        drop(idle);
    }
    Ok(())
}
