//! Methods that move money: each one command to the poster. For holds see `holds`.

use cashout_proto::account::v1 as pb;
use cashout_proto::{Failure, Reason};
use futures::FutureExt;
use futures::future::ready;

use super::{Server, answer, post_failure, request};
use crate::domain::{Account, Command, Outcome, Posted};
use crate::service::poster::PostError;

/// Most commands of one batch.
pub(super) const BATCH: usize = 1000;

impl Server {
    pub(super) fn post_transfer(
        &self,
        request: pb::PostTransferRequest,
    ) -> impl Future<Output = Result<pb::PostTransferResponse, Failure>> + Send + use<> {
        let done = self.posted(request::transfer(&request, String::new()).map(Command::Post));
        done.map(|done| Ok(answer::posted(&done?)))
    }

    pub(super) async fn post_transfers(
        &self,
        request: pb::PostTransfersRequest,
    ) -> Result<pb::PostTransfersResponse, Failure> {
        let count = request.transfers.len();
        if !(1..=BATCH).contains(&count) {
            return Err(Failure::field("transfers", format!("must be 1 to {BATCH}")));
        }
        let parsed = request.transfers.iter().enumerate();
        let parsed = parsed.map(|(i, t)| request::transfer(t, format!("transfers[{i}].")));
        let results = if request.all_or_nothing {
            // One malformed item refuses the whole before anything is asked of the ledger.
            let transfers = parsed.collect::<Result<Vec<_>, _>>()?;
            match self.poster.post(Command::PostAll(transfers)).await.map_err(post_failure)? {
                Outcome::All(results) => {
                    results.into_iter().map(|r| r.map_err(|e| answer::refusal(&e))).collect()
                }
                _ => return Err(unexpected()),
            }
        } else {
            self.post_independent(parsed.map(|t| t.map(Command::Post)).collect()).await
        };
        Ok(pb::PostTransfersResponse { results: results.into_iter().map(result).collect() })
    }

    /// Malformed items are refused by themselves, the others are carried out in order.
    pub(super) async fn post_independent(
        &self,
        parsed: Vec<Result<Command, Failure>>,
    ) -> Vec<Result<Posted, Failure>> {
        let mut commands = Vec::with_capacity(parsed.len());
        let apart = |item: Result<Command, Failure>| item.map(|command| commands.push(command));
        let read: Vec<Result<(), Failure>> = parsed.into_iter().map(apart).collect();
        let mut answers = self.poster.post_each(commands).await.into_iter();
        let results = read.into_iter().map(|item| {
            item?;
            match answers.next() {
                Some(answered) => as_posted(answered),
                None => Err(unexpected()),
            }
        });
        results.collect()
    }

    pub(super) async fn adjust_account(
        &self,
        request: pb::AdjustAccountRequest,
        operator: &str,
    ) -> Result<pb::AdjustAccountResponse, Failure> {
        let command = request::adjust(&request, operator)?;
        match self.poster.post(command).await.map_err(post_failure)? {
            Outcome::Account { account, replayed, .. } => {
                let account = Some(answer::account(&account));
                Ok(pb::AdjustAccountResponse { account, replayed })
            }
            _ => Err(unexpected()),
        }
    }

    /// Carries out a command that appends entries, if it could be read. Whoever waits for it is held in memory with
    /// all others of a batch, so this is no `async` block: that would take a multiple of what it waits for.
    pub(super) fn posted(
        &self,
        read: Result<Command, Failure>,
    ) -> impl Future<Output = Result<Posted, Failure>> + Send + use<> {
        match read {
            Ok(command) => self.poster.post(command).map(as_posted).left_future(),
            Err(failure) => ready(Err(failure)).right_future(),
        }
    }

    /// Carries out a command that answers an account; the flag tells whether it is new.
    pub(super) async fn changed(&self, command: Command) -> Result<(Account, bool), Failure> {
        match self.poster.post(command).await {
            Ok(Outcome::Account { account, created, .. }) => Ok((*account, created)),
            Ok(_) => Err(unexpected()),
            Err(error) => Err(post_failure(error)),
        }
    }
}

fn as_posted(answered: Result<Outcome, PostError>) -> Result<Posted, Failure> {
    match answered.map_err(post_failure)? {
        Outcome::Posted(posted) => Ok(posted),
        _ => Err(unexpected()),
    }
}

fn result(result: Result<Posted, Failure>) -> pb::TransferResult {
    use pb::transfer_result::Outcome as Wire;
    let outcome = match result {
        Ok(posted) => Wire::Posted(answer::posted(&posted)),
        Err(failure) => Wire::Refused(answer::batch_refusal(failure)),
    };
    pb::TransferResult { outcome: Some(outcome) }
}

/// The poster answers each command in its own form; anything else is a defect.
fn unexpected() -> Failure {
    tracing::error!("a command was answered in another command's form");
    Failure::new(Reason::Internal, "internal error")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting<R, F>(_: fn(&Server, R) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn whoever_waits_for_a_batch_takes_little_memory() {
        for (what, bytes, most) in [
            ("post_transfer", waiting(Server::post_transfer), 160),
            ("place_hold", waiting(Server::place_hold), 160),
            ("an answer", size_of::<Result<Outcome, PostError>>(), 64),
            ("a request", size_of::<pb::PostTransferRequest>(), 128),
        ] {
            assert!(bytes <= most, "{what}: {bytes} bytes");
        }
    }
}
