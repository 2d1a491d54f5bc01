//! The time of a run as a line: hours in which nothing worked, as a run waits for people, are folded to a short piece.

/// The line in units of the picture; it is stretched to the width there is.
pub const LENGTH: f64 = 1000.0;
/// How long a folded piece is.
const FOLD: f64 = 60.0;
/// At most so many are folded.
const FOLDS: usize = 4;

/// Where moments (milliseconds since 1970) stand on the line.
pub struct Axis {
    /// The ends of its pieces: a moment, and its place.
    stops: Vec<(i64, f64)>,
    /// What is folded: from when to when.
    pub folded: Vec<(i64, i64)>,
}

impl Axis {
    /// Makes the line of a run from its start to its end; `worked` are the times in which some step did something.
    pub fn new(from: i64, to: i64, worked: impl Iterator<Item = (i64, i64)>) -> Self {
        let to = to.max(from + 1);
        let mut worked: Vec<_> = worked
            .map(|(begin, end)| (begin.clamp(from, to), end.clamp(from, to)))
            .collect();
        worked.sort_unstable();
        let mut idle = Vec::new();
        let mut at = from;
        for (begin, end) in worked {
            if begin > at {
                idle.push((at, begin));
            }
            at = at.max(end);
        }
        if at < to {
            idle.push((at, to));
        }
        let busy = (to - from) - idle.iter().map(|(begin, end)| end - begin).sum::<i64>();
        // A pause that is no longer than the work is part of the picture.
        idle.retain(|(begin, end)| busy > 0 && end - begin > busy.max(1000));
        idle.sort_by_key(|(begin, end)| begin - end);
        idle.truncate(FOLDS);
        idle.sort_unstable();
        let folded: i64 = idle.iter().map(|(begin, end)| end - begin).sum();
        let scale = (LENGTH - FOLD * idle.len() as f64) / (to - from - folded).max(1) as f64;
        let (mut stops, mut moment, mut place) = (vec![(from, 0.0)], from, 0.0);
        for (begin, end) in &idle {
            place += (begin - moment) as f64 * scale;
            stops.push((*begin, place));
            place += FOLD;
            stops.push((*end, place));
            moment = *end;
        }
        stops.push((to, LENGTH));
        Self {
            stops,
            folded: idle,
        }
    }

    pub fn place(&self, at: i64) -> f64 {
        let next = self.stops.partition_point(|(moment, _)| *moment < at);
        let ends = (self.stops.get(next.saturating_sub(1)), self.stops.get(next));
        match ends {
            (Some((_, place)), None) => *place,
            (Some((from, left)), Some((to, right))) if to > from => {
                let part = (at - from).max(0) as f64 / (to - from) as f64;
                left + (right - left) * part
            }
            (_, Some((_, place))) => *place,
            (None, None) => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_night_of_waiting_is_folded_and_work_keeps_its_scale() {
        const HOUR: i64 = 3_600_000;
        let work = [(0, 60_000), (9 * HOUR, 9 * HOUR + 60_000)];
        let axis = Axis::new(0, 9 * HOUR + 60_000, work.into_iter());
        assert_eq!(axis.folded, [(60_000, 9 * HOUR)]);
        let (first, second) = (axis.place(60_000), LENGTH - axis.place(9 * HOUR));
        assert!(
            (first - second).abs() < 0.01 && (first - 470.0).abs() < 0.01,
            "{first} {second}"
        );
        assert!((axis.place(0)).abs() < 0.01 && (axis.place(10 * HOUR) - LENGTH).abs() < 0.01);
    }

    #[test]
    fn a_run_that_only_works_is_a_straight_line() {
        let axis = Axis::new(1000, 5000, [(1000, 3000), (2000, 5000)].into_iter());
        assert!(axis.folded.is_empty());
        assert!((axis.place(3000) - 500.0).abs() < 0.01);
        let empty = Axis::new(1000, 1000, std::iter::empty());
        assert!(empty.place(1000).is_finite());
    }
}
