use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use super::About;
use windlass_ground::lock;

/// The restarts of one attempt of a step: the time of the last restart of each workload.
///
/// It is derived from recorded results alone, so it is the same in a replay.
#[derive(Clone, Debug, Default)]
pub struct Restarts(Arc<Mutex<BTreeMap<(String, String), String>>>);

impl Restarts {
    pub(super) fn add(&self, about: &About, at: &str) {
        let mut all = lock(&self.0);
        all.insert(key(about), at.to_owned());
    }

    pub(super) fn last(&self, about: &About) -> Option<String> {
        let all = lock(&self.0);
        all.get(&key(about)).cloned()
    }
}

fn key(about: &About) -> (String, String) {
    (about.cluster.clone(), about.object.to_string())
}
