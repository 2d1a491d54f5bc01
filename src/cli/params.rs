use std::{
    collections::BTreeMap,
    env, fs,
    io::{self, IsTerminal, stdin},
    path::Path,
};

use console::Term;

use super::{args::Params, failure::Failure};
use crate::{
    compile::{
        ParamError, ParamErrors, Workflow, bind_params, parse_argument, parse_params, read_named,
        refer_params,
    },
    value::{Bytes, Secret, Type, Value, holds_mask},
};

impl Params {
    /// Returns the params of the environment, overridden by those of the file, overridden by those of the command line.
    pub fn given(&self, workflow: &Workflow) -> Result<BTreeMap<String, Value>, Failure> {
        let mut given = refer_params(workflow, from_environment(workflow)?)?;
        given.extend(self.named(workflow)?);
        Ok(given)
    }

    /// Like [`Params::given`]; asks for missing secrets on a terminal.
    pub fn asked(&self, workflow: &Workflow) -> Result<BTreeMap<String, Value>, Failure> {
        let mut given = self.given(workflow)?;
        let is_missing = |name: &String| given.get(name).is_none_or(|value| *value == Value::Null);
        let missing: Vec<_> = workflow
            .params
            .iter()
            .filter(|(name, param)| {
                param.ty == Type::Secret && param.is_required() && is_missing(name)
            })
            .map(|(name, _)| name.clone())
            .collect();
        let terminal = Term::stderr();
        if !terminal.is_term() || !stdin().is_terminal() {
            return Ok(given);
        }
        for name in missing {
            let typed = read_hidden(&terminal, &name).map_err(|e| {
                Failure::new("params", format!("can't read the secret `{name}`: {e}"))
            })?;
            given.insert(name, Value::Secret(Secret::new(typed)));
        }
        Ok(given)
    }

    /// Returns the params that this command names: those of the file, overridden by those of the command line.
    pub fn named(&self, workflow: &Workflow) -> Result<BTreeMap<String, Value>, Failure> {
        self.refuse_stdin_twice()?;
        let mut given = match &self.params_file {
            Some(path) => read_params(workflow, path)?,
            None => BTreeMap::new(),
        };
        for argument in &self.params {
            if let Some(file) = argument.strip_prefix('@') {
                given.extend(read_params(workflow, Path::new(file))?);
                continue;
            }
            let (name, value) = match file_of(argument) {
                Some((name, file)) => (name.to_owned(), read_value(workflow, name, file)?),
                None => {
                    let argument = argument.replacen("=@@", "=@", 1);
                    parse_argument(workflow, &argument).map_err(|e| ParamErrors(vec![e]))?
                }
            };
            given.insert(name, value);
        }
        Ok(refer_params(workflow, given)?)
    }

    fn refuse_stdin_twice(&self) -> Result<(), Failure> {
        let file = self
            .params_file
            .iter()
            .filter(|file| *file == Path::new("-"));
        let named = self.params.iter().filter(|argument| {
            *argument == "@-" || file_of(argument).is_some_and(|(_, file)| file == "-")
        });
        match file.count() + named.count() {
            0 | 1 => Ok(()),
            _ => Err(Failure::new(
                "params",
                "two params are read from stdin, which can be read only once",
            )
            .hint("read one of them from a file: -p NAME=@FILE")),
        }
    }

    /// Returns the params that are given, each checked; the others may have any value.
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
                if wrong.is_empty() {
                    Ok(given)
                } else {
                    Err(ParamErrors(wrong).into())
                }
            }
        }
    }

    /// Says whether any params are given.
    pub fn are_given(&self) -> bool {
        !self.params.is_empty() || self.params_file.is_some()
    }
}

/// Reads `WINDLASS_PARAM_NAME`, in the form of `-p NAME=VALUE`. Variables that are not params of the workflow are ignored:
/// the environment may contain those of another workflow.
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

/// Splits `NAME=@FILE` into its name and file; `NAME=@@TEXT` is the text `@TEXT`.
fn file_of(argument: &str) -> Option<(&str, &str)> {
    let (name, value) = argument.split_once('=')?;
    let file = value.strip_prefix('@')?;
    (!file.starts_with('@')).then_some((name, file))
}

/// Reads the value of a param from a file or from stdin, as `-p NAME=VALUE` reads it. A line break at the end of a
/// text is removed, as `$(cat FILE)` does.
fn read_value(workflow: &Workflow, name: &str, file: &str) -> Result<Value, Failure> {
    let wrong = |why: String| {
        Failure::new(
            "params",
            format!("can't read the value of `{name}` from {file}: {why}"),
        )
        .hint(format!(
            "for a value that begins with `@`, write -p {name}=@@…"
        ))
    };
    let ty = workflow.params.get(name).map(|param| &param.ty);
    let ty = match ty {
        Some(Type::Optional(inner)) => Some(&**inner),
        ty => ty,
    };
    if ty == Some(&Type::Bytes) && file != "-" {
        let bytes = fs::read(file).map_err(|e| wrong(e.to_string()))?;
        return Ok(Value::Bytes(Bytes::new(bytes)));
    }
    let text = read_named(Path::new(file)).map_err(wrong)?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if ty == Some(&Type::Secret) {
        if holds_mask(line) {
            return Err(wrong(
                "it contains what is shown in place of a secret".into(),
            ));
        }
        // The contents of a file are the secret itself, even if they look like a reference.
        return Ok(Value::Secret(Secret::new(line)));
    }
    let (_, value) =
        parse_argument(workflow, &format!("{name}={line}")).map_err(|e| ParamErrors(vec![e]))?;
    Ok(value)
}

/// Asks for a secret without showing what is typed.
fn read_hidden(terminal: &Term, name: &str) -> io::Result<String> {
    terminal.write_str(&format!("secret `{name}`: "))?;
    terminal.read_secure_line()
}

const PREFIX: &str = "WINDLASS_PARAM_";

fn read_params(workflow: &Workflow, path: &Path) -> Result<BTreeMap<String, Value>, Failure> {
    let name = path.display();
    let wrong = |why: String| Failure::new("params", format!("can't read {name}: {why}"));
    let text = read_named(path).map_err(wrong)?;
    parse_params(workflow, &text).map_err(wrong)
}
