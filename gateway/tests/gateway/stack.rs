//! The gateway on port 0 before the fakes, and a client that sends exactly the bytes a test writes.

use std::net::SocketAddr;
use std::time::Duration;

use cashout_common::clock::{Clock, SECOND_US};
use cashout_common::random::Random;
use cashout_common::serve::{self, Limits, Running};
use cashout_common::settings::{SHARED, Setting, Values};
use cashout_common::world::World;
use cashout_proto::account::v1::account_service_server::AccountServiceServer;
use cashout_proto::withdraw::v1::withdraw_service_server::WithdrawServiceServer;
use cashout_proto::{account, withdraw};
use gateway::{Config, DevelopmentToken, SETTINGS};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OnceCell, watch};
use tokio_util::sync::CancellationToken;
use tonic::service::RoutesBuilder;

use crate::fakes::Fakes;
use crate::judge::{Asked, Judge};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A running gateway and what it stands before.
pub struct Stack {
    /// What the services answer and were asked.
    pub fakes: Fakes,
    /// The gateway's time.
    pub clock: Clock,
    /// Where the gateway listens.
    pub address: SocketAddr,
    judge: Option<&'static Judge>,
    gateway: Running,
    services: CancellationToken,
    ready: watch::Sender<bool>,
}

impl Stack {
    /// Started at this moment, with defaults.
    pub async fn at(now_s: i64) -> anyhow::Result<Self> {
        Self::with(now_s, &[]).await
    }

    /// Started with some settings.
    pub async fn with(now_s: i64, set: &[(&'static str, &str)]) -> anyhow::Result<Self> {
        let (fakes, services) = (Fakes::default(), CancellationToken::new());
        let (ready, serving) = watch::channel(true);
        let mut routes = RoutesBuilder::default();
        routes.add_service(AccountServiceServer::new(fakes.clone()));
        let name = "cashout.account.v1.AccountService";
        let descriptors = account::v1::DESCRIPTORS;
        let account = serve_fake(name, descriptors, routes, serving.clone(), &services).await?;
        let mut routes = RoutesBuilder::default();
        routes.add_service(WithdrawServiceServer::new(fakes.clone()));
        let name = "cashout.withdraw.v1.WithdrawService";
        let descriptors = withdraw::v1::DESCRIPTORS;
        let withdraw = serve_fake(name, descriptors, routes, serving, &services).await?;

        let (account, withdraw) = (format!("http://{account}"), format!("http://{withdraw}"));
        let mut all = vec![
            ("GATEWAY_LISTEN", "127.0.0.1:0"),
            ("JWT_SECRET", SECRET),
            ("ACCOUNT_ADDRESS", account.as_str()),
            ("WITHDRAW_ADDRESS", withdraw.as_str()),
        ];
        // The first setting of a name wins.
        all.splice(0..0, set.iter().copied());
        let table: Vec<Setting> = SHARED.iter().chain(SETTINGS).copied().collect();
        let mut values = Values::given(&table, &all);
        let config = Config::read(&mut values);
        let config = values.finish(config)?;
        let clock = Clock::set_at(now_s * SECOND_US);
        let world = World { clock: clock.clone(), random: Random::seeded(1) };
        let gateway = gateway::start(config, world).await?;
        let (address, judge) = (gateway.address, Some(judge(gateway.address).await?));
        Ok(Self { fakes, clock, address, judge, gateway, services, ready })
    }

    /// Held to no description: for services that answer what ours never do.
    pub fn unjudged(self) -> Self {
        Self { judge: None, ..self }
    }

    /// Whether the services call themselves ready.
    pub fn services_ready(&self, ready: bool) {
        self.ready.send_replace(ready);
    }

    /// Stops everything.
    pub async fn stop(self) {
        self.gateway.stop().await;
        self.services.cancel();
    }

    /// A header line with a token.
    pub fn token(
        &self,
        user_id: i64,
        roles: &[&str],
        permissions: &[&str],
    ) -> anyhow::Result<String> {
        let owned = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let (roles, permissions) = (owned(roles), owned(permissions));
        let hour = Duration::from_secs(3600);
        let now_us = self.clock.now_us();
        let token = DevelopmentToken {
            issuer: "cashout-dev",
            audience: "cashout",
            user_id,
            roles: &roles,
            permissions: &permissions,
            now_us,
            ttl: hour,
        };
        token.signed(SECRET)
    }

    /// A GET as a person.
    pub async fn get(&self, person: &Person, target: &str) -> anyhow::Result<Answer> {
        self.call("GET", target, person, "", "").await
    }

    /// A request with a JSON body as a person, and more header lines (each ended by `\r\n`).
    pub async fn call(
        &self,
        method: &str,
        target: &str,
        person: &Person,
        headers: &str,
        body: &str,
    ) -> anyhow::Result<Answer> {
        let authorization = match person {
            Person::Nobody => String::new(),
            Person::Known(id, roles, permissions) => {
                format!("Authorization: Bearer {}\r\n", self.token(*id, roles, permissions)?)
            }
        };
        let length = if body.is_empty() { String::new() } else { length_of(body) };
        let head = format!("{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
        self.send(&format!("{head}{authorization}{length}{headers}\r\n{body}")).await
    }

    /// Exactly these bytes.
    pub async fn send(&self, request: &str) -> anyhow::Result<Answer> {
        self.send_bytes(request.as_bytes()).await
    }

    /// Exactly these bytes, which need not be text. An answer that is not described is an error.
    pub async fn send_bytes(&self, request: &[u8]) -> anyhow::Result<Answer> {
        let answer = asked(self.address, request).await?;
        if let (Some(judge), Some(asked)) = (self.judge, Asked::read(request)) {
            judge.judge(asked, &answer)?;
        }
        Ok(answer)
    }

    /// An anonymous request whose body has begun to be read and stops half-way.
    pub async fn half(&self, method: &str, target: &str) -> anyhow::Result<TcpStream> {
        let mut stream = TcpStream::connect(self.address).await?;
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
             Content-Length: 100\r\nExpect: 100-continue\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await?;
        let expected = b"HTTP/1.1 100 Continue\r\n\r\n";
        let mut told = vec![0; expected.len()];
        tokio::time::timeout(PATIENCE, stream.read_exact(&mut told)).await??;
        anyhow::ensure!(told == expected, "{}", String::from_utf8_lossy(&told));
        stream.write_all(b"{").await?;
        Ok(stream)
    }
}

/// Every test ends: an answer that does not come in time is a failure, not a hang.
const PATIENCE: Duration = Duration::from_secs(30);

/// The answer up to the end of the connection.
pub async fn rest(mut stream: TcpStream) -> anyhow::Result<Answer> {
    let mut bytes = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await??;
    Answer::read(&String::from_utf8(bytes)?)
}

/// Sends a request and reads its answer.
async fn asked(address: SocketAddr, request: &[u8]) -> anyhow::Result<Answer> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request).await?;
    rest(stream).await
}

/// The description, as the first gateway of this process serves it: all serve the same.
async fn judge(address: SocketAddr) -> anyhow::Result<&'static Judge> {
    static JUDGE: OnceCell<Judge> = OnceCell::const_new();
    let served = async || {
        let request = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        Judge::of(&asked(address, request).await?.body)
    };
    JUDGE.get_or_try_init(served).await
}

