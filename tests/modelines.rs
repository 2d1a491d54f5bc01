//! The first line of a workflow names its schema, for editors that have another language server for YAML.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::harness::Test;

const MODELINE: &str = "# yaml-language-server: $schema=";

/// All workflows and test files below a folder.
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.display().to_string();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else if name.ends_with(".yaml") && !name.ends_with(".http.yaml") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The file that the first line of a workflow or a test file names, and whether it has to be the schema of tests.
fn named_by(path: &Path) -> (PathBuf, bool) {
    let text = fs::read_to_string(path).expect("a text");
    let first = text.lines().next().unwrap_or_default();
    let name = first
        .strip_prefix(MODELINE)
        .unwrap_or_else(|| panic!("{} begins with {first:?}", path.display()));
    let is_test = path.to_string_lossy().ends_with(".test.yaml");
    (path.parent().expect("a folder").join(name), is_test)
}

#[test]
fn the_schemas_that_workflows_name_are_up_to_date() {
    let test = Test::new();
    let schema = |arguments: &[&str]| test.windlass(arguments).expect(0).stdout;
    let (of_workflows, of_tests) = (schema(&["schema"]), schema(&["schema", "--test"]));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seen = 0;
    for folder in ["workflows", "examples"] {
        let folder = root.join(folder);
        if std::env::var_os("WINDLASS_UPDATE").is_some() {
            fs::write(folder.join("windlass.schema.json"), &of_workflows).expect("written");
            fs::write(folder.join("windlass-test.schema.json"), &of_tests).expect("written");
        }
        for path in files_below(&folder) {
            let (named, is_test) = named_by(&path);
            let wanted = if is_test { &of_tests } else { &of_workflows };
            let found = fs::read_to_string(&named)
                .unwrap_or_else(|e| panic!("{} names {}: {e}", path.display(), named.display()));
            assert_eq!(
                &found,
                wanted,
                "{}: WINDLASS_UPDATE=1 writes it",
                named.display()
            );
            seen += 1;
        }
    }
    assert!(seen > 50, "{seen}");
}

#[test]
fn a_new_workflow_has_its_schema_beside_it() {
    for arguments in [
        &["new", "mine"][..],
        &["new", "mine", "--template", "api"],
        &["new", "mine", "--from", "rotate-db-password"],
        &["new", "--from", "rotate-leaf"],
    ] {
        let test = Test::new();
        let ran = test.windlass(arguments).expect(0);
        ran.says("created windlass.schema.json");
        let schema = test.windlass(&["schema"]).expect(0).stdout;
        assert_eq!(test.read("windlass.schema.json"), schema);
        for path in files_below(&test.path("")) {
            let (named, _) = named_by(&path);
            assert!(named.is_file(), "{arguments:?}: {}", path.display());
        }
    }
}

#[test]
fn the_schema_of_another_version_is_written_anew() {
    let test = Test::new().file("windlass.schema.json", "{}\n");
    let ran = test.windlass(&["new", "one"]).expect(0);
    ran.says("updated windlass.schema.json");
    let ran = test.windlass(&["new", "two"]).expect(0);
    assert!(!ran.stderr.contains("schema.json"), "{}", ran.stderr);
    assert_eq!(
        test.read("windlass.schema.json"),
        test.windlass(&["schema"]).expect(0).stdout
    );
}
