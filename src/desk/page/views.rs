use axum::{extract::State, response::Response};
use http::StatusCode;
use maud::{Markup, html};

use super::{
    act::Form,
    format::{cut, visible},
    layout::see_other,
};
use crate::{access::Access, answer::Problem, server::Desk, views::SavedView};

/// `POST /views`: saves the filter of a list under a name, or deletes one.
pub async fn save_view(
    State(desk): State<Desk>,
    access: Access,
    form: Form,
) -> Result<Response, Problem> {
    let view = SavedView {
        name: form.field("name").unwrap_or_default().trim().to_owned(),
        query: only_filter(form.field("query").unwrap_or_default()),
    };
    let is_deleted = form.field("do") == Some("delete");
    let (views, person, of) = (desk.views.clone(), access.person.name, view.clone());
    let stored = desk
        .ask(move |_| {
            Ok(if is_deleted {
                views.delete(&person, &of.name).map(Ok)
            } else {
                views.save(&person, &of)
            })
        })
        .await?;
    match stored.map_err(unusable)? {
        Ok(()) if is_deleted => Ok(see_other("/", None)),
        Ok(()) => Ok(see_other(&format!("/?{}", view.query), None)),
        Err(why) => Err(Problem::bad(why)),
    }
}

/// Shows the saved views of a person. `query` is the current filter of the list.
pub(super) fn views(saved: &[SavedView], query: &str) -> Markup {
    let current = saved.iter().find(|view| view.query == query);
    html! {
        @if !saved.is_empty() || !query.is_empty() {
            nav class="views" aria-label="Saved views" {
                @for view in saved {
                    a class="chip" href={ "/?" (view.query) } aria-current=[(view.query == query).then_some("page")] {
                        (visible(&cut(&view.name, 40)))
                    }
                }
                @if let Some(view) = current {
                    form method="post" action="/views" {
                        input type="hidden" name="name" value=(view.name);
                        button class="plain" name="do" value="delete" { "Delete this view" }
                    }
                } @else if !query.is_empty() {
                    form method="post" action="/views" {
                        input type="hidden" name="query" value=(query);
                        label { span class="unseen" { "Name of the view" }
                            input name="name" required maxlength="80" placeholder="Name" autocomplete="off";
                        }
                        button class="plain" name="do" value="save" { "Save this filter" }
                    }
                }
            }
        }
    }
}

/// Removes everything from a query that is not part of the filter, so that a saved view can contain nothing else.
fn only_filter(query: &str) -> String {
    const FIELDS: [&str; 5] = ["status", "workflow", "target", "requester", "text"];
    let pairs = form_urlencoded::parse(query.as_bytes());
    let pairs = pairs.filter(|(name, value)| FIELDS.contains(&&**name) && !value.is_empty());
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

fn unusable(_: rusqlite::Error) -> Problem {
    let detail = "the saved views can't be read";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "system", detail)
}
