use super::explain::{function_page, section_page};
use windlass_compile::{MOCK_SECTIONS, SECTIONS, SUITE_SECTIONS, Section};
use windlass_script::{Function, MODULES};

/// Returns `docs/reference.md`: all keys of workflows, test files and mock files, and all host functions.
pub fn reference() -> String {
    let mut text = "# Reference\n\n\
        This page is made from the tables in `src/compile/` (`keys.rs` and its namesakes) and `src/script/host/`. `windlass explain NAME` shows one\n\
        entry of it, `windlass schema` prints the keys as a JSON Schema, and `windlass definitions DIR` writes the functions for\n\
        editors. The [guide](guide.md) explains how they are used; each error code has a page in [errors/](errors/README.md).\n\n\
        ## The workflow file\n"
        .to_owned();
    let chapter = |sections: &[&Section]| {
        let pages = sections
            .iter()
            .map(|section| format!("\n{}", section_page(section).to_markdown(3)));
        pages.collect::<String>()
    };
    text.push_str(&chapter(&SECTIONS));
    text.push_str("\n## Test files\n");
    text.push_str(&chapter(&SUITE_SECTIONS));
    text.push_str("\n## Mock files\n");
    text.push_str(&chapter(&MOCK_SECTIONS));
    text.push_str("\n## Host functions\n");
    for module in &MODULES {
        text.push_str(&format!("\n### {}\n\n{}\n", module.name, module.about));
        let mut before: Option<&Function> = None;
        for row in module.functions {
            text.push('\n');
            text.push_str(
                &function_page(row, before.filter(|before| is_alike(row, before))).to_markdown(4),
            );
            before = Some(row);
        }
    }
    text
}

/// Says whether two functions have the same options and result.
fn is_alike(row: &Function, other: &Function) -> bool {
    match (row.options(), other.options()) {
        (Some((_, own)), Some((_, others))) => std::ptr::eq(own, others) && own.len() > 1,
        _ => false,
    }
}
