//! Calls that are refused before their message has come, over HTTP/2 as it is on the wire: with a client library it happens
//! by chance alone.

use std::time::Duration;

use cashout_common::serve::{Limits, grpc};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::service::RoutesBuilder;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
/// Of a ping's or of the settings' frame.
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection to a server that lets nobody in.
struct Raw {
    stream: TcpStream,
    /// Calls that were answered.
    answered: usize,
    stop: CancellationToken,
}

impl Raw {
    async fn connect() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (stop, (_, ready)) = (CancellationToken::new(), watch::channel(true));
        let limits = Limits { requests: 0, ..Limits::default() };
        let descriptors = cashout_proto::account::v1::DESCRIPTORS;
        let routes = RoutesBuilder::default();
        tokio::spawn(grpc(listener, "test", descriptors, routes, ready, limits, stop.clone()));
        let mut raw = Self { stream: TcpStream::connect(address).await?, answered: 0, stop };
        raw.stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await?;
        raw.send(SETTINGS, 0, 0, &[]).await?;
        Ok(raw)
    }

    async fn send(&mut self, kind: u8, flags: u8, id: u32, payload: &[u8]) -> anyhow::Result<()> {
        let [_, length @ ..] = u32::try_from(payload.len())?.to_be_bytes();
        let frame = [&length[..], &[kind, flags], &id.to_be_bytes(), payload].concat();
        Ok(self.stream.write_all(&frame).await?)
    }

    /// Begins a call: everything but its message.
    async fn call(&mut self, id: u32) -> anyhow::Result<()> {
        // POST, http, and two fields by their number in the table that every client has: path, content-type.
        let mut fields = vec![0x83, 0x86];
        for (name, value) in
            [(&[0x04][..], "/grpc.health.v1.Health/Check"), (&[0x0f, 0x10], "application/grpc")]
        {
            fields.extend_from_slice(name);
            fields.push(u8::try_from(value.len())?);
            fields.extend_from_slice(value.as_bytes());
        }
        self.send(HEADERS, END_HEADERS, id, &fields).await
    }

    /// Reads frames until `enough` says so of what kind came with which flags.
    async fn read_until(&mut self, enough: impl Fn(u8, u8) -> bool) -> anyhow::Result<()> {
        loop {
            let mut head = [0; 9];
            timeout(PATIENCE, self.stream.read_exact(&mut head)).await??;
            let [a, b, c, kind, flags, ..] = head;
            let mut payload = vec![0; usize::try_from(u32::from_be_bytes([0, a, b, c]))?];
            self.stream.read_exact(&mut payload).await?;
            anyhow::ensure!(
                kind != GOAWAY,
                "told to go away: {}",
                String::from_utf8_lossy(&payload)
            );
            self.answered += usize::from(kind == HEADERS && flags & END_STREAM != 0);
            if enough(kind, flags) {
                return Ok(());
            }
        }
    }

    /// When this is over, the server has seen everything and done what there was to do.
    async fn settled(&mut self) -> anyhow::Result<()> {
        for _ in 0..2 {
            self.send(PING, 0, 0, &[0; 8]).await?;
            self.read_until(|kind, flags| kind == PING && flags & ACK != 0).await?;
        }
        Ok(())
    }
}

#[tokio::test]
async fn whoever_is_refused_again_and_again_keeps_the_connection() -> anyhow::Result<()> {
    let mut raw = Raw::connect().await?;
    let ids: Vec<u32> = (1..=8000).step_by(2).collect();
    for some in ids.chunks(500) {
        for id in some {
            raw.call(*id).await?;
        }
        raw.settled().await?;
        for id in some {
            raw.send(DATA, END_STREAM, *id, &[0; 5]).await?;
        }
        raw.settled().await?;
    }
    while raw.answered < ids.len() {
        raw.read_until(|kind, _| kind == HEADERS).await?;
    }
    raw.stop.cancel();
    Ok(())
}

#[tokio::test]
async fn a_message_that_never_comes_is_not_waited_for_long() -> anyhow::Result<()> {
    let mut raw = Raw::connect().await?;
    raw.call(1).await?;
    let answer = raw.read_until(|kind, flags| kind == HEADERS && flags & END_STREAM != 0);
    timeout(PATIENCE / 4, answer).await??;
    raw.stop.cancel();
    Ok(())
}
