//! Reads a test file.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use super::{
    super::{
        document::{Key, Kind, Node},
        fields::{Fields, Report},
        graph::{Action, Program, Workflow},
        link::compile,
        mistake::Mistakes,
        source::{Document, InMemory, Opened, open},
        trial::{TrialError, compile_script},
    },
    before::{self, Before, Earlier, FromBefore, outputs_of, read_params, unchecked},
    expect::{self, Expect, known, one_of},
    given::{self, Given},
    keys::{ANSWERS, APPROVAL, LOCAL, MOST_KILLS, SUITE, TARGETS, TEST},
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use windlass_script::ROOTS;
use windlass_world::value::Value;

/// The default timeout of a test: a workflow that hangs must not block a build.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The tests of one file, and the workflow that they test.
pub struct Suite {
    pub program: Program,
    /// The workflow's file, or the script's, from the folder of the test file.
    pub workflow: String,
    /// The workflows of runs that come before tests, by their files from the folder of the test file.
    pub earlier: BTreeMap<String, Program>,
    /// The tests, in the order of the file.
    pub cases: Vec<Case>,
}

impl Suite {
    /// All workflows that its tests run, by their files from the folder of the test file.
    pub fn programs(&self) -> impl Iterator<Item = (&str, &Program)> {
        let earlier = self
            .earlier
            .iter()
            .map(|(name, program)| (name.as_str(), program));
        std::iter::once((self.workflow.as_str(), &self.program)).chain(earlier)
    }
}

/// One test.
#[derive(Clone, Debug)]
pub struct Case {
    pub name: String,
    pub description: Option<String>,
    /// The params, which are checked; `bind` adds the defaults.
    pub params: FromBefore,
    pub requester: String,
    /// Whether the embedded servers answer calls that match no given answer.
    pub is_local: bool,
    /// Whether the target has the clusters of the workflow.
    pub has_kube: bool,
    /// Runs that come first.
    pub before: Vec<Before>,
    /// The start time; the current time if it is left out.
    pub clock: Option<OffsetDateTime>,
    pub given: Vec<Given>,
    pub approvals: BTreeMap<String, QuestionEnd>,
    pub kill: Option<Kill>,
    pub undo: bool,
    pub timeout: Duration,
    pub expect: Expect,
    /// Its line in the file, from 1.
    pub line: usize,
}

/// What becomes of a question.
#[derive(Clone, Debug)]
pub enum QuestionEnd {
    Answered(Approver),
    /// Nobody answers until its timeout.
    Expires,
}

/// An approver and the answer.
#[derive(Clone, Debug)]
pub struct Approver {
    pub name: String,
    pub approves: bool,
    pub comment: Option<String>,
}

/// When a run is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kill {
    Everywhere,
    /// This many times, spread over the run.
    Times(u32),
}

/// Returns all files of the workflows that are embedded in the program if one of them has this name; `NAME.yaml` is its own.
pub type Library = fn(&str) -> Option<BTreeMap<String, Arc<str>>>;

/// Reads a test file and compiles the workflow that it names: a file, or, as `windlass run` takes it, a file without its
/// `.yaml` or a workflow of the library.
///
/// # Errors
/// Every mistake of the test file, or every mistake of the workflow.
pub fn read_suite(path: &Path, library: Library) -> Result<Suite, Mistakes> {
    let earlier = Earlier {
        programs: BTreeMap::new(),
        are_left_out: false,
        library,
    };
    read(path, earlier)
}

/// Reads a test file that has been checked, without the workflows of runs before tests.
///
/// # Errors
/// As [`read_suite`].
pub fn read_played(path: &Path, library: Library) -> Result<Suite, Mistakes> {
    let earlier = Earlier {
        programs: BTreeMap::new(),
        are_left_out: true,
        library,
    };
    read(path, earlier)
}

