use std::{collections::BTreeMap, env, path::Path};

use super::{args::Params, failure::Failure};
use crate::{
    compile::{
        ParamError, ParamErrors, Workflow, bind_params, parse_argument, parse_params, read_named,
    },
    value::Value,
};

impl Params {
    /// The params of the environment, those of the file over them, and those of the command line over both.
    pub fn given(&self, workflow: &Workflow) -> Result<BTreeMap<String, Value>, Failure> {
        let mut given = from_environment(workflow)?;
        given.extend(self.named(workflow)?);
        Ok(given)
    }

    /// The params that this command names: those of the file, and those of the command line over them.
    pub fn named(&self, workflow: &Workflow) -> Result<BTreeMap<String, Value>, Failure> {
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

    /// The params that are given, each checked; the others may have any value.
    pub fn checked(&self, workflow: &Workflow) -> Result<BTreeMap<String, Value>, Failure> {
        let given = self.given(workflow)?;
        let is_given = |name: &str| given.contains_key(name);
        let is_missing = |error: &ParamError| matches!(error, ParamError::Missing { .. });
        match bind_params(workflow, given.clone()) {
            Ok(bound) => Ok(bound
                .into_iter()
                .filter(|(name, _)| is_given(name))
                .collect()),
            Err(ParamErrors(errors)) => {
                let wrong: Vec<_> = errors.into_iter().filter(|e| !is_missing(e)).collect();
                match wrong.is_empty() {
                    true => Ok(given),
                    false => Err(ParamErrors(wrong).into()),
                }
            }
        }
    }

    /// Whether any is given.
    pub fn are_given(&self) -> bool {
        !self.params.is_empty() || self.params_file.is_some()
    }
}

/// Reads `WINDLASS_PARAM_NAME`, as `-p NAME=VALUE` is read. Only the workflow's own params count: a shell
/// may hold those of another one.
fn from_environment(workflow: &Workflow) -> Result<BTreeMap<String, Value>, Failure> {
    let given = workflow.params.keys().filter_map(|name| {
        let value = env::var(format!("{PREFIX}{name}"))
            .or_else(|_| env::var(format!("{PREFIX}{}", name.to_ascii_uppercase())));
        Some(format!("{name}={}", value.ok()?))
    });
    given
        .map(|argument| {
            parse_argument(workflow, &argument).map_err(|e| ParamErrors(vec![e]).into())
        })
        .collect()
}

const PREFIX: &str = "WINDLASS_PARAM_";

fn read_params(path: &Path) -> Result<BTreeMap<String, Value>, Failure> {
    let name = path.display();
    let wrong = |why: String| Failure::new("params", format!("can't read {name}: {why}"));
    let text = read_named(path).map_err(wrong)?;
    parse_params(&text).map_err(wrong)
}
