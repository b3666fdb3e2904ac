//! Changes of status as a stream: what exists after a sequence, then live. A task reads and a bounded
//! channel hands over, so that a slow follower costs one page of memory and no connection.

use std::sync::Arc;
use std::time::Duration;

use cashout_proto::withdraw::v1 as wire;
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::convert;
use crate::service::Core;

/// Lines read at a time, and the channel's capacity.
const PAGE: usize = 256;
/// How often other instances' changes are looked for.
const POLL: Duration = Duration::from_millis(500);

/// Starts following.
pub fn changes(
    core: Arc<Core>,
    request: wire::StreamStatusChangesRequest,
    stop: CancellationToken,
) -> BoxStream<'static, Result<wire::StatusChange, Status>> {
    let (sender, receiver) = mpsc::channel(PAGE);
    tokio::spawn(async move {
        tokio::select! {
            () = sender.closed() => {}
            () = stop.cancelled() => {}
            () = follow(&core, &request, &sender) => {}
        }
    });
    ReceiverStream::new(receiver).boxed()
}

async fn follow(
    core: &Core,
    request: &wire::StreamStatusChangesRequest,
    sender: &mpsc::Sender<Result<wire::StatusChange, Status>>,
) {
    let mut local = core.store.changes();
    let mut after = request.after_sequence;
    loop {
        local.mark_unchanged();
        let lines = match core.changes_after(after, request.withdrawal_id, PAGE).await {
            Ok(lines) => lines,
            Err(failure) => {
                let _ = sender.send(Err(failure.into())).await;
                return;
            }
        };
        // What is told from memory may end before the table does: who comes for all there is asks until there is none.
        let more = lines.len() == PAGE || (request.catch_up_only && !lines.is_empty());
        for line in lines {
            after = line.id;
            if sender.send(Ok(convert::change(line))).await.is_err() {
                return;
            }
        }
        if more {
            continue;
        }
        if request.catch_up_only {
            return;
        }
        let _ = tokio::time::timeout(POLL, local.changed()).await;
    }
}
