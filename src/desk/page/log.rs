//! The log of a run: search over all lines, links to lines, links from error to error, and the plain text.

use axum::{
    extract::{Path, Query, State},
    response::Response,
};
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    act::run_id,
    format::visible,
    layout::{Frame, page},
};
use crate::{
    access::Access,
    answer::{Problem, file},
    server::Desk,
};
use windlass_journal::RunId;
use windlass_report as report;
use windlass_runs::LogLine;

/// The number of lines on a page, which browsers can search and scroll quickly.
const LINES: usize = 500;
/// The number of lines before the line in the address.
const BEFORE: usize = 20;
/// The largest number of characters of a line on the page. The plain text has the whole line.
const LETTERS: usize = 2000;

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct LogQuery {
    /// Part of a line.
    find: String,
    /// A step, including everything inside of it.
    step: String,
    /// Not empty: only errors.
    errors: String,
    /// The selected lines: `17` or `17-20`.
    line: String,
    /// The first line of the page, counted from 0 among the matching lines.
    from: Option<usize>,
}

/// What a page of the log shows.
struct Look<'a> {
    run: &'a RunId,
    query: &'a LogQuery,
    /// The lines that match the query.
    lines: Vec<&'a LogLine>,
    marked: Option<(u64, u64)>,
    /// The numbers of the lines with errors.
    errors: Vec<u64>,
}

/// `GET /runs/RUN/log`: shows the log.
pub async fn log(
    State(desk): State<Desk>,
    access: Access,
    Path(run): Path<String>,
    Query(query): Query<LogQuery>,
) -> Result<Response, Problem> {
    let run = run_id(&run)?;
    let asked = run.clone();
    let all = desk.ask(move |runs| runs.log(&asked)).await?;
    let errors: Vec<_> = all
        .iter()
        .filter(|line| line.is_error)
        .map(|line| line.seq)
        .collect();
    // Without a line in the address, the page opens at the first error.
    let is_fresh = query.line.is_empty() && query.from.is_none() && !query.is_filtered();
    let marked = if is_fresh {
        errors.first().map(|first| (*first, *first))
    } else {
        lines_of(&query.line)
    };
    let look = Look {
        lines: all.iter().filter(|line| query.takes(line)).collect(),
        run: &run,
        query: &query,
        marked,
        errors,
    };
    let summary = format!("{} of {} lines", look.lines.len(), all.len());
    let frame = Frame {
        title: "Log",
        part: "Runs",
        stream: Some(format!(
            "/api/v1/runs/{run}/stream?after={}",
            all.len().saturating_sub(1)
        )),
        summary,
        access: Some(&access),
    };
    Ok(page(&frame, look.markup(all.len())))
}

/// `GET /runs/RUN/log.txt`: returns all lines as plain text, with their numbers.
pub async fn raw(State(desk): State<Desk>, Path(run): Path<String>) -> Result<Response, Problem> {
    let run = run_id(&run)?;
    let asked = run.clone();
    let all = desk.ask(move |runs| runs.log(&asked)).await?;
    let mut text = String::new();
    for line in all.iter() {
        text.push_str(&format!("{:>6} {}\n", line.seq, visible(&line.text)));
    }
    let name = format!("{run}.log");
    Ok(file("inline", &name, "text/plain; charset=utf-8", text))
}

/// Parses `17` or `17-20`.
fn lines_of(text: &str) -> Option<(u64, u64)> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let (from, to) = (from.parse().ok()?, to.parse().ok()?);
    Some((std::cmp::min(from, to), std::cmp::max(from, to)))
}

impl LogQuery {
    fn is_filtered(&self) -> bool {
        !self.find.is_empty() || !self.step.is_empty() || !self.errors.is_empty()
    }

    fn takes(&self, line: &LogLine) -> bool {
        let is_of = |step: &str| {
            let id = line.step.as_ref().map_or("", |id| id.as_str());
            id.strip_prefix(step)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '[', '!']))
        };
        (self.errors.is_empty() || line.is_error)
            && (self.step.is_empty() || is_of(&self.step))
            && (self.find.is_empty()
                || line.text.to_lowercase().contains(&self.find.to_lowercase()))
    }
}