fn read(path: &Path, mut earlier: Earlier) -> Result<Suite, Mistakes> {
    let Document { file, text, root } = Document::read(path)?;
    let mut mistakes = Vec::new();
    let mut report = Report {
        file: &file,
        text: &text,
        mistakes: &mut mistakes,
        roots: ROOTS,
        is_frozen: false,
    };
    let mut fields = Fields::of(&mut report, &root, &SUITE, "a test file");
    let description = fields.take("description");
    let (workflow, script) = (
        fields.take_with_key("workflow"),
        fields.take_with_key("script"),
    );
    if let (Some(_), Some((key, _))) = (workflow, script) {
        let message = "the test file names a workflow and a script";
        let mistake = report.at("bad-test", key.span.clone(), message);
        report.add(mistake.help("keep one of `workflow` and `script`"));
    }
    let is_script = workflow.is_none() && script.is_some();
    if let Some(node) = description {
        report.text(node, "`description`");
    }
    let tests = fields.take("tests");
    fields.finish(&mut report);
    let mut is_named = false;
    let named = workflow.or(script).and_then(|(key, node)| {
        is_named = true;
        let what = format!("`{}`", key.name);
        Some((report.text(node, &what)?.to_owned(), node))
    });
    if !is_named {
        let mistake = report.at(
            "missing-key",
            root.span.clone(),
            "the test file names no workflow and no script",
        );
        report
            .add(mistake.help("begin the file with `workflow: FILE.yaml` or `script: FILE.rhai`"));
    }
    let program = match &named {
        Some((name, node)) if is_script => script_beside(&mut report, path, name, node)?,
        Some((name, node)) => compile_beside(&mut report, (path, earlier.library), name, node)?,
        None => None,
    };
    let workflow = program.as_ref().map(|program| &*program.workflow);
    let mut cases = Vec::new();
    match tests {
        Some(node) => {
            for (key, node) in report.entries(node, "`tests`") {
                let before = read_before(&mut report, node, path, &mut earlier)?;
                cases.push(read_case(
                    &mut report,
                    key,
                    node,
                    workflow,
                    (before, &earlier),
                ));
            }
        }
        None => {
            let mistake = report.at(
                "missing-key",
                root.span.clone(),
                "the test file has no tests",
            );
            report.add(mistake.help("add `tests:`, a map from names to tests"));
        }
    }
    match (program, named) {
        (Some(program), Some((workflow, _))) if mistakes.is_empty() => Ok(Suite {
            program,
            workflow,
            earlier: earlier.programs,
            cases,
        }),
        _ => Err(Mistakes::sorted(mistakes)),
    }
}

/// Compiles the workflow; `Ok(None)` if there is no such file, which has been reported.
pub(super) fn compile_beside(
    report: &mut Report,
    (path, library): (&Path, Library),
    name: &str,
    node: &Node,
) -> Result<Option<Program>, Mistakes> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut file = folder.join(name);
    if !file.exists() && file.extension().is_none() {
        let yaml = file.with_extension("yaml");
        match library(name) {
            _ if yaml.is_file() => file = yaml,
            Some(files) => return compile(&format!("{name}.yaml"), &mut InMemory(files)).map(Some),
            None => {}
        }
    }
    match open(&file) {
        Ok(Opened { mut folder, main }) => compile(&main, &mut folder).map(Some),
        Err(why) => {
            unreadable(report, name, node, &why);
            Ok(None)
        }
    }
}

/// Compiles the script as a workflow; `Ok(None)` if there is no such file, which has been reported.
fn script_beside(
    report: &mut Report,
    path: &Path,
    name: &str,
    node: &Node,
) -> Result<Option<Program>, Mistakes> {
    let folder = path.parent().unwrap_or(Path::new(""));
    match compile_script(&folder.join(name)) {
        Ok(program) => Ok(Some(program)),
        Err(TrialError::Mistakes(mistakes)) => Err(mistakes),
        Err(TrialError::Unreadable(why)) => {
            unreadable(report, name, node, &why);
            Ok(None)
        }
    }
}

