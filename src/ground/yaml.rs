use saphyr_parser::{Event, Parser};

/// The largest size of a document after its aliases are expanded: its number of nodes plus the bytes of its texts. The
/// largest text of a script (1 MiB) is far below it.
const MAX_WEIGHT: usize = 16 << 20;

/// The size of an open collection, or of what an anchor names.
#[derive(Clone, Copy, Default)]
struct Measure {
    weight: usize,
    /// How many levels are below it.
    height: usize,
}

/// Refuses YAML that would exhaust its reader: `saphyr` recurses for each level of nesting, and copies what an alias names.
///
/// Text that is not YAML passes; the reader reports it.
///
/// # Errors
/// The document is too deep or too large; the error has the line and column.
pub fn check_yaml(text: &str, max_depth: usize) -> Result<(), String> {
    let mut anchors: std::collections::HashMap<usize, Measure> = std::collections::HashMap::new();
    let mut open: Vec<(usize, Measure)> = Vec::new();
    let mut total = 0usize;
    for event in Parser::new_from_str(text) {
        let Ok((event, span)) = event else {
            return Ok(());
        };
        let ended = match event {
            Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _) => {
                open.push((anchor, Measure::default()));
                total += 1;
                None
            }
            Event::SequenceEnd | Event::MappingEnd => open.pop(),
            Event::Scalar(text, _, anchor, _) => {
                let weight = 1 + text.len();
                total += weight;
                Some((anchor, Measure { weight, height: 0 }))
            }
            Event::Alias(id) => {
                let copied = anchors.get(&id).copied().unwrap_or_default();
                total = total.saturating_add(copied.weight);
                Some((0, copied))
            }
            _ => None,
        };
        let mut height = 0;
        if let Some((anchor, measure)) = ended {
            height = measure.height;
            if anchor > 0 {
                anchors.insert(anchor, measure);
            }
            if let Some((_, outer)) = open.last_mut() {
                outer.weight = outer
                    .weight
                    .saturating_add(measure.weight)
                    .saturating_add(1);
                outer.height = outer.height.max(measure.height + 1);
            }
        }
        let at = || {
            let start = span.start;
            format!("line {}, column {}", start.line(), start.col() + 1)
        };
        if open.len() + height > max_depth {
            return Err(format!(
                "{}: it is nested more than {max_depth} levels deep",
                at()
            ));
        }
        if total > MAX_WEIGHT {
            return Err(format!(
                "{}: it is too large with its aliases expanded",
                at()
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_that_is_too_deep_or_too_large_is_refused() {
        let nested = |depth| "- ".repeat(depth) + "x";
        assert_eq!(check_yaml(&nested(64), 64), Ok(()));
        let error = check_yaml(&nested(36_000), 64).unwrap_err();
        assert_eq!(
            error,
            "line 1, column 129: it is nested more than 64 levels deep"
        );
        let laughs = format!(
            "a: &a \"{}\"\nb: &b [{}]\nc: [{}]\n",
            "x\\n".repeat(10_000),
            "*a,".repeat(100),
            "*b,".repeat(100)
        );
        assert!(check_yaml(&laughs, 64).unwrap_err().contains("too large"));
        let ladder: String = (1..100)
            .map(|i| format!("a{i}: &a{i} [*a{}]\n", i - 1))
            .collect();
        let ladder = format!("a0: &a0 x\n{ladder}");
        assert!(check_yaml(&ladder, 64).unwrap_err().contains("levels"));
        assert_eq!(check_yaml("a: [1", 64), Ok(()), "the reader reports that");
    }
}
