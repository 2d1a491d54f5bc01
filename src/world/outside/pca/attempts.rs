//! What the SDK's own attempts of one call prove together.
//!
//! The SDK sends a request again by itself: after a 503 that came when the CA was made, the next attempt may well be
//! refused, and that refusal proves nothing about the first one.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use aws_sdk_acmpca::{
    config::{
        ConfigBag, Intercept, RuntimeComponents, interceptors::FinalizerInterceptorContextRef,
    },
    error::{BoxError, DisplayErrorContext},
};

use super::failure::proof_of_loss;
use crate::value::Proof;

tokio::task_local! {
    static IS_IN_DOUBT: Arc<AtomicBool>;
}

/// Watches each attempt of a call that runs within [`watched`].
#[derive(Debug)]
pub(super) struct Attempts;

impl Intercept for Attempts {
    fn name(&self) -> &'static str {
        "Attempts"
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let proof = match (context.response(), context.output_or_error()) {
            // A 4xx is an error of the request; the last one is looked up by its code.
            (Some(response), _) => match response.status().as_u16() {
                ..500 => Proof::NotDone,
                _ => Proof::Unknown,
            },
            (None, Some(Err(error))) => proof_of_loss(&DisplayErrorContext(error).to_string()),
            (None, _) => Proof::Unknown,
        };
        if proof == Proof::Unknown {
            // Outside of a watched call it is not recorded.
            let _ = IS_IN_DOUBT.try_with(|doubt| doubt.store(true, Ordering::Relaxed));
        }
        Ok(())
    }
}

/// Runs a call, and says whether one of its attempts may have done it though its answer does not say so.
pub(super) async fn watched<T>(call: impl Future<Output = T>) -> (T, bool) {
    let doubt = Arc::new(AtomicBool::new(false));
    let given = IS_IN_DOUBT.scope(doubt.clone(), call).await;
    (given, doubt.load(Ordering::Relaxed))
}