fn unreadable(report: &mut Report, name: &str, node: &Node, why: &str) {
    let message = format!("can't read `{name}`: {why}");
    let mistake = report.at("unreadable-file", node.span.clone(), message);
    report.add(mistake.help("the path is from the folder of the test file"));
}

/// Reads the runs that come before a test, which its other keys may name.
fn read_before(
    report: &mut Report,
    node: &Node,
    path: &Path,
    earlier: &mut Earlier,
) -> Result<Vec<Before>, Mistakes> {
    let Kind::Map(entries) = &node.kind else {
        return Ok(Vec::new());
    };
    match entries.iter().find(|(key, _)| key.name == "before") {
        Some((_, node)) => before::read(report, node, path, earlier),
        None => Ok(Vec::new()),
    }
}

fn read_case(
    report: &mut Report,
    key: &Key,
    node: &Node,
    workflow: Option<&Workflow>,
    (before, earlier): (Vec<Before>, &Earlier),
) -> Case {
    let mut fields = Fields::of(report, node, &TEST, format!("the test `{}`", key.name));
    let params = fields.take("params");
    let named = Node {
        span: key.span.clone(),
        ..node.clone()
    };
    let params = match workflow {
        Some(_) if earlier.are_left_out => unchecked(params),
        Some(workflow) => {
            let known = outputs_of(&before, earlier);
            read_params(report, (params, &named), workflow, &known)
        }
        None => FromBefore::default(),
    };
    let target = fields.take("target");
    let is_local = target
        .and_then(|node| one_of(report, node, "`target`", &TARGETS))
        .as_deref()
        == Some(LOCAL);
    if let (Some((key, _)), false) = (fields.take_with_key("before"), is_local) {
        let message = "`before` has no effect without a target";
        let mistake = report.at("bad-test", key.span.clone(), message);
        report.add(mistake.help("add `target: local` to the test"));
    }
    let clock = fields.take_with_key("clock");
    let clock = clock.and_then(|entry| read_clock(report, entry, is_local));
    let has_kube = fields
        .take("kube")
        .and_then(|node| report.flag(node, "`kube`"))
        .unwrap_or(true);
    let approvals = fields.take("approvals");
    let case = Case {
        name: key.name.clone(),
        description: fields.text(report, "description"),
        params,
        requester: fields
            .text(report, "requester")
            .unwrap_or_else(|| "tester".into()),
        is_local,
        has_kube,
        before,
        clock,
        given: fields
            .take("given")
            .map_or_else(Vec::new, |node| given::read(report, node)),
        approvals: approvals
            .map_or_else(BTreeMap::new, |node| read_approvals(report, node, workflow)),
        kill: fields.take("kill").and_then(|node| read_kill(report, node)),
        undo: fields.flag(report, "undo"),
        timeout: fields.limit(report, "timeout", "60s").unwrap_or(TIMEOUT),
        expect: Expect::default(),
        line: 1 + report.text[..key.span.start].matches('\n').count(),
    };
    let wanted = fields.take_with_key("expect");
    fields.finish(report);
    let expect = wanted
        .map(|(_, node)| expect::read(report, node, workflow, is_local))
        .unwrap_or_default();
    if let (Some((key, _)), None, true) = (wanted, case.kill, expect.is_same) {
        let mistake = report.at(
            "bad-test",
            key.span.clone(),
            "`same_as` compares several runs, but this test has only one",
        );
        report.add(mistake.help("add `kill: everywhere` to the test"));
    }
    Case { expect, ..case }
}

fn read_clock(
    report: &mut Report,
    (key, node): &(Key, Node),
    is_local: bool,
) -> Option<OffsetDateTime> {
    let text = report.text(node, "`clock`")?;
    let Ok(moment) = OffsetDateTime::parse(text, &Rfc3339) else {
        let message = format!("`{text}` is not a valid timestamp");
        let mistake = report.at("wrong-type", node.span.clone(), message);
        report.add(mistake.help("write a timestamp such as `2027-03-01T00:00:00Z`"));
        return None;
    };
    if is_local {
        let message =
            "`clock` does not work with the embedded servers, which use the clock of this machine";
        let mistake = report.at("bad-test", key.span.clone(), message);
        report.add(mistake.help("remove `clock`, or answer `time::now` in `given`"));
        return None;
    }
    Some(moment)
}

