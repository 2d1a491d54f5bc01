//! Shows what waits: questions (the person's own first), locks, and steps that will be retried.

use axum::{extract::State, response::Response};
use maud::{Markup, html};

use super::{
    format::{cut, moment, status, visible},
    layout::{Frame, heads, page},
};
use crate::{
    access::Access,
    answer::Problem,
    server::Desk,
    waiting::{Lock, Question, Timer, Waiting},
};
use windlass_ground::Timestamp;
use windlass_runs::{Row, now};

/// `GET /waiting`: shows what waits.
pub async fn waiting(State(desk): State<Desk>, access: Access) -> Result<Response, Problem> {
    let who = access.clone();
    let found = desk.ask(move |runs| Waiting::look(runs, &who)).await?;
    let at = now();
    let (mine, others): (Vec<_>, Vec<_>) = found.questions.into_iter().partition(|q| q.is_mine);
    let frame = Frame {
        title: "Waiting",
        part: "Waiting",
        stream: Some("/api/v1/stream".into()),
        summary: format!(
            "{} questions for you, {} for others",
            mine.len(),
            others.len()
        ),
        access: Some(&access),
    };
    let is_empty =
        mine.is_empty() && others.is_empty() && found.locks.is_empty() && found.timers.is_empty();
    Ok(page(
        &frame,
        html! {
            h1 { "Waiting" }
            @if is_empty {
                section class="card empty" { p { "Nothing is waiting: there are no open questions, locks or retries." } }
            }
            @if !mine.is_empty() {
                section id="mine" class="waiting" aria-labelledby="mine-title" {
                    h2 id="mine-title" { "For you " span class="count" { (mine.len()) } }
                    ul class="asks" { @for question in &mine { (question_of(question, at)) } }
                }
            }
            @if !others.is_empty() {
                section id="others" class="card" aria-labelledby="others-title" {
                    h2 id="others-title" { "For someone else " span class="count quiet" { (others.len()) } }
                    ul class="asks" { @for question in &others { (question_of(question, at)) } }
                }
            }
            @if !found.locks.is_empty() { (locks(&found.locks, at)) }
            @if !found.timers.is_empty() { (timers(&found.timers, at)) }
        },
    ))
}

/// Returns a question, with a link to it.
pub fn question_of(question: &Question, at: Timestamp) -> Markup {
    let Question {
        shown,
        ask,
        is_mine,
    } = question;
    let link = format!("/runs/{}#ask", shown.id);
    html! {
        li {
            div {
                p class="question" { (visible(&ask.listed().message)) }
                p class="quiet" {
                    b { (shown.info.workflow) } " on " (shown.info.target) " · step " code { (ask.step) }
                    " · asked " (moment(ask.asked_at, at)) " · started by " (shown.info.requester)
                    @if let Some(deadline) = ask.deadline { " · expires " (moment(deadline, at)) }
                }
            }
            a class={ "button" @if *is_mine { " main" } } href=(link) {
                @if *is_mine { "Review" } @else { "View" }
                span class="unseen" { " " (shown.info.workflow) ", " (ask.step) }
            }
        }
    }
}

fn locks(locks: &[Lock], at: Timestamp) -> Markup {
    html! {
        section class="card" aria-labelledby="locks-title" {
            h2 id="locks-title" { "Locks" }
            table class="list" {
                (heads(&["Lock", "Held by", "Since", "Waiting for it, in order"]))
                tbody {
                    @for lock in locks {
                        tr {
                            td class="workflow" { code { (visible(&lock.name)) } }
                            td data-label="Held by" { div {
                                a href={ "/runs/" (lock.holder) } { @match &lock.by { Some(row) => (row.run.workflow), None => code { (lock.holder) } } }
                                @if let Some(row) = &lock.by {
                                    " " (status(&row.status))
                                    p class="quiet" { (row.run.requester.as_deref().unwrap_or("–")) }
                                    @if row.run.has_ended() {
                                        p class="error" { "This run has ended and still holds the lock. Resume it or undo it." }
                                    }
                                }
                            } }
                            td data-label="Since" { (moment(lock.since, at)) }
                            td data-label="Waiting" { div {
                                @if lock.waiting.is_empty() { span class="quiet" { "nothing" } }
                                ol class="queue" { @for row in &lock.waiting { li { (run(row)) } } }
                            } }
                        }
                    }
                }
            }
        }
    }
}

fn timers(timers: &[Timer], at: Timestamp) -> Markup {
    html! {
        section class="card" aria-labelledby="timers-title" {
            h2 id="timers-title" { "Retries" }
            table class="list" {
                (heads(&["Step", "Run", "When", "Attempts so far"]))
                tbody {
                    @for timer in timers {
                        tr {
                            td class="workflow" {
                                code { (timer.step) }
                                @if let Some(error) = &timer.error { p class="error" { (visible(&cut(error, 160))) } }
                            }
                            td data-label="Run" { (run(&timer.run)) }
                            td data-label="When" { (moment(timer.at, at)) }
                            td data-label="Attempts" { (timer.attempt) }
                        }
                    }
                }
            }
        }
    }
}

fn run(row: &Row) -> Markup {
    html! {
        a href={ "/runs/" (row.run.id) } { (row.run.workflow) }
        span class="quiet" { " by " (row.run.requester.as_deref().unwrap_or("–")) }
    }
}
