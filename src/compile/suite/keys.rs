//! The keys of a test file, as `compile/keys.rs` describes those of a workflow.

use super::super::keys::{FileKey, Form, Section, key};
use windlass_world::value::FailureClass;

/// How often an answer may be used; more must be an endless loop.
pub const MOST_TIMES: i64 = 10_000;
/// How many kill points a test may have; `everywhere` has no limit.
pub const MOST_KILLS: i64 = 1_000;

/// The targets that a test may run on.
pub const TARGETS: [&str; 1] = [LOCAL];
/// The embedded servers, with a folder for this test.
pub const LOCAL: &str = "local";
/// How the run of a test may end.
pub const STATUSES: [&str; 6] = [
    "succeeded",
    "failed",
    "cancelled",
    "undone",
    "undo failed",
    "waiting",
];
/// The run with which a killed run is compared.
pub const SAME_AS: [&str; 1] = ["uninterrupted"];
pub static SUITE: Section = Section {
    name: "test file",
    about: "A test file, `NAME.test.yaml`, beside the workflow or the script that it tests.",
    keys: &[
        key(
            "workflow",
            Form::Text,
            "The workflow's file, relative to the test file, or its name, as for `windlass run`.",
            "workflow: rotate-db-password.yaml",
        ),
        key(
            "script",
            Form::Text,
            "Instead of a workflow: a script, relative to the test file. It runs as with `windlass try`: `params` are its inputs, `outputs` its outputs, and its step is `script`.",
            "script: verify_login.rhai",
        ),
        key(
            "description",
            Form::Text,
            "A description for people.",
            "description: Failures of the login",
        ),
        key(
            "tests",
            Form::Value,
            "The tests: name → test. A name is a sentence.",
            "tests: { the password changes: { params: { user: app } } }",
        )
        .required(),
    ],
};

pub static TEST: Section = Section {
    name: "test",
    about: "A test: one run of the workflow. It succeeds if the run does, unless `expect` says otherwise.",
    keys: &[
        key(
            "description",
            Form::Text,
            "A description for people.",
            "description: Nothing changes",
        ),
        key(
            "params",
            Form::Value,
            "The params of the run: name → value.",
            "params: { user: app }",
        ),
        key(
            "requester",
            Form::Text,
            "Who starts the run.",
            "requester: alice",
        )
        .or("tester"),
        key(
            "target",
            Form::Words(&TARGETS),
            "`local`: the embedded AWS Private CA and clusters, in the test's own folder. Without it, the test reaches nothing outside, and the target's name is `test`.",
            "target: local",
        ),
        key(
            "kube",
            Form::Flag,
            "`false`: the target has no Kubernetes clusters.",
            "kube: false",
        )
        .or("true"),
        key(
            "before",
            Form::Values,
            "With `target: local`: runs to do first, such as the one that creates what the test rotates. Tests with the same list share the result in the embedded servers; files and calls are not kept.",
            "before: [{ workflow: gloo-mesh.yaml, params: { clusters: [a] } }]",
        ),
        key(
            "clock",
            Form::Text,
            "When the run starts (RFC 3339), in a test without `target`. Waits and `takes` advance the clock.",
            "clock: 2027-03-01T00:00:00Z",
        ),
        key(
            "given",
            Form::Values,
            "Prepared answers to calls, by function and arguments. A call without a matching answer fails the test, unless the target answers it. So does an answer that is never used.",
            "given: [{ \"http::put\": { url: \"*/users/app\" }, gives: { status: 204 } }]",
        ),
        key(
            "approvals",
            Form::Value,
            "Who answers the questions: step → name, or a map with `by`, `answer` (`approve`, `reject` or `none`) and `comment`. Without an answer the run waits; with `none` the question expires.",
            "approvals: { begin: alice }",
        ),
        key(
            "kill",
            Form::Value,
            "`everywhere`: the test is repeated for each commit and each outside call: the run is killed there and resumed. A number: at this many of these points, spread over the run.",
            "kill: everywhere",
        ),
        key(
            "undo",
            Form::Flag,
            "Undoes the run after it has ended.",
            "undo: true",
        )
        .or("false"),
        key(
            "timeout",
            Form::Duration,
            "How long the test may take.",
            "timeout: 2m",
        )
        .or("60s"),
        key(
            "expect",
            Form::Section(&EXPECT),
            "What is expected after the run has ended.",
            "expect: { status: failed }",
        ),
    ],
};

