//! Finds runs, or steps of one run, that hold each other's locks: none of them continues by itself.

use std::collections::BTreeSet;

use windlass_journal::{InstanceId, RunId};

/// A lock that a run or one of its steps waits for, and its holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    pub lock: String,
    /// The step that would hold it; `None` for the run.
    pub step: Option<InstanceId>,
    pub holder: RunId,
    /// The step that holds it; `None` for the run.
    pub holding_step: Option<InstanceId>,
}

impl Waiting {
    /// Says whether the holder of another lock keeps it until it gets this one.
    fn delays(&self, other: &Waiting) -> bool {
        let is_outside = |holding: &InstanceId| {
            let mut outer = std::iter::successors(self.step.clone(), InstanceId::parent);
            self.step.is_none() || outer.any(|id| id == *holding)
        };
        other.holding_step.as_ref().is_none_or(is_outside)
    }

    fn describe(&self, run: &RunId) -> String {
        let holder = if self.holder == *run {
            "this run".to_owned()
        } else {
            format!("run {}", self.holder)
        };
        let step = self.holding_step.as_ref();
        let step = step.map_or(String::new(), |step| format!(", step {step}"));
        format!("which waits for `{}`, held by {holder}{step}", self.lock)
    }
}

/// Follows the holder of a lock for which `run` waits, the lock for which that holder waits, and so on. If this leads back to
/// what `run` keeps meanwhile, returns a description of the way and the command that ends the waiting.
///
/// # Errors
/// Those of `waits_of`, which returns what a run waits for.
pub fn circle<E>(
    run: &RunId,
    first: &Waiting,
    mut waits_of: impl FnMut(&RunId) -> Result<Vec<Waiting>, E>,
) -> Result<Option<String>, E> {
    let mut seen = BTreeSet::new();
    let mut ways = vec![vec![first.clone()]];
    while let Some(way) = ways.pop() {
        let Some(last) = way.last() else { continue };
        if !seen.insert((last.holder.clone(), last.holding_step.clone())) {
            continue;
        }
        for next in waits_of(&last.holder)? {
            if !next.delays(last) {
                continue;
            }
            let is_back = next.holder == *run && first.delays(&next);
            let way: Vec<_> = way.iter().cloned().chain([next]).collect();
            if is_back {
                let told: Vec<_> = way[1..].iter().map(|one| one.describe(run)).collect();
                return Ok(Some(format!(
                    "{}: they wait for each other until one of them is cancelled, for example: `windlass cancel {}`",
                    told.join(", "),
                    first.holder
                )));
            }
            ways.push(way);
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `a: x/step of b` as: step `step` of run a (or the run, if there is none) waits for lock x, which b holds.
    fn waits(text: &[(&str, &str, &str, &str, &str)]) -> Vec<(RunId, Waiting)> {
        let run = |name: &str| RunId::stored(name.into());
        let step = |name: &str| (!name.is_empty()).then(|| InstanceId::step(None, name));
        let waits = text.iter().map(|(waiter, at, lock, holder, holding)| {
            let waiting = Waiting {
                lock: (*lock).into(),
                step: step(at),
                holder: run(holder),
                holding_step: step(holding),
            };
            (run(waiter), waiting)
        });
        waits.collect()
    }

    fn found(all: &[(&str, &str, &str, &str, &str)]) -> Option<String> {
        let all = waits(all);
        let (run, first) = &all[0];
        let of = |run: &RunId| {
            let of = all.iter().filter(|(waiter, _)| waiter == run);
            Ok::<_, ()>(of.map(|(_, waiting)| waiting.clone()).collect())
        };
        circle(run, first, of).expect("no errors")
    }

    #[test]
    fn two_runs_with_each_others_lock_are_found() {
        let text = found(&[("a", "", "x", "b", ""), ("b", "go", "y", "a", "")]).expect("a circle");
        assert_eq!(
            text,
            "which waits for `y`, held by this run: they wait for each other until one of them is cancelled, for example: `windlass cancel b`"
        );
    }

    #[test]
    fn a_longer_circle_is_found() {
        let text = found(&[
            ("a", "", "x", "b", ""),
            ("b", "", "y", "c", "s"),
            ("c", "s/t", "z", "a", ""),
        ]);
        let text = text.expect("a circle");
        assert!(
            text.starts_with(
                "which waits for `y`, held by run c, step s, which waits for `z`, held by this run:"
            ),
            "{text}"
        );
    }

    #[test]
    fn a_holder_that_will_release_is_no_circle() {
        // The holder waits for a third run.
        assert_eq!(
            found(&[("a", "", "x", "b", ""), ("b", "", "y", "c", "")]),
            None
        );
        // Another of its steps waits.
        assert_eq!(
            found(&[("a", "", "x", "b", "s"), ("b", "t", "y", "a", "")]),
            None
        );
        // This run releases what it waits for: another of its steps holds it.
        assert_eq!(
            found(&[("a", "s", "x", "b", ""), ("b", "", "y", "a", "t")]),
            None
        );
        // Others wait for each other.
        let others = [
            ("a", "", "x", "b", ""),
            ("b", "", "y", "c", ""),
            ("c", "", "z", "b", ""),
        ];
        assert_eq!(found(&others), None);
    }

    #[test]
    fn two_steps_of_one_run_are_found_but_not_one_that_waits_for_another() {
        let both = [("a", "s/in", "x", "a", "t"), ("a", "t/in", "y", "a", "s")];
        assert!(found(&both).is_some());
        assert_eq!(found(&[("a", "s", "x", "a", "t")]), None);
    }
}
