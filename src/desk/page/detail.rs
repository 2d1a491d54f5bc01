//! The card of an instance: its inputs, outputs, error and calls.

use maud::{Markup, html};

use super::{
    format::{moment, running_length, short, status, value, visible},
    layout::heads,
    run::View,
    steps::{parts, status as instance_status},
};
use crate::api;
use windlass_engine::decide::step_of;
use windlass_journal::{EffectState, Instance, InstanceId};
use windlass_world::value::Value;

/// The largest number of inner instances that are listed.
const INSTANCES: usize = 100;

impl View {
    /// Returns how long an instance has worked, with its running attempt if a process drives the run; `None` if no attempt is running.
    pub(super) fn working(&self, instance: &Instance) -> Option<i64> {
        let working = instance.working(self.shown.at);
        working.filter(|_| self.shown.is_driven)
    }

    fn worked(&self, instance: &Instance) -> Markup {
        let working = self.working(instance);
        let worked = working.unwrap_or(instance.worked);
        running_length(worked, self.shown.at, working.is_some())
    }

    /// Returns the card of an instance: its inputs, outputs, error and calls.
    pub(super) fn detail(&self, id: &InstanceId) -> Markup {
        let state = &*self.shown.state;
        let Some(instance) = state.instance(id) else {
            let why = match step_of(&self.shown.program.workflow, id) {
                Some(_) => "This step has not started.",
                None => "The workflow of this run has no such step.",
            };
            return html! {
                section id="detail" class="card" { h2 { (id) } p { (why) } }
            };
        };
        html! {
            section id="detail" class="card" aria-labelledby="detail-title" {
                h2 id="detail-title" { (id) " " (status(instance_status(state, instance, self.shown.at))) }
                p class="quiet" {
                    @if let Some(at) = instance.started_at { "started " (moment(at, self.shown.at)) " · " }
                    "worked " (self.worked(instance)) " · attempt " (instance.attempt)
                    @if let Some(outer) = id.parent() { " · inside of " a href=(self.link(outer.as_str())) { (outer) } }
                    " · " a href=(self.log_of(id)) { "its log" }
                }
                @if let Some(reason) = &instance.skip_reason { p { "Skipped: " (visible(reason)) } }
                @if let Some(error) = &instance.error { (self.excerpt(Some(id), error)) }
                @if let Some(answer) = instance.approval.as_ref().and_then(|asked| asked.answer.as_ref()) {
                    p {
                        (answer.verdict.as_str()) " by " b { (answer.approver) } " " (moment(answer.at, self.shown.at))
                        @if let Some(comment) = &answer.comment { ": " (visible(comment)) }
                    }
                }
                @if instance.is_composite() { (self.instances(id)) }
                div class="columns" {
                    (values("Inputs", &instance.inputs))
                    (values("Outputs", &instance.outputs))
                }
                @if !instance.effects.is_empty() { (effects(instance)) }
            }
        }
    }

    fn log_of(&self, id: &InstanceId) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("step", id.as_str());
        format!("/runs/{}/log?{}", self.shown.id, query.finish())
    }

    /// Returns the address of the list of the instances inside of an instance.
    fn inside(&self, id: &InstanceId) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("find", id.as_str());
        format!("/runs/{}?{}#steps", self.shown.id, query.finish())
    }

    /// Lists the instances inside of an instance, failed ones first.
    fn instances(&self, id: &InstanceId) -> Markup {
        let (state, at) = (&*self.shown.state, self.shown.at);
        let mut all: Vec<_> = parts(state, id)
            .map(|(id, instance)| (id, instance, instance_status(state, instance, at)))
            .collect();
        let rank = |status: &str| match status {
            "failed" | "expired" => 0,
            "waiting" | "retrying" => 1,
            "running" | "interrupted" => 2,
            _ => 3,
        };
        all.sort_by_key(|(_, _, status)| rank(status));
        html! {
            h3 { (all.len()) " inside of it" }
            ul class="instances" {
                @for (id, instance, word) in all.iter().take(INSTANCES) {
                    li {
                        (status(word)) " " a href=(self.link(id.as_str())) { (id) }
                        " " span class="quiet" { (self.worked(instance)) }
                    }
                }
                @if all.len() > INSTANCES { li { a href=(self.inside(id)) { "and " (all.len() - INSTANCES) " more" } } }
            }
        }
    }
}

/// Lists the calls of an instance.
fn effects(instance: &Instance) -> Markup {
    let row = |number: usize, effect: &EffectState| {
        let item = api::effect(effect);
        let request_id = item.result["request_id"].as_str().map(str::to_owned);
        html! {
            tr {
                td class="number" { (number) }
                td { code { (item.function) } }
                td { (status(&item.status)) }
                td { (item.class.as_str().unwrap_or_default()) }
                td {
                    details id={ "effect-" (number) } {
                        summary { "arguments and result" }
                        @if let Some(text) = value(&item.arguments) { pre tabindex="0" { (text) } }
                        @if let Some(text) = value(&item.result) { pre tabindex="0" { (text) } }
                        @if let Some(id) = request_id { p { "request id " code { (id) } } }
                    }
                }
            }
        }
    };
    html! {
        h3 { "Calls outside" }
        div class="scroll" tabindex="0" role="region" aria-label="Calls outside" {
            table class="effects" {
                (heads(&["#", "Function", "Result", "Class", "More"]))
                tbody {
                    @for (number, effect) in instance.effects.iter().enumerate() { (row(number, effect)) }
                }
            }
        }
    }
}

/// Returns a card of values by their names; nothing if there are none.
pub fn values(title: &str, values: &Value) -> Markup {
    let json = values.to_json();
    let Some(map) = json.as_object().filter(|map| !map.is_empty()) else {
        return html! {};
    };
    html! {
        section class="card" {
            h3 { (title) }
            dl class="values" {
                @for (name, found) in map {
                    dt { (name) }
                    dd {
                        @match short(found) {
                            Some(text) => code { (text) },
                            None => pre tabindex="0" { (found.as_str().map_or_else(|| value(found).unwrap_or_default(), visible)) },
                        }
                    }
                }
            }
        }
    }
}
