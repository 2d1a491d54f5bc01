//! The graph of a workflow's steps as SVG: laid out here, so that the same workflow always gives the same picture, whatever its state.
//!
//! Edges that others imply are left out; layers by the longest path, their order by sweeps of barycenters, places by pulling each node to the middle of its neighbours.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::{
    format::{class, cut, mark},
    steps::Node,
};
use crate::compile::{Edge, Workflow};

const WIDTH: f64 = 176.0;
const HEIGHT: f64 = 46.0;
/// Between two nodes of a layer, and between two layers.
const GAP: f64 = 22.0;
const DROP: f64 = 34.0;
/// How wide an edge is that passes a layer.
const LANE: f64 = 14.0;
const MARGIN: f64 = 10.0;
const SWEEPS: usize = 8;
/// Letters of a name that fit into a node.
const LETTERS: usize = 21;
/// What has more steps is shown as a list only: such a picture helps nobody.
const MOST: usize = 300;

/// A place in a layer: a step, or a bend of an edge that passes.
#[derive(Clone, Copy, PartialEq)]
enum Spot {
    Step(usize),
    Bend,
}

/// Where everything is.
struct Layout {
    layers: Vec<Vec<usize>>,
    spots: Vec<Spot>,
    x: Vec<f64>,
    layer: Vec<usize>,
    /// Each edge as the spots that it passes, from the step before to the one after.
    paths: Vec<(Vec<usize>, Edge)>,
    width: f64,
}

/// Draws the steps of a workflow. `href` says where a node leads, `selected` which one is looked at.
pub fn graph(
    workflow: &Workflow,
    nodes: &[Node],
    href: impl Fn(&str) -> String,
    selected: Option<&str>,
) -> Markup {
    if nodes.len() > MOST {
        return html! { p class="hint" { (nodes.len()) " steps are too many for a picture; the list has them all." } };
    }
    let layout = lay_out(workflow, nodes.len());
    let height = layout.layers.len() as f64 * (HEIGHT + DROP) - DROP + 2.0 * MARGIN;
    let (width, height) = (layout.width + 2.0 * MARGIN, height.max(HEIGHT));
    let view = format!("0 0 {width:.0} {height:.0}");
    html! {
        svg class="graph" viewBox=(view) width=(format!("{width:.0}")) height=(format!("{height:.0}")) role="group" aria-label="Graph of the steps; the list has the same" {
            g class="edges" aria-hidden="true" {
                @for (path, kind) in &layout.paths {
                    path d=(layout.curve(path)) class=[(*kind == Edge::Order).then_some("order")] {}
                }
            }
            @for (index, spot) in layout.spots.iter().enumerate() {
                @if let Spot::Step(step) = spot {
                    @let (x, y) = (layout.x[index] - WIDTH / 2.0 + MARGIN, layout.y(index));
                    (node(&nodes[*step], (x, y), &href, selected))
                }
            }
        }
    }
}

fn node(
    node: &Node,
    (x, y): (f64, f64),
    href: &impl Fn(&str) -> String,
    selected: Option<&str>,
) -> Markup {
    let name = node.name.as_str();
    let is_selected = selected == Some(node.id.as_str());
    let kind = match is_selected {
        true => format!("node {} selected", class(&node.status)),
        false => format!("node {}", class(&node.status)),
    };
    let failing = node.failing.as_ref();
    html! {
        a id={ "node-" (name) } href=(href(node.id.as_str())) aria-label=(node.label()) aria-current=[is_selected.then_some("true")] {
            g class=(kind) transform=(format!("translate({x:.0} {y:.0})")) {
                title { (node.label()) }
                @if node.count > 1 || node.is_many {
                    rect class="behind" x="4" y="4" width=(WIDTH) height=(HEIGHT) rx="8" {}
                }
                rect class="box" width=(WIDTH) height=(HEIGHT) rx="8" {}
                rect class="stripe" width="5" height=(HEIGHT) rx="2.5" {}
                text class="name" x="14" y="19" { (cut(name, LETTERS)) }
                text class="mark" x=(WIDTH - 12.0) y="19" text-anchor="end" { (mark(&node.status)) }
                @if node.is_composite() {
                    (bar(node))
                    text class="note" x=(WIDTH - 12.0) y="38" text-anchor="end" { (node.progress()) }
                } @else {
                    text class="note" x="14" y="36" { (cut(&node.does, LETTERS + 3)) }
                }
                @if let Some((first, count)) = failing.filter(|_| node.is_composite()) {
                    title { (count) " failed, the first: " (first) }
                }
            }
        }
    }
}

/// Says how many instances are in which status, as parts of a bar.
fn bar(node: &Node) -> Markup {
    const LENGTH: f64 = 92.0;
    let mut at = 14.0;
    let parts: Vec<_> = node
        .tally
        .iter()
        .map(|(status, count)| {
            let length = LENGTH * *count as f64 / node.count.max(1) as f64;
            let part = (class(status), at, length);
            at += length;
            part
        })
        .collect();
    html! {
        rect class="rail" x="14" y="30" width=(LENGTH) height="6" rx="3" {}
        @for (class, x, length) in parts {
            rect class={ "part " (class) } x=(format!("{x:.1}")) y="30" width=(format!("{length:.1}")) height="6" {}
        }
    }
}

