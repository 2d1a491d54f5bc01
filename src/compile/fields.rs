//! Reads the keys of a map strictly, and reports every mistake without stopping at it.

use std::{ops::Range, sync::Arc, time::Duration};

use super::{
    document::{Key, Kind, Node},
    keys::{FileKey, Form, Section},
    mistake::Mistake,
    template::Template,
};
use windlass_script::{closest, did_you_mean};
use windlass_world::value::{Value, parse_duration};

/// Collects the mistakes of one file.
pub(super) struct Report<'a> {
    pub file: &'a Arc<str>,
    pub text: &'a Arc<str>,
    pub mistakes: &'a mut Vec<Mistake>,
    /// The names that expressions of this file may read.
    pub roots: &'static [&'static str],
    /// Whether the file is that of a run, which an earlier version may have accepted.
    pub is_frozen: bool,
}

impl Report<'_> {
    /// Creates a mistake of this file without reporting it.
    pub fn at(
        &self,
        code: &'static str,
        span: Range<usize>,
        message: impl Into<String>,
    ) -> Mistake {
        Mistake::new(code, self.file, self.text, span, message)
    }

    pub fn add(&mut self, mistake: Mistake) {
        self.mistakes.push(mistake);
    }

    /// Reports a mistake that earlier versions did not report: not in the files of a run, which must stay resumable.
    pub fn add_in_new(&mut self, mistake: Mistake) {
        if !self.is_frozen {
            self.add(mistake);
        }
    }

    pub fn wrong_type(&mut self, node: &Node, what: &str, expected: &str) {
        let message = format!("{what} must be {expected}, not {}", node.a_kind());
        let mistake = self.at("wrong-type", node.span.clone(), message);
        self.add(mistake);
    }

    pub fn text<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n str> {
        match &node.kind {
            Kind::Scalar {
                value: Value::String(_),
                text,
                ..
            } => Some(text),
            _ => {
                self.wrong_type(node, what, "a string");
                None
            }
        }
    }

    /// Reads one of a few words.
    pub fn one_of<T: Copy>(&mut self, node: &Node, what: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(node, what)?;
        let found = words.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            let names: Vec<_> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
            let message = format!("{what} must be {}", names.join(" or "));
            let mistake = self.at("wrong-type", node.span.clone(), message);
            self.add(mistake);
        }
        found.map(|(_, meaning)| *meaning)
    }

    /// Reports what is never a text with something in it.
    pub fn not_empty(&mut self, node: &Node, template: &Template, what: &str) {
        let message = match (template.a_kind(), template.constant()) {
            (Some("a string"), Some(Value::String(text))) if text.trim().is_empty() => {
                format!("{what} must not be empty")
            }
            (Some("a string") | None, _) => return,
            (Some(kind), _) => format!("{what} must be a string, not {kind}"),
        };
        let mistake = self.at("wrong-type", node.span.clone(), message);
        self.add_in_new(mistake);
    }

    pub fn flag(&mut self, node: &Node, what: &str) -> Option<bool> {
        match &node.kind {
            Kind::Scalar {
                value: Value::Bool(b),
                ..
            } => Some(*b),
            _ => {
                self.wrong_type(node, what, "`true` or `false`");
                None
            }
        }
    }

    pub fn duration(&mut self, node: &Node, what: &str) -> Option<Duration> {
        let Kind::Scalar {
            value: Value::String(text),
            ..
        } = &node.kind
        else {
            self.wrong_type(node, what, "a duration, such as `30s` or `5m`");
            return None;
        };
        match parse_duration(text) {
            Ok(duration) => Some(duration),
            Err(e) => {
                let message = if text.contains("${{") {
                    format!("{what} can't be an expression, only a duration, such as `30s` or `5m`")
                } else {
                    format!("{what}: {e}")
                };
                let mistake = self.at("wrong-type", node.span.clone(), message);
                self.add(mistake);
                None
            }
        }
    }

    pub fn count(&mut self, node: &Node, what: &str, most: i64) -> Option<u32> {
        match &node.kind {
            Kind::Scalar {
                value: Value::Int(n),
                ..
            } if (1..=most).contains(n) => Some(*n as u32),
            _ => {
                let message = format!("{what} must be a whole number from 1 to {most}");
                let mistake = self.at("wrong-type", node.span.clone(), message);
                self.add(mistake);
                None
            }
        }
    }

    pub fn entries<'n>(&mut self, node: &'n Node, what: &str) -> &'n [(Key, Node)] {
        match &node.kind {
            Kind::Map(entries) => entries,
            // This is `steps:` without a value.
            Kind::Scalar {
                value: Value::Null, ..
            } => &[],
            _ => {
                self.wrong_type(node, what, "a map");
                &[]
            }
        }
    }
}

