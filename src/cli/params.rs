use std::{collections::BTreeMap, fs, path::Path};

use super::{args::Params, failure::Failure};
use crate::{
    compile::{ParamErrors, Workflow, parse_argument, parse_params},
    value::Value,
};

impl Params {
    /// The params of the file, and those of the command line over them.
    pub fn given(&self, workflow: &Workflow) -> Result<BTreeMap<String, Value>, Failure> {
        let mut given = match &self.params_file {
            Some(path) => read_params(path)?,
            None => BTreeMap::new(),
        };
        for argument in &self.params {
            let (name, value) =
                parse_argument(workflow, argument).map_err(|e| ParamErrors(vec![e]))?;
            given.insert(name, value);
        }
        Ok(given)
    }

    /// Whether any is given.
    pub fn are_given(&self) -> bool {
        !self.params.is_empty() || self.params_file.is_some()
    }
}

fn read_params(path: &Path) -> Result<BTreeMap<String, Value>, Failure> {
    let name = path.display();
    let wrong = |why: String| Failure::new("params", format!("can't read {name}: {why}"));
    let text = fs::read_to_string(path).map_err(|e| wrong(e.to_string()))?;
    parse_params(&text).map_err(wrong)
}
