//! The documentation: its commands work, its YAML and Rhai are valid, its links lead somewhere.

mod blocks;
mod built;
mod links;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use crate::harness::Test;
use blocks::{Block, blocks, fits};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every page that people write, by its path from the root.
fn pages() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["docs", "examples", "editors"] {
        walk(&root().join(folder), &mut found);
    }
    for file in ["README.md", "CONTRIBUTING.md", "SECURITY.md"] {
        found.push(root().join(file));
    }
    found.sort();
    found
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && !path.ends_with("node_modules") {
            walk(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "md") {
            found.push(path);
        }
    }
}

fn text_of(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Does what a reader of a page does: writes its files, and types its commands.
fn follow(page: &str) {
    let test = Test::new();
    let mut ran = 0;
    for block in blocks(&text_of(&root().join(page))) {
        let place = format!("{page}:{}", block.line);
        if let Some(file) = block.attribute("file") {
            test.write(file, &block.text);
        }
        if let Some(file) = block.attribute("append") {
            append(
                &test,
                file,
                block.attribute("after").expect("after=KEY"),
                &block.text,
            );
        }
        match &*block.language {
            "sh" | "console" if block.not_run.is_some() => {}
            "sh" => {
                for line in block.text.lines() {
                    let (code, output) = shell(&test, line);
                    assert_eq!(code, 0, "{place}: {line}\n{output}");
                    ran += 1;
                }
            }
            "console" => ran += transcript(&test, &block, &place),
            _ => {}
        }
    }
    assert!(ran > 0, "{page} has no command");
}

/// Adds lines at the end of a top-level key of a YAML file, as a reader is asked to.
fn append(test: &Test, file: &str, key: &str, lines: &str) {
    let text = test.read(file);
    let begins = format!("{key}:");
    let mut is_inside = false;
    let mut written = String::new();
    for line in text.lines() {
        if is_inside && line.starts_with(|c: char| c.is_ascii_alphabetic()) {
            written.push_str(&format!("{}\n\n", lines.trim_end()));
            is_inside = false;
        }
        is_inside |= line == begins;
        written.push_str(&format!("{line}\n"));
    }
    if is_inside {
        written.push_str(lines);
    }
    assert!(written.contains(lines.trim_end()), "{file} has no {key}");
    test.write(file, &written);
}

/// Runs the commands of a block, and holds what they print against what it shows.
fn transcript(test: &Test, block: &Block, place: &str) -> usize {
    let mut commands: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in block.text.lines() {
        match line.strip_prefix("$ ") {
            Some(command) => commands.push((command, Vec::new())),
            None => commands.last_mut().expect("a command first").1.push(line),
        }
    }
    let count = commands.len();
    for (at, (command, shown)) in commands.into_iter().enumerate() {
        let expected = block.attribute("exit").filter(|_| at + 1 == count);
        let expected: i32 = expected.map_or(0, |code| code.parse().expect("a number"));
        let (code, output) = shell(test, command);
        assert_eq!(code, expected, "{place}: {command}\n{output}");
        let printed: Vec<_> = output.lines().map(str::trim_end).collect();
        assert!(
            fits(&shown, &printed),
            "{place}: {command}\nshown:\n{}\nprinted:\n{output}",
            shown.join("\n")
        );
    }
    count
}

/// Runs a line as a shell does. Errors are printed where output is.
fn shell(test: &Test, line: &str) -> (i32, String) {
    let windlass = Path::new(env!("CARGO_BIN_EXE_windlass"));
    let folder = windlass.parent().expect("a folder").display();
    let path = std::env::var("PATH").unwrap_or_default();
    // Environment and folder as for every other command of a test.
    let mut command = test.command(&[]);
    let plain = Command::new("bash");
    let environment: Vec<_> = command
        .get_envs()
        .map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned)))
        .collect();
    command = plain;
    for (name, value) in environment {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let output = command
        .args(["-c", &format!("exec 2>&1\n{line}\nexit $?")])
        .current_dir(test.path("."))
        .env("PATH", format!("{folder}:{path}"))
        .env("COLUMNS", "120")
        .output()
        .expect("bash");
    let code = output.status.code().unwrap_or(-1);
    (code, String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn the_tutorial_works_as_it_stands() {
    follow("docs/tutorial.md");
}

#[test]
fn each_how_to_works_as_it_stands() {
    for page in [
        "customise",
        "clusters",
        "aws",
        "ci",
        "gitops",
        "keep",
        "kubernetes",
        "pauses",
        "script",
    ] {
        follow(&format!("docs/howto/{page}.md"));
    }
    let there = fs::read_dir(root().join("docs/howto"))
        .expect("a folder")
        .count();
    // And assistants.md, whose commands an assistant runs.
    assert_eq!(there, 9 + 1, "name a new page here");
}

/// A command that no test runs says why, where a reader of the source sees it.
#[test]
fn what_is_not_run_says_why() {
    let mut not_run = 0;
    for page in pages() {
        let name = page
            .strip_prefix(root())
            .expect("inside")
            .display()
            .to_string();
        let is_followed = name.ends_with("tutorial.md") || name.contains("howto/");
        for block in blocks(&text_of(&page)).iter().filter(|_| is_followed) {
            if let Some(why) = &block.not_run {
                assert!(why.len() > 10, "{name}:{}: {why}", block.line);
                not_run += 1;
            }
        }
    }
    assert!(not_run < 13, "{not_run} blocks are not run");
}

#[test]
fn every_yaml_and_rhai_block_is_valid() {
    let test = Test::with_shipped_workflows();
    let mut checked = 0;
    for page in pages() {
        // The reference is made from tables, which other tests hold against the code.
        if page.ends_with("reference.md") {
            continue;
        }
        let name = page
            .strip_prefix(root())
            .expect("inside")
            .display()
            .to_string();
        for block in blocks(&text_of(&page)) {
            let place = format!("{name}:{}", block.line);
            match &*block.language {
                "rhai" => check_rhai(&block.text, &place),
                // Its mistake is what the page is about, and its text shows that.
                "yaml" if block.text.contains("nmae:") => continue,
                "yaml" => check_yaml(&test, &block.text, &place),
                "toml" => {
                    let parsed: Result<toml::Table, _> = block.text.parse();
                    assert!(parsed.is_ok(), "{place}: {:?}", parsed.err());
                }
                _ => continue,
            }
            checked += 1;
        }
    }
    assert!(checked > 25, "only {checked} blocks were found");
}

fn check_rhai(text: &str, place: &str) {
    use windlass::script::{ParsedScripts, Script};
    let mut no_import = |_: &str, _: &str| Err("a page imports nothing".to_owned());
    let has = |name: &str| text.contains(&format!("fn {name}("));
    let whole: Arc<str> = match (has("run"), has("undo")) {
        (false, true) => format!("{text}\nfn run(inputs) {{ #{{}} }}").into(),
        _ => text.into(),
    };
    let parsed = if has("run") || has("undo") {
        Script::parse("page.rhai", whole, &mut no_import)
    } else {
        ParsedScripts::default().parse_inline(
            "page.rhai",
            whole,
            Default::default(),
            &mut no_import,
        )
    };
    let faults: Vec<_> = parsed
        .err()
        .into_iter()
        .flatten()
        .map(|f| f.message)
        .collect();
    assert!(faults.is_empty(), "{place}: {faults:?}\n{text}");
}

fn check_yaml(test: &Test, text: &str, place: &str) {
    let has = |key: &str| {
        text.lines()
            .any(|line| line.starts_with(&format!("{key}:")))
    };
    // Files of other programs need only be YAML.
    if ["apiVersion", "jobs"].iter().any(|key| has(key)) || has("clusters") {
        // Manifests are for kubectl, which reads a mode such as `0400` as octal.
        let parsed = windlass::value::Value::parse_yaml_as_earlier(text, usize::MAX);
        assert!(parsed.is_ok(), "{place}: {:?}", parsed.err());
        return;
    }
    if has("http") {
        test.write("page.http.yaml", text);
        let read = windlass::compile::read_mock(&test.path("page.http.yaml"));
        assert!(read.is_ok(), "{place}: {:?}", read.err());
        return;
    }
    if has("tests") {
        if text.starts_with("workflow: pki.yaml") {
            // The tutorial's own, which is run there.
            return;
        }
        test.write("workflows/page.test.yaml", text);
        let read = windlass::compile::read_suite(&test.path("workflows/page.test.yaml"), |_| None);
        assert!(read.is_ok(), "{place}: {:?}", read.err());
        return;
    }
    let whole = match () {
        () if has("workflow") && !has("steps") => {
            format!("{text}\nsteps: {{ s: {{ run: '1' }} }}\n")
        }
        () if has("workflow") => text.to_owned(),
        () if has("phases") => format!("workflow: page\n{text}steps: {{ s: {{ run: '1' }} }}\n"),
        // Steps, at the place where they stand in a file.
        () if text.starts_with("  ") => {
            let names = ["leaf", "root_active", "root_ca"];
            let others: String = names
                .iter()
                .map(|name| format!("  {name}: {{ run: '#{{ arn: \"x\" }}' }}\n"))
                .collect();
            format!(
                "workflow: page\nparams: {{ clusters: list(string), services: list(string) }}\nsteps:\n{text}{others}"
            )
        }
        () => panic!("{place}: what is this YAML for?\n{text}"),
    };
    test.write("workflows/page.yaml", &whole);
    let ran = test.windlass(&["validate", "workflows/page.yaml"]);
    assert_eq!(ran.code, 0, "{place}\n{}", ran.stderr);
}

/// Returns the codes that have a page, in alphabetical order, each with the title of its page.
fn codes() -> Vec<(String, String)> {
    let pages = fs::read_dir(root().join("docs/errors")).expect("pages");
    let pages = pages.map(|entry| entry.expect("an entry").path());
    let mut codes: Vec<_> = pages
        .filter(|path| !path.ends_with("README.md"))
        .map(|path| {
            let text = text_of(&path);
            let code = path.file_stem().expect("a name").to_str().expect("UTF-8");
            let title = text.lines().next().expect("a title");
            let title = title.strip_prefix(&format!("# `{code}`: "));
            let title = title.unwrap_or_else(|| panic!("{code}: its title does not name it"));
            (code.to_owned(), title.to_owned())
        })
        .collect();
    codes.sort();
    codes
}

/// Checks that the lines of a page which `is_one` are `lines`; `WINDLASS_UPDATE=1` writes them, after the line that `is_before`.
fn lists(page: &str, is_one: fn(&str) -> bool, is_before: fn(&str) -> bool, lines: &[String]) {
    let path = root().join(page);
    let text = text_of(&path);
    if std::env::var_os("WINDLASS_UPDATE").is_some() {
        let mut written: Vec<_> = text.lines().filter(|line| !is_one(line)).collect();
        let before = written.iter().position(|line| is_before(line));
        let after = before.expect("where the list begins") + 1;
        written.splice(after..after, lines.iter().map(String::as_str));
        fs::write(&path, written.join("\n") + "\n").expect("written");
    } else {
        let listed: Vec<_> = text.lines().filter(|line| is_one(line)).collect();
        assert_eq!(listed, lines, "run this test with WINDLASS_UPDATE=1");
    }
}

#[test]
fn the_list_of_errors_is_up_to_date() {
    let row = |(code, title)| format!("| [`{code}`]({code}.md) | {title} |");
    lists(
        "docs/errors/README.md",
        |line| line.starts_with("| ["),
        |line| line == "|---|---|",
        &codes().into_iter().map(row).collect::<Vec<_>>(),
    );
}

#[test]
fn the_table_of_contents_is_up_to_date() {
    let item = |(code, _)| format!("  - [{code}](errors/{code}.md)");
    lists(
        "docs/SUMMARY.md",
        |line| line.contains("](errors/") && !line.contains("README"),
        |line| line.contains("errors/README.md"),
        &codes().into_iter().map(item).collect::<Vec<_>>(),
    );
    let summary = text_of(&root().join("docs/SUMMARY.md"));
    for page in pages() {
        let Ok(page) = page.strip_prefix(root().join("docs")) else {
            continue;
        };
        let name = page.display().to_string();
        if name != "SUMMARY.md" && !name.starts_with("errors/") {
            let count = summary.matches(&format!("]({name})")).count();
            assert_eq!(count, 1, "docs/SUMMARY.md names {name} {count} times");
        }
    }
}

#[test]
fn every_link_leads_somewhere() {
    let mut count = 0;
    let mut dead = Vec::new();
    for page in pages() {
        let text = text_of(&page);
        for link in links::links(&text) {
            count += 1;
            if let Err(why) = links::check(&page, &text, &link) {
                dead.push(format!("{}: {link}: {why}", page.display()));
            }
        }
    }
    assert!(dead.is_empty(), "{}", dead.join("\n"));
    assert!(count > 150, "only {count} links were found");
}

/// What messages and comments name of the documentation is there.
#[test]
fn pages_that_the_code_names_are_there() {
    let mut files = Vec::new();
    for folder in ["src", "workflows", "templates", "examples"] {
        sources(&root().join(folder), &mut files);
    }
    let mut named = 0;
    for path in files {
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        for (at, _) in text.match_indices("docs/") {
            let is_part = |c: char| c.is_ascii_alphanumeric() || "/-_.".contains(c);
            let name: String = text[at..].chars().take_while(|c| is_part(*c)).collect();
            if let Some(page) = name.strip_suffix(".md").or(name.strip_suffix(".md.")) {
                let there = root().join(format!("{page}.md")).is_file();
                assert!(there, "{} names {name}", path.display());
                named += 1;
            }
        }
    }
    assert!(named > 3, "only {named} pages are named");
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found)
        } else {
            found.push(path)
        }
    }
}
