//! The house rules that a machine can check.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Rooms of one crate that must not know each other; Cargo keeps the arrows between crates.
const FORBIDDEN: [(&str, &[&str]); 12] = [
    ("world/value", &["outside", "x509"]),
    ("world/x509", &["outside"]),
    ("compile", &["outside"]),
    ("engine/decide", &["execute", "outside", "x509"]),
    ("journal", &["outside"]),
    ("runs/here", &["restate", "there"]),
    ("runs/restate", &["here", "there"]),
    ("runs/there", &["here", "restate"]),
    ("keep", &["cli", "desk"]),
    ("mcp", &["cli", "desk"]),
    ("testing", &["cli"]),
    (
        "mock",
        &[
            "cli", "decide", "execute", "journal", "outside", "report", "testing",
        ],
    ),
];

/// What begins a path to a room.
const PATHS: [&str; 4] = [
    "crate::",
    "windlass_engine::",
    "windlass_runs::",
    "windlass_world::",
];

#[test]
fn no_room_knows_one_that_it_must_not() {
    let mut wrong = Vec::new();
    for (room, others) in FORBIDDEN {
        for file in rust_files(&root().join("src").join(room)) {
            let text = fs::read_to_string(&file).expect("readable");
            for other in rooms_named_in(&text)
                .iter()
                .filter(|name| others.contains(&name.as_str()))
            {
                wrong.push(format!("{} uses {other}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The rooms that a file's paths lead to, also inside `use crate::{…}`.
fn rooms_named_in(text: &str) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    let paths = PATHS.iter().flat_map(|path| {
        let ends = text.match_indices(path).map(|(at, _)| at + path.len());
        ends.collect::<Vec<_>>()
    });
    for at in paths {
        let rest = &text[at..];
        match rest.strip_prefix('{') {
            None => rooms.extend(word(rest)),
            Some(list) => {
                let mut depth = 1;
                let mut start = true;
                for (i, c) in list.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' => depth -= 1,
                        ',' if depth == 1 => start = true,
                        c if start && c.is_alphabetic() => {
                            rooms.extend(word(&list[i..]));
                            start = false;
                        }
                        _ => {}
                    }
                    if depth == 0 {
                        break;
                    }
                }
            }
        }
    }
    rooms
}

fn word(text: &str) -> Option<String> {
    let end = text
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

#[test]
fn the_reader_of_imports_can_fail() {
    let text = "use crate::{\n    journal::{Event, State},\n};\nuse windlass_world::outside::Clients;\nlet x = crate::report::y;";
    let rooms: Vec<_> = rooms_named_in(text).into_iter().collect();
    assert_eq!(rooms, ["journal", "outside", "report"]);
}

#[test]
fn every_error_code_has_a_page() {
    let mut missing = BTreeSet::new();
    let mut known = BTreeSet::new();
    let mut all_text = String::new();
    for file in rust_files(&root().join("src")) {
        let has_codes_of_its_own = ["src/authority", "src/cluster", "src/mesh"]
            .iter()
            .any(|room| file.starts_with(root().join(room)));
        if has_codes_of_its_own {
            continue;
        }
        let text = fs::read_to_string(&file).expect("readable");
        // It lists all pages, used or not.
        if !file.ends_with("report/codes.rs") {
            all_text.push_str(&text);
        }
        for marker in [
            "Fault::new(",
            "StepError::new(",
            "Failure::new(",
            "report.at(",
            ".at(",
            "Mistake::new(",
            "Self::of(",
            "fault(",
        ] {
            for (at, _) in text.match_indices(marker) {
                let rest = text[at + marker.len()..].trim_start();
                let Some(code) = rest
                    .strip_prefix('"')
                    .and_then(|rest| rest.split('"').next())
                else {
                    continue;
                };
                if code.is_empty() || !code.chars().all(|c| c.is_ascii_lowercase() || c == '-') {
                    continue;
                }
                known.insert(code.to_owned());
                if !root().join(format!("docs/errors/{code}.md")).is_file() {
                    missing.insert(code.to_owned());
                }
            }
        }
    }
    assert!(
        known.len() > 30,
        "the reader finds no codes any more: {known:?}"
    );
    assert!(missing.is_empty(), "no page for {missing:?}");
    for entry in fs::read_dir(root().join("docs/errors")).expect("pages") {
        let path = entry.expect("a page").path();
        let code = path
            .file_stem()
            .and_then(|s| s.to_str())
            .unwrap_or_default()
            .to_owned();
        let is_used = all_text.contains(&format!("\"{code}\""));
        assert!(
            code == "README" || is_used,
            "{code}.md is a page for no error"
        );
    }
}

#[test]
fn shipped_workflows_are_valid() {
    for file in [
        "workflows/gloo-mesh.yaml",
        "workflows/certificate.yaml",
        "workflows/authority.yaml",
        "workflows/restart-mesh.yaml",
        "workflows/restart-cluster.yaml",
        "workflows/rotate-leaf.yaml",
        "workflows/rotate-relay-ca.yaml",
        "workflows/rotate-issuing-ca.yaml",
        "workflows/rotate-root.yaml",
        "workflows/relay-agent.yaml",
        "workflows/relay-server.yaml",
        "workflows/relay-trust.yaml",
        "workflows/istio-cluster.yaml",
        "workflows/istio-trust.yaml",
        "workflows/add-cluster.yaml",
        "workflows/retire-cluster.yaml",
        "workflows/retire-ca.yaml",
    ] {
        let checked = std::process::Command::new(env!("CARGO_BIN_EXE_windlass"))
            .args(["validate", file])
            .current_dir(root())
            .status();
        assert!(checked.expect("windlass starts").success(), "{file}");
    }
}

/// One params file serves them all.
#[test]
fn workflows_of_a_mesh_have_the_params_of_the_first() {
    let names = |file: &str| -> Vec<String> {
        let text = fs::read_to_string(root().join("workflows").join(file)).expect(file);
        let params = text.lines().skip_while(|line| *line != "params:").skip(1);
        params
            .take_while(|line| line.is_empty() || line.starts_with(' '))
            .filter_map(|line| line.strip_prefix("  ")?.split_once(':'))
            .filter(|(name, _)| !name.starts_with([' ', '#']))
            .map(|(name, _)| name.to_owned())
            .collect()
    };
    let first = names("gloo-mesh.yaml");
    assert!(first.len() > 25, "{first:?}");
    // What `force` forces differs, so it belongs to one run and not into a file.
    let shared = first.iter().filter(|name| *name != "force");
    // The outputs of the first are params of the others.
    let shared: Vec<_> = shared
        .map(String::as_str)
        .chain(["root_ca_arn", "relay_ca_arn", "root_ca_file"])
        .collect();
    for file in [
        "restart-mesh.yaml",
        "rotate-leaf.yaml",
        "rotate-relay-ca.yaml",
        "rotate-issuing-ca.yaml",
        "rotate-root.yaml",
        "add-cluster.yaml",
        "retire-cluster.yaml",
        "retire-ca.yaml",
    ] {
        let there = names(file);
        for name in &shared {
            assert!(there.iter().any(|it| it == name), "{file} has no {name}");
        }
    }
}

/// The page about the architecture names folders and files by their names within a crate, that about decisions by their paths.
#[test]
fn the_pages_about_the_code_name_what_is_there() {
    let mut wrong = Vec::new();
    let mut rows = 0;
    let mut crates: Vec<String> = Vec::new();
    let text = fs::read_to_string(root().join("docs/architecture.md")).expect("a page");
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix('#') {
            let names = heading.trim_start_matches('#').split([',', ' ']);
            let folders = names
                .filter(|name| !name.is_empty())
                .map(|name| match name {
                    // The crate in `src/` itself.
                    "windlass" => "",
                    name => name,
                });
            let folders = folders.filter(|name| root().join("src").join(name).is_dir());
            crates = folders.map(str::to_owned).collect();
        }
        let Some((cell, _)) = line.strip_prefix("| ").and_then(|row| row.split_once(" |")) else {
            continue;
        };
        if crates.is_empty() {
            continue;
        }
        rows += 1;
        // `compile/`: `document`, `align`: the files are in the folder before the colon.
        let (within, files) = cell.split_once("`: ").unwrap_or(("", cell));
        let within = within.trim_start_matches('`').trim_end_matches('/');
        for name in spans(files)
            .chain(Some(within))
            .filter(|name| !name.is_empty())
        {
            let is_there = crates.iter().any(|folder| {
                let base = root().join("src").join(folder);
                let beside = [base.join(within).join(name), base.join(name)];
                let above = [
                    root().join("src").join(within).join(name),
                    root().join("src").join(name),
                ];
                beside.iter().chain(&above).any(|path| is_code(path))
            });
            if !is_there {
                wrong.push(format!("architecture.md: {name} of {crates:?}"));
            }
        }
    }
    assert!(rows > 60, "only {rows} rows were read");
    let mut paths = 0;
    for page in ["architecture.md", "decisions.md"] {
        let text = fs::read_to_string(root().join("docs").join(page)).expect("a page");
        for path in spans(&text).filter(|span| {
            !span.starts_with('.') && (span.ends_with(".rs") || span.ends_with(".rhai"))
        }) {
            paths += 1;
            let is_there = ["", "src"]
                .iter()
                .any(|base| root().join(base).join(path).is_file());
            if !is_there {
                wrong.push(format!("{page}: {path}"));
            }
        }
    }
    assert!(paths > 150, "only {paths} paths were read");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A newcomer looks for a folder in that page, so none may be left out.
#[test]
fn the_page_about_the_architecture_names_every_folder() {
    let text = fs::read_to_string(root().join("docs/architecture.md")).expect("a page");
    let named: BTreeSet<&str> = spans(&text).flat_map(|span| span.split('/')).collect();
    let mut missing = Vec::new();
    for entry in fs::read_dir(root().join("src")).expect("a folder") {
        let folder = entry.expect("an entry").path();
        if !folder.is_dir() {
            continue;
        }
        let below = fs::read_dir(&folder).expect("a folder");
        let below = below.map(|entry| entry.expect("an entry").path());
        let with_code = below.filter(|path| path.is_dir() && !rust_files(path).is_empty());
        for path in with_code.chain([folder.clone()]) {
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .expect("UTF-8");
            if name != "tests" && !named.contains(name) {
                missing.push(path.display().to_string());
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

/// The texts between backticks.
fn spans(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn is_code(path: &Path) -> bool {
    path.is_dir() || path.with_extension("rs").is_file()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files
}
