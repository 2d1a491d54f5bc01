//! The time axis of a run. Long pauses, in which no step works because the run waits for people, are shortened.

use std::time::Duration;
use windlass_ground::Timestamp;

/// The length of the axis, in units of the SVG, which is stretched to the page's width.
pub const LENGTH: f64 = 1000.0;
/// The length of a shortened pause, in the same units.
const FOLD: f64 = 60.0;
/// The largest number of shortened pauses.
const FOLDS: usize = 4;

/// Maps points in time to places on the axis.
pub struct Axis {
    /// The ends of its pieces: a point in time, and its place.
    stops: Vec<(Timestamp, f64)>,
    /// The shortened pauses, from when to when.
    pub folded: Vec<(Timestamp, Timestamp)>,
}

impl Axis {
    /// Creates the axis of a run from its start to its end. `worked` has the periods in which a step worked.
    pub fn new(
        from: Timestamp,
        to: Timestamp,
        worked: impl Iterator<Item = (Timestamp, Timestamp)>,
    ) -> Self {
        let to = to.max(from + Duration::from_millis(1));
        let length = |(begin, end): &(Timestamp, Timestamp)| end.millis_since(*begin);
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
        let busy = length(&(from, to)) - idle.iter().map(length).sum::<i64>();
        // Only pauses that are longer than all the work (and than a second) are shortened.
        idle.retain(|pause| busy > 0 && length(pause) > busy.max(1000));
        idle.sort_by_key(|pause| std::cmp::Reverse(length(pause)));
        idle.truncate(FOLDS);
        idle.sort_unstable();
        let folded: i64 = idle.iter().map(length).sum();
        let scale =
            (LENGTH - FOLD * idle.len() as f64) / (length(&(from, to)) - folded).max(1) as f64;
        let (mut stops, mut moment, mut place) = (vec![(from, 0.0)], from, 0.0);
        for (begin, end) in &idle {
            place += begin.millis_since(moment) as f64 * scale;
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

    pub fn place(&self, at: Timestamp) -> f64 {
        let next = self.stops.partition_point(|(moment, _)| *moment < at);
        let ends = (self.stops.get(next.saturating_sub(1)), self.stops.get(next));
        match ends {
            (Some((_, place)), None) => *place,
            (Some((from, left)), Some((to, right))) if to > from => {
                let part = at.millis_since(*from).max(0) as f64 / to.millis_since(*from) as f64;
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

    fn ms(at: i64) -> Timestamp {
        Timestamp::from_millis(at)
    }

    fn axis(from: i64, to: i64, worked: &[(i64, i64)]) -> Axis {
        let worked = worked.iter().map(|(begin, end)| (ms(*begin), ms(*end)));
        Axis::new(ms(from), ms(to), worked)
    }

    #[test]
    fn a_night_of_waiting_is_folded_and_work_keeps_its_scale() {
        const HOUR: i64 = 3_600_000;
        let work = [(0, 60_000), (9 * HOUR, 9 * HOUR + 60_000)];
        let axis = axis(0, 9 * HOUR + 60_000, &work);
        assert_eq!(axis.folded, [(ms(60_000), ms(9 * HOUR))]);
        let (first, second) = (axis.place(ms(60_000)), LENGTH - axis.place(ms(9 * HOUR)));
        assert!(
            (first - second).abs() < 0.01 && (first - 470.0).abs() < 0.01,
            "{first} {second}"
        );
        assert!((axis.place(ms(0))).abs() < 0.01);
        assert!((axis.place(ms(10 * HOUR)) - LENGTH).abs() < 0.01);
    }

    #[test]
    fn a_run_that_only_works_is_a_straight_line() {
        let straight = axis(1000, 5000, &[(1000, 3000), (2000, 5000)]);
        assert!(straight.folded.is_empty());
        assert!((straight.place(ms(3000)) - 500.0).abs() < 0.01);
        let empty = axis(1000, 1000, &[]);
        assert!(empty.place(ms(1000)).is_finite());
    }
}
