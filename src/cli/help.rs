//! Tests of the help pages of all commands, as users see them on narrow and wide terminals.

use clap::{Command, CommandFactory};

use super::{args::Args, man::without_values};

/// The widths in columns: a terminal as it opens, and one that fills a screen.
const WIDTHS: [usize; 2] = [80, 120];

/// Returns the help of every command and subcommand, by its words joined with `-`: `pca-serve`.
fn pages(width: usize) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let mut root = without_values(Args::command()).term_width(width);
    root.build();
    collect(&root, "windlass", &mut all);
    all
}

fn collect(command: &Command, name: &str, all: &mut Vec<(String, String)>) {
    let help = command.clone().render_long_help().to_string();
    all.push((name.to_owned(), help));
    let visible = command.get_subcommands().filter(|one| !one.is_hide_set());
    // `help` is clap's own, and repeats the names of the others.
    for inner in visible.filter(|one| one.get_name() != "help") {
        let name = match name {
            "windlass" => inner.get_name().to_owned(),
            outer => format!("{outer}-{}", inner.get_name()),
        };
        collect(inner, &name, all);
    }
}

/// The folder of the snapshots, as [`insta`] takes it: relative to this file.
const FOLDER: &str = "../../tests/snapshots/help";

#[test]
fn every_command_has_its_page_of_help() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(FOLDER);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        let [narrow, wide] = WIDTHS.map(pages);
        for ((name, narrow), (_, wide)) in narrow.into_iter().zip(wide) {
            let [at_80, at_120] = WIDTHS;
            let both = if narrow == wide {
                format!("at {at_80} and {at_120} columns:\n\n{narrow}")
            } else {
                format!(
                    "at {at_80} columns:\n\n{narrow}\n{}\nat {at_120} columns:\n\n{wide}",
                    "-".repeat(at_120)
                )
            };
            insta::assert_snapshot!(name, both);
        }
    });
}

#[test]
fn a_command_that_is_gone_leaves_no_page_of_help() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots/help");
    let kept = std::fs::read_dir(folder).expect("the folder of the pages");
    let mut kept: Vec<_> = kept
        .map(|entry| entry.expect("an entry").file_name())
        .filter_map(|name| Some(name.to_str()?.strip_suffix(".snap")?.to_owned()))
        .collect();
    let mut named: Vec<_> = pages(80).into_iter().map(|(name, _)| name).collect();
    kept.sort_unstable();
    named.sort_unstable();
    assert_eq!(kept, named);
}

#[test]
fn no_line_of_help_is_wider_than_the_terminal() {
    for width in WIDTHS {
        for (name, page) in pages(width) {
            // A usage is one command, and clap does not break it.
            let lines = page.lines().filter(|line| !line.starts_with("Usage:"));
            for line in lines {
                let length = line.chars().count();
                assert!(length <= width, "{name} at {width}: {length}: {line}");
            }
        }
    }
}
