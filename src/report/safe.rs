use std::{error::Error, fmt};

use miette::{Diagnostic, LabeledSpan, NamedSource, Severity, SourceCode};

use super::plain::{lines, same_length};

/// A diagnostic as a terminal may show it: without characters that control one, in its texts and in its source, which may be
/// another person's file.
pub struct Safe<'a> {
    inner: &'a dyn Diagnostic,
    source: Option<NamedSource<String>>,
}

impl<'a> Safe<'a> {
    pub fn of(inner: &'a dyn Diagnostic) -> Self {
        let source = inner.source_code().and_then(|source| {
            // All of it: the places stay as they are.
            let read = source.read_span(&(0, 0).into(), 0, usize::MAX).ok()?;
            let text = String::from_utf8_lossy(read.data());
            let name = lines(read.name().unwrap_or_default()).into_owned();
            Some(NamedSource::new(name, same_length(&text).into_owned()))
        });
        Self { inner, source }
    }
}

impl fmt::Debug for Safe<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.inner, f)
    }
}

impl fmt::Display for Safe<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&lines(&self.inner.to_string()))
    }
}

impl Error for Safe<'_> {}

impl Diagnostic for Safe<'_> {
    fn code(&self) -> Option<Box<dyn fmt::Display + '_>> {
        self.inner.code().map(shown)
    }

    fn severity(&self) -> Option<Severity> {
        self.inner.severity()
    }

    fn help(&self) -> Option<Box<dyn fmt::Display + '_>> {
        self.inner.help().map(shown)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let labels = self.inner.labels()?.map(|label| {
            let text = label.label().map(|text| lines(text).into_owned());
            if label.primary() {
                LabeledSpan::new_primary_with_span(text, *label.inner())
            } else {
                LabeledSpan::new_with_span(text, *label.inner())
            }
        });
        Some(Box::new(labels))
    }
}

fn shown<'a>(text: Box<dyn fmt::Display + 'a>) -> Box<dyn fmt::Display + 'a> {
    Box::new(lines(&text.to_string()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::render;

    #[derive(Debug)]
    struct Mistake(NamedSource<String>);

    impl fmt::Display for Mistake {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a \u{1b}[31mmistake")
        }
    }

    impl Error for Mistake {}

    impl Diagnostic for Mistake {
        fn help(&self) -> Option<Box<dyn fmt::Display + '_>> {
            Some(Box::new("look \u{1b}[8mhere"))
        }

        fn source_code(&self) -> Option<&dyn SourceCode> {
            Some(&self.0)
        }

        fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
            let label = LabeledSpan::new_with_span(Some("\u{1b}[2Jthis".into()), (4, 1));
            Some(Box::new(std::iter::once(label)))
        }
    }

    #[test]
    fn no_part_of_a_mistake_controls_the_terminal() {
        let source = "a: \u{1b}[31mé\u{1b}[8mhidden\nb: 1\n".to_owned();
        console::set_colors_enabled_stderr(false);
        let text = render(&Mistake(NamedSource::new("w\u{1b}[31m.yaml", source)));
        assert!(!text.contains('\u{1b}'), "{text}");
        assert!(text.contains("a: ?[31mé?[8mhidden"), "{text}");
        assert!(text.contains("look \\u{1b}[8mhere"), "{text}");
    }
}