pub static GIVEN: Section = Section {
    name: "given",
    about: "An answer. Its first key is a host function with the arguments that it matches: a string may contain `*`, a map may omit entries. A call gets the first matching answer that is not used up.",
    keys: &[
        key(
            "gives",
            Form::Value,
            "The result of the function. Omitted entries of a map are empty.",
            "gives: { status: 204 }",
        ),
        key(
            "fails",
            Form::Section(&FAILS),
            "The call fails, and nothing was done.",
            "fails: { class: denied }",
        ),
        key(
            "lose",
            Form::Flag,
            "The call is done, and its answer is lost.",
            "lose: true",
        )
        .or("false"),
        key(
            "takes",
            Form::Duration,
            "How far the clock advances before the answer arrives.",
            "takes: 10m",
        ),
        key(
            "times",
            Form::Count(MOST_TIMES),
            "How many times it is used at most. By default, once if a later answer has the same function and arguments, otherwise each time that it matches.",
            "times: 3",
        ),
    ],
};

pub static BEFORE: Section = Section {
    name: "before",
    about: "A run that comes before a test. It must succeed.",
    keys: &[
        key(
            "workflow",
            Form::Text,
            "The workflow's file, relative to the test file, or its name, as for `windlass run`.",
            "workflow: gloo-mesh.yaml",
        )
        .required(),
        key(
            "params",
            Form::Value,
            "The params of the run: name → value. `${{ before.NAME }}` is an output of an earlier run, here and in the test's own `params`.",
            "params: { clusters: [a] }",
        ),
        key(
            "approvals",
            Form::Value,
            "Who answers its questions: step → name, or `{ by, answer, comment }`.",
            "approvals: { approved: alice }",
        ),
    ],
};

pub static FAILS: Section = Section {
    name: "fails",
    about: "A failure of a call.",
    keys: &[
        key(
            "class",
            Form::Words(FailureClass::NAMES),
            "The class of the failure, as in `retry`.",
            "class: throttled",
        )
        .required(),
        key(
            "code",
            Form::Text,
            "The error code of the remote side.",
            "code: ThrottlingException",
        ),
        key(
            "message",
            Form::Text,
            "The error message of the remote side.",
            "message: slow down",
        ),
    ],
};

pub static APPROVAL: Section = Section {
    name: "approval of a test",
    about: "An answer to a question.",
    keys: &[
        key(
            "by",
            Form::Text,
            "Who answers; required unless `answer` is `none`.",
            "by: alice",
        ),
        key(
            "answer",
            Form::Words(&ANSWERS),
            "What they answer. With `none` nobody answers, and the question expires after its `timeout`.",
            "answer: reject",
        )
        .or("approve"),
        key("comment", Form::Text, "Why.", "comment: not today"),
    ],
};
pub const ANSWERS: [&str; 3] = ["approve", "reject", "none"];

pub static EXPECT: Section = Section {
    name: "expect",
    about: "What is expected after the run has ended. A string may contain `*`, a map may omit entries.",
    keys: &[
        key(
            "status",
            Form::Words(&STATUSES),
            "How the run ends.",
            "status: failed",
        )
        .or("succeeded"),
        key(
            "error",
            Form::Text,
            "The message of an error that the run ends with.",
            "error: \"*denied*\"",
        ),
        key(
            "refused",
            Form::Text,
            "Why an answer to a question is not accepted. Without this key, an answer that is not accepted fails the test.",
            "refused: \"*its approvers are alice*\"",
        ),
        key(
            "outputs",
            Form::Value,
            "The outputs of the run: name → value.",
            "outputs: { expires: \"20*\" }",
        ),
        key(
            "steps",
            Form::Value,
            "The status of steps: name, or `STEP[ITEM]/STEP`, → status.",
            "steps: { begin: skipped }",
        ),
        key(
            "undone",
            Form::Names,
            "The steps that were reversed: exactly these, each of them whole unless `stays` names it, too.",
            "undone: [set_password]",
        ),
        key(
            "stays",
            Form::Names,
            "The steps of which the undo left something as it is, or could not reverse it: exactly these.",
            "stays: [notify]",
        ),
        key(
            "calls",
            Form::Value,
            "The calls to the outside that were made: their number, or a list in order. An entry is a function, or a function with arguments.",
            "calls: [http::put, { \"http::post\": { url: \"*/login\" } }]",
        ),
        key(
            "effects",
            Form::Value,
            "The number of completed calls that change something: function → number. Other functions may have any number.",
            "effects: { \"http::put\": 1 }",
        ),
        key(
            "files",
            Form::Value,
            "The files of the output folder: name → content; leave the content out for a file that must not exist.",
            "files: { hello.txt: \"hello*\", old.txt: }",
        ),
        key(
            "logs",
            Form::Names,
            "Messages of the scripts, in this order; there may be others between them.",
            "logs: [\"* is restarted\"]",
        ),
        key(
            "certificates",
            Form::Value,
            "The first certificate in a place: a file of the output folder, or `CLUSTER:NAMESPACE/SECRET/KEY` of an embedded cluster. Leave the value out for a place without certificates.",
            "certificates: { server.pem: { dns_names: [server.example], days: 30 } }",
        ),
        key(
            "handshakes",
            Form::Value,
            "With `target: local`: how the handshakes of the rehearsal mesh end. `all`: all succeed at the end. `throughout`: all succeed at all times during the run. A list: exactly these fail.",
            "handshakes: all",
        ),
        key(
            "snapshot",
            Form::Text,
            "The name of a file in `snapshots/` that holds all of this. `windlass test --accept` writes it.",
            "snapshot: rotate",
        ),
        key(
            "same_as",
            Form::Words(&SAME_AS),
            "With `kill`: a run that is killed and resumed ends like one that is not killed.",
            "same_as: uninterrupted",
        ),
    ],
};

