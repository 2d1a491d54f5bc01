use super::page::Page;

macro_rules! pages {
    ($($code:literal,)*) => {
        /// Every error code with its page, which is Markdown.
        const PAGES: &[(&str, &str)] =
            &[$(($code, include_str!(concat!("../../docs/errors/", $code, ".md")))),*];
    };
}

pages![
    "approval-expired",
    "approval-rejected",
    "attempt-killed",
    "bad-answer",
    "bad-backup",
    "bad-bundle",
    "bad-choice",
    "bad-import",
    "bad-name",
    "bad-request",
    "bad-route",
    "bad-signature",
    "bad-test",
    "bad-undo-function",
    "bad-yaml",
    "bare-expression",
    "bare-steps",
    "busy",
    "clusters",
    "config",
    "cycle",
    "damaged-runs",
    "diverged",
    "duplicate-item",
    "engine",
    "engine-broke",
    "exists",
    "expression-failed",
    "failing-tests",
    "foreign-request",
    "idempotency-key",
    "in-doubt",
    "invalid-workflow",
    "items-failed",
    "journal",
    "lock-timeout",
    "log-filter",
    "login",
    "mcp",
    "misplaced-expression",
    "misplaced-key",
    "missing-input",
    "missing-key",
    "newer-run",
    "no-item",
    "no-outputs",
    "no-run-function",
    "no-such-run",
    "no-tests",
    "not-allowed",
    "not-approver",
    "not-authenticated",
    "not-confirmed",
    "not-empty",
    "not-ended",
    "not-found",
    "not-permitted",
    "not-remote",
    "not-signed",
    "not-signed-request",
    "not-waiting",
    "nothing-to-cancel",
    "nothing-to-resume",
    "nothing-to-undo",
    "output",
    "outside-failure",
    "params",
    "phase-order",
    "plan-changed",
    "reads-finally",
    "reads-later",
    "refused",
    "result-too-large",
    "run-owned",
    "scan",
    "script-error",
    "script-limit",
    "script-threw",
    "serve",
    "server",
    "signing-key",
    "steps-failed",
    "syntax",
    "system",
    "target",
    "test-broke",
    "timed-out",
    "timestamp",
    "trigger-paused",
    "two-actions",
    "undo-failed",
    "undo-unknown",
    "unknown-function",
    "unknown-input",
    "unknown-key",
    "unknown-module",
    "unknown-name",
    "unknown-option",
    "unknown-output",
    "unknown-param",
    "unknown-step",
    "unknown-topic",
    "unknown-trigger",
    "unknown-type",
    "unknown-workflow",
    "unnamed-items",
    "unreadable-file",
    "unsafe-out",
    "worker",
    "wrong-arguments",
    "wrong-output",
    "wrong-type",
];

/// Lists every error code.
pub fn codes() -> impl Iterator<Item = &'static str> {
    PAGES.iter().map(|(code, _)| *code)
}

/// Returns the page of an error code in Markdown.
pub fn code_markdown(code: &str) -> Option<&'static str> {
    let (_, page) = PAGES.iter().find(|(known, _)| *known == code)?;
    Some(page)
}

/// Returns the page of an error code.
pub fn code_page(code: &str) -> Option<Page> {
    code_markdown(code).map(Page::read)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    #[test]
    fn every_page_is_known() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors");
        let names = fs::read_dir(folder).expect("pages").map(|entry| {
            let name = entry.expect("a page").file_name();
            let name = name.to_string_lossy();
            name.strip_suffix(".md").expect("Markdown").to_owned()
        });
        let pages: BTreeSet<_> = names.filter(|name| name != "README").collect();
        assert_eq!(pages, codes().map(str::to_owned).collect());
        for code in codes() {
            let page = code_page(code).expect("a page");
            assert!(
                page.title.starts_with(&format!("`{code}`: ")),
                "{}",
                page.title
            );
        }
    }
}
