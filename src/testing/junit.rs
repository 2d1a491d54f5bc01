//! Writes the results of tests as JUnit XML, which has no specification: this is what Jenkins, GitLab and GitHub read
//! (<https://github.com/testmoapp/junitxml>).

use std::{collections::BTreeMap, fmt::Write, path::Path};

use super::suites::Tested;

/// Writes a `testsuite` for each file, and a `testcase` for each test.
pub fn junit(tests: &[Tested]) -> String {
    let mut files: BTreeMap<&Path, Vec<&Tested>> = BTreeMap::new();
    for test in tests {
        files.entry(&test.file).or_default().push(test);
    }
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing to a String can't fail.
    let _ = writeln!(
        xml,
        "<testsuites name=\"windlass\" {}>",
        totals(tests.iter())
    );
    for (file, tests) in files {
        let file = escaped(&file.display().to_string());
        let _ = writeln!(
            xml,
            "  <testsuite name=\"{file}\" {}>",
            totals(tests.iter().copied())
        );
        for test in tests {
            let name = escaped(&test.name);
            let _ = write!(
                xml,
                "    <testcase name=\"{name}\" classname=\"{file}\" file=\"{file}\" line=\"{}\" time=\"{:.3}\"",
                test.line,
                test.took.as_secs_f64()
            );
            if test.problems.is_empty() {
                let _ = writeln!(xml, "/>");
                continue;
            }
            let first = escaped(&test.problems[0].what);
            let _ = writeln!(
                xml,
                ">\n      <failure message=\"{first}\">{}</failure>",
                escaped(&test.said())
            );
            let _ = writeln!(xml, "    </testcase>");
        }
        let _ = writeln!(xml, "  </testsuite>");
    }
    xml + "</testsuites>\n"
}

fn totals<'a>(tests: impl Iterator<Item = &'a Tested>) -> String {
    let (mut all, mut failed, mut seconds) = (0, 0, 0.0);
    for test in tests {
        all += 1;
        failed += usize::from(!test.problems.is_empty());
        seconds += test.took.as_secs_f64();
    }
    format!("tests=\"{all}\" failures=\"{failed}\" errors=\"0\" time=\"{seconds:.3}\"")
}

/// Escapes a text for XML, without characters that XML can't express.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(character),
            c if c.is_control() => {}
            c => escaped.push(c),
        }
    }
    escaped
}
