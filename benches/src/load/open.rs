//! The open loop: calls begin when their time has come, whether or not earlier ones were answered, and
//! latency is counted from that time, so that a server that stalls cannot hide it by being asked less.
//!
//! A thread of its own keeps the time, apart from the tasks that send and wait for answers. An arrival
//! that cannot be sent, because it is too late or too many are in flight, is counted as not sent. Few tasks
//! wait for their first turn at a time: what waits in the generator is counted as if the server had kept it
//! waiting, and keeps answers waiting that are there. Must not know: which rate is high or low for whom it asks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use cashout_common::clock::Clock;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::population::Population;
use super::seen::Moved;
use super::{AMOUNT, Client, request};

/// Calls in flight over one of them, below the streams that a server allows, so that a call never
/// waits in its own client.
const ROOM: usize = 1000;
/// The generator sleeps at least so long, then sends what has become due: a thread that wakes for
/// every single arrival would take from the server what it measures. An arrival is late by half of
/// it on average, and that counts as latency.
const NAP: Duration = Duration::from_micros(250);
/// Tasks that have not had their first turn. The next arrival waits until one of them has had it, or is too late.
const BEGINNING: usize = 512;
/// Connections that an arrival looks for room on before it gives up.
const LOOKS: usize = 3;

/// Arrivals of unary credits at a constant rate.
#[derive(Debug, Clone, Copy)]
pub struct Stretch {
    /// Arrivals per second.
    pub per_second: u64,
    /// For how long.
    pub length: Duration,
    /// How late an arrival may be sent; later ones are not.
    pub patience: Duration,
}

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Answered as it should be.
    Answered,
    /// Refused because there was too much to do; whether it was told when to come again.
    Refused(bool),
    /// Anything else.
    Failed,
}

/// A call that was sent.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// In which stretch, from 0.
    pub stretch: usize,
    /// When it was to begin, microseconds after its stretch began.
    pub due_us: u64,
    /// From then to its answer, microseconds.
    pub took_us: u32,
    /// What became of it.
    pub fate: Fate,
}

/// All that became of some stretches.
#[derive(Debug, Default)]
pub struct Offered {
    /// The calls, in the order of their answers.
    pub arrivals: Vec<Arrival>,
    /// Arrivals of each stretch that were not sent.
    pub not_sent: Vec<u64>,
    /// What happened to the money.
    pub moved: Moved,
    /// What the first failure said.
    pub first_failure: Option<String>,
}

struct Answer {
    arrival: Arrival,
    moved: Moved,
    failure: Option<String>,
}

/// Offers one stretch after the other from `began` on, without a pause between them, and waits for
/// the answers to all of it.
pub async fn offer(
    clients: &[Client],
    stretches: &[Stretch],
    population: &Population,
    seed: u64,
    began: Instant,
) -> anyhow::Result<Offered> {
    let (answers, mut answered) = mpsc::unbounded_channel();
    let rooms = clients.iter().map(|_| Arc::new(Semaphore::new(ROOM))).collect();
    let mut generator = Generator {
        clients: clients.to_vec(),
        rooms,
        beginning: Arc::new(Semaphore::new(BEGINNING)),
        population: population.clone(),
        rng: StdRng::seed_from_u64(seed),
        clock: Clock::system(),
        tasks: Handle::current(),
        answers,
    };
    let stretches = stretches.to_vec();
    let sending = tokio::task::spawn_blocking(move || {
        let mut starts = began;
        let not_sent = (0..).zip(&stretches).map(|(number, stretch)| {
            let not_sent = generator.stretch(number, stretch, starts);
            starts += stretch.length;
            not_sent
        });
        not_sent.collect::<Vec<u64>>()
    });
    let mut offered = Offered::default();
    while let Some(Answer { arrival, moved, failure }) = answered.recv().await {
        offered.arrivals.push(arrival);
        offered.moved += moved;
        offered.first_failure = offered.first_failure.or(failure);
    }
    offered.not_sent = sending.await.context("the generator ended badly")?;
    Ok(offered)
}

struct Generator {
    clients: Vec<Client>,
    rooms: Vec<Arc<Semaphore>>,
    beginning: Arc<Semaphore>,
    population: Population,
    rng: StdRng,
    clock: Clock,
    tasks: Handle,
    answers: UnboundedSender<Answer>,
}

impl Generator {
    /// Sends what is due until the stretch is over; tells how many arrivals were not sent.
    fn stretch(&mut self, number: usize, stretch: &Stretch, began: Instant) -> u64 {
        let all = arrivals_until(stretch, stretch.length);
        let (mut next, mut not_sent) = (0, 0);
        while next < all {
            let now = began.elapsed();
            let too_late = arrivals_until(stretch, now.saturating_sub(stretch.patience)).min(all);
            not_sent += too_late.saturating_sub(next);
            next = next.max(too_late);
            // One at a time: while many are due, time goes on and the oldest become too late.
            let due = due(stretch, next);
            let turn = self.beginning.clone().try_acquire_owned().ok();
            if let Some(turn) = turn.filter(|_| next < all && due <= now) {
                not_sent += u64::from(!self.send(number, next, due, (began, turn)));
                next += 1;
            } else if next < all {
                std::thread::sleep(due.saturating_sub(now).max(NAP));
            }
        }
        not_sent
    }

