use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::script::Script;

/// A script with all that it imports, as it travels to where it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrozenScript {
    pub path: String,
    pub is_inline: bool,
    /// How long the blank lines are that come before the text: an inline body keeps its place in its
    /// file by as many blanks, which are not worth sending.
    before: Vec<usize>,
    text: String,
    /// The path as a script writes it → the module's text.
    pub imports: BTreeMap<String, String>,
}

impl FrozenScript {
    pub(super) fn new(script: &Script) -> Self {
        let (before, text) = match script.is_inline {
            true => fold(&script.text),
            false => (Vec::new(), script.text.to_string()),
        };
        let texts = script.imports.texts.iter();
        Self {
            path: script.path.to_string(),
            is_inline: script.is_inline,
            before,
            text,
            imports: texts.map(|(k, v)| (k.clone(), v.to_string())).collect(),
        }
    }

    pub(super) fn text(&self) -> Arc<str> {
        let mut text = String::new();
        for length in &self.before {
            text.extend(std::iter::repeat_n(' ', *length));
            text.push('\n');
        }
        text.push_str(&self.text);
        text.into()
    }
}

/// Takes the blank lines off the head of a text, and what is blank off its end.
fn fold(text: &str) -> (Vec<usize>, String) {
    let mut before = Vec::new();
    let mut rest = text.trim_end();
    while let Some((line, after)) = rest.split_once('\n')
        && line.bytes().all(|byte| byte == b' ')
    {
        before.push(line.len());
        rest = after;
    }
    (before, rest.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thawed_script_is_the_same_in_the_same_place() {
        let text = format!("{}\n\n    #{{ a: 1 }}\n     \n", " ".repeat(30));
        let nothing = &mut |_: &str| Err("nothing is imported".to_owned());
        let script = Script::parse_inline("w.yaml", text.as_str().into(), nothing);
        let script = script.unwrap_or_else(|faults| panic!("{faults:?}"));
        let frozen = script.frozen();
        assert_eq!(frozen.before, [30, 0]);
        let thawed = Script::thaw(&frozen).unwrap_or_else(|faults| panic!("{faults:?}"));
        assert_eq!(thawed.digest, script.digest);
        assert!(script.text.starts_with(&*thawed.text));
    }
}
