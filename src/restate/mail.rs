use restate_sdk::prelude::*;

use super::wire::{Letter, Letters, Listening};
use windlass_ground::Timestamp;
use windlass_journal::Message;

/// Messages to a run, kept until its driver has read them.
///
/// The driver leaves a promise here, which is resolved when there is a message.
pub(super) struct Mail {
    pub clock: fn() -> Timestamp,
}

const LETTERS: &str = "letters";
const NEXT: &str = "next";
const PROMISE: &str = "promise";
const WOKEN: &str = "woken";

#[restate_sdk::object(
    name = "WindlassMail",
    client_visibility = "pub(super)",
    lazy_state = true
)]
impl Mail {
    /// Stores a message to the run, with the time when it was sent.
    #[handler]
    async fn post(
        &self,
        ctx: ObjectContext<'_>,
        sent: Json<(Timestamp, Message)>,
    ) -> Result<(), HandlerError> {
        let Json((at, message)) = sent;
        let number = ctx.get::<u64>(NEXT).await?.unwrap_or(1);
        let mut letters = letters(&ctx).await?;
        letters.push(Letter {
            number,
            at,
            message,
        });
        ctx.set(NEXT, number + 1);
        if let Some(promise) = ctx.get::<String>(PROMISE).await? {
            keep(&ctx, &promise, letters.clone(), None);
        }
        ctx.set(LETTERS, Json(letters));
        Ok(())
    }

    /// Returns the number of the last message; a new driver ignores requests to stop from before that.
    #[handler]
    async fn last(&self, ctx: SharedObjectContext<'_>) -> Result<u64, HandlerError> {
        Ok(ctx.get::<u64>(NEXT).await?.map_or(0, |next| next - 1))
    }

    /// Deletes the messages of a run that is deleted.
    #[handler]
    async fn forget(&self, ctx: ObjectContext<'_>) -> Result<(), HandlerError> {
        ctx.clear_all();
        Ok(())
    }

    /// Notifies the driver that a lock which it waits for may be free.
    #[handler]
    async fn wake(&self, ctx: ObjectContext<'_>) -> Result<(), HandlerError> {
        // The promise may belong to a driver that is gone, so this is stored as well.
        ctx.set(WOKEN, true);
        if let Some(promise) = ctx.get::<String>(PROMISE).await? {
            let at = self.now(&ctx).await?;
            keep(&ctx, &promise, Vec::new(), Some(at));
        }
        Ok(())
    }

    #[handler]
    async fn listen(
        &self,
        ctx: ObjectContext<'_>,
        listening: Json<Listening>,
    ) -> Result<(), HandlerError> {
        let Json(Listening { promise, after }) = listening;
        let mut letters = letters(&ctx).await?;
        letters.retain(|letter| letter.number > after);
        let was_woken = ctx.get::<bool>(WOKEN).await?.unwrap_or(false);
        ctx.clear(WOKEN);
        match (letters.is_empty(), was_woken) {
            (true, false) => ctx.set(PROMISE, promise),
            (_, true) => {
                let at = self.now(&ctx).await?;
                keep(&ctx, &promise, letters.clone(), Some(at));
            }
            (false, false) => keep(&ctx, &promise, letters.clone(), None),
        }
        ctx.set(LETTERS, Json(letters));
        Ok(())
    }
}

async fn letters(ctx: &ObjectContext<'_>) -> Result<Vec<Letter>, HandlerError> {
    let letters = ctx.get::<Json<Vec<Letter>>>(LETTERS).await?;
    Ok(letters.map(Json::into_inner).unwrap_or_default())
}

fn keep(ctx: &ObjectContext<'_>, promise: &str, letters: Vec<Letter>, woken_at: Option<Timestamp>) {
    ctx.resolve_awakeable(promise, Json(Letters { letters, woken_at }));
    ctx.clear(PROMISE);
}

impl Mail {
    /// Returns the current time, the same one in every life of the handler.
    async fn now(&self, ctx: &ObjectContext<'_>) -> Result<Timestamp, HandlerError> {
        let clock = self.clock;
        let read = move || async move { Ok(Json(clock())) };
        Ok(ctx.run(read).name("clock").await?.into_inner())
    }
}