fn lay_out(workflow: &Workflow, count: usize) -> Layout {
    let steps: Vec<_> = workflow.steps().collect();
    let rank: BTreeMap<&str, usize> = steps
        .iter()
        .enumerate()
        .map(|(at, (_, step))| (step.name.as_str(), at))
        .collect();
    // Every step stands behind those that it depends on.
    let mut before: Vec<Vec<(usize, Edge)>> = vec![Vec::new(); count];
    let mut layer = vec![0; count];
    // For each step, those that come before it.
    let mut behind: Vec<Vec<bool>> = Vec::with_capacity(count);
    for (at, (index, step)) in steps.iter().enumerate() {
        for (other, edge) in workflow.dependencies(*index) {
            if let Some(other) = rank.get(other.name.as_str()) {
                before[at].push((*other, edge));
                layer[at] = layer[at].max(layer[*other] + 1);
            }
        }
        before[at].sort_by_key(|(other, _)| *other);
        before[at].dedup_by_key(|(other, _)| *other);
        // What an edge says that another way says as well would only be in the way.
        let mut reached = vec![false; count];
        for (other, _) in &before[at] {
            for (far, is_reached) in reached.iter_mut().enumerate() {
                *is_reached |= behind[*other][far];
            }
        }
        before[at].retain(|(other, _)| !reached[*other]);
        for (other, _) in &before[at] {
            reached[*other] = true;
        }
        behind.push(reached);
        if step.is_finally {
            let last = layer[..at].iter().max().copied().unwrap_or(0);
            let has_before = at > 0 && !steps[at - 1].1.is_finally;
            layer[at] = layer[at].max(last + usize::from(has_before));
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
    /// Returns the neighbours of each spot in the layer above (`false`) or below (`true`).
    fn neighbours(&self, below: bool) -> Vec<Vec<usize>> {
        let mut found = vec![Vec::new(); self.spots.len()];
        for (path, _) in &self.paths {
            for pair in path.windows(2) {
                match below {
                    true => found[pair[0]].push(pair[1]),
                    false => found[pair[1]].push(pair[0]),
                }
            }
        }
        found
    }

    /// Puts each layer into an order in which few edges cross; the best of all sweeps is kept.
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

    /// Gives each spot its place across: the middle of its neighbours', as far as the others of its layer let it.
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
        self.centre_the_lonely(&above, &below);
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

    /// Puts steps without any edge, alone in their layer, below the middle of the others.
    fn centre_the_lonely(&mut self, above: &[Vec<usize>], below: &[Vec<usize>]) {
        let is_lonely = |spot: usize| above[spot].is_empty() && below[spot].is_empty();
        let others = (0..self.spots.len()).filter(|spot| !is_lonely(*spot));
        let Some(middle) = mean(others.map(|spot| self.x[spot])) else {
            return;
        };
        for layer in &self.layers {
            if let [only] = layer[..]
                && is_lonely(only)
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

    /// Returns the places nearest to the wanted ones at which nothing of a layer overlaps: neighbours that are too close become a
    /// block, which stands at the mean of what its members want (pool adjacent violators).
    fn spread(&self, layer: &[usize], wanted: &[f64]) -> Vec<f64> {
        let mut offset = 0.0;
        let mut offsets = Vec::with_capacity(layer.len());
        for (place, spot) in layer.iter().enumerate() {
            if place > 0 {
                offset += self.half(layer[place - 1]) + GAP + self.half(*spot);
            }
            offsets.push(offset);
        }
        // Each block: the sum of what is wanted, less the offsets, and how many.
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

    /// Returns an edge from the bottom of one step to the top of another, upright at each spot that it passes.
    fn curve(&self, path: &[usize]) -> String {
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
    use crate::compile::{Frozen, Program, compile};

    fn program(steps: &str) -> Program {
        let files = [(
            "w.yaml".to_owned(),
            format!("workflow: w\nsteps:\n{steps}").into(),
        )];
        compile("w.yaml", &mut Frozen(files.into_iter().collect())).expect("it compiles")
    }

    /// Returns a workflow of `count` steps, each after some of those before it.
    fn tangle(count: usize) -> Program {
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
        program(&steps)
    }

    #[test]
    fn no_step_covers_another_and_every_edge_goes_down() {
        for count in [1, 2, 7, 60] {
            let program = tangle(count);
            let layout = lay_out(&program.workflow, count);
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
        let chain = program(
            "  a: { run: \"1\" }\n  b: { run: \"1\", needs: [a] }\n  c: { run: \"1\", needs: [b] }\n",
        );
        let layout = lay_out(&chain.workflow, 3);
        assert!(
            layout.x.iter().all(|x| (x - WIDTH / 2.0).abs() < 0.01),
            "{:?}",
            layout.x
        );
        let diamond = program(
            "  a: { run: \"1\" }\n  b: { run: \"1\", needs: [a] }\n  c: { run: \"1\", needs: [a] }\n  d: { run: \"1\", needs: [b, c] }\n",
        );
        let layout = lay_out(&diamond.workflow, 4);
        let middle = layout.width / 2.0;
        assert!((layout.x[0] - middle).abs() < 0.01 && (layout.x[3] - middle).abs() < 0.01);
    }

    #[test]
    fn an_edge_that_others_imply_is_left_out() {
        let program = program(
            "  a: { run: \"1\" }\n  b: { run: \"1\", needs: [a] }\n  c: { run: \"1\", needs: [a, b] }\n  d: { run: \"1\", needs: [a, c] }\n",
        );
        let layout = lay_out(&program.workflow, 4);
        let edges: Vec<_> = layout.paths.iter().map(|(path, _)| path.clone()).collect();
        assert_eq!(edges, [[0, 1], [1, 2], [2, 3]]);
    }

    #[test]
    fn three_hundred_steps_are_laid_out_at_once() {
        let program = tangle(300);
        let began = std::time::Instant::now();
        let layout = lay_out(&program.workflow, 300);
        // Without optimisation, on a busy machine.
        assert!(began.elapsed().as_millis() < 2000, "{:?}", began.elapsed());
        assert!(layout.paths.len() >= 299);
    }
}
