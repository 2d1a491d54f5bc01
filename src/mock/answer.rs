use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use percent_encoding::percent_decode_str;

use crate::{
    compile::{Mock, Part, Route},
    script::{ExpressionError, Names},
    value::Value,
};

/// The state of a mock server: its file, the kept values, and how often each route has answered.
pub struct Site {
    mock: Mock,
    kept: BTreeMap<String, Value>,
    answered: Vec<u32>,
}

/// A request.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub query: BTreeMap<String, Value>,
    /// The headers, by their names in lower case.
    pub headers: BTreeMap<String, Value>,
    pub body: String,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
    pub delay: Duration,
    /// The connection is closed without an answer.
    pub is_dropped: bool,
}

impl Answer {
    /// Returns the answer for a mistake in the file.
    pub fn failed(why: &str) -> Self {
        Self::json(500, serde_json::json!({ "error": why }))
    }

    fn json(status: u16, json: serde_json::Value) -> Self {
        Self {
            status,
            headers: vec![json_type()],
            body: json.to_string(),
            delay: Duration::ZERO,
            is_dropped: false,
        }
    }
}

fn json_type() -> (String, String) {
    ("content-type".into(), "application/json".into())
}

impl Site {
    pub fn new(mock: Mock) -> Self {
        Self {
            kept: {
                let kept = mock.kept.iter();
                kept.map(|(path, value)| (key_of(path), value.clone()))
                    .collect()
            },
            answered: vec![0; mock.routes.len()],
            mock,
        }
    }

    pub fn name(&self) -> &str {
        &self.mock.name
    }

    /// Returns the answer to a request, and keeps the value that its route specifies. If an expression can't be evaluated, the answer is 500
    /// with the error.
    pub fn answer(&mut self, request: &Request) -> Answer {
        for number in 0..self.mock.routes.len() {
            let route = &self.mock.routes[number];
            if route.method != request.method
                || route
                    .times
                    .is_some_and(|times| self.answered[number] >= times)
            {
                continue;
            }
            let Some(path) = parts(&route.path, &request.path) else {
                continue;
            };
            let names = self.names(request, path);
            match self.by(number, request, &names) {
                Ok(Some(answer)) => {
                    self.answered[number] += 1;
                    return answer;
                }
                Ok(None) => {}
                Err(error) => {
                    let place = error
                        .place
                        .as_ref()
                        .map_or_else(String::new, |place| format!(" ({place})"));
                    return Answer::failed(&format!("{error}{place}"));
                }
            }
        }
        match self.kept.get(&key_of(&request.path)) {
            Some(value) if matches!(request.method.as_str(), "GET" | "HEAD") => {
                Answer::json(200, value.to_json())
            }
            _ => Answer::json(
                404,
                serde_json::json!({ "error": format!("no route for {} {}", request.method, request.path) }),
            ),
        }
    }

    fn names(&self, request: &Request, path: BTreeMap<String, Value>) -> Names {
        let body = match request.body.trim() {
            "" => Value::Null,
            text => Value::parse_json(text).unwrap_or_else(|_| request.body.clone().into()),
        };
        Names {
            others: BTreeMap::from([
                ("path", Value::Map(path)),
                ("body", body),
                ("query", Value::Map(request.query.clone())),
                ("headers", Value::Map(request.headers.clone())),
                ("kept", Value::Map(self.kept.clone())),
            ]),
            ..Names::default()
        }
    }

    /// Returns the answer of a route; `None` if its condition is false.
    fn by(
        &mut self,
        number: usize,
        request: &Request,
        names: &Names,
    ) -> Result<Option<Answer>, ExpressionError> {
        let route = &self.mock.routes[number];
        match route
            .when
            .as_ref()
            .map(|when| when.evaluate(names))
            .transpose()?
        {
            None | Some(Value::Bool(true)) => {}
            Some(Value::Bool(false)) => return Ok(None),
            Some(other) => {
                let why = format!("`when` must be a bool, not {}", other.a_kind());
                return Ok(Some(Answer::failed(&why)));
            }
        }
        let at = match &route.at {
            Some(at) => key_of(&at.evaluate(names)?.to_text()),
            None => key_of(&request.path),
        };
        let kept = route
            .keep
            .as_ref()
            .map(|keep| keep.evaluate(names))
            .transpose()?;
        let answer = made(route, names)?;
        if route.forgets {
            self.kept.remove(&at);
        }
        if let Some(value) = kept {
            self.kept.insert(at, value);
        }
        Ok(Some(answer))
    }
}

