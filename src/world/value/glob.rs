/// Says whether a text matches a glob, given as the texts between its stars: it begins with the first, ends with the last, and has
/// the others in between, in this order.
pub fn matches_glob(parts: &[impl AsRef<str>], text: &str) -> bool {
    let Some((first, parts)) = parts.split_first() else {
        return text.is_empty();
    };
    let Some(mut rest) = text.strip_prefix(first.as_ref()) else {
        return false;
    };
    let Some((last, between)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in between {
        let part = part.as_ref();
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last.as_ref())
}
