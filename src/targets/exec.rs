//! `exec` of a target: the programs that scripts may start.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};

use windlass_world::outside::{ProgramTarget, check_name};

/// Programs by name: `exec = ["istioctl"]`, or with options for each program,
/// `exec = { istioctl = { env = ["SSH_AUTH_SOCK"] } }`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecTarget(pub BTreeMap<String, ProgramTarget>);

impl<'de> Deserialize<'de> for ExecTarget {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Programs)
    }
}

struct Programs;

impl<'de> Visitor<'de> for Programs {
    type Value = ExecTarget;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(
            "a list of programs such as [\"istioctl\"], or a table such as { istioctl = { env = [\"SSH_AUTH_SOCK\"] } }",
        )
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<ExecTarget, A::Error> {
        let mut programs = BTreeMap::new();
        while let Some(name) = names.next_element::<String>()? {
            check(&name, &ProgramTarget::default()).map_err(A::Error::custom)?;
            programs.insert(name, ProgramTarget::default());
        }
        Ok(ExecTarget(programs))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<ExecTarget, A::Error> {
        let mut programs = BTreeMap::new();
        while let Some((name, program)) = entries.next_entry::<String, ProgramTarget>()? {
            check(&name, &program).map_err(A::Error::custom)?;
            programs.insert(name, program);
        }
        Ok(ExecTarget(programs))
    }
}

fn check(name: &str, program: &ProgramTarget) -> Result<(), String> {
    if name.is_empty() || name.contains('/') && !name.starts_with('/') {
        return Err(format!(
            "{name:?} is not a program: write its name, or the absolute path of its file"
        ));
    }
    if let Some(path) = program.path.as_ref().filter(|path| !path.is_absolute()) {
        return Err(format!(
            "the path of `{name}` is not absolute: {}",
            path.display()
        ));
    }
    let names = |key: &str, names: &[String]| {
        let mut names = names.iter();
        let checked = names.try_for_each(|variable| check_name(variable));
        checked.map_err(|why| format!("`{key}` of `{name}`: {why}"))
    };
    names("env", &program.env)?;
    names("set", program.set.as_deref().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Target {
        exec: ExecTarget,
    }

    #[test]
    fn d5_programs_are_a_list_or_a_table() {
        let read = |text: &str| toml::from_str::<Target>(text).map(|target| target.exec.0);
        let listed = read("exec = [\"a\", \"/opt/b\"]").expect("a list");
        assert_eq!(listed.keys().collect::<Vec<_>>(), ["/opt/b", "a"]);
        let table = read("exec = { a = {}, b = { path = \"/opt/b\", env = [\"TMPDIR\"] } }");
        let table = table.expect("a table");
        assert_eq!(table["a"], ProgramTarget::default());
        assert_eq!(table["b"].env, ["TMPDIR"]);
        assert_eq!(table["b"].set, None);
        let table =
            read("exec = { a = { set = [\"AWS_*\"] }, b = { set = [] } }").expect("a table");
        assert_eq!(table["a"].set, Some(vec!["AWS_*".to_owned()]));
        assert_eq!(table["b"].set, Some(Vec::new()));
        for wrong in [
            "exec = [\"\"]",
            "exec = [\"./a\"]",
            "exec = { a = { path = \"a\" } }",
            "exec = { a = { env = [\"\"] } }",
            "exec = { a = { env = [\"A=B\"] } }",
            "exec = { a = { set = [\"A=B\"] } }",
            "exec = { a = { set = \"A\" } }",
            "exec = { a = { envs = [] } }",
            "exec = \"a\"",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