fn made(route: &Route, names: &Names) -> Result<Answer, ExpressionError> {
    let gives = route
        .gives
        .as_ref()
        .map(|gives| gives.evaluate(names))
        .transpose()?;
    let (body, kind) = match gives {
        None | Some(Value::Null) => (String::new(), None),
        Some(Value::String(text)) => (
            text,
            Some((
                "content-type".to_owned(),
                "text/plain; charset=utf-8".to_owned(),
            )),
        ),
        Some(json) => (json.to_json().to_string(), Some(json_type())),
    };
    let mut headers: Vec<_> = kind.into_iter().collect();
    for (name, value) in &route.headers {
        let name = name.to_ascii_lowercase();
        headers.retain(|(known, _)| *known != name);
        headers.push((name, value.evaluate(names)?.to_text()));
    }
    Ok(Answer {
        status: route.status,
        headers,
        body,
        delay: route.delay,
        is_dropped: route.drops,
    })
}

/// Returns the key under which the value of a path is kept, the same for each way to encode it. A `/` or `%` inside of a part stays encoded.
fn key_of(path: &str) -> String {
    let parts = path.split('/');
    let parts = parts.map(|part| decoded(part).replace('%', "%25").replace('/', "%2F"));
    parts.collect::<Vec<_>>().join("/")
}

/// Decodes a path or a part of one. Bytes that are not UTF-8 stay encoded.
fn decoded(path: &str) -> Cow<'_, str> {
    percent_decode_str(path)
        .decode_utf8()
        .unwrap_or(Cow::Borrowed(path))
}

/// Returns the named parts of a path that matches a route; `None` if it does not match.
fn parts(route: &[Part], path: &str) -> Option<BTreeMap<String, Value>> {
    let mut named = BTreeMap::new();
    let mut rest = path.strip_prefix('/')?;
    for (number, part) in route.iter().enumerate() {
        let is_last = number + 1 == route.len();
        if let Part::Rest(name) = part {
            named.insert(name.clone(), decoded(rest).into_owned().into());
            return Some(named);
        }
        let (one, after) = match rest.split_once('/') {
            Some((one, after)) if !is_last => (one, after),
            None if is_last => (rest, ""),
            _ => return None,
        };
        // It is split before it is decoded: an encoded `/` is in a part.
        let one = decoded(one);
        match part {
            Part::Literal(text) if decoded(text) != one => return None,
            Part::Literal(_) => {}
            Part::Named(_) if one.is_empty() => return None,
            Part::Named(name) | Part::Rest(name) => {
                named.insert(name.clone(), one.into_owned().into());
            }
        }
        rest = after;
    }
    Some(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(route: &[Part], path: &str) -> Option<String> {
        parts(route, path).map(|parts| Value::Map(parts).to_string())
    }

    #[test]
    fn a_path_matches_part_by_part() {
        let users = [
            Part::Literal("users".into()),
            Part::Named("user".into()),
            Part::Literal("password".into()),
        ];
        assert_eq!(
            found(&users, "/users/app/password").as_deref(),
            Some(r#"{"user":"app"}"#)
        );
        for path in [
            "/users/app",
            "/users/app/password/x",
            "/users//password",
            "/user/app/password",
            "users/app/password",
        ] {
            assert_eq!(found(&users, path), None, "{path}");
        }
        assert_eq!(
            found(&users, "/users/a%2Fb%20c/pass%77ord").as_deref(),
            Some(r#"{"user":"a/b c"}"#)
        );
        let rest = [Part::Literal("a".into()), Part::Rest("rest".into())];
        assert_eq!(found(&rest, "/a/b/c").as_deref(), Some(r#"{"rest":"b/c"}"#));
        assert_eq!(
            found(&[Part::Literal(String::new())], "/").as_deref(),
            Some("{}")
        );
    }
}
