use std::{fmt, str::FromStr};

/// The version of a component: `1.29.2`, or `1.29` for the newest patch of that minor version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    major: u16,
    minor: u16,
    /// [`u16::MAX`] for the newest patch.
    patch: u16,
}

/// The first version with a change, for each minor version that got it, oldest first.
pub(crate) type Since = &'static [(u16, u16, u16)];

impl Version {
    /// Returns the newest patch of a minor version.
    pub const fn newest(major: u16, minor: u16) -> Self {
        Self {
            major,
            minor,
            patch: u16::MAX,
        }
    }

    /// Reads the tag of an image: `docker.io/istio/pilot:1.29.2-distroless`.
    pub fn of_image(image: &str) -> Option<Self> {
        let (_, tag) = image.rsplit_once(':')?;
        tag.split('-').next()?.parse().ok()
    }

    /// Returns whether this version has a change: a minor version has it from the listed patch on, and so do all later minor
    /// versions.
    pub(crate) fn has(self, since: Since) -> bool {
        let line = since
            .iter()
            .find(|(major, minor, _)| (*major, *minor) == (self.major, self.minor));
        match (line, since.last()) {
            (Some((.., patch)), _) => self.patch >= *patch,
            (None, Some((major, minor, _))) => (self.major, self.minor) > (*major, *minor),
            (None, None) => false,
        }
    }

    /// Returns whether it is exactly this version.
    pub(crate) fn is(self, major: u16, minor: u16, patch: u16) -> bool {
        (self.major, self.minor, self.patch) == (major, minor, patch)
    }
}

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a version such as 1.29 or 1.29.2");
        let numbers: Result<Vec<u16>, _> = text.split('.').map(str::parse).collect();
        match numbers.map_err(|_| wrong())?[..] {
            [major, minor] => Ok(Self::newest(major, minor)),
            [major, minor, patch] => Ok(Self {
                major,
                minor,
                patch,
            }),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)?;
        match self.patch {
            u16::MAX => Ok(()),
            patch => write!(f, ".{patch}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backport_applies_to_its_minor_version_and_to_all_later_ones() {
        const CUT: Since = &[(1, 28, 7), (1, 29, 3), (1, 30, 0)];
        for (version, has) in [
            ("1.27", false),
            ("1.28.6", false),
            ("1.28.7", true),
            ("1.28", true),
            ("1.29.2", false),
            ("1.29.3", true),
            ("1.30.0", true),
            ("1.31", true),
            ("2.0", true),
        ] {
            assert_eq!(
                version.parse::<Version>().unwrap().has(CUT),
                has,
                "{version}"
            );
        }
    }

    #[test]
    fn the_tag_of_an_image_has_its_version() {
        let of = |image| Version::of_image(image).map(|version| version.to_string());
        assert_eq!(
            of("docker.io/istio/pilot:1.29.2-distroless").as_deref(),
            Some("1.29.2")
        );
        assert_eq!(of("istio/pilot:1.30").as_deref(), Some("1.30"));
        assert_eq!(of("istio/pilot:latest"), None);
        assert_eq!(of("istio/pilot"), None);
    }
}
