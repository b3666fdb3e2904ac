//! Statements, single entries, and the stream of entries.

use std::time::Duration;

use cashout_common::number::MAX_ID;
use cashout_proto::account::v1 as pb;
use cashout_proto::{Failure, Reason};
use tokio::sync::mpsc;
use tonic::Status;

use super::parse::Fields;
use super::{Entries, Server, answer, read_failure};
use crate::store::statement::{Filter, Sign};

/// Entries read at a time for a stream, and most that wait for a slow follower.
const PAGE: i64 = 500;
/// How soon a follower sees entries that another instance appended.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

impl Server {
    pub(super) async fn list_statement(
        &self,
        request: pb::ListStatementRequest,
    ) -> Result<pb::ListStatementResponse, Failure> {
        let mut f = Fields::default();
        let page = f.range("page", i64::from(request.page), 1, i64::from(i32::MAX));
        let size = f.range("page_size", i64::from(request.page_size), 1, 500);
        let filter = self.filter(f, request.filter.unwrap_or_default()).await?;
        let found = self.store.statement_page(&filter, (page - 1) * size, size).await;
        let found = found.map_err(read_failure)?;
        let (next_release_at_us, next_release_minor) =
            found.view.as_ref().map_or((0, 0), |view| view.next_release);
        Ok(pb::ListStatementResponse {
            entries: found.entries.iter().map(answer::entry).collect(),
            total: found.total,
            sum_available_minor: found.sum_available,
            account: found.view.as_ref().map(|view| answer::account(&view.account)),
            next_release_at_us,
            next_release_minor,
        })
    }

    pub(super) async fn scan_statement(
        &self,
        request: pb::ScanStatementRequest,
    ) -> Result<pb::ScanStatementResponse, Failure> {
        let mut f = Fields::default();
        let limit = if request.limit == 0 { 100 } else { i64::from(request.limit) };
        let limit = f.range("limit", limit, 1, 1000);
        let after = f.range("after_id", request.after_id, 0, MAX_ID);
        let filter = self.filter(f, request.filter.unwrap_or_default()).await?;
        let found = self.store.statement_scan(&filter, after, request.oldest_first, limit).await;
        let found = found.map_err(read_failure)?;
        let full = i64::try_from(found.len()).is_ok_and(|n| n == limit);
        let next_after_id = found.last().filter(|_| full).map_or(0, |e| e.id);
        let entries = found.iter().map(answer::entry).collect();
        Ok(pb::ScanStatementResponse { entries, next_after_id })
    }

    pub(super) async fn get_entry(
        &self,
        request: pb::GetEntryRequest,
    ) -> Result<pb::Entry, Failure> {
        let mut f = Fields::default();
        let id = f.range("id", request.id, 1, MAX_ID);
        let user = f.range("user_id", request.user_id, 0, MAX_ID);
        f.finish(())?;
        let found = self.store.entry(id).await.map_err(read_failure)?;
        let own = found.filter(|e| user == 0 || e.user_id == user);
        let missing = || Failure::new(Reason::EntryNotFound, "there is no such entry");
        own.as_ref().map(answer::entry).ok_or_else(missing)
    }

    /// Reads in a task of its own and hands over a bounded number of entries ahead of the follower.
    pub(super) async fn stream(
        &self,
        request: pb::StreamEntriesRequest,
    ) -> Result<Entries, Failure> {
        let mut f = Fields::default();
        let after = f.range("after_id", request.after_id, 0, MAX_ID);
        let which = request.account.as_ref().map(|account| f.account("account", Some(account)));
        f.finish(())?;
        let only = match which {
            Some(which) => Some(self.account(&which).await?.id),
            None => None,
        };
        let (sender, receiver) = mpsc::channel(64);
        let filter = Filter { account_id: only, ..Filter::default() };
        let stop = self.stop.clone();
        let follow = self.clone().follow(filter, after, request.catch_up_only, sender);
        tokio::spawn(async move {
            tokio::select! {
                () = follow => {}
                // Also when the follower does not read.
                () = stop.cancelled() => {}
            }
        });
        Ok(Entries::new(receiver))
    }

    async fn follow(
        self,
        filter: Filter,
        mut after: i64,
        catch_up_only: bool,
        sender: mpsc::Sender<Result<pb::Entry, Status>>,
    ) {
        let mut newest = self.poster.newest();
        // Whatever is appended after this mark is seen as a change below, so nothing falls between.
        loop {
            newest.borrow_and_update();
            let page = match filter.account_id {
                Some(_) => self.store.statement_scan(&filter, after, true, PAGE).await,
                None => self.store.entries_after(after, PAGE).await,
            };
            let page = match page {
                Ok(page) => page,
                Err(error) => {
                    let _ = sender.send(Err(Status::from(read_failure(error)))).await;
                    return;
                }
            };
            let full = i64::try_from(page.len()).is_ok_and(|n| n == PAGE);
            for entry in &page {
                if sender.send(Ok(answer::entry(entry))).await.is_err() {
                    return;
                }
                after = entry.id;
            }
            if full {
                continue;
            }
            if catch_up_only {
                return;
            }
            tokio::select! {
                changed = newest.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(LOOK_AGAIN), if self.store.shared() => {}
                () = sender.closed() => return,
            }
        }
    }

    /// Parses a filter; an account that does not exist has an empty statement.
    async fn filter(&self, mut f: Fields, wanted: pb::StatementFilter) -> Result<Filter, Failure> {
        let which = wanted.account.as_ref().map(|a| f.account("filter.account", Some(a)));
        let kinds = wanted.kinds.iter().map(|kind| f.kind("filter.kinds", *kind)).collect();
        let sign = sign(&mut f, "filter.direction", wanted.direction);
        let sign = sign.or(wanted.moves_available.then_some(Sign::Moves));
        let mut any_of = Vec::new();
        for (i, one) in wanted.any_of.iter().enumerate() {
            let field = |name| format!("filter.any_of[{i}].{name}");
            let kind = f.kind(field("kind"), one.kind);
            match self::sign(&mut f, &field("direction"), one.direction) {
                Some(sign) => any_of.push((kind, sign)),
                None => f.broken(field("direction"), "must be given"),
            }
        }
        let from_us = f.time("filter.from_us", wanted.from_us);
        let until_us = f.time("filter.until_us", wanted.until_us);
        f.finish(())?;
        let account_id = match which {
            // 0 is nobody's id.
            Some(which) => {
                let found = self.store.account(&which).await.map_err(read_failure)?;
                Some(found.map_or(0, |account| account.id))
            }
            None => None,
        };
        let set = |us: i64| (us != 0).then_some(us);
        let (from_us, until_us) = (set(from_us), set(until_us));
        Ok(Filter { account_id, kinds, any_of, sign, from_us, until_us })
    }
}

fn sign(f: &mut Fields, field: &str, direction: i32) -> Option<Sign> {
    match pb::Direction::try_from(direction) {
        Ok(pb::Direction::Income) => Some(Sign::Up),
        Ok(pb::Direction::Expend) => Some(Sign::Down),
        Ok(pb::Direction::Still) => Some(Sign::Still),
        Ok(pb::Direction::Unspecified) => None,
        Err(_) => {
            f.broken(field, "must be INCOME, EXPEND or STILL");
            None
        }
    }
}
