//! Draws when certificates expire: authorities above, other certificates below, on a time axis with more room for the near future.

use maud::{Markup, html};

use windlass_ground::Timestamp;
use windlass_inventory::Entry;
use windlass_report as report;

const DAY: i64 = 86_400;
/// The marks on the axis, in days from now.
const MARKS: [(i64, &str); 8] = [
    (1, "1 day"),
    (7, "1 week"),
    (30, "30 days"),
    (90, "90 days"),
    (365, "1 year"),
    (3 * 365, "3 years"),
    (10 * 365, "10 years"),
    (30 * 365, "30 years"),
];
/// Certificates that are closer to each other than this share a dot, in percent of the width.
const NEAR: f64 = 1.6;
/// The place of now, in percent of the width. Expired certificates are on its left.
const NOW: f64 = 8.0;

/// Certificates that expire at about the same time.
struct Dot {
    /// Percent of the width.
    place: f64,
    kind: &'static str,
    /// The table row of the first of them.
    first: usize,
    count: usize,
    /// How many of them are not renewed by a run.
    lost: usize,
    label: String,
}

/// Draws when the certificates expire; `kind` is the colour of each, and their rows have the ids `cert-0`, `cert-1`, ….
pub fn expiries(
    entries: &[&Entry],
    at: Timestamp,
    kind: impl Fn(&Entry) -> &'static str,
) -> Markup {
    let furthest = entries
        .iter()
        .map(|entry| entry.left(at))
        .max()
        .unwrap_or(DAY);
    let furthest = furthest.max(DAY);
    // Most lifetimes are short and those of roots are long, so the axis shows the cube root of the time.
    let place = |left: i64| {
        let part = (left.abs() as f64 / furthest as f64).cbrt().min(1.0);
        if left >= 0 {
            NOW + part * (97.0 - NOW)
        } else {
            NOW - part.min(1.0) * (NOW - 1.0)
        }
    };
    let lanes = [("Authorities", true), ("Others", false)].map(|(name, is_ca)| {
        let of_it = entries.iter().enumerate();
        let of_it = of_it.filter(|(_, entry)| entry.facts.is_ca == is_ca);
        (name, dots(of_it, at, &place, &kind))
    });
    let marks: Vec<_> = MARKS
        .iter()
        .filter(|(days, _)| days * DAY < furthest)
        .map(|(days, name)| (place(days * DAY), *name))
        .collect();
    // Marks that would overlap are left out.
    let mut shown: Vec<(f64, &str)> = vec![(NOW, "now")];
    for (at, name) in marks {
        if at - shown[shown.len() - 1].0 > 8.0 {
            shown.push((at, name));
        }
    }
    html! {
        section class="card" aria-labelledby="expiries-title" {
            h2 id="expiries-title" { "Expiries" }
            svg class="expiries" height="132" role="group" aria-label="When the certificates expire; the table below shows the same data" {
                rect class="soon" x=(percent(NOW)) y="0" width=(percent(place(30 * DAY).min(97.0) - NOW)) height="112" {}
                rect class="gone" x="0" y="0" width=(percent(NOW)) height="112" {}
                @for (at, name) in &shown {
                    line x1=(percent(*at)) x2=(percent(*at)) y1="0" y2="112" {}
                    text class="tick" x=(percent(*at)) y="127" text-anchor="middle" { (name) }
                }
                @for (number, (name, dots)) in lanes.iter().enumerate() {
                    @let y = 34 + number * 52;
                    text class="lane" x="6" y=(y - 20) { (name) }
                    @for dot in dots {
                        a href={ "#cert-" (dot.first) } {
                            title { (dot.label) }
                            circle class={ "dot " (dot.kind) @if dot.lost > 0 { " lost-one" } } cx=(percent(dot.place)) cy=(y) r=(if dot.count > 1 { 11 } else { 7 }) {}
                            @if dot.count > 1 { text class="count" x=(percent(dot.place)) y=(y + 4) text-anchor="middle" aria-hidden="true" { (dot.count) } }
                        }
                    }
                }
            }
            p class="hint" { "Ring: no run renews it. Shaded: expired, or expires within 30 days." }
        }
    }
}

fn dots<'a>(
    entries: impl Iterator<Item = (usize, &'a &'a Entry)>,
    at: Timestamp,
    place: &impl Fn(i64) -> f64,
    kind: &impl Fn(&Entry) -> &'static str,
) -> Vec<Dot> {
    let mut dots: Vec<Dot> = Vec::new();
    // The entries are in the order in which they expire.
    for (row, entry) in entries {
        let here = place(entry.left(at));
        let lost = usize::from(entry.is_unmanaged());
        match dots.last_mut() {
            Some(last) if here - last.place < NEAR && last.kind == kind(entry) => {
                last.count += 1;
                last.lost += lost;
                last.label = format!(
                    "{} certificates, the first: row {}",
                    last.count,
                    last.first + 1
                );
            }
            _ => dots.push(Dot {
                place: here,
                kind: kind(entry),
                first: row,
                count: 1,
                lost,
                label: format!("{}: {}", entry.facts.subject, report::days(entry.left(at))),
            }),
        }
    }
    dots
}

fn percent(part: f64) -> String {
    format!("{:.2}%", part.max(0.0))
}
