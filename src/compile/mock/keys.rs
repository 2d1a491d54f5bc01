//! The keys of a mock file, as `compile/keys.rs` describes those of a workflow.

use super::super::keys::{Form, Section, key};

/// The lowest and the highest HTTP status.
pub const FIRST_STATUS: i64 = 100;
pub const LAST_STATUS: i64 = 599;
/// How often a route may answer at most.
pub const MOST_TIMES: i64 = 10_000;
/// The methods that a route may have.
pub const METHODS: [&str; 7] = ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "POST", "PATCH"];

/// The names that its expressions may read.
pub static ROOTS: &[&str] = &["path", "body", "query", "headers", "kept"];

pub static MOCK: Section = Section {
    name: "mock file",
    about: "What `windlass http serve` answers. Expressions read `path` (its parts by name), `body` (JSON, or the text), `query`, `headers` (lower case) and `kept` (path → value).",
    keys: &[
        key("http", Form::Text, "The server's name.", "http: database").required(),
        key(
            "description",
            Form::Text,
            "A description for people.",
            "description: The admin API of a database",
        ),
        key(
            "kept",
            Form::Value,
            "What the server keeps at the start: path → value. A GET of such a path returns the value.",
            "kept: { /users/app/password: { password: old } }",
        ),
        key(
            "routes",
            Form::Values,
            "How it answers. The first route that matches answers. If none matches, a GET returns what is kept at the path; any other request returns 404.",
            "routes: [{ \"PUT /users/{user}/password\": , keep: \"${{ body }}\", status: 204 }]",
        ),
    ],
};

pub static ROUTE: Section = Section {
    name: "route",
    about: "An answer. Its first key is a method and a path, in which `{name}` stands for one part and `{name*}` for the rest.",
    keys: &[
        key(
            "when",
            Form::Condition,
            "The route matches only if this is true.",
            "when: \"${{ body.user == 'app' }}\"",
        ),
        key(
            "times",
            Form::Count(MOST_TIMES),
            "How many times it answers; after that, the next route that matches does.",
            "times: 1",
        ),
        key(
            "status",
            Form::Between(FIRST_STATUS, LAST_STATUS),
            "The HTTP status.",
            "status: 204",
        )
        .or("200"),
        key(
            "gives",
            Form::Template,
            "The body: a string as it is, any other value as JSON.",
            "gives: { ok: true }",
        ),
        key(
            "headers",
            Form::Templates,
            "Headers of the answer.",
            "headers: { retry-after: 1 }",
        ),
        key(
            "keep",
            Form::Template,
            "The value to keep, at the path of the request or at `at`.",
            "keep: ${{ body }}",
        ),
        key(
            "at",
            Form::Template,
            "The path for `keep` and `forget`.",
            "at: /users/${{ path.user }}",
        ),
        key(
            "forget",
            Form::Flag,
            "Deletes what is kept at the path.",
            "forget: true",
        )
        .or("false"),
        key(
            "delay",
            Form::Duration,
            "How long the answer takes.",
            "delay: 2s",
        ),
        key(
            "drop",
            Form::Flag,
            "Does everything else, then closes the connection without an answer.",
            "drop: true",
        )
        .or("false"),
    ],
};

/// All maps of a mock file that have known keys.
pub static MOCK_SECTIONS: [&Section; 2] = [&MOCK, &ROUTE];
