use super::{Done, args::Schema, print};
use crate::report::{test_schema, workflow_schema};

/// `windlass schema [--test]`.
pub fn schema(command: &Schema) -> Done {
    let schema = match command.test {
        true => test_schema(),
        false => workflow_schema(),
    };
    print(&format!("{schema:#}\n"))
}
