/// Returns the words of a constant table, so that the words that are read and those that are documented are one list.
pub const fn words<T, const N: usize>(known: &[(&'static str, T); N]) -> [&'static str; N] {
    let (mut words, mut i) = ([""; N], 0);
    while i < N {
        words[i] = known[i].0;
        i += 1;
    }
    words
}
