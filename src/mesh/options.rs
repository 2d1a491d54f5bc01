use std::{collections::BTreeMap, fmt, str::FromStr, time::Duration};

use super::version::Version;
use windlass_cluster::{Cluster, Moment, StateError};
use windlass_ground::{closest, did_you_mean, milliseconds};

/// The versions and flags of a mesh, and its delays.
///
/// Versions and flags become the images and environment variables of the seeded workloads, from which players read them, so
/// a later `kubectl set image` or `set env` works as on a real mesh. Delays that take hours on a real mesh take seconds
/// here.
/// `kubectl set image` or `set env` works as on a real mesh. Delays that take hours on a real mesh take seconds here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeshOptions {
    pub istio: Version,
    pub ztunnel: Version,
    pub gloo: Version,
    /// The revision under which istiod is installed, such as `1-24` for a Deployment `istiod-1-24` and namespaces with the
    /// label `istio.io/rev: 1-24`; without one, `istiod` and `istio-injection: enabled`.
    pub revision: Option<String>,
    /// `ISTIO_MULTIROOT_MESH` of istiod.
    pub multi_root: bool,
    /// `PROXY_CONFIG_XDS_AGENT` of sidecars and gateways.
    pub xds_agent: bool,
    /// How long a changed Secret or ConfigMap takes to reach mounted files; 60 to 90 s on a real cluster.
    pub mount: Duration,
    /// How long after its issue a certificate is renewed by its proxy; half of 24 h on a real mesh.
    pub renew: Duration,
    /// How long after a proxy's stream was opened istiod closes it; 30 min on a real mesh.
    pub stream: Duration,
    /// How long Gloo Mesh needs from a changed policy to an issued certificate.
    pub issue: Duration,
}

impl Default for MeshOptions {
    fn default() -> Self {
        Self {
            istio: Version::newest(1, 30),
            ztunnel: Version::newest(1, 30),
            gloo: Version::newest(2, 6),
            revision: None,
            multi_root: false,
            xds_agent: false,
            mount: Duration::from_millis(100),
            renew: Duration::from_secs(2),
            stream: Duration::from_secs(2),
            issue: Duration::from_millis(100),
        }
    }
}

/// The key under which a cluster stores its mesh's options.
const KEPT: &str = "options";

impl MeshOptions {
    /// Reads the options with which the cluster was created, or which were set later.
    pub(super) fn of(cluster: &Cluster) -> Result<Self, StateError> {
        let text = cluster.kept(KEPT)?.unwrap_or_default();
        text.parse().map_err(StateError::new)
    }

    /// Returns the value of the label `istio.io/rev`.
    pub(super) fn revision(&self) -> &str {
        self.revision.as_deref().unwrap_or("default")
    }

    /// Returns the suffix of the names of istiod's objects.
    pub(super) fn of_revision(&self) -> String {
        let revision = self.revision.as_ref();
        revision.map_or_else(String::new, |revision| format!("-{revision}"))
    }

    /// Returns the label of namespaces whose pods get a sidecar.
    pub(super) fn injects(&self) -> String {
        match &self.revision {
            None => "istio-injection: enabled".into(),
            Some(revision) => format!("istio.io/rev: \"{revision}\""),
        }
    }

    pub(super) fn keep(&self, cluster: &Cluster) -> Result<(), StateError> {
        cluster.keep(KEPT, &self.to_string())
    }
}

/// Returns a delay in milliseconds, at least one.
pub(super) fn millis(delay: Duration) -> Moment {
    milliseconds(delay).max(1)
}

/// The keys that `--mesh` and `mesh = { … }` of a target accept.
pub(super) const KEYS: [&str; 10] = [
    "istio",
    "ztunnel",
    "gloo",
    "revision",
    "multi-root",
    "xds-agent",
    "mount",
    "renew",
    "stream",
    "issue",
];

impl MeshOptions {
    /// Reads keys with their values, in any order. A missing key has the value in [`default`](Self::default).
    ///
    /// # Errors
    /// The mistake, and the key that was probably meant, if there is one.
    pub(super) fn of_pairs<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, String> {
        let mut options = Self::default();
        let mut seen = BTreeMap::new();
        for (key, value) in pairs {
            if seen.insert(key, value).is_some() {
                return Err(format!("`{key}` is specified twice"));
            }
            options.set(key, value)?;
        }
        // ztunnel usually has the same version as istiod, so it follows it unless it is specified.
        if seen.contains_key("istio") && !seen.contains_key("ztunnel") {
            options.ztunnel = options.istio;
        }
        Ok(options)
    }

