//! Answers, and the connections they go out on: also answers that break off, or are no HTTP at all.
//!
//! A handler cannot break its connection, so each connection carries a note of what to write instead of
//! what the server writes. Must not know: who answers what.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::extract::connect_info::Connected;
use axum::http::{HeaderValue, Response, StatusCode};
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// How an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ending {
    /// As it should.
    #[default]
    Whole,
    /// The connection breaks without a byte.
    Cut,
    /// The connection breaks after half of the body.
    Half,
    /// Something that is not HTTP.
    Garbage,
}

/// An answer, before it is HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Besides the content's type and length.
    pub headers: Vec<(&'static str, String)>,
    /// `Content-Type`; none when empty.
    pub content_type: &'static str,
    /// The content.
    pub body: Vec<u8>,
    /// How it ends.
    pub ending: Ending,
}

impl Answer {
    /// A plain answer.
    #[must_use]
    pub fn new(status: u16, content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self { status, headers: Vec::new(), content_type, body, ending: Ending::Whole }
    }

    /// A JSON answer.
    #[must_use]
    pub fn json(status: u16, value: &serde_json::Value) -> Self {
        Self::new(status, "application/json", value.to_string())
    }

    /// A page for people, as servers in between show it.
    #[must_use]
    pub fn page(status: u16) -> Self {
        let text = format!("<html><body><h1>{status}</h1></body></html>");
        Self::new(status, "text/html", text)
    }

    /// The answer on a connection.
    #[must_use]
    pub fn on(self, wire: &Wire) -> Response<Body> {
        match self.ending {
            Ending::Whole => {}
            Ending::Cut => wire.write_instead(Vec::new()),
            Ending::Garbage => wire.write_instead(b"\x16\x03\x01 220 ready\r\n\r\n{]".to_vec()),
            Ending::Half => wire.write_instead(self.half()),
        }
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut headers = self.headers;
        if !self.content_type.is_empty() {
            headers.push(("content-type", self.content_type.to_owned()));
        }
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }

    fn half(&self) -> Vec<u8> {
        let mut text = format!("HTTP/1.1 {} X\r\n", self.status);
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        let (kind, length) = (self.content_type, self.body.len());
        text += &format!("content-type: {kind}\r\ncontent-length: {length}\r\n\r\n");
        [text.as_bytes(), &self.body[..length / 2]].concat()
    }
}

/// The note that a connection carries.
#[derive(Debug, Clone, Default)]
pub struct Wire(Arc<Mutex<Option<Vec<u8>>>>);

impl Wire {
    /// From now on these bytes are written instead of all others, and then the connection breaks.
    fn write_instead(&self, bytes: Vec<u8>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(bytes);
    }
}

/// A listener whose connections can be made to break.
#[derive(Debug)]
pub struct Breakable(pub TcpListener);

/// A connection that can be made to break.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    wire: Wire,
}

impl Listener for Breakable {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        let _ = stream.set_nodelay(true);
        (Connection { stream, wire: Wire::default() }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, Breakable>> for Wire {
    fn connect_info(stream: IncomingStream<'_, Breakable>) -> Self {
        stream.io().wire.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Self { stream, wire } = self.get_mut();
        let mut instead = wire.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(rest) = instead.as_mut() else {
            return Pin::new(stream).poll_write(context, bytes);
        };
        while !rest.is_empty() {
            let written = ready!(Pin::new(&mut *stream).poll_write(context, rest))?;
            rest.drain(..written);
        }
        Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
