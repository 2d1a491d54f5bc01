//! Places the nodes of a graph in layers.
//!
//! Edges that are implied by others are left out. The layer of a node is the length of its longest path; the order within a layer is found
//! by barycenter sweeps; and each node is moved towards the middle of its neighbours.

use super::fold::Picture;
use windlass_compile::Edge;

/// The size of a node.
pub const WIDTH: f64 = 176.0;
pub const HEIGHT: f64 = 46.0;
/// The distance between two nodes of a layer, and between two layers.
const GAP: f64 = 22.0;
const DROP: f64 = 34.0;
/// The room for an edge that passes through a layer.
const LANE: f64 = 14.0;
/// The room around the picture.
const MARGIN: f64 = 10.0;
const SWEEPS: usize = 8;
/// The number of columns of a picture without edges.
const COLUMNS: usize = 6;

/// A place in a layer: a card, or a bend of an edge that passes through.
#[derive(Clone, Copy, PartialEq)]
pub enum Spot {
    Step(usize),
    Bend,
}

/// The places of all nodes and edges.
pub struct Layout {
    layers: Vec<Vec<usize>>,
    pub spots: Vec<Spot>,
    x: Vec<f64>,
    layer: Vec<usize>,
    /// Each edge as the spots that it passes through, from the earlier card to the later one.
    pub paths: Vec<(Vec<usize>, Edge)>,
    width: f64,
}

/// Gives every node and every edge of a picture its place.
pub fn lay_out(picture: &Picture) -> Layout {
    let count = picture.cards.len();
    let mut before = picture.before.clone();
    let mut layer = vec![0; count];
    // For each card, all cards from which a path leads to it.
    let mut behind: Vec<Vec<bool>> = Vec::with_capacity(count);
    for at in 0..count {
        for (other, _) in &before[at] {
            layer[at] = layer[at].max(layer[*other] + 1);
        }
        // An edge is left out if a longer path connects the same cards.
        let mut reached = vec![false; count];
        for (other, _) in &before[at] {
            for (far, is_reached) in reached.iter_mut().enumerate().take(at) {
                *is_reached |= behind[*other].get(far).copied().unwrap_or_default();
            }
        }
        before[at].retain(|(other, _)| !reached[*other]);
        for (other, _) in &before[at] {
            reached[*other] = true;
        }
        behind.push(reached);
    }
    // Without edges there are no layers, so the cards are placed in rows.
    if count > COLUMNS && before.iter().all(Vec::is_empty) {
        layer = (0..count).map(|at| at / COLUMNS).collect();
    }
    // Steps under `finally` come after all others.
    let others = (0..count).filter(|at| !picture.is_last[*at]);
    if let Some(last) = others.map(|at| layer[at]).max() {
        for at in (0..count).filter(|at| picture.is_last[*at]) {
            let edges = before[at].iter().map(|(other, _)| layer[*other] + 1);
            layer[at] = edges.max().unwrap_or_default().max(last + 1);
        }
    }
    let depth = layer.iter().max().map_or(0, |last| last + 1);
    let mut layers: Vec<Vec<usize>> = vec![Vec::new(); depth];
    let mut spots: Vec<Spot> = (0..count).map(Spot::Step).collect();
    for at in 0..count {
        layers[layer[at]].push(at);
    }
    let mut paths = Vec::new();
    for at in 0..count {
        for (other, edge) in &before[at] {
            let mut path = vec![*other];
            let passed = layer[*other] + 1..layer[at];
            for between in passed {
                spots.push(Spot::Bend);
                layer.push(between);
                layers[between].push(spots.len() - 1);
                path.push(spots.len() - 1);
            }
            path.push(at);
            paths.push((path, *edge));
        }
    }
    let mut layout = Layout {
        x: vec![0.0; spots.len()],
        layers,
        spots,
        layer,
        paths,
        width: WIDTH,
    };
    layout.order();
    layout.place();
    layout
}