    /// Sets one key.
    pub(super) fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "istio" => self.istio = value.parse()?,
            "ztunnel" => self.ztunnel = value.parse()?,
            "gloo" => self.gloo = value.parse()?,
            "revision" => self.revision = Some(revision(key, value)?),
            "multi-root" => self.multi_root = switch(key, value)?,
            "xds-agent" => self.xds_agent = switch(key, value)?,
            "mount" => self.mount = delay(key, value)?,
            "renew" => self.renew = delay(key, value)?,
            "stream" => self.stream = delay(key, value)?,
            "issue" => self.issue = delay(key, value)?,
            other => return Err(no_key(other)),
        }
        Ok(())
    }
}

/// Returns the error for an unknown key, with the key that was probably meant.
pub(super) fn no_key(key: &str) -> String {
    match closest(key, KEYS.into_iter()) {
        Some(near) => format!("unknown key `{key}`; {}", did_you_mean(near)),
        None => format!("unknown key `{key}`; the keys are {}", KEYS.join(", ")),
    }
}

impl FromStr for MeshOptions {
    type Err = String;

    /// Reads `istio=1.29,multi-root=on,renew=5s`. A missing key has the value in [`default`](Self::default).
    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split(',').map(str::trim);
        let parts = parts.filter(|part| !part.is_empty());
        let pairs: Result<Vec<_>, _> = parts
            .map(|part| {
                part.split_once('=').ok_or_else(|| {
                    let keys = KEYS.join(", ");
                    format!("expected KEY=VALUE, found `{part}`; the keys are {keys}")
                })
            })
            .collect();
        Self::of_pairs(pairs?)
    }
}

/// Reads a revision, which becomes a part of names and the value of a label.
fn revision(key: &str, value: &str) -> Result<String, String> {
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_name = value.chars().all(is_inner) && !value.starts_with('-') && !value.ends_with('-');
    if is_name && (1..=40).contains(&value.len()) {
        Ok(value.to_owned())
    } else {
        Err(format!(
            "`{key}` is a revision of Istio such as 1-24, not `{value}`"
        ))
    }
}

fn switch(key: &str, value: &str) -> Result<bool, String> {
    match value {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(format!("`{key}` is on or off, not `{value}`")),
    }
}

fn delay(key: &str, value: &str) -> Result<Duration, String> {
    match humantime::parse_duration(value) {
        Ok(delay) if delay < Duration::from_millis(1) => Err(format!(
            "`{key}` can't be zero: nothing in a mesh happens at once"
        )),
        Ok(delay) => Ok(delay),
        Err(_) => Err(format!(
            "`{key}` is a duration such as 500ms, not `{value}`"
        )),
    }
}

impl fmt::Display for MeshOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let switch = |on: bool| if on { "on" } else { "off" };
        let time = humantime::format_duration;
        // A duration of several parts is also read without its spaces.
        let delays = [
            ("mount", self.mount),
            ("renew", self.renew),
            ("stream", self.stream),
            ("issue", self.issue),
        ];
        write!(
            f,
            "istio={},ztunnel={},gloo={},multi-root={},xds-agent={}",
            self.istio,
            self.ztunnel,
            self.gloo,
            switch(self.multi_root),
            switch(self.xds_agent)
        )?;
        if let Some(revision) = &self.revision {
            write!(f, ",revision={revision}")?;
        }
        for (key, delay) in delays {
            write!(f, ",{key}={}", time(delay).to_string().replace(' ', ""))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_options_can_be_read_again() {
        let options: MeshOptions =
            "istio=1.24.4,ztunnel=1.24.5,gloo=2.3,revision=1-24,multi-root=on,xds-agent=on,mount=1m30s,renew=7ms"
                .parse()
                .unwrap();
        assert_eq!(options.to_string().parse::<MeshOptions>().unwrap(), options);
        assert_eq!("".parse::<MeshOptions>().unwrap(), MeshOptions::default());
        let istio: MeshOptions = "istio=1.25".parse().unwrap();
        assert_eq!(istio.ztunnel.to_string(), "1.25");
    }

    #[test]
    fn mistakes_are_named() {
        for (text, part) in [
            ("istio", "expected KEY=VALUE"),
            ("istio=new", "`new` is not a version"),
            ("istoi=1.29", "unknown key `istoi`; did you mean `istio`?"),
            ("multiroot=on", "did you mean `multi-root`?"),
            (
                "gateway=1.29",
                "unknown key `gateway`; the keys are istio, ztunnel,",
            ),
            ("multi-root=yes", "`multi-root` is on or off"),
            ("mount=0s", "can't be zero"),
            (
                "revision=1.24",
                "`revision` is a revision of Istio such as 1-24",
            ),
            ("renew=soon", "a duration such as"),
            ("gloo=2.5,gloo=2.6", "`gloo` is specified twice"),
        ] {
            let error = text.parse::<MeshOptions>().unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
