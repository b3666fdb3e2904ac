//! Taking a request back while it is in review.

use std::sync::Arc;

use cashout_common::text;
use cashout_proto::Failure;
use futures::FutureExt;

use super::Core;
use super::transition::{Step, advance};
use crate::domain::status::Event;
use crate::domain::withdrawal::Withdrawal;
use crate::store::withdrawals;

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
        let cancelled = self
            .store
            .write(move |conn| {
                async move {
                    let mut w = withdrawals::get(conn, id).await?;
                    if w.user_id != user_id || !w.status.visible() {
                        return Err(withdrawals::not_found().into());
                    }
                    let shown = if remark.is_empty() { "用户取消" } else { &remark };
                    w.review_remark = shown.to_owned();
                    core.lease(&mut w);
                    let actor = format!("user:{user_id}");
                    let step = Step::person(Event::Cancel, &actor, &remark, core.now_us());
                    advance(conn, &mut w, step).await?;
                    Ok(w)
                }
                .boxed()
            })
            .await?;
        self.finish(vec![cancelled]).await;
        self.current(id).await
    }
}