    /// Sends one, if there is room for it. The turn is given back when its task has had the first one.
    fn send(
        &mut self,
        stretch: usize,
        number: u64,
        due: Duration,
        (began, turn): (Instant, OwnedSemaphorePermit),
    ) -> bool {
        let Some((mut client, room)) = self.room(number) else { return false };
        let key = request::key(&self.clock, &mut self.rng);
        let user = self.population.pick(&mut self.rng);
        let request = request::credit(key, user, AMOUNT);
        let answers = self.answers.clone();
        self.tasks.spawn(async move {
            drop(turn);
            let answer = client.post_transfer(request).await;
            let took = began.elapsed().saturating_sub(due);
            drop(room);
            let (fate, moved, failure) = match answer {
                Ok(_) => (Fate::Answered, Moved::surely(AMOUNT), None),
                Err(status) => judged(&status),
            };
            let took_us = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
            let due_us = u64::try_from(due.as_micros()).unwrap_or(u64::MAX);
            let arrival = Arrival { stretch, due_us, took_us, fate };
            // Whoever counts is there until the last answer.
            let _ = answers.send(Answer { arrival, moved, failure });
        });
        true
    }

    /// A connection that carries one more, and the place on it.
    fn room(&self, number: u64) -> Option<(Client, OwnedSemaphorePermit)> {
        let first = usize::try_from(number).unwrap_or_default();
        (first..first.saturating_add(LOOKS)).find_map(|at| {
            let at = at % self.clients.len();
            let place = self.rooms.get(at)?.clone().try_acquire_owned().ok()?;
            Some((self.clients.get(at)?.clone(), place))
        })
    }
}

/// How many arrivals are due in the time from the beginning to then.
fn arrivals_until(stretch: &Stretch, then: Duration) -> u64 {
    let arrivals = then.as_nanos() * u128::from(stretch.per_second) / 1_000_000_000;
    u64::try_from(arrivals).unwrap_or(u64::MAX)
}

/// When an arrival is due, after the beginning.
fn due(stretch: &Stretch, number: u64) -> Duration {
    let nanos = u128::from(number) * 1_000_000_000 / u128::from(stretch.per_second.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// A refusal leaves nothing behind; what went wrong otherwise may have happened.
fn judged(status: &Status) -> (Fate, Moved, Option<String>) {
    if status.code() == Code::ResourceExhausted {
        let told_when = status.get_error_details().retry_info().is_some();
        // Who was not told may have been cut off: the same code stands for a connection that the server has closed.
        let moved = if told_when { Moved::default() } else { Moved::maybe(AMOUNT) };
        return (Fate::Refused(told_when), moved, None);
    }
    let words = format!("{:?}: {}", status.code(), status.message());
    (Fate::Failed, Moved::maybe(AMOUNT), Some(words))
}

#[cfg(test)]
mod tests {
    use cashout_proto::{Failure, Reason};

    use super::*;

    #[test]
    fn arrivals_are_spaced_alike_and_end_with_their_stretch() {
        let patience = Duration::from_millis(10);
        for (per_second, length_ms, all) in [(1000, 2500, 2500), (3, 1000, 3), (7, 100, 0)] {
            let length = Duration::from_millis(length_ms);
            let stretch = Stretch { per_second, length, patience };
            assert_eq!(arrivals_until(&stretch, length), all);
            assert!(all == 0 || due(&stretch, all - 1) < length);
            assert_eq!(due(&stretch, per_second * 5), Duration::from_secs(5));
        }
    }

    /// Of 800 arrivals in 8 milliseconds, those that are not sent by tasks of that runtime; nobody ever answers.
    fn not_sent(tasks: Handle, patience: Duration) -> anyhow::Result<u64> {
        let _entered = tasks.enter();
        // Connections are taken by the system, and by nobody else.
        let nobody = std::net::TcpListener::bind("127.0.0.1:0")?;
        let address = format!("http://{}", nobody.local_addr()?);
        let channel = tonic::transport::Endpoint::from_shared(address)?.connect_lazy();
        let (answers, _answered) = mpsc::unbounded_channel();
        let mut generator = Generator {
            clients: vec![Client::new(channel)],
            rooms: vec![Arc::new(Semaphore::new(ROOM))],
            beginning: Arc::new(Semaphore::new(BEGINNING)),
            population: Population::One,
            rng: StdRng::seed_from_u64(1),
            clock: Clock::system(),
            tasks: tasks.clone(),
            answers,
        };
        let stretch = Stretch { per_second: 100_000, length: Duration::from_millis(8), patience };
        Ok(generator.stretch(0, &stretch, Instant::now()))
    }

    #[test]
    fn arrivals_wait_for_tasks_to_have_their_first_turn_and_for_no_answer() -> anyhow::Result<()> {
        // Nobody drives it: no task has a turn.
        let idle = tokio::runtime::Builder::new_current_thread().build()?;
        let left = not_sent(idle.handle().clone(), Duration::from_millis(1))?;
        // Fewer are sent where the machine stands still for longer than they have patience.
        assert!(left >= 800 - BEGINNING as u64, "{left}");
        let busy = tokio::runtime::Runtime::new()?;
        assert_eq!(not_sent(busy.handle().clone(), Duration::from_secs(60))?, 0);
        Ok(())
    }

    #[test]
    fn overload_is_a_refusal_and_everything_else_a_failure() {
        let overloaded = Status::from(Failure::new(Reason::Overloaded, "later"));
        assert_eq!(judged(&overloaded), (Fate::Refused(true), Moved::default(), None));
        let silent = Status::resource_exhausted("later");
        let cut_off = (Fate::Refused(false), Moved::maybe(AMOUNT), None);
        assert_eq!(judged(&silent), cut_off);
        let lost = judged(&Status::unavailable("gone"));
        assert_eq!((lost.0, lost.1), (Fate::Failed, Moved::maybe(AMOUNT)));
    }
}
