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
        ParamError, ParamErrors, STDIN, Workflow, bind_params, is_stdin, parse_argument,
        parse_params, read_named, refer_params,
    },
    value::{Bytes, Reference, Secret, Source, Type, Value, holds_mask},
};

impl Params {
    /// Returns the params of the environment, overridden by those of the file, overridden by those of the command line.
    pub fn given(&self, workflow: &Workflow) -> Result<BTreeMap<String, Value>, Failure> {
        let is_workflow_read = *workflow.path == *STDIN;
        self.refuse_stdin_twice(&[], is_workflow_read)?;
        let named = self.named(workflow)?;
        // What is overridden is not read.
        let of_environment: Vec<_> = from_environment(workflow)
            .into_iter()
            .filter(|one| !named.contains_key(&one.name))
            .collect();
        self.refuse_stdin_twice(&of_environment, is_workflow_read)?;
        let of_environment = of_environment
            .iter()
            .map(|one| read_argument(workflow, &one.argument(), Some(&one.variable)))
            .collect::<Result<_, _>>()?;
        let mut given = here(refer_params(workflow, of_environment)?);
        given.extend(named);
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
        self.refuse_stdin_twice(&[], false)?;
        let mut given = match &self.params_file {
            Some(path) => read_params(workflow, path)?,
            None => BTreeMap::new(),
        };
        for argument in &self.params {
            if let Some(file) = argument.strip_prefix('@') {
                given.extend(read_params(workflow, Path::new(file))?);
                continue;
            }
            let (name, value) = read_argument(workflow, argument, None)?;
            given.insert(name, value);
        }
        Ok(here(refer_params(workflow, given)?))
    }

