use axum::{
    extract::{Query, State},
    response::Response,
};
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    bulk,
    format::{cut, moment, running_length, status, visible},
    layout::{Frame, page},
    views::views,
    waiting::question_of,
};
use crate::{
    access::Access,
    answer::Problem,
    api,
    server::Desk,
    waiting::{Question, questions},
};
use windlass_ground::Timestamp;
use windlass_journal::RunId;
use windlass_runs::{Filter, Row, now};
use windlass_targets::Role;

/// The number of runs on a page.
const ROWS: usize = 50;
/// The largest number of questions that are shown above the runs.
const QUESTIONS: usize = 50;
const STATUSES: [&str; 8] = [
    "running",
    "waiting",
    "succeeded",
    "failed",
    "cancelled",
    "interrupted",
    "undone",
    "undo failed",
];

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct RunsQuery {
    status: String,
    workflow: String,
    target: String,
    requester: String,
    text: String,
    before: String,
}

/// `GET /`: shows the questions that wait for the person, and the runs.
pub async fn runs(
    State(desk): State<Desk>,
    access: Access,
    Query(query): Query<RunsQuery>,
) -> Result<Response, Problem> {
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    api::refuse_unknown_status(given(&query.status).as_deref())?;
    let filter = Filter {
        status: given(&query.status),
        workflow: given(&query.workflow),
        target: given(&query.target),
        requester: given(&query.requester),
        text: given(&query.text),
        before: RunId::parse(&query.before),
        within: access.sees(),
        limit: ROWS,
        is_brief: false,
    };
    // If the saved views can't be read, the page is shown without them.
    let (kept, who) = (desk.views.clone(), access.clone());
    let asked = desk.ask(move |runs| {
        let saved = kept.list(&who.person.name).unwrap_or_default();
        let page = runs.list(&filter)?;
        let waiting = runs.list(&Filter {
            status: Some("waiting".into()),
            within: who.sees(),
            is_brief: true,
            ..Filter::default()
        })?;
        let questions = questions(runs, &waiting.rows, &who);
        Ok((page, questions, saved))
    });
    let (list, questions, saved) = asked.await?;
    let at = now();
    let (mine, others): (Vec<_>, Vec<_>) = questions.into_iter().partition(|q| q.is_mine);
    let next = list
        .rows
        .last()
        .filter(|_| list.has_more)
        .map(|row| &row.run.id);
    let is_filtered = query.is_filtered();
    let summary = format!("{} runs, {} wait for you", list.rows.len(), mine.len());
    let frame = Frame {
        title: "Runs",
        part: "Runs",
        stream: Some("/api/v1/stream".into()),
        summary,
        access: Some(&access),
    };
    Ok(page(
        &frame,
        html! {
            // Killed processes and deleted runs write no event, so the page also reloads at intervals.
            h1 class="unseen" data-every=[(!list.rows.is_empty()).then_some("10000")] { "Runs" }
            @if !mine.is_empty() {
                section id="mine" class="waiting" aria-labelledby="mine-title" {
                    h2 id="mine-title" { "Waiting for you " span class="count" { (mine.len()) } }
                    (first_of(&mine, at, &access))
                }
            }
            @if !others.is_empty() {
                details id="others" class="waiting" {
                    summary { "Waiting for someone else " span class="count" { (others.len()) } }
                    (first_of(&others, at, &access))
                }
            }
            (query.form())
            (views(&saved, &query.text_of_fields()))
            @if list.rows.is_empty() {
                section class="card empty" {
                    @if is_filtered {
                        p { "No runs match this filter." }
                        p { a href="/" { "Show all runs" } }
                    } @else {
                        p { "There are no runs yet." }
                        @if access.has(Role::Operator) { p { a class="button main" href="/start" { "Start a run" } } }
                    }
                }
            } @else {
                (table(&list.rows, at, access.has(Role::Operator)))
                @if access.has(Role::Operator) { (bulk::buttons()) }
            }
            @if let Some(next) = next {
                p class="more" { a class="button" href=(query.older(next)) { "Older runs" } }
            }
            @if access.has_everywhere(Role::Admin) {
                p class="more" { a href="/prune" { "Delete old runs" } }
            }
        },
    ))
}

