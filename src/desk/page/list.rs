//! The list of a run's steps. Instances can be found by status and by name.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::{
    format::{class, mark, running_length, status},
    layout::heads,
    run::View,
    steps::{Node, ORDER, status as instance_status},
};
use windlass_journal::{InstanceId, Status};

/// The number of rows on a page of the list.
const ROWS: usize = 100;

/// A row of the search's results.
struct Found {
    id: InstanceId,
    status: String,
    took: Option<i64>,
    is_at_work: bool,
}

impl View {
    /// Returns the steps, or the results of a search.
    pub(super) fn steps(&self) -> Markup {
        let is_searched = !self.query.find.is_empty() || !self.query.is.is_empty();
        html! {
            (self.search())
            div class="scroll" id="steps-box" tabindex="0" role="region" aria-label="List of the steps" {
                @if is_searched { (self.results()) } @else { (self.table()) }
            }
        }
    }

    /// Returns the number of instances in each status, as links, and the search field.
    fn search(&self) -> Markup {
        let mut tally: BTreeMap<usize, usize> = BTreeMap::new();
        for node in &self.nodes {
            let all = if node.is_composite() && node.count > 0 {
                node.tally.clone()
            } else {
                vec![(known(&node.status), 1)]
            };
            for (status, count) in all {
                let rank = ORDER.iter().position(|known| *known == status);
                *tally.entry(rank.unwrap_or(ORDER.len() - 1)).or_default() += count;
            }
        }
        let base = format!("/runs/{}", self.shown.id);
        html! {
            ul class="chips" aria-label="Instances by status" {
                @for (rank, count) in tally {
                    @let word = ORDER[rank];
                    @let is_on = self.query.is == word;
                    li {
                        a class={ "status " (class(word)) } aria-current=[is_on.then_some("true")]
                            href=(match is_on { true => format!("{base}#steps"), false => format!("{base}?is={word}#steps") }) {
                            span aria-hidden="true" { (mark(word)) } (count) " " (word)
                        }
                    }
                }
            }
            form class="find" method="get" action={ (base) "#steps" } role="search" aria-label="Search the steps" data-live {
                input type="search" name="find" id="find" value=(self.query.find) placeholder="Find a step or an item" aria-label="Find a step or an item" autocomplete="off" spellcheck="false";
                @if !self.query.is.is_empty() { input type="hidden" name="is" value=(self.query.is); }
                noscript { button { "Find" } }
            }
        }
    }

    fn results(&self) -> Markup {
        let mut found = self.found();
        let count = found.len();
        let rank = |status: &str| ORDER.iter().position(|known| *known == status);
        found.sort_by_key(|row| rank(&row.status));
        let from = self.query.from.min(count);
        let rows = &found[from..count.min(from + ROWS)];
        html! {
            p class="quiet" id="found" role="status" {
                (count) @if count == 1 { " matches" } @else { " match" }
                @if count > rows.len() { ", " (from + 1) " to " (from + rows.len()) }
                " · " a href={ "/runs/" (self.shown.id) "#steps" } { "all steps" }
            }
            table class="steps" {
                (heads(&["Instance", "Status", "Took"]))
                tbody {
                    @for row in rows {
                        @let is_selected = self.selected.as_ref() == Some(&row.id);
                        tr id={ "found-" (row.id) } class=[is_selected.then_some("selected")] {
                            td { a href=(self.link(row.id.as_str())) { (row.id) } }
                            td { (status(&row.status)) }
                            td class="number" { @if let Some(took) = row.took { (running_length(took, self.shown.at, row.is_at_work)) } }
                        }
                    }
                }
            }
            @if count > from + ROWS {
                p class="more" { a class="button" href=(self.results_from(from + ROWS)) { "Next " (ROWS.min(count - from - ROWS)) } }
            }
        }
    }

    fn results_from(&self, from: usize) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let fields = [("find", &self.query.find), ("is", &self.query.is)];
        query.extend_pairs(fields.iter().filter(|(_, value)| !value.is_empty()));
        query.append_pair("from", &from.to_string());
        format!("/runs/{}?{}#steps", self.shown.id, query.finish())
    }

    /// Finds the instances with the name and status that are searched for, including steps that have not started.
    fn found(&self) -> Vec<Found> {
        let (state, at) = (&*self.shown.state, self.shown.at);
        let (name, wanted) = (self.query.find.to_lowercase(), self.query.is.as_str());
        let fits = |id: &str, status: &str| {
            (wanted.is_empty() || status == wanted) && id.to_lowercase().contains(&name)
        };
        let begun = state.steps.iter().filter(|(id, instance)| {
            // A loop or nested workflow has no status of its own here; the instances inside of it are counted.
            id.undone().is_none() && (wanted.is_empty() || !instance.is_composite())
        });
        let begun = begun.map(|(id, instance)| Found {
            id: id.clone(),
            status: instance_status(state, instance, at).to_owned(),
            took: (instance.status != Status::Pending)
                .then(|| self.working(instance).unwrap_or(instance.worked)),
            is_at_work: self.working(instance).is_some(),
        });
        let to_come = self
            .nodes
            .iter()
            .filter(|node| state.instance(&node.id).is_none());
        let to_come = to_come.map(|node| Found {
            id: node.id.clone(),
            status: node.status.clone(),
            took: None,
            is_at_work: false,
        });
        let all = begun.chain(to_come);
        all.filter(|row| fits(row.id.as_str(), &row.status))
            .collect()
    }

    fn table(&self) -> Markup {
        let count = self.nodes.len();
        let from = self.query.from.min(count);
        let rows = &self.nodes[from..count.min(from + ROWS)];
        html! {
            table class="steps" {
                (heads(&["Step", "Status", "Took"]))
                tbody { @for node in rows { (self.row(node)) } }
            }
            @if count > ROWS {
                p class="more" {
                    span class="quiet" { (from + 1) " to " (from + rows.len()) " of " (count) " steps" }
                    @if from > 0 { " " a class="button" href=(self.results_from(from.saturating_sub(ROWS))) { "Earlier" } }
                    @if from + ROWS < count { " " a class="button" href=(self.results_from(from + ROWS)) { "Later" } }
                }
            }
        }
    }

    fn row(&self, node: &Node) -> Markup {
        let is_selected = self.selected.as_ref().is_some_and(|id| *id == node.id);
        html! {
            tr id={ "step-" (node.name) } class=[is_selected.then_some("selected")] {
                td {
                    a href=(self.link(node.id.as_str())) { (node.name) }
                    @if let Some((first, count)) = node.failing.as_ref().filter(|_| node.is_composite()) {
                        p class="error" {
                            a href=(self.link(first)) { (first) } " failed"
                            @if *count > 1 { ", and " (count - 1) " more" }
                        }
                    }
                }
                td {
                    (status(&node.status))
                    @if node.is_composite() { " " span class="quiet" { (node.progress()) } }
                    @if node.attempt > 1 { " " span class="quiet" { "attempt " (node.attempt) } }
                }
                td class="number" {
                    @if node.started_at.is_some() || node.waited.is_some() { (running_length(node.took(self.shown.at), self.shown.at, node.working.is_some())) }
                }
            }
        }
    }
}

/// Returns a status as one of `ORDER`.
fn known(status: &str) -> &'static str {
    let found = ORDER.iter().find(|known| **known == status);
    found.copied().unwrap_or("pending")
}
