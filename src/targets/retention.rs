use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Deserializer, de::Error as _};

use windlass_world::value::parse_duration;

/// `[retention]` of `windlass.toml`: which runs `windlass serve` deletes, once a day.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table such as { keep = \"90d\", keep_last = 10 }"
)]
pub struct RetentionConfig {
    /// How long a run is kept after its end.
    #[serde(deserialize_with = "duration")]
    pub keep: Duration,
    /// How many runs of each workflow on each target are kept however old they are.
    #[serde(default)]
    pub keep_last: usize,
    /// Whether runs that failed or were cancelled are deleted as well; they can't be resumed afterwards.
    #[serde(default)]
    pub failed: bool,
    /// Where the evidence bundle of each run is written before the run is deleted.
    pub bundles: Option<PathBuf>,
}

impl RetentionConfig {
    /// Makes a relative path one from the configuration's folder.
    pub fn within(&mut self, folder: &Path) {
        if let Some(bundles) = &mut self.bundles {
            *bundles = folder.join(&*bundles);
        }
    }
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_duration(&text).map_err(D::Error::custom)
}
