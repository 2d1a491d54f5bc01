/// Returns the words of a table, in a constant: what a reader knows is listed where it is described, too.
pub const fn words<T, const N: usize>(known: &[(&'static str, T); N]) -> [&'static str; N] {
    let (mut words, mut i) = ([""; N], 0);
    while i < N {
        words[i] = known[i].0;
        i += 1;
    }
    words
}