impl Layout {
    /// Returns the width and height of the picture.
    pub fn size(&self) -> (f64, f64) {
        let height = self.layers.len() as f64 * (HEIGHT + DROP) - DROP + 2.0 * MARGIN;
        (self.width + 2.0 * MARGIN, height.max(HEIGHT))
    }

    /// Returns the upper left corner of a node.
    pub fn corner(&self, spot: usize) -> (f64, f64) {
        (self.x[spot] - WIDTH / 2.0 + MARGIN, self.y(spot))
    }

    /// Returns the neighbours of each spot in the layer above (`false`) or below (`true`).
    fn neighbours(&self, below: bool) -> Vec<Vec<usize>> {
        let mut found = vec![Vec::new(); self.spots.len()];
        for (path, _) in &self.paths {
            for pair in path.windows(2) {
                if below {
                    found[pair[0]].push(pair[1])
                } else {
                    found[pair[1]].push(pair[0])
                }
            }
        }
        found
    }

    /// Orders each layer so that few edges cross. The best order of all sweeps is kept.
    fn order(&mut self) {
        let (above, below) = (self.neighbours(false), self.neighbours(true));
        let mut best = (self.crossings(&above), self.layers.clone());
        for sweep in 0..SWEEPS {
            let down = sweep % 2 == 0;
            let neighbours = if down { &above } else { &below };
            let mut rank = vec![0.0; self.spots.len()];
            let depth = self.layers.len();
            for step in 0..depth {
                let at = if down { step } else { depth - 1 - step };
                for (place, spot) in self.layers[at].iter().enumerate() {
                    rank[*spot] = place as f64;
                }
                let weight = |spot: &usize| mean(neighbours[*spot].iter().map(|n| rank[*n]));
                let mut keyed: Vec<_> = self.layers[at]
                    .iter()
                    .map(|spot| (weight(spot).unwrap_or(rank[*spot]), *spot))
                    .collect();
                keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
                self.layers[at] = keyed.into_iter().map(|(_, spot)| spot).collect();
                for (place, spot) in self.layers[at].iter().enumerate() {
                    rank[*spot] = place as f64;
                }
            }
            let crossings = self.crossings(&above);
            if crossings < best.0 {
                best = (crossings, self.layers.clone());
            }
        }
        self.layers = best.1;
    }

    fn crossings(&self, above: &[Vec<usize>]) -> usize {
        let mut rank = vec![0; self.spots.len()];
        for layer in &self.layers {
            for (place, spot) in layer.iter().enumerate() {
                rank[*spot] = place;
            }
        }
        let mut count = 0;
        for layer in &self.layers {
            let mut ends: Vec<(usize, usize)> = Vec::new();
            for (place, spot) in layer.iter().enumerate() {
                let from = above[*spot].iter().map(|other| rank[*other]);
                for from in from {
                    count += ends
                        .iter()
                        .filter(|(f, to)| (*f > from && *to < place) || (*f < from && *to > place))
                        .count();
                    ends.push((from, place));
                }
            }
        }
        count
    }

    /// Gives each spot its horizontal place: the middle of its neighbours, as far as the other spots of its layer allow.
    fn place(&mut self) {
        for layer in &self.layers {
            let wanted = vec![0.0; layer.len()];
            for (spot, x) in layer.iter().zip(self.spread(layer, &wanted)) {
                self.x[*spot] = x;
            }
        }
        let (above, below) = (self.neighbours(false), self.neighbours(true));
        for sweep in 0..SWEEPS {
            let neighbours = if sweep % 2 == 0 { &above } else { &below };
            for at in 0..self.layers.len() {
                let at = if sweep % 2 == 0 {
                    at
                } else {
                    self.layers.len() - 1 - at
                };
                let layer = self.layers[at].clone();
                let wanted: Vec<_> = layer
                    .iter()
                    .map(|spot| {
                        let middle = mean(neighbours[*spot].iter().map(|n| self.x[*n]));
                        middle.unwrap_or(self.x[*spot])
                    })
                    .collect();
                for (spot, x) in layer.iter().zip(self.spread(&layer, &wanted)) {
                    self.x[*spot] = x;
                }
            }
        }
        self.centre_unconnected(&above, &below);
        let half = |spot: usize| self.half(spot);
        let ends = (0..self.spots.len())
            .map(|spot| (self.x[spot] - half(spot), self.x[spot] + half(spot)));
        let (left, right) = ends.fold((f64::MAX, f64::MIN), |(l, r), (from, to)| {
            (l.min(from), r.max(to))
        });
        if right > left {
            self.width = right - left;
            self.x.iter_mut().for_each(|x| *x -= left);
        }
    }

