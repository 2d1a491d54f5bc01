use restate_sdk::prelude::*;
use serde::{Deserialize, Serialize};

use super::{run::RunClient, wire::Order};
use windlass_engine::journal::RunId;
use windlass_world::value::Digest;

/// Starts that have an idempotency key: one object each, so that whichever server receives a key, and however often, one run is
/// started.
pub(super) struct Keyed;

const RUN: &str = "run";

/// A start that a key is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyedStart {
    pub run: RunId,
    /// Of what was asked for.
    pub request: Digest,
}

/// A start, and what its run begins with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyedOrder {
    pub start: KeyedStart,
    pub order: Order,
}

#[restate_sdk::object(name = "WindlassStart", client_visibility = "pub(super)")]
impl Keyed {
    /// Gives the key its run and has that driven, in one invocation; does nothing where the key has a run. Returns the start that
    /// the key belongs to.
    #[handler]
    async fn begin(
        &self,
        ctx: ObjectContext<'_>,
        keyed: Json<KeyedOrder>,
    ) -> Result<Json<KeyedStart>, HandlerError> {
        if let Some(known) = ctx.get::<Json<KeyedStart>>(RUN).await? {
            return Ok(known);
        }
        let Json(KeyedOrder { start, order }) = keyed;
        ctx.set(RUN, Json(start.clone()));
        ctx.object_client::<RunClient>(start.run.to_string())
            .drive(Json(order))
            .send();
        Ok(Json(start))
    }

    /// Returns the start that the key belongs to.
    #[handler]
    async fn known(
        &self,
        ctx: SharedObjectContext<'_>,
    ) -> Result<Json<Option<KeyedStart>>, HandlerError> {
        let known = ctx.get::<Json<KeyedStart>>(RUN).await?;
        Ok(Json(known.map(Json::into_inner)))
    }
}
