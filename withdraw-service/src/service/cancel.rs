//! Taking a request back while it is in review.

use std::sync::Arc;

use cashout_common::text;
use cashout_proto::Failure;

use super::Core;
use super::effects::Going;
use super::transition::{Step, advance};
use crate::domain::status::Event;
use crate::domain::withdrawal::Withdrawal;
use crate::store::book::{Book, Needs};
use crate::store::withdrawals::not_found;

impl Core {
    /// Cancels a withdrawal of `user_id` and waits a moment for the money to be back.
    ///
    /// # Errors
    /// `WITHDRAWAL_NOT_FOUND`, also for somebody else's; `ILLEGAL_TRANSITION`.
    pub async fn cancel(
        self: &Arc<Self>,
        id: i64,
        user_id: i64,
        remark: String,
    ) -> Result<Withdrawal, Failure> {
        text::free(&remark, 255).map_err(|rule| Failure::field("remark", rule))?;
        let core = self.clone();
        let job = move |book: &mut Book| {
            let mut w = book.get(id)?;
            if w.user_id != user_id || !w.status.visible() {
                return Err(not_found());
            }
            let shown = if remark.is_empty() { "用户取消" } else { &remark };
            w.review_remark = shown.to_owned();
            core.lease(&mut w);
            let actor = format!("user:{user_id}");
            let step = Step::person(Event::Cancel, &actor, &remark, core.now_us());
            advance(book, &mut w, step)?;
            Ok(w)
        };
        let cancelled = self.store.decide(Needs::id(id), job).await?;
        self.finish(vec![Going::inline(cancelled)]).await;
        self.current(id).await
    }
}
