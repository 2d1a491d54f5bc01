//! Reads a mock file.

use std::{collections::BTreeMap, path::Path, time::Duration};

use super::{
    super::{
        document::{Key, Kind, Node},
        fields::{Fields, Report},
        mistake::Mistakes,
        source::Document,
        template::Template,
    },
    keys::{FIRST_STATUS, LAST_STATUS, METHODS, MOCK, ROOTS, ROUTE},
};
use windlass_script::{closest, did_you_mean};
use windlass_world::value::Value;

/// A mock server.
#[derive(Debug)]
pub struct Mock {
    pub name: String,
    /// Its initial state, by path.
    pub kept: BTreeMap<String, Value>,
    /// The routes; the first one that matches answers.
    pub routes: Vec<Route>,
}

/// An answer.
#[derive(Debug)]
pub struct Route {
    pub method: String,
    pub path: Vec<Part>,
    pub when: Option<Template>,
    pub times: Option<u32>,
    pub status: u16,
    pub gives: Option<Template>,
    pub headers: Vec<(String, Template)>,
    pub keep: Option<Template>,
    pub at: Option<Template>,
    pub forgets: bool,
    pub delay: Duration,
    pub drops: bool,
}

/// A part of a route's path, between two slashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Literal(String),
    /// Any single part.
    Named(String),
    /// All remaining parts.
    Rest(String),
}

/// Reads a mock file.
///
/// # Errors
/// Every mistake in it.
pub fn read_mock(path: &Path) -> Result<Mock, Mistakes> {
    let Document { file, text, root } = Document::read(path)?;
    let mut mistakes = Vec::new();
    let mut report = Report {
        file: &file,
        text: &text,
        mistakes: &mut mistakes,
        roots: ROOTS,
        is_frozen: false,
    };
    let mut fields = Fields::of(&mut report, &root, &MOCK, "a mock file");
    let is_named = fields.peek("http").is_some();
    let name = fields.text(&mut report, "http").unwrap_or_default();
    fields.text(&mut report, "description");
    let mut mock = Mock {
        name,
        kept: BTreeMap::new(),
        routes: Vec::new(),
    };
    if let Some(node) = fields.take("kept") {
        for (key, node) in report.entries(node, "`kept`") {
            if !key.name.starts_with('/') {
                let message = format!("`{}` is not a path", key.name);
                let mistake = report.at("bad-route", key.span.clone(), message);
                report.add(mistake.help("a path begins with `/`"));
            }
            mock.kept.insert(key.name.clone(), node.to_value());
        }
    }
    if let Some(node) = fields.take("routes") {
        match &node.kind {
            Kind::List(items) => mock.routes.extend(
                items
                    .iter()
                    .filter_map(|item| read_route(&mut report, item)),
            ),
            _ => report.wrong_type(node, "`routes`", "a list of routes"),
        }
    }
    fields.finish(&mut report);
    if !is_named {
        let mistake = report.at("missing-key", root.span.clone(), "the server has no name");
        report.add(mistake.help("begin the file with `http: NAME`"));
    }
    if mistakes.is_empty() {
        Ok(mock)
    } else {
        Err(Mistakes::sorted(mistakes))
    }
}

fn read_route(report: &mut Report, node: &Node) -> Option<Route> {
    let entries = report.entries(node, "a route");
    let (routes, rest): (Vec<_>, Vec<_>) = entries
        .iter()
        .cloned()
        .partition(|(key, _)| key.name.contains('/'));
    let [(route, nothing)] = routes.as_slice() else {
        if let Kind::Map(_) = node.kind {
            let span = routes
                .get(1)
                .or(entries.first())
                .map_or(node.span.clone(), |(key, _)| key.span.clone());
            let mistake = report.at("bad-route", span, "a route has one method and path");
            report.add(mistake.help("begin the route with them: `- GET /users/{user}:`"));
        }
        return None;
    };
    if !matches!(
        nothing.kind,
        Kind::Scalar {
            value: Value::Null,
            ..
        }
    ) {
        let message = format!("`{}` must be the last part of the path", route.name);
        let mistake = report.at("bad-route", nothing.span.clone(), message);
        report.add(mistake.help("indent all keys of a route like its first key"));
    }
    let rest = Node {
        kind: Kind::Map(rest),
        ..node.clone()
    };
    let mut fields = Fields::of(report, &rest, &ROUTE, format!("the route `{}`", route.name));
    let (method, path) = read_path(report, route);
    let status = fields.take("status");
    let headers = fields.take("headers");
    let read = Route {
        method,
        path,
        when: fields.take("when").map(|node| Template::read(report, node)),
        times: fields.count(report, "times"),
        status: status
            .and_then(|node| read_status(report, node))
            .unwrap_or(200),
        gives: fields.template(report, "gives"),
        headers: headers.map_or_else(Vec::new, |node| {
            let entries = report.entries(node, "`headers`");
            entries
                .iter()
                .map(|(key, node)| (key.name.clone(), Template::read(report, node)))
                .collect()
        }),
        keep: fields.template(report, "keep"),
        at: fields.template(report, "at"),
        forgets: fields.flag(report, "forget"),
        delay: fields.duration(report, "delay").unwrap_or_default(),
        drops: fields.flag(report, "drop"),
    };
    fields.finish(report);
    Some(read)
}

fn read_status(report: &mut Report, node: &Node) -> Option<u16> {
    match &node.kind {
        Kind::Scalar {
            value: Value::Int(status @ FIRST_STATUS..=LAST_STATUS),
            ..
        } => Some(*status as u16),
        _ => {
            let message =
                format!("`status` must be a whole number from {FIRST_STATUS} to {LAST_STATUS}");
            let mistake = report.at("wrong-type", node.span.clone(), message);
            report.add(mistake);
            None
        }
    }
}

/// Reads `PUT /users/{user}`.
fn read_path(report: &mut Report, key: &Key) -> (String, Vec<Part>) {
    let (method, path) = key.name.split_once(' ').unwrap_or(("", &key.name));
    if !METHODS.contains(&method) {
        let message = format!("there is no method `{method}`");
        let near = closest(&method.to_ascii_uppercase(), METHODS.into_iter());
        let help = match METHODS
            .into_iter()
            .find(|known| known.eq_ignore_ascii_case(method))
            .or(near)
        {
            Some(near) => did_you_mean(near),
            None => format!(
                "a route begins with one of {}, then a path",
                METHODS.join(", ")
            ),
        };
        let mistake = report.at("bad-route", key.span.clone(), message);
        report.add(mistake.help(help));
    }
    let parts = path.trim().trim_start_matches('/').split('/').map(|part| {
        match part
            .strip_prefix('{')
            .and_then(|part| part.strip_suffix('}'))
        {
            None => Part::Literal(part.to_owned()),
            Some(name) => match name.strip_suffix('*') {
                Some(name) => Part::Rest(name.to_owned()),
                None => Part::Named(name.to_owned()),
            },
        }
    });
    (method.to_owned(), parts.collect())
}
