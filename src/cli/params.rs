use std::{collections::BTreeMap, fs, path::Path};

use super::{args::Params, failure::Failure};
use crate::{
    compile::{Workflow, parse_argument, parse_params},
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
            let (name, value) = parse_argument(workflow, argument)?;
            given.insert(name, value);
        }
        Ok(given)
    }
}

fn read_params(path: &Path) -> Result<BTreeMap<String, Value>, Failure> {
    let name = path.display();
    let text = fs::read_to_string(path)
        .map_err(|e| Failure::new("params", format!("can't read {name}: {e}")))?;
    parse_params(&text).ok_or_else(|| {
        Failure::new(
            "params",
            format!("{name} is not a map of params in YAML or JSON"),
        )
    })
}