    /// Refuses a stdin that is read for two things: the second one would be empty.
    fn refuse_stdin_twice(
        &self,
        of_environment: &[OfEnvironment],
        is_workflow_read: bool,
    ) -> Result<(), Failure> {
        let file = self.params_file.iter().filter(|file| is_stdin(file));
        let of_environment = of_environment.iter().map(OfEnvironment::argument);
        let arguments = self.params.iter().cloned().chain(of_environment);
        let named = arguments.filter(|argument| {
            let file = argument.strip_prefix('@');
            let file = file.or_else(|| file_of(argument).map(|(_, file)| file));
            file.is_some_and(|file| is_stdin(Path::new(file)))
        });
        let count = file.count() + named.count();
        let message = if count > 1 {
            "two params are read from stdin, which can be read only once"
        } else if count > 0 && is_workflow_read {
            "the workflow and a param are read from stdin, which can be read only once"
        } else {
            return Ok(());
        };
        Err(Failure::new("params", message).hint("read one of them from a file: -p NAME=@FILE"))
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

/// A param of the environment.
struct OfEnvironment {
    variable: String,
    name: String,
    value: String,
}

impl OfEnvironment {
    /// Returns it in the form of `-p NAME=VALUE`.
    fn argument(&self) -> String {
        format!("{}={}", self.name, self.value)
    }
}

/// Returns the values of `WINDLASS_PARAM_NAME`. Variables that are not params of the workflow are ignored: the environment may contain those of
/// another workflow.
fn from_environment(workflow: &Workflow) -> Vec<OfEnvironment> {
    let given = workflow.params.keys().filter_map(|name| {
        let variables = [name.clone(), name.to_ascii_uppercase()].into_iter();
        let mut variables = variables.map(|name| format!("{PREFIX}{name}"));
        variables.find_map(|variable| {
            let value = env::var(&variable).ok()?;
            Some(OfEnvironment {
                variable,
                name: name.clone(),
                value,
            })
        })
    });
    given.collect()
}

/// Reads one `NAME=VALUE`; `NAME=@FILE` is read from a file. `variable` is the variable of the environment that has the value, if one does.
fn read_argument(
    workflow: &Workflow,
    argument: &str,
    variable: Option<&str>,
) -> Result<(String, Value), Failure> {
    match file_of(argument) {
        Some((name, file)) => {
            let value = read_value(workflow, name, (file, variable))?;
            Ok((name.to_owned(), value))
        }
        None => {
            let argument = argument.replacen("=@@", "=@", 1);
            Ok(parse_argument(workflow, &argument).map_err(|e| ParamErrors(vec![e]))?)
        }
    }
}

/// Makes the paths of files that hold secrets absolute: a resume may happen in another folder, which may have another file of that name.
fn here(params: BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    let Ok(folder) = env::current_dir() else {
        return params;
    };
    let absolute = params.into_iter();
    absolute
        .map(|(name, value)| (name, within(&folder, value)))
        .collect()
}

fn within(folder: &Path, value: Value) -> Value {
    match value {
        Value::Reference(reference) => Value::Reference(match reference.source() {
            Source::File { path } => absolute_file(folder, path).unwrap_or(reference),
            _ => reference,
        }),
        Value::List(items) => {
            let items = items.into_iter().map(|item| within(folder, item));
            Value::List(items.collect())
        }
        Value::Map(map) => {
            let entries = map.into_iter();
            Value::map(entries.map(|(key, item)| (key, within(folder, item))))
        }
        other => other,
    }
}

/// Returns the reference with an absolute path, if its path is relative. One of the user's home (`~/`) is in no folder.
fn absolute_file(folder: &Path, path: &str) -> Option<Reference> {
    let absolute = folder.join(path);
    let is_relative = Path::new(path).is_relative() && !path.starts_with("~/");
    let text = absolute.to_str().filter(|_| is_relative)?;
    Reference::parse(&format!("file:{text}")).ok().flatten()
}

/// Splits `NAME=@FILE` into its name and file; `NAME=@@TEXT` is the text `@TEXT`.
fn file_of(argument: &str) -> Option<(&str, &str)> {
    let (name, value) = argument.split_once('=')?;
    let file = value.strip_prefix('@')?;
    (!file.starts_with('@')).then_some((name, file))
}

/// Reads the value of a param from a file or from stdin, as `-p NAME=VALUE` reads it. A line break at the end of a
/// text is removed, as `$(cat FILE)` does.
fn read_value(
    workflow: &Workflow,
    name: &str,
    (file, variable): (&str, Option<&str>),
) -> Result<Value, Failure> {
    let wrong = |why: String| unreadable(name, (file, variable), &why);
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

/// Returns the error for a value that can't be read from a file. What a variable of the environment has is not shown: it may be a secret that
/// begins with `@`.
fn unreadable(name: &str, (file, variable): (&str, Option<&str>), why: &str) -> Failure {
    let (message, hint) = match variable {
        None => (
            format!("can't read the value of `{name}` from {file}: {why}"),
            format!("write -p {name}=@@…"),
        ),
        Some(variable) => (
            format!("can't read the value of `{name}` from the file that {variable} names: {why}"),
            format!("set {variable}=@@…"),
        ),
    };
    Failure::new("params", message).hint(format!("for a value that begins with `@`, {hint}"))
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
    let is_named_json = path
        .extension()
        .is_some_and(|extension| extension == "json");
    parse_params(workflow, &text).map_err(|why| {
        if is_named_json && !Value::is_json(&text) {
            wrong(format!(
                "{why} (it is not valid JSON, so it was read as YAML)"
            ))
        } else {
            wrong(why)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_of_the_home_is_in_no_folder() {
        let made = |path: &str| {
            let reference = absolute_file(Path::new("/work"), path)?;
            match reference.source() {
                Source::File { path } => Some(path.to_owned()),
                _ => None,
            }
        };
        assert_eq!(made("tok.txt").as_deref(), Some("/work/tok.txt"));
        assert_eq!(made("~tok.txt").as_deref(), Some("/work/~tok.txt"));
        for path in ["~/.token", "/etc/token"] {
            assert_eq!(made(path), None, "{path}");
        }
    }

    #[test]
    fn an_error_does_not_show_what_a_variable_has() {
        let of = |variable| unreadable("tok", ("k3R-secret", variable), "no such file");
        let shown = of(None).to_string();
        assert!(shown.contains("k3R-secret"), "{shown}");
        let shown = of(Some("WINDLASS_PARAM_TOK")).to_string();
        assert!(
            !shown.contains("k3R") && shown.contains("WINDLASS_PARAM_TOK"),
            "{shown}"
        );
    }
}
