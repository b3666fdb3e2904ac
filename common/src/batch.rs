//! Closing a batch: who shares the next trip to somewhere.
//!
//! Nobody waits for company. But whoever is ready to run is let run first, and may be about to join: on a busy
//! machine that makes batches larger and everything they cost smaller, on an idle one it costs nothing. Must
//! not know: what is shared.

use tokio::sync::mpsc;

/// Who is let run before a batch is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum First {
    /// The other tasks of this runtime.
    Tasks,
    /// The other threads of this machine, for who has a thread of its own.
    Threads,
}

/// Waits until somebody is there and takes all who are, `most` at most. False when nobody can come any more.
pub async fn next<T>(
    waiting: &mut mpsc::Receiver<T>,
    taken: &mut Vec<T>,
    most: usize,
    first: First,
) -> bool {
    if waiting.recv_many(taken, most).await == 0 {
        return false;
    }
    match first {
        First::Tasks => tokio::task::yield_now().await,
        First::Threads => std::thread::yield_now(),
    }
    while taken.len() < most
        && let Ok(one) = waiting.try_recv()
    {
        taken.push(one);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_is_ready_to_join_joins_and_nobody_else_is_waited_for() {
        let (ask, mut waiting) = mpsc::channel(8);
        let (early, late) = (ask.clone(), ask.clone());
        // Begins to wait first.
        let closed = tokio::spawn(async move {
            let mut taken = Vec::new();
            assert!(next(&mut waiting, &mut taken, 8, First::Tasks).await);
            (taken, waiting)
        });
        tokio::spawn(async move {
            let sent = early.send(1).await;
            // Ready to run, after the one who was just woken.
            tokio::spawn(async move { late.send(2).await });
            sent
        });
        let Ok((taken, mut waiting)) = closed.await else { panic!("it took nobody") };
        assert_eq!(taken, [1, 2], "nobody waits for a third");
        for number in 3..=6 {
            assert!(ask.send(number).await.is_ok());
        }
        let mut taken = Vec::new();
        assert!(next(&mut waiting, &mut taken, 3, First::Threads).await);
        assert_eq!(taken, [3, 4, 5], "no more than there is room for");
        drop(ask);
        let mut taken = Vec::new();
        assert!(next(&mut waiting, &mut taken, 3, First::Tasks).await);
        assert_eq!(taken, [6]);
        assert!(!next(&mut waiting, &mut taken, 3, First::Tasks).await, "nobody can come");
    }
}
