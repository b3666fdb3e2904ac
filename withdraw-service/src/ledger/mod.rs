//! The account service as our ledger: the gRPC client behind the port. What it answers is either done,
//! refused for good, or unknown. Must not know: statuses, the database.

mod together;
mod wire;

use std::collections::HashMap;

use cashout_proto::account::v1::account_service_client::AccountServiceClient;
use cashout_proto::account::v1::hold_command::Command;
use cashout_proto::account::v1::{
    self as pb, BatchGetAccountsRequest, ChangeHoldsRequest, GetAccountRequest, GetHoldRequest,
    GetHolderRequest, HoldCommand, HoldResponse, HoldState,
};
use cashout_proto::{Failure, Reason};
use futures::FutureExt;
use futures::future::BoxFuture;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use self::together::Together;
use self::wire::{balance, holder, reference};
use crate::domain::withdrawal::{AccountAfter, Holder, Withdrawal};
use crate::ports::{Asker, Balance, LEDGER_TIMEOUT, Ledger, LedgerAnswer, ReleaseCause};

type Client = AccountServiceClient<Channel>;

/// The account service over gRPC. What many want at the same time goes out in few calls.
#[derive(Debug, Clone)]
pub struct RemoteLedger {
    client: Client,
    commands: Together<Command, HoldResponse>,
    askers: Together<i64, Told>,
}

impl RemoteLedger {
    /// Over a channel that connects by itself; inside a runtime.
    #[must_use]
    pub fn new(channel: Channel) -> Self {
        let client = Client::new(channel);
        let (commanding, asking) = (client.clone(), client.clone());
        let commands = Together::by(move |all| change(commanding.clone(), all).boxed());
        let askers = Together::by(move |all| about(asking.clone(), all).boxed());
        Self { client, commands, askers }
    }

    async fn account(&self, user_id: i64, currency: &str) -> Result<Option<pb::Account>, Failure> {
        let account = Some(reference(user_id, currency));
        let asked = call(GetAccountRequest { account, ..Default::default() });
        let answer = self.client.clone().get_account(asked).await;
        Ok(found(answer, Reason::AccountNotFound)?.and_then(|a| a.account))
    }

    /// Carries a command out; `Done` of nothing when it had been asked for before in other words.
    async fn command(
        &self,
        w: &Withdrawal,
        wanted: HoldState,
        command: Command,
    ) -> LedgerAnswer<Option<HoldResponse>> {
        match answered(self.commands.ask(command).await) {
            LedgerAnswer::Done(done) => LedgerAnswer::Done(Some(done)),
            LedgerAnswer::Refused(failure) => LedgerAnswer::Refused(failure),
            // Boxed, as everything that hardly ever happens: every command would be as large as it.
            LedgerAnswer::Unknown(failure) if failure.reason == Reason::IdempotencyConflict => {
                self.despite_conflict(w, wanted, failure).boxed().await
            }
            LedgerAnswer::Unknown(failure) => LedgerAnswer::Unknown(failure),
        }
    }

    async fn place_hold(&self, w: &Withdrawal) -> LedgerAnswer<AccountAfter> {
        match self.command(w, HoldState::Open, wire::place(w)).await {
            LedgerAnswer::Done(Some(held)) => match held.entries.last() {
                // A locked account takes no new holds, so right after this one it was not.
                Some(entry) => LedgerAnswer::Done(AccountAfter {
                    available_minor: entry.available_after_minor,
                    frozen_minor: entry.frozen_after_minor,
                    locked: false,
                }),
                None => self.account_now(w).boxed().await,
            },
            LedgerAnswer::Done(None) => self.account_now(w).boxed().await,
            LedgerAnswer::Refused(failure) => LedgerAnswer::Refused(failure),
            LedgerAnswer::Unknown(failure) => LedgerAnswer::Unknown(failure),
        }
    }

