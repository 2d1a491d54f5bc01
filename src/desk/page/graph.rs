//! Draws the graph of a workflow's steps as SVG. The layout depends on the workflow alone, not on the state of a run.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::{
    fold::{Card, Picture},
    format::{class, cut, mark},
    layers::{HEIGHT, Spot, WIDTH, lay_out},
    steps::{Node, ORDER},
};
use windlass_compile::Edge;

/// The number of letters of a name that a node shows, and how many fit beside its mark. Longer names are drawn narrower.
const LETTERS: usize = 21;
const EASY: usize = 17;
/// The width of such a name.
const NARROWED: f64 = 136.0;
/// A picture wider than this is not fitted to the page, because it would be too small to read.
const READABLE: f64 = 1400.0;
/// The scale of such a picture.
const SMALLER: f64 = 0.75;
/// The number of statuses that a bar shows, the worst first.
const PARTS: usize = 3;

/// The links of the nodes.
pub struct Links<'a> {
    /// Shows a step.
    pub step: &'a dyn Fn(&str) -> String,
    /// Opens the group with this number.
    pub open: &'a dyn Fn(usize) -> String,
}

/// What a node shows: a step, or a group of steps.
struct Face<'a> {
    id: String,
    name: String,
    note: String,
    status: &'a str,
    tally: Vec<(&'static str, usize)>,
    count: usize,
    is_bar: bool,
    is_selected: bool,
    href: String,
    label: String,
}

/// Draws a picture of the steps of a workflow. `nodes` has all steps, by their numbers.
pub fn graph(picture: &Picture, nodes: &[Node], links: &Links, selected: Option<&str>) -> Markup {
    let layout = lay_out(picture);
    let (width, height) = layout.size();
    let view = format!("0 0 {width:.0} {height:.0}");
    let (class, scale) = if width > READABLE {
        ("graph wide", SMALLER)
    } else {
        ("graph", 1.0)
    };
    let is_order = |edge: &Edge| *edge == Edge::Order;
    html! {
        svg id="graph" class=(class) viewBox=(view) width=(format!("{:.0}", width * scale)) height=(format!("{:.0}", height * scale)) role="group" aria-label="Graph of the steps; the list below shows the same data" {
            @for class in [None, Some("order")] {
                @let paths = layout.paths.iter().filter(|(_, kind)| is_order(kind) == class.is_some());
                // All edges are one element, because hundreds of elements make a browser slow.
                path class={ "edge " (class.unwrap_or_default()) } d=(paths.map(|(path, _)| layout.curve(path)).collect::<String>()) aria-hidden="true" {}
            }
            @for (index, spot) in layout.spots.iter().enumerate() {
                @if let Spot::Step(card) = spot {
                    (node(&face(&picture.cards[*card], nodes, links, selected), layout.corner(index)))
                }
            }
        }
    }
}

fn face<'a>(card: &Card, nodes: &'a [Node], links: &Links, selected: Option<&str>) -> Face<'a> {
    if let [only] = card.members[..] {
        let node = &nodes[only];
        let is_bar = node.is_composite();
        return Face {
            id: format!("node-{}", node.name),
            name: node.name.clone(),
            note: if is_bar {
                node.progress()
            } else {
                node.does.clone()
            },
            status: &node.status,
            tally: node.tally.clone(),
            count: node.count,
            is_bar,
            is_selected: selected == Some(node.id.as_str()),
            href: (links.step)(node.id.as_str()),
            label: node.label(),
        };
    }
    let members: Vec<&Node> = card.members.iter().map(|member| &nodes[*member]).collect();
    let rank = |status: &str| ORDER.iter().position(|known| *known == status);
    let mut tally: BTreeMap<usize, usize> = BTreeMap::new();
    for node in &members {
        let rank = rank(&node.status).unwrap_or(ORDER.len() - 1);
        *tally.entry(rank).or_default() += 1;
    }
    let tally: Vec<_> = tally
        .into_iter()
        .map(|(rank, count)| (ORDER[rank], count))
        .collect();
    let over = |status: &str| matches!(status, "succeeded" | "skipped");
    let done: usize = tally
        .iter()
        .filter(|(status, _)| over(status))
        .map(|(_, n)| n)
        .sum();
    let words: Vec<_> = tally
        .iter()
        .map(|(status, n)| format!("{n} {status}"))
        .collect();
    let first = members.iter().find(|node| node.status == "failed");
    let (from, to) = (&members[0].name, &members[members.len() - 1].name);
    let name = match first {
        Some(first) => format!("✕ {}", first.name),
        None => format!("{from} … {to}"),
    };
    let mut label = format!(
        "{} steps, {from} to {to}: {}",
        members.len(),
        words.join(", ")
    );
    if let Some(first) = first {
        label.push_str(&format!("; the first that failed: {}", first.name));
    }
    Face {
        id: format!("group-{}", card.number),
        name,
        note: format!("{done}/{}", members.len()),
        // The worst status comes first.
        status: tally.first().map_or("pending", |(status, _)| status),
        tally,
        count: members.len(),
        is_bar: true,
        is_selected: members
            .iter()
            .any(|node| selected == Some(node.id.as_str())),
        href: (links.open)(card.number),
        label,
    }
}

fn node(face: &Face, (x, y): (f64, f64)) -> Markup {
    let selected = if face.is_selected { " selected" } else { "" };
    let kind = format!("node {}{selected}", class(face.status));
    html! {
        a id=(face.id) class=(kind) href=(face.href) aria-current=[face.is_selected.then_some("true")]
            transform=(format!("translate({x:.0} {y:.0})")) {
            // The accessible name of the link; the visible texts are hidden from screen readers.
            title { (face.label) }
            @if face.is_bar { rect class="behind" x="4" y="4" width=(WIDTH) height=(HEIGHT) rx="8" {} }
            rect class="box" width=(WIDTH) height=(HEIGHT) rx="8" {}
            rect class="stripe" width="5" height=(HEIGHT) rx="2.5" {}
            @let is_long = face.name.chars().count() > EASY;
            text class="name" x="14" y="19" textLength=[is_long.then_some(NARROWED)] lengthAdjust=[is_long.then_some("spacingAndGlyphs")]
                aria-hidden="true" { (cut(&face.name, LETTERS)) }
            text class="mark" x=(WIDTH - 12.0) y="19" text-anchor="end" aria-hidden="true" { (mark(face.status)) }
            @if face.is_bar {
                (bar(face))
                text class="note" x=(WIDTH - 12.0) y="38" text-anchor="end" aria-hidden="true" { (face.note) }
            } @else {
                text class="note" x="14" y="36" aria-hidden="true" { (cut(&face.note, LETTERS + 3)) }
            }
        }
    }
}

/// Draws how many instances have which status, as parts of a bar.
fn bar(face: &Face) -> Markup {
    const LENGTH: f64 = 92.0;
    let mut at = 14.0;
    let share = |count: usize| LENGTH * count as f64 / face.count.max(1) as f64;
    let parts: Vec<_> = face
        .tally
        .iter()
        .take(PARTS)
        .map(|(status, count)| {
            // A single failed instance among thousands stays visible.
            let length = share(*count).max(3.0);
            let part = (class(status), at, length);
            at += length;
            part
        })
        .collect();
    html! {
        rect class="rail" x="14" y="30" width=(LENGTH) height="6" rx="3" {}
        @for (class, x, length) in parts {
            rect class={ "part " (class) } x=(format!("{x:.1}")) y="30" width=(format!("{:.1}", length.min(14.0 + LENGTH - x))) height="6" {}
        }
    }
}
