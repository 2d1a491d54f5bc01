use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::About;

/// The restarts of one attempt of a step: the time of the last restart of each workload.
///
/// It is derived from recorded results alone, so it is the same in a replay.
#[derive(Clone, Debug, Default)]
pub struct Restarts(Arc<Mutex<BTreeMap<(String, String), String>>>);

impl Restarts {
    pub(super) fn add(&self, about: &About, at: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(key(about), at.to_owned());
    }

    pub(super) fn last(&self, about: &About) -> Option<String> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&key(about)).cloned()
    }
}

fn key(about: &About) -> (String, String) {
    (about.cluster.clone(), about.object.to_string())
}
