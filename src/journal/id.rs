use std::{
    borrow::{Borrow, Cow},
    fmt,
    str::FromStr,
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, macros::format_description};

/// Identifies a run, and sorts by its start: `20261123-223401482-k3f9ma` (UTC, to the millisecond, and
/// six random characters).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RunId(String);

/// No vowels and no similar characters.
const LETTERS: &[u8; 32] = b"23456789bcdfghjkmnpqrstvwxyzBCDF";

impl RunId {
    /// Creates the id of a run that starts at `at`, from six random bytes.
    pub fn new(at: OffsetDateTime, random: [u8; 6]) -> Self {
        let format =
            format_description!("[year][month][day]-[hour][minute][second][subsecond digits:3]");
        let time = at.format(&format).unwrap_or_default();
        let tail: String = random
            .iter()
            .map(|byte| char::from(LETTERS[usize::from(byte % 32)]).to_ascii_lowercase())
            .collect();
        Self(format!("{time}-{tail}"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Parses the id of a run; returns `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = |part: &str, count| {
            part.len() == count && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        let mut parts = text.split('-');
        let (date, time, tail) = (parts.next()?, parts.next()?, parts.next()?);
        let is_one = digits(date, 8)
            && digits(time, 9)
            && tail.len() == 6
            && tail.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && parts.next().is_none();
        is_one.then(|| Self(text.to_owned()))
    }

    /// Wraps an id that was read from a store.
    pub fn stored(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Identifies one execution of a step within a run: `root_ca`, `relay_client[cluster-1]`,
/// `relay_client[cluster-1]/sign`.
///
/// The instance that reverses `root_ca` is `root_ca!undo`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId(Arc<str>);

const UNDO: &str = "!undo";

impl InstanceId {
    /// Returns the instance of a step of the workflow itself (`inside` is `None`) or of a nested one.
    pub fn step(inside: Option<&InstanceId>, name: &str) -> Self {
        match inside {
            None => Self(name.into()),
            Some(outer) => Self(format!("{outer}/{name}").into()),
        }
    }

    /// Returns the instance of one item of a `for_each` step.
    pub fn item(&self, key: &str) -> Self {
        Self(format!("{self}[{}]", escape(key)).into())
    }

    /// Returns the instance that reverses this one.
    pub fn undo(&self) -> Self {
        Self(format!("{self}{UNDO}").into())
    }

    /// Returns the instance that this one reverses, if it is an undo. (A step's name and the `]` of an item can't end
    /// like that.)
    pub fn undone(&self) -> Option<Self> {
        self.0.strip_suffix(UNDO).map(|text| Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Lists the path from the outermost step inwards: for `a[x]/b`, that is `a` with the item `a[x]`, then `b`. The path of an
    /// undo is the path of the instance that it reverses.
    pub fn segments(&self) -> impl Iterator<Item = Segment<'_>> {
        let path = self.0.strip_suffix(UNDO).unwrap_or(&self.0);
        let mut start = 0;
        let parts = path.split('/');
        parts.map(move |part| {
            let end = start + part.len();
            let name = part.find('[').map_or(part, |at| &part[..at]);
            let segment = Segment {
                name,
                step: &path[..start + name.len()],
                item: (name.len() < part.len()).then(|| &path[..end]),
            };
            start = end + 1;
            segment
        })
    }

    /// Says whether it is one item of a `for_each` step, or the undo of one.
    pub fn is_item(&self) -> bool {
        self.0.strip_suffix(UNDO).unwrap_or(&self.0).ends_with(']')
    }

    /// Returns the instance that contains this one: for `a[x]/b` that is `a[x]`, for `a[x]` it is `a`.
    pub fn parent(&self) -> Option<Self> {
        if let Some(undone) = self.undone() {
            return undone.parent();
        }
        let cut = if self.0.ends_with(']') {
            self.0.rfind('[')
        } else {
            self.0.rfind('/')
        };
        cut.map(|at| Self(self.0[..at].into()))
    }

    /// Returns how many instances contain this one.
    pub fn depth(&self) -> usize {
        // Keys of items contain neither of these.
        self.0.matches(['/', '[']).count()
    }

    /// Returns the part that differs from its siblings: `sign`, `cluster-1`.
    pub fn last_part(&self) -> &str {
        let start = if self.0.ends_with(']') {
            self.0.rfind('[')
        } else {
            self.0.rfind('/').map(|at| at + 1)
        };
        &self.0[start.unwrap_or(0)..]
    }
}

/// The reason why a text does not name an instance.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` does not name a step of a run, such as `root_ca` or `relay_client[cluster-1]/sign`")]
pub struct NotAnInstance(String);

impl FromStr for InstanceId {
    type Err = NotAnInstance;

    fn from_str(text: &str) -> Result<Self, NotAnInstance> {
        let path = text.strip_suffix(UNDO).unwrap_or(text);
        if path.split('/').all(is_segment) {
            Ok(Self(text.into()))
        } else {
            Err(NotAnInstance(text.into()))
        }
    }
}

/// Says whether a text is the name of a step, with or without the key of an item.
fn is_segment(text: &str) -> bool {
    let (name, key) = match text.strip_suffix(']') {
        None => (text, ""),
        Some(text) => match text.split_once('[') {
            Some((name, key)) => (name, key),
            None => return false,
        },
    };
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    !name.is_empty()
        && name.chars().all(is_name)
        && !key.contains(|c: char| c == '[' || c == ']' || c.is_control())
}

/// One step on the path of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// The name of the step within its workflow.
    pub name: &'a str,
    /// The id of the step's instance.
    pub step: &'a str,
    /// The id of the item's instance, if the path leads through an item.
    pub item: Option<&'a str>,
}

/// Allows looking up a step of a run by text: ids and texts have the same order.
impl Borrow<str> for InstanceId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Escapes the three characters in an item's key that have a meaning in an id.
fn escape(key: &str) -> String {
    let mut escaped = String::with_capacity(key.len());
    for c in key.chars() {
        match c {
            '%' | '[' | ']' | '/' => escaped.push_str(&format!("%{:02X}", c as u32)),
            c if c.is_control() => escaped.push_str(&format!("%{:02X}", c as u32)),
            c => escaped.push(c),
        }
    }
    escaped
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for InstanceId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for InstanceId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The number of an effect within its step instance, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position(pub u32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_or_refused() {
        let made = RunId::new(OffsetDateTime::UNIX_EPOCH, [1, 2, 3, 250, 5, 6]);
        assert_eq!(RunId::parse(made.as_str()), Some(made));
        for wrong in [
            "",
            "..",
            "serve",
            "20261123-223401482-k3f9m",
            "20261123-223401482-k3f9m/",
            "20261123-22340148x-k3f9ma",
            "20261123-223401482-k3f9ma-",
            "../20261123-223401482-k3f9ma",
        ] {
            assert_eq!(RunId::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_instance_is_read_or_refused() {
        for right in [
            "a",
            "root_ca!undo",
            "relay[cluster-1]/sign",
            "a[]/b[x%2Fy]!undo",
            "_",
        ] {
            let read: InstanceId = right.parse().expect("an instance");
            assert_eq!(read.as_str(), right);
        }
        for wrong in [
            "", "/", "a/", "!undo", "A", "a b", "../a", "a[x", "a]", "a[x]y", "a[[x]]", "a\n",
        ] {
            let read: Result<InstanceId, _> = wrong.parse();
            assert_eq!(read, Err(NotAnInstance(wrong.into())));
        }
    }

    #[test]
    fn an_item_key_can_not_look_like_another_instance() {
        let outer = InstanceId::step(None, "relay");
        let item = outer.item("a]/b[c");
        assert_eq!(item.as_str(), "relay[a%5D%2Fb%5Bc]");
        assert_eq!(item.parent(), Some(outer.clone()));
        let inner = InstanceId::step(Some(&item), "sign");
        assert_eq!((inner.parent(), inner.depth()), (Some(item), 2));
        assert_eq!(outer.parent(), None);
        let path = |id: &InstanceId| -> Vec<_> {
            let segments = id.segments();
            segments
                .map(|s| {
                    (
                        s.name.to_owned(),
                        s.step.to_owned(),
                        s.item.map(str::to_owned),
                    )
                })
                .collect()
        };
        let wanted = [
            (
                "relay".into(),
                "relay".into(),
                Some("relay[a%5D%2Fb%5Bc]".into()),
            ),
            ("sign".into(), "relay[a%5D%2Fb%5Bc]/sign".into(), None),
        ];
        assert_eq!(path(&inner), wanted);
        assert_eq!(path(&inner.undo()), wanted);
        assert!(!inner.is_item() && inner.parent().is_some_and(|item| item.is_item()));
    }
}
