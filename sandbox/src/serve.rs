//! Starting and stopping, and which path goes where. Must not know: what any path does.

use std::collections::HashMap;
use std::fs::Permissions;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use anyhow::{Context, ensure};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, Response, Uri};
use cashout_common::local::Zone;
use cashout_common::serve::Running;
use cashout_common::world::World;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, loopback_url};
use crate::faults::Faults;
use crate::sim::{Sim, locked};
use crate::store::Store;
use crate::wire::{Answer, Breakable, Wire};
use crate::{alipay, control, keys, notify, page, wechat};

/// A running simulator.
#[derive(Debug)]
pub struct Sandbox {
    /// Where it listens, and how it is stopped.
    pub running: Running,
    sim: Arc<Sim>,
}

impl Sandbox {
    /// The settings of a withdraw service that pays through it.
    #[must_use]
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        self.sim.keys.settings(self.running.address)
    }

    /// Whether Alipay's messages go anywhere.
    #[must_use]
    pub fn notifies_alipay(&self) -> bool {
        !locked(&self.sim.alipay_notify).is_empty()
    }

    /// Where Alipay's messages go from now on.
    ///
    /// # Errors
    /// When it is not on this machine.
    pub fn notify_alipay_at(&self, url: &str) -> anyhow::Result<()> {
        ensure!(loopback_url(url), "messages go to http:// on this machine alone");
        url.clone_into(&mut locked(&self.sim.alipay_notify));
        Ok(())
    }

    /// Stops it.
    pub async fn stop(self) {
        self.running.stop().await;
    }
}

/// Takes the address, so that it is known before anything else starts.
///
/// # Errors
/// When it is taken, or not of this machine alone.
pub fn bind(listen: SocketAddr) -> anyhow::Result<TcpListener> {
    ensure!(
        listen.ip().is_loopback(),
        "the sandbox listens to this machine alone, not on {listen}"
    );
    let listener = TcpListener::bind(listen);
    let listener = listener.with_context(|| format!("cannot listen on {listen}"))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Starts the simulator: binds, opens its keys and books, answers.
///
/// # Errors
/// When the address is taken or not of this machine, or the directory holds strange keys or broken books.
pub async fn start(config: Config, world: World) -> anyhow::Result<Sandbox> {
    let listener = bind(config.listen)?;
    start_on(listener, config, world).await
}

/// As [`start`], on an address that was taken before.
///
/// # Errors
/// As [`start`].
pub async fn start_on(
    listener: TcpListener,
    config: Config,
    world: World,
) -> anyhow::Result<Sandbox> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let address = listener.local_addr()?;
    ensure!(address.ip().is_loopback(), "the sandbox listens to this machine alone");
    let sim = Arc::new(open(config, world, address).await?);
    let stop = CancellationToken::new();
    let noticing = tokio::spawn(notify::run(Arc::clone(&sim), stop.clone()));
    let routes = Router::new().fallback(answer).with_state(Arc::clone(&sim));
    let service = routes.into_make_service_with_connect_info::<Wire>();
    let until = stop.clone();
    let task = tokio::spawn(async move {
        let served = axum::serve(Breakable(listener), service);
        tokio::select! {
            ended = served => if let Err(error) = ended {
                tracing::error!(%error, "the sandbox cannot serve");
            },
            // A provider does not say goodbye, and some of its answers never come.
            () = until.cancelled() => {}
        }
        let _ = noticing.await;
    });
    Ok(Sandbox { running: Running::new(address, stop, task), sim })
}

async fn open(config: Config, world: World, address: SocketAddr) -> anyhow::Result<Sim> {
    let keys = keys::prepare(&config.directory.join("keys"))?;
    // The books hold payees' ids and names.
    std::fs::set_permissions(&config.directory, Permissions::from_mode(0o700))?;
    let store = Store::open(&config.directory).await?;
    let number = |text: Option<String>| text.and_then(|text| text.parse().ok()).unwrap_or(0);
    let ahead_us = number(store.setting(control::AHEAD).await?);
    let on = |text: Option<String>| text.as_deref() == Some("true");
    let by_certificate = on(store.setting(control::BY_CERTIFICATE).await?);
    let by_next = on(store.setting(control::BY_NEXT).await?);
    let client = reqwest::Client::builder()
        .timeout(notify::PATIENCE)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()?;
    Ok(Sim {
        store,
        keys,
        world,
        address,
        zone: Zone::named("Asia/Shanghai").map_err(anyhow::Error::msg)?,
        confirm_us: config.confirm_us,
        pauses_s: config.pauses_s,
        wake: Notify::new(),
        client,
        by_certificate: AtomicBool::new(by_certificate),
        by_next: AtomicBool::new(by_next),
        alipay_notify: Mutex::new(config.alipay_notify_url),
        ahead_us: AtomicI64::new(ahead_us),
        faults: Mutex::new(Faults::default()),
        downloads: Mutex::new(HashMap::new()),
    })
}

async fn answer(
    State(sim): State<Arc<Sim>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let path = uri.path().to_owned();
    let answer = if !named_here(&headers) {
        Answer::page(403)
    } else if path.starts_with("/v3/") {
        let request = wechat::door::Request { method, uri, headers, body: body.to_vec() };
        wechat::answer(&sim, request).await
    } else if path == "/gateway.do" {
        let content_type = headers.get("content-type").and_then(|value| value.to_str().ok());
        let query = uri.query().unwrap_or_default();
        alipay::answer(&sim, query, content_type.unwrap_or_default(), &body).await
    } else if path == "/downloads/alipay" {
        alipay::account::download(&sim, uri.query().unwrap_or_default())
    } else if let Some(rest) = path.strip_prefix("/sandbox/") {
        control::answer(&sim, &method, rest, uri.query().unwrap_or_default(), &headers, &body).await
    } else if path == "/" && method == Method::GET {
        page::answer(&sim).await
    } else {
        Answer::page(404)
    };
    answer.on(&wire)
}

/// Whether it was called by an address of this machine: a name may lead a browser here from anybody's page.
fn named_here(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get("host") else { return true };
    let authority: Option<Authority> = host.to_str().ok().and_then(|host| host.parse().ok());
    authority.is_some_and(|authority| {
        let name = authority.host().trim_start_matches('[').trim_end_matches(']');
        name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    })
}

impl Sim {
    /// Moves the virtual clock; whoever waits for it looks again.
    pub fn set_ahead(&self, ahead_us: i64) {
        self.ahead_us.store(ahead_us, Ordering::Relaxed);
        self.wake.notify_one();
    }
}
