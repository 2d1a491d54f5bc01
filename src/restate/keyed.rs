use restate_sdk::prelude::*;
use serde::{Deserialize, Serialize};

use super::{run::RunClient, wire::Order};
use windlass_journal::RunId;
use windlass_world::value::Digest;

/// Starts with an idempotency key: one object for each key, so that one run is started, on whichever server and how often the key
/// arrives.
pub(super) struct Keyed;

const RUN: &str = "run";

/// The start that belongs to a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyedStart {
    pub run: RunId,
    /// The digest of the request.
    pub request: Digest,
}

/// A start, and the order that begins its run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyedOrder {
    pub start: KeyedStart,
    pub order: Order,
}

#[restate_sdk::object(name = "WindlassStart", client_visibility = "pub(super)")]
impl Keyed {
    /// Assigns the run to the key and lets it be driven, in one invocation; does nothing if the key has a run. Returns the start that
    /// belongs to the key.
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

    /// Returns the start that belongs to the key.
    #[handler]
    async fn known(
        &self,
        ctx: SharedObjectContext<'_>,
    ) -> Result<Json<Option<KeyedStart>>, HandlerError> {
        let known = ctx.get::<Json<KeyedStart>>(RUN).await?;
        Ok(Json(known.map(Json::into_inner)))
    }
}
