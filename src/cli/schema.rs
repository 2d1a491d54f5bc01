use super::{Done, args::Schema, print};
use crate::report::{json_text, test_schema, workflow_schema};

/// The file that the first line of a workflow names (`# yaml-language-server: $schema=…`).
pub const WORKFLOW_SCHEMA: &str = "windlass.schema.json";
/// The file that the first line of a test file names.
pub const TEST_SCHEMA: &str = "windlass-test.schema.json";

/// `windlass schema [--test]`.
pub fn schema(command: &Schema) -> Done {
    print(&text(command.test))
}

/// Returns the schema of a test file, or of a workflow, as it is written to a file.
pub fn text(of_tests: bool) -> String {
    let schema = if of_tests {
        test_schema()
    } else {
        workflow_schema()
    };
    json_text(&schema)
}