/// When the handshakes of a mesh must succeed.
pub const WHEN: [&str; 2] = ["all", "throughout"];

pub static HANDSHAKE: Section = Section {
    name: "handshake",
    about: "A handshake of the rehearsal mesh that fails, as `windlass mesh` shows it. A string may contain `*`.",
    keys: &[
        key(
            "from",
            Form::Text,
            "The side that connects.",
            "from: \"a/shop/*\"",
        ),
        key(
            "to",
            Form::Text,
            "The side that is connected to.",
            "to: \"b/*\"",
        ),
        key(
            "error",
            Form::Text,
            "Why it fails.",
            "error: \"*unknown issuer*\"",
        ),
    ],
};

pub static CERTIFICATE: Section = Section {
    name: "certificate",
    about: "What is expected of a certificate. A string may contain `*`.",
    keys: &[
        key(
            "subject",
            Form::Text,
            "The subject, in the form of RFC 4514.",
            "subject: CN=server.example",
        ),
        key(
            "issuer",
            Form::Text,
            "The issuer's subject.",
            "issuer: \"CN=Relay*\"",
        ),
        key(
            "dns_names",
            Form::Names,
            "All DNS names, in their order.",
            "dns_names: [server.example]",
        ),
        key(
            "ip_addresses",
            Form::Names,
            "All IP addresses, in their order.",
            "ip_addresses: [10.0.0.1]",
        ),
        key(
            "uris",
            Form::Names,
            "All URIs, in their order.",
            "uris: [\"spiffe://*\"]",
        ),
        key(
            "email_addresses",
            Form::Names,
            "All email addresses, in their order.",
            "email_addresses: [pki@example.com]",
        ),
        key(
            "is_ca",
            Form::Flag,
            "Whether it is a CA certificate.",
            "is_ca: true",
        ),
        key(
            "days",
            Form::Count(MOST_DAYS),
            "How many days it is valid, rounded.",
            "days: 365",
        ),
        key(
            "count",
            Form::Count(MOST_CERTIFICATES),
            "The number of certificates in the place.",
            "count: 2",
        ),
        key(
            "verifies",
            Form::Value,
            "A verification that must succeed, or a list of them: under which roots, and for which purpose.",
            "verifies: { under: root-ca.pem }",
        ),
    ],
};
const MOST_DAYS: i64 = 100_000;
const MOST_CERTIFICATES: i64 = 1_000;

pub static VERIFIES: Section = Section {
    name: "verifies",
    about: "How a certificate is verified, with the certificates beside it.",
    keys: &[
        key(
            "under",
            Form::Text,
            "The place of the root certificates.",
            "under: root-ca.pem",
        )
        .required(),
        key(
            "chain",
            Form::Text,
            "The place of the intermediate certificates, if it is another place.",
            "chain: server-chain.pem",
        ),
        key(
            "purpose",
            Form::Words(&PURPOSES),
            "The purpose. `ca`: whether a certificate issued by it would verify.",
            "purpose: client",
        )
        .or("server"),
        key(
            "fails",
            Form::Flag,
            "The verification must fail.",
            "fails: true",
        )
        .or("false"),
    ],
};
pub const PURPOSES: [&str; 3] = ["server", "client", "ca"];

/// All maps of a test file that have known keys.
pub static SUITE_SECTIONS: [&Section; 10] = [
    &SUITE,
    &TEST,
    &BEFORE,
    &GIVEN,
    &FAILS,
    &APPROVAL,
    &EXPECT,
    &CERTIFICATE,
    &VERIFIES,
    &HANDSHAKE,
];

/// Looks up a key whose row lists its words.
pub fn words_of(section: &'static Section, name: &str) -> &'static [&'static str] {
    match section.key(name).map(|key: &FileKey| key.form) {
        Some(Form::Words(words)) => words,
        _ => &[],
    }
}
