use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use maud::{DOCTYPE, Markup, html};

use super::{assets::VERSION, format::all_visible, login::LoginWay};
use crate::{access::Access, answer::Problem};
use windlass_runs::now;
use windlass_targets::Role;

/// What surrounds the content of a page.
pub struct Frame<'a> {
    pub title: &'a str,
    /// The name of its link in the navigation.
    pub part: &'a str,
    /// The address of the stream after whose events the browser loads the page again.
    pub stream: Option<String>,
    /// One line about the state, which screen readers announce when it changes.
    pub summary: String,
    pub access: Option<&'a Access>,
}

impl<'a> Frame<'a> {
    /// Returns the frame of a page that is not looked at again.
    pub fn still(title: &'a str, part: &'a str, access: Option<&'a Access>) -> Self {
        Self {
            title,
            part,
            stream: None,
            summary: String::new(),
            access,
        }
    }
}

/// Returns the head of a table: the names of its columns.
pub fn heads(names: &[&str]) -> Markup {
    html! {
        thead { tr { @for name in names { th scope="col" { (name) } } } }
    }
}

/// Returns a whole page.
pub fn page(frame: &Frame, main: Markup) -> Response {
    let has_some = |role| frame.access.is_some_and(|access| access.has(role));
    let has_all = |role| {
        frame
            .access
            .is_some_and(|access| access.has_everywhere(role))
    };
    let links = [
        ("Runs", "/", has_some(Role::Viewer)),
        ("Start", "/start", has_some(Role::Operator)),
    ];
    // These pages show all workflows and targets, so they need the role for all.
    let views = [
        ("Waiting", "/waiting", Role::Viewer),
        ("Certificates", "/certificates", Role::Viewer),
        ("Mesh", "/mesh", Role::Viewer),
        ("Triggers", "/triggers", Role::Viewer),
        ("Notifications", "/notifications", Role::Viewer),
    ];
    let views = views.map(|(name, path, role)| (name, path, has_all(role)));
    let links = links.into_iter().chain(views);
    let version = &*VERSION;
    let text = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (frame.title) " · windlass" }
                link rel="icon" type="image/svg+xml" href={ "/assets/icon.svg?v=" (version) };
                link rel="stylesheet" href={ "/assets/style.css?v=" (version) };
                script type="module" src={ "/assets/live.js?v=" (version) } {}
                script type="module" src={ "/assets/view.js?v=" (version) } {}
            }
            body data-stream=[frame.stream.as_deref()] data-now=(now().as_millis()) {
                a class="skip" href="#main" { "Skip to the content" }
                header class="top" {
                    a class="brand" href="/" {
                        img src={ "/assets/icon.svg?v=" (version) } alt="" width="28" height="28";
                        span { "windlass" }
                    }
                    @if let Some(access) = frame.access {
                        nav aria-label="Main" {
                            @for (name, path, is_open) in links {
                                @if is_open {
                                    a href=(path) aria-current=[(name == frame.part).then_some("page")] { (name) }
                                }
                            }
                        }
                        div class="me" {
                            span class="who" {
                                b { (access.person.name) }
                                span class="roles" {
                                    @for role in &access.roles { " " (role) }
                                }
                            }
                            form method="post" action="/logout" { button class="plain" { "Log out" } }
                        }
                    }
                }
                main id="main" tabindex="-1" data-summary=(frame.summary) { (main) }
                p id="announce" class="unseen" role="status" {}
                p id="lost" class="lost" role="status" hidden { "Connection lost. Trying again…" }
                p id="ended" class="lost" role="alert" hidden {
                    "Your login has ended. " a href="/login" target="_blank" { "Log in in a new tab" } ", then go on here."
                }
            }
        }
    };
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    let text = all_visible(text.into_string());
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

/// Redirects to a page of this server after a request.
pub fn see_other(path: &str, cookie: Option<HeaderValue>) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    if let Ok(path) = HeaderValue::from_str(path) {
        response.headers_mut().insert(header::LOCATION, path);
    }
    if let Some(cookie) = cookie {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

/// Returns a problem as a page, with the navigation of the person, or the login page if nobody is logged in.
pub fn problem(
    problem: &Problem,
    method: &Method,
    headers: &HeaderMap,
    access: Option<&Access>,
    way: &LoginWay,
) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::BAD_REQUEST);
    let mut response = match problem.status {
        401 if *method == Method::GET => super::login(status, None, way),
        401 => {
            let why = "Your login had ended, so nothing was done. Log in, and do it again.";
            let way = LoginWay {
                next: page_of(&way.next),
                ..*way
            };
            super::login(status, Some(why), &way)
        }
        _ => {
            let frame = Frame::still(&problem.title, "", access);
            page(
                &frame,
                html! {
                    section class="card" {
                        h1 { (problem.title) }
                        (problem_text(problem))
                        p { a href="/" { "Back to the runs" } }
                    }
                },
            )
        }
    };
    *response.status_mut() = status;
    if let Some(how) = headers.get(header::WWW_AUTHENTICATE) {
        let how = how.clone();
        response.headers_mut().insert(header::WWW_AUTHENTICATE, how);
    }
    response
}

/// Returns the page whose form was sent to an address: of `/runs/RUN/approve`, that of the run.
fn page_of(address: &str) -> String {
    match address.split('/').collect::<Vec<_>>()[..] {
        ["", "runs", run, _, ..] => format!("/runs/{run}"),
        ["", "start", _] => address.to_owned(),
        ["", "triggers", ..] => "/triggers".to_owned(),
        _ => "/".to_owned(),
    }
}

/// Returns a problem's detail, hint, mistakes and code.
pub fn problem_text(problem: &Problem) -> Markup {
    html! {
        p class="trouble" role="alert" { (problem.detail) }
        @if let Some(hint) = &problem.hint { p class="hint" { "Hint: " (hint) } }
        @for mistake in &problem.mistakes { pre class="excerpt" tabindex="0" { (mistake) } }
        p class="code" { "code: " code { (problem.code) } }
    }
}
