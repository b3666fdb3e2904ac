//! Asking the three services whether they answer.

use std::net::SocketAddr;
use std::time::Duration;

use cashout_common::peer::{channel, watch_health};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// The account service's full name.
pub const ACCOUNT: &str = "cashout.account.v1.AccountService";
/// The withdraw service's full name.
pub const WITHDRAW: &str = "cashout.withdraw.v1.WithdrawService";

/// Waits until a gRPC service says that it is serving.
pub async fn serving(address: &str, service: &'static str) -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    let mut health = watch_health(channel(address)?, service, stop.clone());
    let answer = health.wait_for(|serving| *serving).await.map(|_| ());
    stop.cancel();
    Ok(answer?)
}

/// Waits until the gateway says that it is ready.
pub async fn ready(gateway: SocketAddr) {
    while !matches!(asked(gateway).await, Ok(true)) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// One plain request: a client library for one line would be too much.
async fn asked(gateway: SocketAddr) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(gateway).await?;
    let request = b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer.starts_with(b"HTTP/1.1 200 "))
}
