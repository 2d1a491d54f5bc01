use restate_sdk::prelude::*;
use serde::{Deserialize, Serialize};

use windlass_ground::Timestamp;
use windlass_journal::RunId;
use windlass_world::value::Digest;

/// The remains of deleted runs.
pub(super) struct PrunedRuns;

/// A run that was deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrunedRun {
    pub run: RunId,
    pub at: Timestamp,
    /// The person who deleted it.
    pub by: String,
    /// The number of its events, and the digest of the last one.
    pub events: u64,
    pub head: Digest,
    /// The inventory's data of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<String>,
}

#[restate_sdk::object(name = "WindlassPruned", client_visibility = "pub(super)")]
impl PrunedRuns {
    #[handler]
    async fn put(
        &self,
        ctx: ObjectContext<'_>,
        pruned: Json<PrunedRun>,
    ) -> Result<(), HandlerError> {
        ctx.set(pruned.0.run.clone().as_str(), pruned);
        Ok(())
    }

    /// Lists them, oldest run first: for servers and commands of earlier versions.
    #[handler]
    async fn list(
        &self,
        ctx: SharedObjectContext<'_>,
    ) -> Result<Json<Vec<PrunedRun>>, HandlerError> {
        let mut keys = ctx.get_keys().await?;
        keys.sort_unstable();
        let mut all = Vec::with_capacity(keys.len());
        for key in &keys {
            all.extend(ctx.get::<Json<PrunedRun>>(key).await?.map(Json::into_inner));
        }
        Ok(Json(all))
    }
}
