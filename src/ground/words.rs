/// Returns the words of a constant table, so that the words that are read and those that are documented are one list.
pub const fn words<T, const N: usize>(known: &[(&'static str, T); N]) -> [&'static str; N] {
    let (mut words, mut i) = ([""; N], 0);
    while i < N {
        words[i] = known[i].0;
        i += 1;
    }
    words
}

/// Finds the name that was probably meant, if one is similar. Ignores names of one letter: any two of them are similar.
pub fn closest<'a>(wrong: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|name| (strsim::damerau_levenshtein(wrong, name), name))
        .filter(|(distance, name)| {
            let shorter = name.len().min(wrong.len());
            *distance < shorter && *distance <= 1 + shorter / 4
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Suggests a name that was probably meant, as [`closest`] finds it. The language server replaces the wrong name by it.
pub fn did_you_mean(name: &str) -> String {
    format!("did you mean `{name}`?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_similar_name_was_probably_meant() {
        let near = |wrong| closest(wrong, ["clusters", "root", "n"].into_iter());
        assert_eq!(near("cluster"), Some("clusters"));
        assert_eq!(near("rooot"), Some("root"));
        assert_eq!(near("leaf"), None);
        assert_eq!(near("m"), None);
    }
}
