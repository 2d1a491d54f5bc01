use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::{self, Write},
    path::Path,
    sync::Arc,
};

use include_dir::{Dir, include_dir};

use super::{
    Done,
    args::{New, NewPart, Template},
    exit,
    failure::Failure,
    schema::{self, TEST_SCHEMA, WORKFLOW_SCHEMA},
    shipped,
};
use crate::{
    compile::{InMemory, StepName, compile, parse_value},
    report,
    script::{closest, did_you_mean},
    value::Value,
};

static TEMPLATES: Dir = include_dir!("$CARGO_MANIFEST_DIR/templates");

/// The placeholder for the new workflow's name in templates, both in paths and in texts.
const NAME: &str = "NAME";

/// The folder of the template of a step.
const STEP: &str = "step";

/// `windlass new NAME`, `windlass new step NAME` and `windlass new --from WORKFLOW`: writes files, and never overwrites one.
pub fn new(command: &New) -> Done {
    let step = command.part.as_ref().map(|NewPart::Step { name }| name);
    let files = match (step, &command.name, &command.from) {
        (Some(name), ..) => of_step(name)?,
        (None, name, Some(from)) => shipped(from, name.as_deref())?,
        (None, Some(name), None) => of_workflow(command.template, name)?,
        (None, None, None) => {
            let failure = Failure::new("bad-name", "the new workflow has no name");
            return Err(failure.hint("windlass new NAME, or windlass new --from WORKFLOW"));
        }
    };
    // Workflows share scripts: a file that exists with the same content is kept.
    let is_same =
        |path: &str, text: &str| fs::read(path).is_ok_and(|written| written == text.as_bytes());
    let there: Vec<_> = files
        .iter()
        .filter(|(path, text)| Path::new(path).symlink_metadata().is_ok() && !is_same(path, text))
        .map(|(path, _)| path.clone())
        .collect();
    if !there.is_empty() {
        let message = format!("nothing was written: {}", names(&there));
        return Err(
            Failure::new("exists", message).hint("choose another name, or remove the old files")
        );
    }
    if files.iter().all(|(path, text)| is_same(path, text)) {
        let paths: Vec<_> = files.keys().cloned().collect();
        say!("nothing to write: {} with the same content", names(&paths));
    }
    for (path, text) in &files {
        if is_same(path, text) {
            continue;
        }
        write(Path::new(path), text)
            .map_err(|e| Failure::new("output", format!("can't write {path}: {e}")))?;
        say!("{} {path}", console::style("created").for_stderr().green());
    }
    write_schemas(&files)?;
    // Those of its steps are in folders below.
    let is = |ending: &str| {
        let found = files.keys().filter(|path| path.ends_with(ending));
        found.min_by_key(|path| path.matches('/').count())
    };
    if let Some(tests) = is(".test.yaml") {
        say!(
            "\nto test it: {}",
            report::command(crate::value::Command::new("test").arg(tests))
        );
    }
    if let Some(name) = step {
        say!(
            "to use it, add this to the `steps` of a workflow:\n\n  {name}:\n    script: steps/{name}.rhai\n    with: {{ name: world }}"
        );
    }
    if let Some(mock) = is(".http.yaml") {
        say!(
            "to serve what it calls: {}",
            report::command(crate::value::Command::new("http serve").option("--from", mock))
        );
    }
    Ok(exit::SUCCEEDED)
}

fn names(paths: &[String]) -> String {
    match paths {
        [one] => format!("{one} already exists"),
        paths => format!("{} already exist", paths.join(", ")),
    }
}

/// Returns the files of a new step: its script and the script's test.
fn of_step(name: &str) -> Result<BTreeMap<String, String>, Failure> {
    if StepName::parse(name).is_none() {
        let failure = Failure::new("bad-name", format!("`{name}` is not a valid step name"));
        return Err(failure.hint("use lower-case letters, digits and `_`, and do not start with a digit: expressions read `steps.NAME`"));
    }
    Ok(filled(STEP, name))
}

/// Returns the files of a new workflow.
fn of_workflow(template: Template, name: &str) -> Result<BTreeMap<String, String>, Failure> {
    check_name(name)?;
    Ok(filled(template.folder(), name))
}

fn check_name(name: &str) -> Result<(), Failure> {
    let is_name = !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        && !name.starts_with('-');
    if is_name {
        Ok(())
    } else {
        let why = format!("`{name}` is not a valid workflow name");
        let hint = "use letters, digits, `-` and `_`: files get this name";
        Err(Failure::new("bad-name", why).hint(hint))
    }
}

