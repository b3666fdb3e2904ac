//! Seeing that a cash-out is paid: one follower of a service's changes of status tells the callers who
//! wait. The same for every subject, so that nobody's figure contains another way of waiting.
//!
//! Must not know: who waits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use cashout_proto::withdraw::v1 as pb;
use cashout_proto::withdraw::v1::withdraw_service_client::WithdrawServiceClient;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::Channel;

/// Who waits for which cash-out.
type Waiting = Arc<Mutex<HashMap<i64, oneshot::Sender<bool>>>>;

/// One follower; it ends with this value.
pub struct Watch {
    waiting: Waiting,
    task: JoinHandle<()>,
}

impl Watch {
    /// Follows a service from its first change on.
    pub async fn start(mut client: WithdrawServiceClient<Channel>) -> anyhow::Result<Self> {
        let request = pb::StreamStatusChangesRequest::default();
        let mut changes = client.stream_status_changes(request).await?.into_inner();
        let waiting = Waiting::default();
        let told = waiting.clone();
        let task = tokio::spawn(async move {
            while let Ok(Some(change)) = changes.message().await {
                let paid = match change.to() {
                    pb::Status::Paid => true,
                    // Nothing here is refused, cancelled or unclear; if it is, the caller says so.
                    pb::Status::Failed | pb::Status::Refused | pb::Status::Unresolved => false,
                    _ => continue,
                };
                if let Some(caller) = locked(&told).remove(&change.withdrawal_id) {
                    let _ = caller.send(paid);
                }
            }
            // Whoever still waits hears that nobody will tell them.
            locked(&told).clear();
        });
        Ok(Self { waiting, task })
    }

    /// Must be called before the cash-out is approved; the answer comes when it has ended.
    pub fn end_of(&self, id: i64) -> Paid {
        let (caller, answer) = oneshot::channel();
        locked(&self.waiting).insert(id, caller);
        Paid { id, answer }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The end of a cash-out that is expected.
pub struct Paid {
    id: i64,
    answer: oneshot::Receiver<bool>,
}

impl Paid {
    /// Waits until it is paid; any other end is an error.
    pub async fn seen(self) -> anyhow::Result<()> {
        let paid = self.answer.await.context("the changes of status ended")?;
        anyhow::ensure!(paid, "cash-out {} ended without being paid", self.id);
        Ok(())
    }
}

fn locked(waiting: &Waiting) -> std::sync::MutexGuard<'_, HashMap<i64, oneshot::Sender<bool>>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}