fn length_of(body: &str) -> String {
    let length = body.len();
    if body.starts_with(['{', '[']) {
        format!("Content-Type: application/json\r\nContent-Length: {length}\r\n")
    } else {
        format!("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n")
    }
}

async fn serve_fake(
    name: &'static str,
    descriptors: &'static [u8],
    routes: RoutesBuilder,
    ready: watch::Receiver<bool>,
    stop: &CancellationToken,
) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let limits = Limits::default();
    tokio::spawn(serve::grpc(listener, name, descriptors, routes, ready, limits, stop.clone()));
    Ok(address)
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub enum Person {
    /// Without a token.
    Nobody,
    /// Id, roles, permissions.
    Known(i64, &'static [&'static str], &'static [&'static str]),
}

/// A user without further rights.
pub const fn user(id: i64) -> Person {
    Person::Known(id, &["user"], &[])
}

/// A teacher.
pub const fn teacher(id: i64) -> Person {
    Person::Known(id, &["teacher"], &[])
}

/// Who may do everything.
pub const ADMIN: Person = Person::Known(1000, &["admin"], &[]);

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    head: String,
    /// The body as it came.
    pub body: String,
}

impl Answer {
    /// From its text.
    pub fn read(text: &str) -> anyhow::Result<Self> {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let status = head.split(' ').nth(1).unwrap_or_default().parse()?;
        Ok(Self { status, head: head.to_owned(), body: body.to_owned() })
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }

    /// The body as JSON.
    pub fn json(&self) -> anyhow::Result<serde_json::Value> {
        Ok(serde_json::from_str(&self.body)?)
    }

    /// `code` of the first error of a wallet answer.
    pub fn wallet_code(&self) -> anyhow::Result<String> {
        let code = self.json()?["errors"][0]["code"].as_str().unwrap_or_default().to_owned();
        Ok(code)
    }
}