/// What is said where one of some keys is needed, and none or more are given.
pub(super) struct OneOf<'a> {
    /// What has the keys.
    pub of: &'a str,
    pub span: Range<usize>,
    /// The message where none is given, and what to add.
    pub none: String,
    pub add: &'static str,
    /// What to do where more are given.
    pub split: &'static str,
}

/// The keys of one map that have not been read yet.
///
/// [`Section`] describes the keys; each key is read in the form that its row states.
pub(super) struct Fields<'n> {
    section: &'static Section,
    entries: Vec<&'n (Key, Node)>,
    /// All keys of the map, including those that have been read.
    given: Vec<&'n str>,
    what: String,
}

impl<'n> Fields<'n> {
    pub fn of(
        report: &mut Report,
        node: &'n Node,
        section: &'static Section,
        what: impl Into<String>,
    ) -> Self {
        let what = what.into();
        let entries: Vec<_> = report.entries(node, &what).iter().collect();
        Self {
            section,
            given: entries.iter().map(|(key, _)| key.name.as_str()).collect(),
            entries,
            what,
        }
    }

    /// Returns the value of a key without taking it.
    pub fn peek(&self, name: &str) -> Option<&'n Node> {
        let entry = self.entries.iter().find(|(key, _)| key.name == name)?;
        Some(&entry.1)
    }

    pub fn take(&mut self, name: &'static str) -> Option<&'n Node> {
        self.take_with_key(name).map(|(_, node)| node)
    }

    pub fn take_with_key(&mut self, name: &'static str) -> Option<&'n (Key, Node)> {
        debug_assert!(
            self.form(name).is_some(),
            "no key `{name}` in {}",
            self.section.name
        );
        let at = self.entries.iter().position(|(key, _)| key.name == name)?;
        Some(self.entries.remove(at))
    }

    /// Takes the one of some keys that is given; reports a mistake if none is, or more than one.
    pub fn take_one_of(
        &mut self,
        report: &mut Report,
        names: &[&'static str],
        wanted: &OneOf,
    ) -> Option<&'n (Key, Node)> {
        let found: Vec<_> = names
            .iter()
            .copied()
            .filter_map(|name| self.take_with_key(name))
            .collect();
        let mistake = match found.as_slice() {
            [one] => return Some(*one),
            [] => report
                .at("missing-key", wanted.span.clone(), wanted.none.clone())
                .help(wanted.add),
            [(first, _), (second, _), ..] => {
                let message = format!(
                    "{} has both `{}` and `{}`",
                    wanted.of, first.name, second.name
                );
                report
                    .at("two-actions", second.span.clone(), message)
                    .label(first.span.clone(), "the other one")
                    .help(wanted.split)
            }
        };
        report.add(mistake);
        None
    }

    pub fn text(&mut self, report: &mut Report, name: &'static str) -> Option<String> {
        let node = self.take(name)?;
        debug_assert!(matches!(self.form(name), Some(Form::Text)), "{name}");
        report.text(node, &format!("`{name}`")).map(Into::into)
    }

    /// Reads a flag; one that is left out is `false`.
    pub fn flag(&mut self, report: &mut Report, name: &'static str) -> bool {
        debug_assert!(matches!(self.form(name), Some(Form::Flag)), "{name}");
        let node = self.take(name);
        let given = node.and_then(|node| report.flag(node, &format!("`{name}`")));
        given.unwrap_or_default()
    }

    pub fn duration(&mut self, report: &mut Report, name: &'static str) -> Option<Duration> {
        debug_assert!(matches!(self.form(name), Some(Form::Duration)), "{name}");
        let node = self.take(name)?;
        report.duration(node, &format!("`{name}`"))
    }

    /// Reads how long something may take, which is longer than nothing. `otherwise` says what leaving the key out means.
    pub fn limit(
        &mut self,
        report: &mut Report,
        name: &'static str,
        otherwise: &str,
    ) -> Option<Duration> {
        debug_assert!(matches!(self.form(name), Some(Form::Duration)), "{name}");
        let node = self.take(name)?;
        let limit = report.duration(node, &format!("`{name}`"))?;
        if limit.is_zero() {
            let message = format!("`{name}` must be longer than 0s");
            let mistake = report.at("wrong-type", node.span.clone(), message);
            report.add(mistake.help(format!("remove `{name}` for {otherwise}")));
            return None;
        }
        Some(limit)
    }

    pub fn count(&mut self, report: &mut Report, name: &'static str) -> Option<u32> {
        let node = self.take(name)?;
        match self.form(name) {
            Some(Form::Count(most)) => report.count(node, &format!("`{name}`"), most),
            _ => None,
        }
    }

    /// Reads one of the words in the key's row; the default is the first one.
    pub fn word<T: Copy + Default>(
        &mut self,
        report: &mut Report,
        name: &'static str,
        words: &[(&str, T)],
    ) -> T {
        debug_assert!(
            matches!(self.form(name), Some(Form::Words(known)) if known.len() == words.len()),
            "{name}"
        );
        let node = self.take(name);
        let word = node.and_then(|node| report.one_of(node, &format!("`{name}`"), words));
        word.unwrap_or_default()
    }

    pub fn template(&mut self, report: &mut Report, name: &'static str) -> Option<Template> {
        debug_assert!(matches!(self.form(name), Some(Form::Template)), "{name}");
        self.take(name).map(|node| Template::read(report, node))
    }

    /// As [`Fields::template`], for a text that people read: it is not empty.
    pub fn name(&mut self, report: &mut Report, name: &'static str) -> Option<Template> {
        let node = self.peek(name)?;
        let template = self.template(report, name)?;
        report.not_empty(node, &template, &format!("`{name}`"));
        Some(template)
    }

    fn form(&self, name: &str) -> Option<Form> {
        self.section.key(name).map(|key| key.form)
    }

    /// Reports unknown keys.
    pub fn finish(self, report: &mut Report) {
        let is_known = |key: &&FileKey| key.only_with.is_none_or(|with| self.given.contains(&with));
        let known: Vec<_> = self.section.keys.iter().filter(is_known).collect();
        // A key that begins with `x-` belongs to the author: a place for the entries that `<<` merges.
        let unknown = self.entries.into_iter();
        for (key, _) in unknown.filter(|(key, _)| !key.name.starts_with("x-")) {
            let message = format!("{} has no key `{}`", self.what, key.name);
            let names = || known.iter().map(|known| known.name);
            let other = known
                .iter()
                .find(|known| known.other_names.contains(&&*key.name));
            let near = || closest(&key.name, names());
            let help = match other.map(|known| known.name).or_else(near) {
                Some(name) => did_you_mean(name),
                None => format!("it has {}", names().collect::<Vec<_>>().join(", ")),
            };
            let mistake = report
                .at("unknown-key", key.span.clone(), message)
                .help(help);
            report.add(mistake);
        }
    }
}
