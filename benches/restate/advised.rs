//! The work of `benches/beside-engines` on Restate alone, as the documentation of its SDK advises: an action for each step, a call of
//! another handler for each item, and a key for each request that is the same in a retry.

use restate_sdk::{context::DurableFuturesUnordered, prelude::*};
use serde::{Deserialize, Serialize};

use crate::direct::serve_on;

struct Bench {
    client: reqwest::Client,
}

/// Requests to make one after another.
#[derive(Serialize, Deserialize)]
struct Requests {
    url: String,
    count: u64,
}

#[restate_sdk::service(name = "Bench")]
impl Bench {
    #[handler]
    async fn chain(&self, ctx: Context<'_>, steps: u64) -> Result<(), HandlerError> {
        for step in 0..steps {
            ctx.run(|| async move { Ok(step) }).name("nothing").await?;
        }
        Ok(())
    }

    #[handler]
    async fn nothing(&self, _: Context<'_>, item: u64) -> Result<u64, HandlerError> {
        Ok(item)
    }

    #[handler]
    async fn fan_out(&self, ctx: Context<'_>, items: u64) -> Result<(), HandlerError> {
        let client = ctx.service_client::<BenchClient>();
        let mut running = DurableFuturesUnordered::new();
        for item in 0..items {
            running.push(client.nothing(item).call());
        }
        while let Some((_, done)) = running.next().await? {
            done?;
        }
        Ok(())
    }

    #[handler]
    async fn effects(
        &self,
        ctx: Context<'_>,
        requests: Json<Requests>,
    ) -> Result<(), HandlerError> {
        let Json(Requests { url, count }) = requests;
        for i in 0..count {
            let request = self.client.post(format!("{url}/{i}"));
            let key = format!("{}-{i}", ctx.invocation_id());
            let request = request.header("idempotency-key", key);
            ctx.run(|| async move { Ok(request.send().await?.status().as_u16()) })
                .name("effect")
                .await?;
        }
        Ok(())
    }
}

/// Serves the work at an address, and prints it.
pub fn serve(address: &str) {
    let client = reqwest::Client::new();
    serve_on(address, Endpoint::builder().bind(Bench { client }).build());
}
