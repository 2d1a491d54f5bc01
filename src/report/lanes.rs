//! Draws a workflow's graph for a terminal: one line for each step, with lanes to the steps that wait for it, as `git log --graph` draws
//! commits.

use std::collections::{BTreeMap, BTreeSet};

use super::{graph::Standings, plain::line};
use windlass_compile::Workflow;

/// The directions in which a line leaves a cell.
const UP: u8 = 1;
const DOWN: u8 = 2;
const LEFT: u8 = 4;
const RIGHT: u8 = 8;
/// The sign for each set of directions.
const SIGNS: [char; 16] = [
    ' ', '╵', '╷', '│', '╴', '╯', '╮', '┤', '╶', '╰', '╭', '├', '─', '┴', '┬', '┼',
];

/// A line of the drawing: its lanes, and the step in one of them.
struct Row {
    cells: Vec<u8>,
    /// The lane of the step, and the step.
    step: Option<(usize, usize)>,
}

/// Draws the steps from the first to the last. Edges that follow from others are left out.
pub fn lanes(workflow: &Workflow, standings: &Standings) -> String {
    let steps: Vec<_> = workflow.steps().collect();
    let rows = rows(&before(workflow));
    let lanes = rows.iter().map(|row| row.cells.len()).max().unwrap_or(0);
    let name_width = steps
        .iter()
        .map(|(_, step)| step.name.as_str().len())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for row in rows {
        let mut line_text: String = (0..lanes)
            .map(|at| match row.step {
                Some((lane, step)) if 2 * lane == at => standings.mark(steps[step].1).to_string(),
                _ => SIGNS[usize::from(row.cells.get(at).copied().unwrap_or(0))].to_string(),
            })
            .collect();
        if let Some((_, step)) = row.step {
            let step = steps[step].1;
            let name = line(step.name.as_str());
            let note = standings.note(step);
            line_text.push_str(&format!("  {name:name_width$}  {note}"));
        }
        text.push_str(line_text.trim_end());
        text.push('\n');
    }
    text
}

/// Returns, for each step by its place in the order, the steps that it waits for, without those that follow from others.
fn before(workflow: &Workflow) -> Vec<Vec<usize>> {
    let steps: Vec<_> = workflow.steps().collect();
    let place: BTreeMap<_, _> = steps
        .iter()
        .enumerate()
        .map(|(at, (_, step))| (step.name.as_str(), at))
        .collect();
    let mut reaches: Vec<BTreeSet<usize>> = Vec::new();
    let mut found = Vec::new();
    for (index, _) in &steps {
        let dependencies = workflow.dependencies(*index);
        let all: BTreeSet<usize> = dependencies
            .filter_map(|(other, _)| place.get(other.name.as_str()).copied())
            .collect();
        let implied: BTreeSet<_> = all
            .iter()
            .flat_map(|other| reaches[*other].iter().copied())
            .collect();
        found.push(all.difference(&implied).copied().collect());
        reaches.push(all.union(&implied).copied().collect());
    }
    found
}

/// Lays out the lanes from the last step to the first, and turns the result upside down: so a step's lane begins at the step and ends at
/// the steps that wait for it.
fn rows(before: &[Vec<usize>]) -> Vec<Row> {
    // The step to which each lane leads.
    let mut lanes: Vec<Option<usize>> = Vec::new();
    let mut rows = Vec::new();
    for (step, waits_for) in before.iter().enumerate().rev() {
        let mine: Vec<_> = (0..lanes.len())
            .filter(|lane| lanes[*lane] == Some(step))
            .collect();
        let own = match mine.first() {
            Some(lane) => *lane,
            None => free(&mut lanes),
        };
        if mine.len() > 1 {
            let mut cells = upright(&lanes);
            for lane in &mine[1..] {
                join(&mut cells, own, *lane, UP);
                lanes[*lane] = None;
            }
            rows.push(Row { cells, step: None });
        }
        lanes[own] = Some(step);
        rows.push(Row {
            cells: upright(&lanes),
            step: Some((own, step)),
        });
        let mut rest = waits_for.iter().rev();
        lanes[own] = None;
        // The nearest step to which no lane leads continues this lane.
        let straight = waits_for
            .iter()
            .rev()
            .find(|other| !lanes.contains(&Some(**other)))
            .copied();
        lanes[own] = straight;
        let others: Vec<_> = rest
            .by_ref()
            .filter(|other| Some(**other) != straight)
            .collect();
        if !others.is_empty() {
            let mut joins = Vec::new();
            for other in others {
                let there = (0..lanes.len()).find(|lane| lanes[*lane] == Some(*other));
                let lane = there.unwrap_or_else(|| free(&mut lanes));
                lanes[lane] = Some(*other);
                joins.push((lane, there.is_some()));
            }
            let mut cells = upright(&lanes);
            resize(&mut cells, lanes.len());
            // The step above has a line down to this cell.
            cells[2 * own] |= UP;
            for (lane, is_there) in joins {
                cells[2 * lane] &= !(UP | DOWN);
                join(
                    &mut cells,
                    own,
                    lane,
                    if is_there { UP | DOWN } else { DOWN },
                );
            }
            if straight.is_none() {
                cells[2 * own] &= !DOWN;
            }
            rows.push(Row { cells, step: None });
        }
    }
    rows.reverse();
    for cell in rows.iter_mut().flat_map(|row| &mut row.cells) {
        let (up, down) = (*cell & UP != 0, *cell & DOWN != 0);
        *cell = *cell & (LEFT | RIGHT) | if up { DOWN } else { 0 } | if down { UP } else { 0 };
    }
    rows
}

