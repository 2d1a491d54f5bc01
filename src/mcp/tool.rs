use std::{collections::BTreeSet, sync::Arc};

use clap::ValueEnum;
use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};

use super::{act, look};
use crate::runs::{Person, Runs, RunsError};

/// What an assistant may do in addition to reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Permission {
    /// Start runs of the workflows
    Start,
    /// Resume runs that failed, were cancelled or were interrupted
    Resume,
}

/// The service that the tools call, and in whose name.
pub struct Setting {
    pub runs: Arc<dyn Runs>,
    /// The person for whom the assistant works.
    pub person: Person,
}

/// A tool.
pub struct ToolRow {
    pub name: &'static str,
    pub title: &'static str,
    /// The description for the assistant: what it does, and when to use it.
    pub about: &'static str,
    /// The arguments of a call.
    pub arguments: &'static [Argument],
    /// The permission that it needs; `None` for a tool that only reads.
    pub needs: Option<Permission>,
    pub call: fn(&Setting, Json) -> Result<Json, RunsError>,
}

/// An argument of a tool.
pub struct Argument {
    pub name: &'static str,
    /// The type in JSON Schema.
    pub kind: &'static str,
    pub about: &'static str,
    pub is_required: bool,
}

/// Returns the tools that an assistant may use.
pub fn tools(allowed: &BTreeSet<Permission>) -> impl Iterator<Item = &'static ToolRow> {
    let all = look::TOOLS.iter().chain(act::TOOLS);
    all.filter(|row| row.needs.is_none_or(|needs| allowed.contains(&needs)))
}

/// Returns the word of `--allow` that a tool needs, if it needs one.
pub fn needed(name: &str) -> Option<String> {
    let row = act::TOOLS.iter().find(|row| row.name == name)?;
    let word = row.needs?.to_possible_value()?;
    Some(word.get_name().to_owned())
}

/// Reads the arguments of a call.
///
/// # Errors
/// Fails if an argument is missing, unknown or of another type.
pub fn read<T: DeserializeOwned>(arguments: Json) -> Result<T, RunsError> {
    serde_json::from_value(arguments)
        .map_err(|e| RunsError::wrong("bad-request", format!("the arguments can't be read: {e}")))
}

impl ToolRow {
    /// Returns the description of the tool in the protocol.
    pub fn to_tool(&self) -> Tool {
        let properties: JsonObject = self
            .arguments
            .iter()
            .map(|one| {
                let schema = json!({ "type": one.kind, "description": one.about });
                (one.name.to_owned(), schema)
            })
            .collect();
        let required = self.arguments.iter().filter(|one| one.is_required);
        let required: Vec<_> = required.map(|one| one.name).collect();
        let mut schema = JsonObject::new();
        schema.insert("type".into(), "object".into());
        schema.insert("properties".into(), properties.into());
        schema.insert("required".into(), required.into());
        schema.insert("additionalProperties".into(), false.into());
        let annotations = ToolAnnotations::with_title(self.title)
            .read_only(self.needs.is_none())
            .destructive(self.needs.is_some());
        Tool::new(self.name, self.about, Arc::new(schema)).with_annotations(annotations)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(allowed: &[Permission]) -> Vec<&'static str> {
        let allowed = allowed.iter().copied().collect();
        tools(&allowed).map(|row| row.name).collect()
    }

    #[test]
    fn a_tool_that_acts_has_to_be_allowed() {
        let looking = names(&[]);
        assert!(!looking.contains(&"start_run"), "{looking:?}");
        assert_eq!(names(&[Permission::Start]).len(), looking.len() + 1);
        assert_eq!(needed("start_run").as_deref(), Some("start"));
        assert_eq!(needed("list_runs"), None);
        let all = names(&[Permission::Start, Permission::Resume]);
        assert_eq!(all.len(), looking.len() + 2);
        for never in ["approve", "reject", "answer", "undo", "cancel"] {
            let found = all.iter().find(|name| name.contains(never));
            assert_eq!(found, None);
        }
    }

    #[test]
    fn names_differ_and_are_names_of_tools() {
        let all = names(&[Permission::Start, Permission::Resume]);
        let distinct: BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
        for name in all {
            let is_one = |c: char| c.is_ascii_lowercase() || c == '_';
            assert!(name.chars().all(is_one), "{name}");
        }
    }
}