    /// Centres steps that have no edge and are alone in their layer.
    fn centre_unconnected(&mut self, above: &[Vec<usize>], below: &[Vec<usize>]) {
        let is_unconnected = |spot: usize| above[spot].is_empty() && below[spot].is_empty();
        let others = (0..self.spots.len()).filter(|spot| !is_unconnected(*spot));
        let Some(middle) = mean(others.map(|spot| self.x[spot])) else {
            return;
        };
        for layer in &self.layers {
            if let [only] = layer[..]
                && is_unconnected(only)
            {
                self.x[only] = middle;
            }
        }
    }

    fn half(&self, spot: usize) -> f64 {
        match self.spots[spot] {
            Spot::Step(_) => WIDTH / 2.0,
            Spot::Bend => LANE / 2.0,
        }
    }

    /// Returns the places nearest to the wanted ones at which nothing of a layer overlaps. Neighbours that are too close become a
    /// block, which is placed at the mean of its members' wanted places (pool adjacent violators).
    fn spread(&self, layer: &[usize], wanted: &[f64]) -> Vec<f64> {
        let mut offset = 0.0;
        let mut offsets = Vec::with_capacity(layer.len());
        for (place, spot) in layer.iter().enumerate() {
            if place > 0 {
                offset += self.half(layer[place - 1]) + GAP + self.half(*spot);
            }
            offsets.push(offset);
        }
        // Each block has the sum of the wanted places less the offsets, and the number of its members.
        let mut blocks: Vec<(f64, f64)> = Vec::new();
        for (want, offset) in wanted.iter().zip(&offsets) {
            let mut block = (want - offset, 1.0);
            while let Some(last) = blocks
                .last()
                .filter(|last| last.0 / last.1 > block.0 / block.1)
            {
                block = (block.0 + last.0, block.1 + last.1);
                blocks.pop();
            }
            blocks.push(block);
        }
        let starts = blocks
            .iter()
            .flat_map(|(sum, count)| std::iter::repeat_n(sum / count, *count as usize));
        starts
            .zip(&offsets)
            .map(|(start, offset)| start + offset)
            .collect()
    }

    fn y(&self, spot: usize) -> f64 {
        MARGIN + self.layer[spot] as f64 * (HEIGHT + DROP)
    }

    /// Returns an edge as a path, from the bottom of one node to the top of another, vertical at each spot that it passes through.
    pub fn curve(&self, path: &[usize]) -> String {
        let mut text = String::new();
        let mut from = (0.0, 0.0);
        for (place, spot) in path.iter().enumerate() {
            let x = self.x[*spot] + MARGIN;
            let (top, bottom) = (self.y(*spot), self.y(*spot) + HEIGHT);
            if place == 0 {
                text.push_str(&format!("M{x:.0} {bottom:.0}"));
            } else {
                let middle = (from.1 + top) / 2.0;
                text.push_str(&format!(
                    "C{:.0} {middle:.0} {x:.0} {middle:.0} {x:.0} {top:.0}",
                    from.0
                ));
                if self.spots[*spot] == Spot::Bend {
                    text.push_str(&format!("V{bottom:.0}"));
                }
            }
            from = (x, bottom);
        }
        text
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0.0);
    for value in values {
        sum += value;
        count += 1.0;
    }
    (count > 0.0).then(|| sum / count)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;
    use crate::page::fold::Web;
    use windlass_compile::{Frozen, compile};

