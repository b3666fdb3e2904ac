//! Methods that place and end holds, one by one or many at once.

use cashout_proto::Failure;
use cashout_proto::account::v1 as pb;
use futures::FutureExt;

use super::postings::BATCH;
use super::{Server, answer, request};
use crate::domain::{Command, Posted};

/// The answer to a command on one hold.
type Held = Result<pb::HoldResponse, Failure>;

impl Server {
    fn held(&self, read: Result<Command, Failure>) -> impl Future<Output = Held> + Send + use<> {
        self.posted(read).map(|done| Ok(answer::held(&done?)))
    }

    pub(super) fn place_hold(
        &self,
        request: pb::PlaceHoldRequest,
    ) -> impl Future<Output = Held> + Send + use<> {
        self.held(request::place(&request))
    }

    pub(super) fn settle_hold(
        &self,
        request: pb::SettleHoldRequest,
    ) -> impl Future<Output = Held> + Send + use<> {
        self.held(request::settle(&request))
    }

    pub(super) fn release_hold(
        &self,
        request: pb::ReleaseHoldRequest,
    ) -> impl Future<Output = Held> + Send + use<> {
        self.held(request::release(&request))
    }

    pub(super) fn abandon_hold(
        &self,
        request: pb::AbandonHoldRequest,
    ) -> impl Future<Output = Held> + Send + use<> {
        self.held(request::abandon(&request))
    }

    pub(super) async fn change_holds(
        &self,
        request: pb::ChangeHoldsRequest,
    ) -> Result<pb::ChangeHoldsResponse, Failure> {
        if !(1..=BATCH).contains(&request.commands.len()) {
            return Err(Failure::field("commands", format!("must be 1 to {BATCH}")));
        }
        let results = self.post_independent(request.commands.iter().map(command).collect()).await;
        Ok(pb::ChangeHoldsResponse { results: results.into_iter().map(result).collect() })
    }
}

fn command(wanted: &pb::HoldCommand) -> Result<Command, Failure> {
    use pb::hold_command::Command as Wire;
    match &wanted.command {
        Some(Wire::Place(place)) => request::place(place),
        Some(Wire::Settle(settle)) => request::settle(settle),
        Some(Wire::Release(release)) => request::release(release),
        Some(Wire::Abandon(abandon)) => request::abandon(abandon),
        None => Err(Failure::field("command", "must be one of place, settle, release, abandon")),
    }
}

fn result(result: Result<Posted, Failure>) -> pb::HoldResult {
    use pb::hold_result::Outcome as Wire;
    let outcome = match result {
        Ok(posted) => Wire::Done(answer::held(&posted)),
        Err(failure) => Wire::Refused(answer::batch_refusal(failure)),
    };
    pb::HoldResult { outcome: Some(outcome) }
}
