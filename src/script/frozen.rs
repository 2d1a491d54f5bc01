use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{places::Places, script::Script};

/// A script with everything that it imports, in the form in which it is sent to a worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrozenScript {
    pub path: String,
    /// The places of an inline body's parts in its file; `None` for a script file.
    pub(super) places: Option<Places>,
    pub(super) text: String,
    /// The module's file, without `.rhai` → its text.
    pub imports: BTreeMap<String, String>,
}

impl FrozenScript {
    pub(super) fn new(script: &Script) -> Self {
        let modules = script.imports.0.iter();
        Self {
            path: script.path.to_string(),
            places: script.is_inline.then(|| script.places.clone()),
            text: script.text.to_string(),
            imports: modules
                .map(|(key, module)| (key.clone(), module.text.to_string()))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::modules::KnownModules, *};

    #[test]
    fn a_thawed_script_is_the_same_in_the_same_place() {
        let file = "\n\n    #{ a: 1 }\n";
        let places = Places::new(file, (0, 1), [(0, 6)]);
        let nothing = &mut |_: &str, _: &str| Err("nothing is imported".to_owned());
        let script = Script::parse_inline("w.yaml", "#{ a: 1 }".into(), places, nothing);
        let script = script.unwrap_or_else(|faults| panic!("{faults:?}"));
        let frozen = script.frozen();
        let thawed = Script::thaw(&frozen, &KnownModules::default());
        let thawed = thawed.unwrap_or_else(|faults| panic!("{faults:?}"));
        assert_eq!(thawed.digest, script.digest);
        assert_eq!(thawed.places, script.places);
        assert!(thawed.is_inline);
    }
}