pub(super) fn read_approvals(
    report: &mut Report,
    node: &Node,
    workflow: Option<&Workflow>,
) -> BTreeMap<String, QuestionEnd> {
    let mut approvals = BTreeMap::new();
    for (key, node) in report.entries(node, "`approvals`") {
        let before = report.mistakes.len();
        expect::check_step(report, key, workflow);
        if report.mistakes.len() == before
            && let Some(workflow) = workflow
            && !key.name.contains(['/', '['])
            && !matches!(
                workflow.step_named(&key.name).map(|step| &step.action),
                Some(Action::Approval(_))
            )
        {
            let asks = workflow
                .steps()
                .filter(|(_, step)| matches!(step.action, Action::Approval(_)));
            let names: Vec<_> = asks.map(|(_, step)| step.name.as_str()).collect();
            known(
                report,
                key,
                "bad-test",
                "there is no approval",
                names.into_iter(),
            );
        }
        let Some(end) = read_end(report, key, node) else {
            continue;
        };
        let step = workflow.and_then(|workflow| workflow.step_named(&key.name));
        if let (QuestionEnd::Expires, Some(Action::Approval(asks))) =
            (&end, step.map(|s| &s.action))
            && asks.timeout.is_none()
        {
            let message = format!("`{}` has no `timeout`, so it never expires", key.name);
            let mistake = report.at("bad-test", key.span.clone(), message);
            report.add(mistake.help("without an answer in the test, the run waits"));
        }
        approvals.insert(key.name.clone(), end);
    }
    approvals
}

fn read_end(report: &mut Report, key: &Key, node: &Node) -> Option<QuestionEnd> {
    if let Kind::Scalar {
        value: Value::String(name),
        ..
    } = &node.kind
    {
        return Some(QuestionEnd::Answered(Approver {
            name: name.clone(),
            approves: true,
            comment: None,
        }));
    }
    let mut fields = Fields::of(
        report,
        node,
        &APPROVAL,
        format!("the approval `{}`", key.name),
    );
    let name = fields.text(report, "by");
    let answer = fields.take("answer");
    let answer = answer.and_then(|node| one_of(report, node, "`answer`", &ANSWERS));
    let comment = fields.text(report, "comment");
    fields.finish(report);
    let [_, rejects, nobody] = ANSWERS;
    if answer.as_deref() == Some(nobody) {
        if name.is_some() || comment.is_some() {
            let message = format!(
                "nobody answers `{}`: `answer: none` can't be combined with `by` or `comment`",
                key.name
            );
            let mistake = report.at("bad-test", key.span.clone(), message);
            report.add(mistake.help("remove `by` and `comment`"));
        }
        return Some(QuestionEnd::Expires);
    }
    if name.is_none() && matches!(node.kind, Kind::Map(_)) {
        let message = format!("the approval `{}` does not say who answers", key.name);
        let mistake = report.at("missing-key", key.span.clone(), message);
        report.add(mistake.help("add `by:`"));
    }
    Some(QuestionEnd::Answered(Approver {
        name: name?,
        approves: answer.as_deref() != Some(rejects),
        comment,
    }))
}

fn read_kill(report: &mut Report, node: &Node) -> Option<Kill> {
    match &node.kind {
        Kind::Scalar {
            value: Value::String(word),
            ..
        } if word == "everywhere" => Some(Kill::Everywhere),
        Kind::Scalar {
            value: Value::Int(times),
            ..
        } if (1..=MOST_KILLS).contains(times) => Some(Kill::Times(*times as u32)),
        _ => {
            let message =
                format!("`kill` must be `everywhere`, or a whole number from 1 to {MOST_KILLS}");
            let mistake = report.at("wrong-type", node.span.clone(), message);
            report.add(mistake);
            None
        }
    }
}
