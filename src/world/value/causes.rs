use std::{error::Error, io};

/// Returns every message of an error's chain, outermost first, each once.
pub fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    for cause in chain(error) {
        let cause = cause.to_string();
        if text.contains(&cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    text
}

/// Returns what [`causes`] does without the error's own message, in which an HTTP client repeats the address. `None` if the error has no
/// cause.
pub fn inner_causes(error: &(dyn Error + 'static)) -> Option<String> {
    below(error).map(causes)
}

/// Returns an error and its causes, including those of an [`io::Error`], which hides its inner error from its
/// chain.
pub(crate) fn chain<'a>(error: &'a (dyn Error + 'static)) -> Vec<&'a (dyn Error + 'static)> {
    let mut all = vec![error];
    let mut next = below(error);
    while let Some(error) = next {
        all.push(error);
        next = below(error);
    }
    all
}

fn below<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    let held = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref)
        .map(|held| held as &(dyn Error + 'static));
    held.or_else(|| error.source())
}