    fn picture(steps: &str) -> Picture {
        let files = [(
            "w.yaml".to_owned(),
            format!("workflow: w\nsteps:\n{steps}").into(),
        )];
        let program = compile("w.yaml", &mut Frozen(files.into_iter().collect()));
        Web::of(&program.expect("it compiles").workflow).picture(&[])
    }

    /// Returns a picture of `count` steps, each of which depends on some earlier ones.
    fn tangle(count: usize) -> Picture {
        let mut steps = String::new();
        for at in 0..count {
            let needs: Vec<_> = (1..4)
                .filter(|by| by * by <= at)
                .map(|by| format!("s{}", at - by * by))
                .collect();
            let _ = writeln!(
                steps,
                "  s{at}: {{ run: \"1\", needs: [{}] }}",
                needs.join(", ")
            );
        }
        picture(&steps)
    }

    #[test]
    fn no_step_covers_another_and_every_edge_goes_down() {
        for count in [1, 2, 7, 48, 300] {
            let layout = lay_out(&tangle(count));
            for layer in &layout.layers {
                for pair in layer.windows(2) {
                    let apart = layout.x[pair[1]] - layout.x[pair[0]];
                    let least = layout.half(pair[0]) + layout.half(pair[1]) + GAP;
                    assert!(apart > least - 0.01, "{apart} of {least}");
                }
            }
            for (path, _) in &layout.paths {
                for pair in path.windows(2) {
                    assert_eq!(layout.layer[pair[0]] + 1, layout.layer[pair[1]]);
                }
            }
            for spot in 0..layout.spots.len() {
                let (x, half) = (layout.x[spot], layout.half(spot));
                assert!(x - half > -0.01 && x + half < layout.width + 0.01);
            }
        }
    }

    #[test]
    fn a_chain_is_straight_and_a_diamond_even() {
        let chain = picture(
            "  a: { run: \"1\" }\n  b: { run: \"1\", needs: [a] }\n  c: { run: \"1\", needs: [b] }\n",
        );
        let layout = lay_out(&chain);
        assert!(
            layout.x.iter().all(|x| (x - WIDTH / 2.0).abs() < 0.01),
            "{:?}",
            layout.x
        );
        let diamond = picture(
            "  a: { run: \"1\" }\n  b: { run: \"1\", needs: [a] }\n  c: { run: \"1\", needs: [a] }\n  d: { run: \"1\", needs: [b, c] }\n",
        );
        let layout = lay_out(&diamond);
        let middle = layout.width / 2.0;
        assert!((layout.x[0] - middle).abs() < 0.01 && (layout.x[3] - middle).abs() < 0.01);
    }

    #[test]
    fn an_edge_that_others_imply_is_left_out() {
        let implied = picture(
            "  a: { run: \"1\" }\n  b: { run: \"1\", needs: [a] }\n  c: { run: \"1\", needs: [a, b] }\n  d: { run: \"1\", needs: [a, c] }\n",
        );
        let layout = lay_out(&implied);
        let edges: Vec<_> = layout.paths.iter().map(|(path, _)| path.clone()).collect();
        assert_eq!(edges, [[0, 1], [1, 2], [2, 3]]);
    }

    #[test]
    fn five_hundred_steps_are_folded_and_laid_out_at_once() {
        let began = std::time::Instant::now();
        let layout = lay_out(&tangle(500));
        // The limit includes compiling the workflow, and is for an unoptimised build on a busy machine.
        assert!(began.elapsed().as_millis() < 3000, "{:?}", began.elapsed());
        assert!(layout.spots.contains(&Spot::Step(20)));
    }
}
