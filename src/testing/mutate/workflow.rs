//! Finds the alterations of a workflow file.

use std::ops::Range;

use super::{Edit, script};
use crate::compile::{Alterable, alterable};

/// Lists the edits of a workflow file: each `when` becomes `true` and `false`; each output, step, input, `needs`, `retry`
/// and other entry that a workflow can be without is removed; and the bodies of steps are altered as scripts are.
pub fn edits(file: &str, text: &str) -> Vec<Edit> {
    let places = alterable(file, text).into_iter();
    places.flat_map(|place| of(place, text)).collect()
}

fn of(place: Alterable, text: &str) -> Vec<Edit> {
    match place {
        Alterable::Condition { step, span } => {
            let written = text[span.clone()].trim();
            let values = ["true", "false"].into_iter();
            let values = values.filter(|value| *value != written);
            let edits = values.map(|value| Edit {
                line: line_of(text, span.start),
                reached_by: None,
                span: span.clone(),
                new: value.to_owned(),
                what: format!("`when` of the step `{step}` became `{value}`"),
            });
            edits.collect()
        }
        Alterable::Output { name, span } => {
            vec![removal(text, span, &format!("the output `{name}`"))]
        }
        Alterable::Entry { what, span } => vec![removal(text, span, &what)],
        Alterable::Body { span } => script::edits(text, span, true),
    }
}

fn removal(text: &str, span: Range<usize>, what: &str) -> Edit {
    Edit {
        line: line_of(text, span.start),
        reached_by: None,
        span,
        new: String::new(),
        what: format!("{what} was removed"),
    }
}

fn line_of(text: &str, byte: usize) -> usize {
    let is_blank = |c: char| c.is_whitespace();
    // The removed part begins with the indentation of its line.
    let start = byte + text[byte..].find(|c| !is_blank(c)).unwrap_or(0);
    1 + text[..start].matches('\n').count()
}