    async fn account_now(&self, w: &Withdrawal) -> LedgerAnswer<AccountAfter> {
        match self.account(w.user_id, &w.currency).await {
            Ok(Some(account)) => LedgerAnswer::Done(AccountAfter {
                available_minor: account.available_minor,
                frozen_minor: account.frozen_minor,
                locked: account.locked,
            }),
            Ok(None) => {
                LedgerAnswer::Unknown(Failure::new(Reason::Internal, "a hold without account"))
            }
            Err(failure) => LedgerAnswer::Unknown(failure),
        }
    }

    async fn abandon_hold(&self, w: &Withdrawal) -> LedgerAnswer<()> {
        match done(self.command(w, HoldState::Released, wire::abandon(w)).await) {
            // Nobody without an account can have a hold; and what is released is gone.
            LedgerAnswer::Refused(failure)
                if matches!(
                    failure.reason,
                    Reason::AccountNotFound | Reason::HoldAlreadyReleased
                ) =>
            {
                LedgerAnswer::Done(())
            }
            other => other,
        }
    }

    /// Every key is ours and says one thing only, so a conflict means that the command was asked for in
    /// other words before, as another version puts them. What counts is how the hold stands: `Done` of
    /// nothing when it is as wanted.
    async fn despite_conflict(
        &self,
        w: &Withdrawal,
        wanted: HoldState,
        conflict: Failure,
    ) -> LedgerAnswer<Option<HoldResponse>> {
        let asked = call(GetHoldRequest { hold_key: w.hold_key() });
        let hold = match found(self.client.clone().get_hold(asked).await, Reason::HoldNotFound) {
            Ok(Some(hold)) => hold,
            // The key was used up before a hold was placed: it was given up.
            Ok(None) => return LedgerAnswer::Unknown(conflict),
            Err(failure) => return LedgerAnswer::Unknown(failure),
        };
        if (hold.user_id, hold.amount_minor) != (w.user_id, w.apply_minor) {
            // Not to be ended by us, whatever we want.
            tracing::error!(withdrawal = w.id, "the ledger knows another hold under this key");
            let told = "another hold has this key";
            return LedgerAnswer::Unknown(Failure::new(Reason::Internal, told));
        }
        let whole = wanted != HoldState::Settled || hold.settled_minor == w.apply_minor;
        if hold.state() == wanted && whole {
            return LedgerAnswer::Done(None);
        }
        LedgerAnswer::Unknown(conflict)
    }

    /// The person and their balance in one call. When it tells no person there is none, or they cannot be
    /// read with others, or the account service is older than this: then that is asked for.
    async fn asker(&self, user_id: i64) -> Result<Asker, Failure> {
        let (person, account) = self.askers.ask(user_id).await?;
        let person = match person {
            Some(found) => Some(holder(found)),
            None => self.person(user_id).boxed().await?,
        };
        Ok((person, account.as_ref().map(balance)))
    }

    async fn person(&self, user_id: i64) -> Result<Option<Holder>, Failure> {
        let answer = self.client.clone().get_holder(call(GetHolderRequest { user_id })).await;
        Ok(found(answer, Reason::HolderNotFound)?.map(holder))
    }
}

impl Ledger for RemoteLedger {
    fn place<'a>(&'a self, w: &'a Withdrawal) -> BoxFuture<'a, LedgerAnswer<AccountAfter>> {
        self.place_hold(w).boxed()
    }

    fn abandon<'a>(&'a self, w: &'a Withdrawal) -> BoxFuture<'a, LedgerAnswer<()>> {
        self.abandon_hold(w).boxed()
    }

    fn settle<'a>(&'a self, w: &'a Withdrawal) -> BoxFuture<'a, LedgerAnswer<()>> {
        async { done(self.command(w, HoldState::Settled, wire::settle(w)).await) }.boxed()
    }

    fn release<'a>(
        &'a self,
        w: &'a Withdrawal,
        cause: ReleaseCause,
    ) -> BoxFuture<'a, LedgerAnswer<()>> {
        let released = wire::release(w, cause);
        async { done(self.command(w, HoldState::Released, released).await) }.boxed()
    }

    fn balance(&self, user_id: i64) -> BoxFuture<'_, Result<Option<Balance>, Failure>> {
        async move {
            let account = self.account(user_id, "").await?;
            Ok(account.as_ref().map(balance))
        }
        .boxed()
    }

    fn holder(&self, user_id: i64) -> BoxFuture<'_, Result<Option<Holder>, Failure>> {
        self.person(user_id).boxed()
    }

    fn asker(&self, user_id: i64) -> BoxFuture<'_, Result<Asker, Failure>> {
        self.asker(user_id).boxed()
    }
}