/// Returns a name as a text in YAML: `123` without quotes would be a number.
fn in_yaml(name: &str) -> String {
    Value::from(name).to_yaml().trim_end().to_owned()
}

/// Returns the files of a template, with the new name filled in.
fn filled(template: &str, name: &str) -> BTreeMap<String, String> {
    let folder = TEMPLATES.get_dir(template);
    let mut files = BTreeMap::new();
    for (path, text) in folder.map(shipped::texts_in).unwrap_or_default() {
        let path = path
            .split_once('/')
            .map_or(&*path, |(_, path)| path)
            .replace(NAME, name);
        // Where the name is the whole value of a key.
        let text = text.replace(&format!(": {NAME}\n"), &format!(": {}\n", in_yaml(name)));
        files.insert(path, text.replace(NAME, name));
    }
    files
}

/// Returns the files of a shipped workflow, with everything that it uses and its tests; renamed if a name is given.
fn shipped(from: &str, name: Option<&str>) -> Result<BTreeMap<String, String>, Failure> {
    name.map_or(Ok(()), check_name)?;
    let known: Vec<_> = shipped::names().collect();
    if !known.contains(&from) {
        let failure = Failure::new("bad-name", format!("no shipped workflow is named `{from}`"));
        return Err(failure.hint(match closest(from, known.iter().copied()) {
            Some(near) => did_you_mean(near),
            None => format!("the shipped workflows are {}", known.join(", ")),
        }));
    }
    let all = shipped::texts();
    let main = format!("{from}.yaml");
    let tests = format!("{from}.test.yaml");
    let before = all
        .get(&tests)
        .map_or_else(Vec::new, |text| run_before(text));
    let mut files: BTreeMap<String, Arc<str>> = BTreeMap::new();
    for workflow in [main.clone()].into_iter().chain(before) {
        files.extend(compile(&workflow, &mut InMemory(all.clone()))?.files);
    }
    let scripts = files.keys().filter_map(|path| path.strip_suffix(".rhai"));
    let of_scripts: Vec<_> = scripts.map(|path| format!("{path}.test.yaml")).collect();
    for path in of_scripts.into_iter().chain([tests.clone()]) {
        files.extend(all.get(&path).map(|text| (path, text.clone())));
    }
    let files = files.into_iter();
    let mut files: BTreeMap<String, String> =
        files.map(|(path, text)| (path, text.to_string())).collect();
    let Some(name) = name else {
        return Ok(files);
    };
    if let Some(text) = files.remove(&main) {
        // Lists, approvals and grants use the name inside the file.
        let text = text.replacen(
            &format!("workflow: {from}\n"),
            &format!("workflow: {}\n", in_yaml(name)),
            1,
        );
        files.insert(format!("{name}.yaml"), text);
    }
    if let Some(text) = files.remove(&tests) {
        let text = text.replace(
            &format!("workflow: {main}"),
            &format!("workflow: {name}.yaml"),
        );
        files.insert(format!("{name}.test.yaml"), text);
    }
    Ok(files)
}

/// Returns the workflows that run before the tests of a file.
fn run_before(tests: &str) -> Vec<String> {
    let file = parse_value(tests).unwrap_or_default();
    let tests = file
        .field("tests")
        .and_then(Value::as_map)
        .into_iter()
        .flatten();
    let before = tests.filter_map(|(_, test)| match test.field("before") {
        Some(Value::List(runs)) => Some(runs.clone()),
        _ => None,
    });
    let named = before.flatten();
    let named = named.filter_map(|run| run.field("workflow")?.as_str().map(str::to_owned));
    named.collect()
}

/// Writes the schemas that the first lines of these files name. They are generated, so those of another version are
/// overwritten.
fn write_schemas(files: &BTreeMap<String, String>) -> Result<(), Failure> {
    for (name, of_tests) in [(WORKFLOW_SCHEMA, false), (TEST_SCHEMA, true)] {
        let first = "# yaml-language-server: $schema=";
        let lines = [format!("{first}{name}\n"), format!("{first}../{name}\n")];
        let names = |text: &String| lines.iter().any(|line| text.starts_with(line));
        if !files.values().any(names) {
            continue;
        }
        let text = schema::text(of_tests);
        let done = match fs::read(name) {
            Ok(written) if written == text.as_bytes() => continue,
            Ok(_) => "updated",
            Err(_) => "created",
        };
        fs::write(name, text)
            .map_err(|e| Failure::new("output", format!("can't write {name}: {e}")))?;
        say!("{} {name}", console::style(done).for_stderr().green());
    }
    Ok(())
}

/// Writes a file that does not exist, and creates its folders.
fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes())
}
