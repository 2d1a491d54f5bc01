//! Draws when each step of a run worked, and when it waited for people, on a time axis.

use std::time::Duration;

use maud::{Markup, html};

use super::{
    axis::{Axis, LENGTH},
    format::{class, length, running_length, status},
    steps::Node,
};
use windlass_ground::Timestamp;

/// The largest number of steps that are drawn: first those that have not succeeded, then the longest.
const ROWS: usize = 40;

/// Draws the steps that have started, on an axis from the run's start to its end, or until now.
pub fn waterfall(
    nodes: &[Node],
    (from, to): (Timestamp, Timestamp),
    href: impl Fn(&str) -> String,
) -> Markup {
    let began = |node: &Node| node.started_at.or(node.waited.map(|(at, _)| at));
    let mut begun: Vec<_> = nodes
        .iter()
        .filter_map(|node| Some((began(node)?, node)))
        .collect();
    let count = begun.len();
    let took = |(began, node): &(Timestamp, &Node)| node.ended_at.unwrap_or(to).since(*began);
    let is_done = |node: &Node| matches!(node.status.as_str(), "succeeded" | "skipped");
    begun.sort_by_key(|row| (is_done(row.1), std::cmp::Reverse(took(row))));
    begun.truncate(ROWS);
    begun.sort_by_key(|(at, _)| *at);
    let worked = nodes.iter().filter_map(|node| {
        let end = node.ended_at.unwrap_or(to);
        match node.waited {
            // Only the time after the answer counts as work.
            Some((_, answered)) => answered.map(|answered| (answered, end)),
            None => node.started_at.map(|at| (at, end)),
        }
    });
    let axis = Axis::new(from, to, worked);
    html! {
        @if begun.is_empty() { p class="quiet" { "No step has started." } }
        div class="fall" {
            @if !begun.is_empty() { (scale(&axis, (from, to))) }
            @for (began, node) in &begun {
                @let ended = node.ended_at.unwrap_or(to);
                div class="row" id={ "fall-" (node.name) } {
                    a class="label" href=(href(node.id.as_str())) { (node.name) }
                    svg viewBox=(format!("0 0 {LENGTH} 16")) preserveAspectRatio="none" role="img"
                        aria-label={ (node.label()) ", " (length(ended.millis_since(*began))) } {
                        @for (begin, end) in &axis.folded {
                            rect class="fold" x=(format!("{:.1}", axis.place(*begin))) y="0" width=(format!("{:.1}", axis.place(*end) - axis.place(*begin))) height="16" {}
                        }
                        (piece(axis.place(*began), axis.place(ended), class(&node.status)))
                        @if let Some((asked, answered)) = node.waited {
                            (piece(axis.place(asked), axis.place(answered.unwrap_or(ended)), "waits"))
                        }
                    }
                    span class="took" { (running_length(ended.millis_since(*began), to, node.working.is_some())) }
                    span class="unseen" { (status(&node.status)) }
                }
            }
        }
        @if count > ROWS { p class="hint" { (ROWS) " of " (count) " steps: those that have not succeeded, and the longest." } }
        @if !axis.folded.is_empty() {
            p class="hint" {
                "Shaded: "
                @for (at, (begin, end)) in axis.folded.iter().enumerate() { @if at > 0 { ", " } (length(end.millis_since(*begin))) }
                " in which no step worked, drawn shorter."
            }
        }
    }
}

/// Draws the times of the axis, except those within shortened pauses.
fn scale(axis: &Axis, (from, to): (Timestamp, Timestamp)) -> Markup {
    let mut marks = vec![(0.0, from)];
    let (mut at, step) = (from, (to.since(from) / 200).max(Duration::from_millis(1)));
    while at < to {
        let place = axis.place(at);
        let is_folded = axis
            .folded
            .iter()
            .any(|(begin, end)| at > *begin && at < *end);
        if !is_folded && place - marks[marks.len() - 1].0 >= LENGTH / 5.0 && place < LENGTH * 0.9 {
            marks.push((place, at));
        }
        at += step;
    }
    marks.push((LENGTH, to));
    // Without a viewBox, places are percentages of the width, and the text is not stretched.
    let part = |place: f64| format!("{:.1}%", place / LENGTH * 100.0);
    let last = marks.len() - 1;
    html! {
        div class="axis" aria-hidden="true" {
            svg height="20" {
                @for (number, (place, at)) in marks.iter().enumerate() {
                    @let anchor = match number { 0 => "start", n if n == last => "end", _ => "middle" };
                    // On a narrow screen, this text would overlap the last one, so the style sheet hides it.
                    @let near = (number != last && *place > LENGTH * 0.75).then_some("near");
                    line class=[near] x1=(part(*place)) x2=(part(*place)) y1="15" y2="20" {}
                    text class=[near] x=(part(*place)) y="11" text-anchor=(anchor) { (length(at.millis_since(from))) }
                }
            }
        }
    }
}

fn piece(from: f64, to: f64, class: &str) -> Markup {
    // Even a very short piece stays visible.
    let width = (to - from).max(3.0);
    let from = from.min(LENGTH - width);
    html! {
        rect class=(class) x=(format!("{from:.1}")) y="3" width=(format!("{width:.1}")) height="10" rx="2" {}
    }
}