/// Returns a lane that is not in use, or opens one.
fn free(lanes: &mut Vec<Option<usize>>) -> usize {
    lanes.iter().position(Option::is_none).unwrap_or_else(|| {
        lanes.push(None);
        lanes.len() - 1
    })
}

/// Returns the cells of lanes that continue straight; between two lanes there is one more cell.
fn upright(lanes: &[Option<usize>]) -> Vec<u8> {
    let mut cells = Vec::new();
    resize(&mut cells, lanes.len());
    for (lane, to) in lanes.iter().enumerate() {
        if to.is_some() {
            cells[2 * lane] = UP | DOWN;
        }
    }
    cells
}

fn resize(cells: &mut Vec<u8>, lanes: usize) {
    cells.resize((2 * lanes).saturating_sub(1).max(cells.len()), 0);
}

/// Draws a horizontal line from one lane to another; `ends` is how it meets the other lane.
fn join(cells: &mut [u8], from: usize, to: usize, ends: u8) {
    let (a, b) = (2 * from, 2 * to);
    let (out, back) = if b > a { (RIGHT, LEFT) } else { (LEFT, RIGHT) };
    cells[a] |= out;
    for cell in &mut cells[a.min(b) + 1..a.max(b)] {
        *cell |= LEFT | RIGHT;
    }
    if ends == UP {
        cells[b] &= !DOWN;
    }
    cells[b] |= back | ends;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the drawing with a letter for each step.
    fn drawn(before: &[&[usize]]) -> String {
        let before: Vec<Vec<usize>> = before.iter().map(|steps| steps.to_vec()).collect();
        let lines = rows(&before).into_iter().map(|row| {
            let cells = row
                .cells
                .iter()
                .enumerate()
                .map(|(at, cell)| match row.step {
                    Some((lane, step)) if 2 * lane == at => char::from(b'a' + step as u8),
                    _ => SIGNS[usize::from(*cell)],
                });
            let line: String = cells.collect();
            line.trim_end().to_owned() + "\n"
        });
        lines.collect()
    }

    #[test]
    fn a_chain_a_diamond_and_what_stands_alone() {
        assert_eq!(drawn(&[&[], &[0], &[1]]), "a\nb\nc\n");
        assert_eq!(
            drawn(&[&[], &[0], &[0], &[1, 2]]),
            "a\n├─╮\n│ b\nc │\n├─╯\nd\n"
        );
        assert_eq!(drawn(&[&[], &[]]), "a\nb\n");
    }

    #[test]
    fn every_edge_can_be_followed() {
        // Each step occurs once, in order, whatever the edges are.
        for seed in 0..200_usize {
            let before: Vec<Vec<usize>> = (0..9_usize)
                .map(|at| {
                    (0..at)
                        .filter(|other| (seed * 31 + at * 7 + other * 13) % 5 == 0)
                        .collect()
                })
                .collect();
            let rows = rows(&before);
            let order: Vec<_> = rows
                .iter()
                .filter_map(|row| row.step.map(|(_, step)| step))
                .collect();
            assert_eq!(order, (0..9).collect::<Vec<_>>());
            // Every line that leaves a cell downwards continues in the cell below.
            for pair in rows.windows(2) {
                let below = |at: usize| pair[1].cells.get(at).copied().unwrap_or(0);
                for (at, cell) in pair[0].cells.iter().enumerate() {
                    let is_step = |row: &Row| row.step.is_some_and(|(lane, _)| 2 * lane == at);
                    let met = below(at) & UP != 0 || is_step(&pair[1]);
                    let open = cell & DOWN != 0 && !is_step(&pair[0]);
                    assert!(!open || met, "seed {seed}");
                }
            }
        }
    }
}
