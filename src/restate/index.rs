use restate_sdk::prelude::*;

use windlass_journal::RunRow;

/// The rows of a list of runs, which are derived from the runs' events.
pub(super) struct Index;

/// The key of the only index.
pub(super) const ALL: &str = "all";

#[restate_sdk::object(name = "WindlassRuns", client_visibility = "pub(super)")]
impl Index {
    #[handler]
    async fn put(&self, ctx: ObjectContext<'_>, row: Json<RunRow>) -> Result<(), HandlerError> {
        ctx.set(row.0.id.clone().as_str(), row);
        Ok(())
    }

    /// Deletes the row of a run that is deleted.
    #[handler]
    async fn remove(&self, ctx: ObjectContext<'_>, run: String) -> Result<(), HandlerError> {
        ctx.clear(&run);
        Ok(())
    }

    /// Lists the runs, newest first: for servers and commands of earlier versions. Later ones have Restate read the rows itself
    /// ([`Remote::runs`](super::Remote::runs)).
    #[handler]
    async fn list(&self, ctx: SharedObjectContext<'_>) -> Result<Json<Vec<RunRow>>, HandlerError> {
        let mut keys = ctx.get_keys().await?;
        keys.sort_unstable_by(|a, b| b.cmp(a));
        let mut rows = Vec::with_capacity(keys.len());
        for key in &keys {
            rows.extend(ctx.get::<Json<RunRow>>(key).await?.map(Json::into_inner));
        }
        Ok(Json(rows))
    }
}
