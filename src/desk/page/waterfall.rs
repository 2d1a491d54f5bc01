//! When each step ran: waiting for people and working on one axis of time.

use maud::{Markup, html};

use super::{
    format::{class, length, status},
    steps::Node,
};

/// The axis in units of the picture; it is stretched to the width there is.
const AXIS: f64 = 1000.0;

/// Draws when the steps ran that have begun, from the run's start to its end, or until now.
pub fn waterfall(nodes: &[Node], (from, to): (i64, i64), href: impl Fn(&str) -> String) -> Markup {
    let whole = (to - from).max(1) as f64;
    let place = |at: i64| ((at - from) as f64 / whole * AXIS).clamp(0.0, AXIS);
    let mut begun: Vec<_> = nodes
        .iter()
        .filter_map(|node| Some((node.started_at.or(node.waited.map(|(at, _)| at))?, node)))
        .collect();
    begun.sort_by_key(|(at, _)| *at);
    html! {
        div class="fall" {
            div class="axis" aria-hidden="true" {
                @for part in 0..5 {
                    span { (length((to - from) * part / 4)) }
                }
            }
            @for (began, node) in begun {
                @let ended = node.ended_at.unwrap_or(to);
                div class="row" id={ "fall-" (node.name) } {
                    a class="label" href=(href(node.id.as_str())) { (node.name) }
                    svg viewBox=(format!("0 0 {AXIS} 16")) preserveAspectRatio="none" role="img"
                        aria-label={ (node.label()) ", " (length(ended - began)) } {
                        (piece(place(began), place(ended), class(&node.status)))
                        @if let Some((asked, answered)) = node.waited {
                            (piece(place(asked), place(answered.unwrap_or(ended)), "waits"))
                        }
                    }
                    span class="took" { (length(ended - began)) }
                    span class="unseen" { (status(&node.status)) }
                }
            }
        }
    }
}

fn piece(from: f64, to: f64, class: &str) -> Markup {
    // A short one is still seen.
    let width = (to - from).max(3.0);
    let from = from.min(AXIS - width);
    html! {
        rect class=(class) x=(format!("{from:.1}")) y="3" width=(format!("{width:.1}")) height="10" rx="2" {}
    }
}
