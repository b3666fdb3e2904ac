//! Asking a program whether it serves, often enough to tell the moment. Must not know: what it serves.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// The account service's full name.
pub const ACCOUNT: &str = "cashout.account.v1.AccountService";

/// The withdraw service's full name.
pub const WITHDRAW: &str = "cashout.withdraw.v1.WithdrawService";

/// Between two questions: fine enough for milliseconds, rare enough to cost nothing.
const PAUSE: Duration = Duration::from_millis(2);
/// Longer is never.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until a gRPC service says that it is SERVING, on a connection of its own.
pub async fn serving(address: &str, service: &str) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !asked(address, service).await {
        anyhow::ensure!(Instant::now() < deadline, "{service} does not serve");
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

async fn asked(address: &str, service: &str) -> bool {
    let Ok(endpoint) = Endpoint::from_shared(address.to_owned()) else { return false };
    let Ok(channel) = endpoint.connect().await else { return false };
    let request = HealthCheckRequest { service: service.to_owned() };
    let answer = HealthClient::new(channel).check(request).await;
    answer.is_ok_and(|answer| answer.get_ref().status() == ServingStatus::Serving)
}

/// Waits until the gateway says that it and both services are ready.
pub async fn ready(address: &str) -> anyhow::Result<()> {
    let host = address.trim_start_matches("http://");
    let deadline = Instant::now() + PATIENCE;
    while !matches!(asked_for_readiness(host).await, Ok(true)) {
        anyhow::ensure!(Instant::now() < deadline, "the gateway does not get ready");
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

async fn asked_for_readiness(host: &str) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(host).await?;
    let request = b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer.starts_with(b"HTTP/1.1 200 "))
}
