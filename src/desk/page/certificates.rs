use axum::{extract::State, response::Response};
use maud::{Markup, html};

use super::{
    expiries::expiries,
    format::{cut, status, visible},
    layout::{Frame, heads, page},
};
use crate::{access::Access, answer::Problem, server::Desk};
use windlass_ground::Timestamp;
use windlass_inventory::{Entry, Inventory};
use windlass_report::{self as report, Pick};
use windlass_runs::now;

const DAY: i64 = 86_400;
/// How long before its end a certificate counts as expiring soon, in seconds.
const SOON: i64 = 30 * DAY;
/// The length of the axis of lifetimes, in units of its SVG.
const AXIS: f64 = 1000.0;
/// The largest number of places listed for a certificate.
const PLACES: usize = 4;

/// `GET /certificates`: lists the certificates in use, by when they expire.
pub async fn certificates(State(desk): State<Desk>, access: Access) -> Result<Response, Problem> {
    let inventory = desk.ask(|runs| runs.certificates()).await?;
    let at = now();
    let pick = Pick::default();
    let taken: Vec<_> = inventory
        .certificates
        .iter()
        .filter(|entry| pick.takes(entry, at))
        .collect();
    let soon = taken
        .iter()
        .filter(|entry| entry.is_due(at, SOON) && entry.starts_in(at).is_none());
    let soon = soon.count();
    let renewed = taken
        .iter()
        .filter(|entry| entry.renewed_at.is_some() && !entry.is_due(at, SOON))
        .filter(|entry| entry.left(at) <= SOON);
    let soon = match renewed.count() {
        0 => format!("{soon} expire within 30 days"),
        renewed => {
            format!("{soon} expire within 30 days, apart from {renewed} that a controller renews")
        }
    };
    let frame = Frame {
        title: "Certificates",
        part: "Certificates",
        stream: Some("/api/v1/stream".into()),
        summary: format!("{} certificates, {soon}", taken.len()),
        access: Some(&access),
    };
    Ok(page(
        &frame,
        html! {
            div class="head" {
                h1 { "Certificates" }
                p class="quiet" { (taken.len()) " in use · " (soon) }
            }
            @if taken.is_empty() {
                section class="card empty" { p { "No run has issued or found a certificate that is in use." } }
            } @else {
                (expiries(&taken, at, |entry| kind(entry, at)))
                (table(&taken, at))
            }
            @if !inventory.problems.is_empty() { (problems(&inventory)) }
        },
    ))
}

fn table(entries: &[&Entry], at: Timestamp) -> Markup {
    let from = entries
        .iter()
        .map(|entry| entry.facts.not_before)
        .min()
        .unwrap_or(at);
    let to = entries
        .iter()
        .map(|entry| entry.facts.not_after)
        .max()
        .unwrap_or(at);
    // Most lifetimes are short and those of roots are long, so the axis shows the square root of the time from now.
    let reach = |time: Timestamp| {
        let away = (time.as_secs() - at.as_secs()) as f64;
        away.signum() * away.abs().sqrt()
    };
    let (left, right) = (reach(from).min(0.0), reach(to).max(1.0));
    let place = |time: Timestamp| (reach(time) - left) / (right - left) * AXIS;
    html! {
        table class="list certificates" {
            caption class="unseen" { "Certificates in use, by expiry" }
            (heads(&["Certificate", "Left", "Lifetime, and now", "Where", "Comes from"]))
            tbody {
                @for (row, entry) in entries.iter().enumerate() {
                    @let facts = &entry.facts;
                    @let kind = kind(entry, at);
                    tr id={ "cert-" (row) } {
                        td class="workflow" {
                            b { (visible(&cut(&facts.subject, 80))) }
                            p class="quiet" { "issued by " (visible(&cut(&facts.issuer, 80))) }
                            p class="quiet" { (status(entry.condition().as_str())) @if facts.is_ca { " · CA" } }
                        }
                        td data-label="Left" class={ "left " (kind) } {
                            (report::days(entry.left(at)))
                            p class="quiet" { (report::utc_time(facts.not_after)) }
                        }
                        td class="life" {
                            svg viewBox=(format!("0 0 {AXIS} 16")) preserveAspectRatio="none" aria-hidden="true" {
                                @let (begin, end) = (place(facts.not_before), place(facts.not_after));
                                rect class=(kind) x=(format!("{begin:.1}")) y="4" width=(format!("{:.1}", (end - begin).max(4.0))) height="8" rx="2" {}
                                rect class="now" x=(format!("{:.1}", place(at))) y="0" width="2" height="16" {}
                            }
                        }
                        td data-label="Where" {
                            ul class="places" {
                                @for place in entry.places.iter().take(PLACES) { li { (visible(&place.to_string())) } }
                                @if entry.places.len() > PLACES { li { "and " (entry.places.len() - PLACES) " more" } }
                            }
                        }
                        td data-label="Comes from" {
                            div { @match &entry.made_by {
                                Some(origin) => {
                                    a href={ "/runs/" (origin.run) } { (origin.workflow) } " on " (origin.target)
                                    p class="quiet" { "step " code { (origin.step) } }
                                }
                                None => @match &entry.renewed_at {
                                    Some(place) => {
                                        "a controller in the cluster"
                                        p class="quiet" { "its issuer's key is in " (visible(&place.to_string())) }
                                    }
                                    None => span class="status warn" { "! nothing renews it" },
                                },
                            } }
                        }
                    }
                }
            }
        }
    }
}

fn kind(entry: &Entry, at: Timestamp) -> &'static str {
    match entry.left(at) {
        ..=0 => "bad",
        _ if entry.is_revoked || entry.starts_in(at).is_some() => "bad",
        left if left <= SOON
            && entry.is_due(
                at,
                (entry.facts.not_after.as_secs() - entry.facts.not_before.as_secs()) / 3,
            ) =>
        {
            "warn"
        }
        _ => "good",
    }
}

fn problems(inventory: &Inventory) -> Markup {
    html! {
        section class="card" {
            h2 { "Could not be read" }
            ul { @for problem in &inventory.problems { li { b { (problem.place) } ": " (visible(&problem.why)) } } }
        }
    }
}