fn table(rows: &[Row], at: Timestamp, may_select: bool) -> Markup {
    html! {
        table id="runs" class="list" {
            caption class="unseen" { "Runs, the newest first" }
            thead {
                tr {
                    @if may_select { th scope="col" class="select" { span class="unseen" { "Select" } } }
                    th scope="col" { "Status" }
                    th scope="col" { "Workflow" }
                    th scope="col" { "Run" }
                    th scope="col" { "Target" }
                    th scope="col" { "Started" }
                    th scope="col" { "By" }
                    th scope="col" { "Took" }
                }
            }
            tbody {
                @for row in rows {
                    @let id = row.run.id.as_str();
                    tr id={ "run-" (id) } {
                        @if may_select {
                            td class="select" {
                                input type="checkbox" name="run" value=(id) form="bulk" aria-label={ "Select run " (id) " of " (row.run.workflow) };
                            }
                        }
                        td { (status(&row.status)) }
                        td class="workflow" {
                            a href={ "/runs/" (id) } { (row.run.workflow) }
                            @if let Some(error) = &row.error { p class="error" { (visible(&cut(error, 160))) } }
                            @for ask in &row.asks { p class="asks-for" { (visible(&cut(&ask.message, 160))) } }
                        }
                        td data-label="Run" { code class="id" { (id) } }
                        td data-label="Target" { (row.run.target) }
                        td data-label="Started" { (moment(row.run.started_at, at)) }
                        td data-label="By" { (row.run.requester.as_deref().unwrap_or("–")) }
                        td data-label="Took" class="number" {
                            (running_length(row.run.ended_at.unwrap_or(at).millis_since(row.run.started_at), at, row.status == "running"))
                        }
                    }
                }
            }
        }
    }
}

impl RunsQuery {
    fn fields(&self) -> [(&'static str, &str); 5] {
        [
            ("status", &self.status),
            ("workflow", &self.workflow),
            ("target", &self.target),
            ("requester", &self.requester),
            ("text", &self.text),
        ]
    }

    fn is_filtered(&self) -> bool {
        self.fields().iter().any(|(_, value)| !value.is_empty())
    }

    /// Returns the filter as the query of an address.
    fn text_of_fields(&self) -> String {
        let given = self
            .fields()
            .into_iter()
            .filter(|(_, value)| !value.is_empty());
        form_urlencoded::Serializer::new(String::new())
            .extend_pairs(given)
            .finish()
    }

    /// Returns the address of the runs that are older than `before`.
    fn older(&self, before: &RunId) -> String {
        let mut query = form_urlencoded::Serializer::new(self.text_of_fields());
        query.append_pair("before", before.as_str());
        format!("/?{}", query.finish())
    }

    fn form(&self) -> Markup {
        let text = |name: &str, label: &str, value: &str, kind: &str| {
            html! {
                label class=(kind) {
                    span { (label) }
                    input name=(name) value=(value) type="search" autocomplete="off";
                }
            }
        };
        html! {
            form class="filter" method="get" action="/" role="search" aria-label="Filter the runs" {
                (text("text", "Search", &self.text, "wide"))
                label {
                    span { "Status" }
                    select name="status" {
                        option value="" { "any" }
                        @for status in STATUSES {
                            option value=(status) selected[self.status == status] { (status) }
                        }
                    }
                }
                (text("workflow", "Workflow", &self.workflow, ""))
                (text("target", "Target", &self.target, ""))
                (text("requester", "Started by", &self.requester, ""))
                button { "Filter" }
                @if self.is_filtered() { a class="clear" href="/" { "Clear" } }
            }
        }
    }
}

/// Lists the most urgent questions; the page of all that waits has the others.
fn first_of(questions: &[Question], at: Timestamp, access: &Access) -> Markup {
    let more = questions.len().saturating_sub(QUESTIONS);
    html! {
        ul class="asks" { @for question in questions.iter().take(QUESTIONS) { (question_of(question, at)) } }
        @if more > 0 {
            p class="more" {
                "and " (more) " more"
                @if access.has_everywhere(Role::Viewer) { ": " a href="/waiting" { "all that waits" } }
            }
        }
    }
}