/// Carries commands out in one call.
async fn change(
    mut client: Client,
    commands: Vec<Command>,
) -> Result<Vec<Result<HoldResponse, Failure>>, Failure> {
    let holds: Vec<String> = commands.iter().map(|c| wire::hold_of(c).to_owned()).collect();
    let commands = commands.into_iter().map(|command| HoldCommand { command: Some(command) });
    let asked = call(ChangeHoldsRequest { commands: commands.collect() });
    let answer = client.change_holds(asked).await.map_err(|status| whole(&status))?;
    let results = answer.into_inner().results;
    if results.len() != holds.len() {
        let told = "the ledger answered another number of commands";
        tracing::error!(asked = holds.len(), answered = results.len(), "{told}");
        return Err(Failure::new(Reason::Internal, told));
    }
    Ok(holds.iter().zip(results).map(|(hold, result)| wire::outcome(hold, result)).collect())
}

/// What is said of a call as a whole refuses none of its commands for good.
fn whole(status: &Status) -> Failure {
    let failure = Failure::from_status(status);
    if failure.outcome_unknown() || failure.reason.row().retry {
        return failure;
    }
    tracing::error!(%failure, "the ledger refuses a call as a whole");
    Failure::new(Reason::Internal, "the ledger refuses a call as a whole")
}

type Told = (Option<pb::Holder>, Option<pb::Account>);

/// Persons and their accounts, of people as they are asked for.
async fn about(
    mut client: Client,
    people: Vec<i64>,
) -> Result<Vec<Result<Told, Failure>>, Failure> {
    let accounts = people.iter().map(|user_id| reference(*user_id, "")).collect();
    let asked = call(BatchGetAccountsRequest { accounts, with_holders: true });
    let answer = client.batch_get_accounts(asked).await;
    let answer = answer.map_err(|status| Failure::from_status(&status))?.into_inner();
    let holders: HashMap<i64, pb::Holder> =
        answer.holders.into_iter().map(|h| (h.user_id, h)).collect();
    let accounts: HashMap<i64, pb::Account> =
        answer.accounts.into_iter().map(|a| (a.user_id, a)).collect();
    let told = |id: &i64| Ok((holders.get(id).cloned(), accounts.get(id).cloned()));
    Ok(people.iter().map(told).collect())
}

/// A call with a deadline, so that the ledger does not work for nobody.
fn call<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(LEDGER_TIMEOUT);
    request
}

/// After a conflict of a key nothing is certain, so it is unknown; see `despite_conflict`.
fn answered(answer: Result<HoldResponse, Failure>) -> LedgerAnswer<HoldResponse> {
    match answer {
        Ok(response) => LedgerAnswer::Done(response),
        Err(failure) => {
            let surprise = failure.reason == Reason::IdempotencyConflict;
            if failure.outcome_unknown() || failure.reason.row().retry || surprise {
                LedgerAnswer::Unknown(failure)
            } else {
                LedgerAnswer::Refused(failure)
            }
        }
    }
}

fn done<T>(answer: LedgerAnswer<T>) -> LedgerAnswer<()> {
    match answer {
        LedgerAnswer::Done(_) => LedgerAnswer::Done(()),
        LedgerAnswer::Refused(failure) => LedgerAnswer::Refused(failure),
        LedgerAnswer::Unknown(failure) => LedgerAnswer::Unknown(failure),
    }
}

/// What was read; `None` when the refusal says that it is not there.
fn found<T>(answer: Result<Response<T>, Status>, missing: Reason) -> Result<Option<T>, Failure> {
    match answer {
        Ok(response) => Ok(Some(response.into_inner())),
        Err(status) => match Failure::from_status(&status) {
            failure if failure.reason == missing => Ok(None),
            failure => Err(failure),
        },
    }
}
