use std::collections::BTreeSet;

use restate_sdk::prelude::*;

use super::{mail::MailClient, wire::Holder};
use windlass_journal::Claim;

/// One lock: its holder, and the runs to notify when it is released.
pub(super) struct Lock;

const HOLDER: &str = "holder";
const WAITING: &str = "waiting";

#[restate_sdk::object(
    name = "WindlassLock",
    client_visibility = "pub(super)",
    lazy_state = true
)]
impl Lock {
    /// Gives the lock to the caller, if it is free or already theirs.
    #[handler]
    async fn claim(
        &self,
        ctx: ObjectContext<'_>,
        asker: Json<Holder>,
    ) -> Result<Json<Claim>, HandlerError> {
        let Json(asker) = asker;
        let holder = ctx.get::<Json<Holder>>(HOLDER).await?.map(Json::into_inner);
        Ok(Json(match holder {
            None => {
                ctx.set(HOLDER, Json(asker));
                Claim::Taken
            }
            Some(holder) if holder == asker => Claim::Taken,
            Some(holder) => {
                let mut waiting = waiting(&ctx).await?;
                waiting.insert(asker.run.to_string());
                ctx.set(WAITING, Json(waiting));
                Claim::Held {
                    run: holder.run,
                    step: holder.step.map(|step| step.to_string()),
                }
            }
        }))
    }

    /// Releases the lock; if the caller is not its holder, this does nothing.
    #[handler]
    async fn release(
        &self,
        ctx: ObjectContext<'_>,
        holder: Json<Holder>,
    ) -> Result<(), HandlerError> {
        let held = ctx.get::<Json<Holder>>(HOLDER).await?.map(Json::into_inner);
        if held.as_ref() != Some(&holder.0) {
            return Ok(());
        }
        ctx.clear(HOLDER);
        for run in waiting(&ctx).await? {
            ctx.object_client::<MailClient>(run).wake().send();
        }
        ctx.clear(WAITING);
        Ok(())
    }
}

async fn waiting(ctx: &ObjectContext<'_>) -> Result<BTreeSet<String>, HandlerError> {
    let waiting = ctx.get::<Json<BTreeSet<String>>>(WAITING).await?;
    Ok(waiting.map(Json::into_inner).unwrap_or_default())
}
