use super::{Done, print};
use crate::report::workflow_schema;

/// `windlass schema`.
pub fn schema() -> Done {
    print(&format!("{:#}\n", workflow_schema()))
}