impl Look<'_> {
    /// Returns the address of this log with the same search and `more` parameters.
    fn link(&self, more: &[(&str, String)]) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let fields = [
            ("find", &self.query.find),
            ("step", &self.query.step),
            ("errors", &self.query.errors),
        ];
        query.extend_pairs(fields.iter().filter(|(_, value)| !value.is_empty()));
        query.extend_pairs(more);
        format!("/runs/{}/log?{}", self.run, query.finish())
    }

    fn line(&self, seq: u64) -> String {
        // The search is left out, so that an error is shown among the lines around it.
        format!("/runs/{}/log?line={seq}#L{seq}", self.run)
    }

    /// Returns the first line of the page: `from`, or just before the marked line, or the start of the last page.
    fn first(&self) -> usize {
        let last_page = self.lines.len().saturating_sub(LINES);
        let marked = self.marked.and_then(|(from, _)| {
            let at = self.lines.iter().position(|line| line.seq >= from)?;
            Some(at.saturating_sub(BEFORE))
        });
        let at = self.query.from.or(marked).unwrap_or(last_page);
        at.min(self.lines.len().saturating_sub(1))
    }

    fn markup(&self, count: usize) -> Markup {
        let from = self.first();
        let to = self.lines.len().min(from + LINES);
        let marked = self.marked.map_or(0, |(from, _)| from);
        let before = self.errors.iter().rev().find(|seq| **seq < marked);
        let after = self.errors.iter().find(|seq| **seq > marked);
        let is_marked = |seq: u64| {
            self.marked
                .is_some_and(|(from, to)| (from..=to).contains(&seq))
        };
        html! {
            div class="head" {
                div {
                    h1 { "Log" }
                    p class="quiet" { a href={ "/runs/" (self.run) } { code class="id" { (self.run) } } " · " (count) " lines, with times in UTC" }
                }
                div class="actions" {
                    @match self.errors.first() {
                        Some(first) => {
                            a class="button" id="first-error" href=(self.line(*first)) { (report::counted(self.errors.len(), "error")) ", the first" }
                            @if let Some(before) = before { a class="button" id="previous-error" href=(self.line(*before)) { "Previous error" } }
                            @if let Some(after) = after { a class="button" id="next-error" href=(self.line(*after)) { "Next error" } }
                        }
                        None => span class="quiet" { "no errors" },
                    }
                    a class="button" href={ "/runs/" (self.run) "/log.txt" } { "Plain text" }
                }
            }
            form class="filter" method="get" role="search" aria-label="Search the log" data-live {
                label class="wide" {
                    span { "Search all lines" }
                    input type="search" name="find" id="find" value=(self.query.find) autocomplete="off" spellcheck="false";
                }
                label { span { "Step" } input type="search" name="step" value=(self.query.step) autocomplete="off" spellcheck="false"; }
                label {
                    span { "Lines" }
                    select name="errors" {
                        option value="" { "all" }
                        option value="1" selected[!self.query.errors.is_empty()] { "errors only" }
                    }
                }
                noscript { button { "Search" } }
                @if self.query.is_filtered() { a class="clear" href={ "/runs/" (self.run) "/log" } { "Clear" } }
            }
            section class="card" aria-labelledby="lines-title" {
                h2 id="lines-title" class="unseen" { "Lines" }
                p class="quiet" role="status" {
                    @if self.lines.is_empty() { "No lines match." } @else {
                        (from + 1) " to " (to) " of " (self.lines.len()) @if self.lines.len() < count { " matching lines" }
                    }
                    @if from > 0 { " · " a href=(self.link(&[("from", from.saturating_sub(LINES).to_string())])) { "earlier" } }
                    @if to < self.lines.len() { " · " a href=(self.link(&[("from", to.to_string())])) { "later" } }
                }
                ol class="lines" id="lines" tabindex="0" aria-label="Lines of the log" {
                    @for line in &self.lines[from..to] {
                        @let seq = line.seq;
                        li id={ "L" (seq) } class={ @if line.is_error { "bad " } @if is_marked(seq) { "marked" } } {
                            a href={ "/runs/" (self.run) "/log?line=" (seq) "#L" (seq) } aria-label={ "Line " (seq) } { (seq) }
                            span { (self.text(&line.text)) }
                        }
                    }
                }
            }
        }
    }

    /// Returns a line, with the matches of the search marked.
    fn text(&self, text: &str) -> Markup {
        let text = visible(&super::format::cut(text, LETTERS));
        let find = self.query.find.to_lowercase();
        let lower = text.to_lowercase();
        // If lower case has another length, its positions do not apply to the original text.
        if find.is_empty() || lower.len() != text.len() {
            return html! { (text) };
        }
        let mut at = 0;
        let mut parts = Vec::new();
        for (found, part) in lower.match_indices(&find) {
            let to = found + part.len();
            let is_whole = text.is_char_boundary(found) && text.is_char_boundary(to);
            if found >= at && is_whole {
                parts.push((&text[at..found], &text[found..to]));
                at = to;
            }
        }
        html! {
            @for (before, found) in parts { (before) mark { (found) } }
            (&text[at..])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ranges_are_parsed() {
        assert_eq!(lines_of("17"), Some((17, 17)));
        assert_eq!(lines_of("20-17"), Some((17, 20)));
        for wrong in ["", "x", "1-", "-1", "1-2-3"] {
            assert_eq!(lines_of(wrong), None, "{wrong}");
        }
    }
}
