//! An evidence bundle: everything about a run that is not secret.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{error::RunsError, service::Evidence};
use windlass_compile::digest_of;
use windlass_journal as journal;
use windlass_journal::{
    Event, Journal, JournalError, Link, Outcome, Record, RunEdited, RunId, RunRow, RunStarted,
    State, Verified,
};
use windlass_report::{self as report, Proof};
use windlass_world::{
    value::{Digest, Value},
    x509::{Certificate, Signature, SignerError, TimestampError, TimestampToken},
};

/// Increases when the format of the bundle changes.
///
/// 1: the first. 2: with a statement of what the chain covers, and its signatures and timestamps.
const FORMAT: &str = "windlass-evidence/2";
const FORMAT_1: &str = "windlass-evidence/1";

/// The file that `--bundle` writes and `--verify` reads.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    format: String,
    pub run: RunId,
    /// What the chain proves, in the form that is signed and timestamped: the run, the format of the chain, the number of its
    /// events, and the digest of the last one.
    pub statement: String,
    events: Vec<Link>,
    /// The frozen files, by edition.
    files: Files,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signatures: Vec<Signature>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timestamps: Vec<TimestampToken>,
}

type Files = BTreeMap<u32, BTreeMap<String, String>>;

/// A bundle in format 1.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bundle1 {
    #[serde(rename = "format")]
    _format: String,
    run: RunId,
    #[serde(rename = "windlass")]
    _windlass: String,
    events: Vec<Link>,
    files: Files,
}

/// A bundle whose contents are exactly what its chain covers.
pub struct Checked {
    pub state: State,
    pub records: Vec<Record>,
    pub proof: Proof,
}

impl Bundle {
    pub fn new(run: RunId, verified: &Verified, events: Vec<Link>, files: Files) -> Self {
        Self {
            format: FORMAT.into(),
            statement: statement(&run, verified),
            run,
            events,
            files,
            signatures: Vec::new(),
            timestamps: Vec::new(),
        }
    }

    pub fn read(path: &Path) -> Result<Self, RunsError> {
        let name = path.display().to_string();
        let text = fs::read_to_string(path)
            .map_err(|e| RunsError::wrong("bad-bundle", format!("{name}: {e}")))?;
        Self::parse(&name, &text)
    }

    /// Reads a bundle from a text; `name` is where it comes from.
    ///
    /// # Errors
    /// A text that is not a bundle.
    pub fn parse(name: &str, text: &str) -> Result<Self, RunsError> {
        let wrong = |why: String| RunsError::wrong("bad-bundle", format!("{name}: {why}"));
        // Other readers might take the first of two.
        Value::refuse_key_twice(text).map_err(wrong)?;
        let json: serde_json::Value =
            serde_json::from_str(text).map_err(|e| wrong(e.to_string()))?;
        match json["format"].as_str().unwrap_or_default() {
            FORMAT => serde_json::from_str(text).map_err(|e| wrong(e.to_string())),
            FORMAT_1 => {
                let old: Bundle1 = serde_json::from_str(text).map_err(|e| wrong(e.to_string()))?;
                let verified = journal::verify(&old.run, &old.events)?;
                Ok(Self::new(old.run, &verified, old.events, old.files))
            }
            other => Err(wrong(format!("its format is `{other}`, not {FORMAT}"))),
        }
    }

    /// Checks that the chain is intact, that the files and the statement are exactly those that it names, and that every signature and
    /// timestamp is for the statement. The certificates of timestamps must lead to one of `roots`, if there are any.
    pub fn check(&self, roots: &[Certificate]) -> Result<Checked, RunsError> {
        let verified = journal::verify(&self.run, &self.events)?;
        if self.statement != statement(&self.run, &verified) {
            let message = format!(
                "the statement about run {} does not match its events",
                self.run
            );
            return Err(RunsError::broken("journal", message));
        }
        self.check_files(&verified.records)?;
        for signature in &self.signatures {
            if !signature.holds(self.statement.as_bytes()) {
                let message = format!("a signature of the bundle of run {} is not valid", self.run);
                return Err(RunsError::wrong("not-signed", message));
            }
        }
        let mut timestamps = Vec::new();
        for timestamp in &self.timestamps {
            let stamped = timestamp.check(self.statement.as_bytes(), roots);
            timestamps.push(stamped.map_err(|e| {
                let refused = RunsError::wrong("timestamp", e.to_string());
                match e {
                    TimestampError::Signer(SignerError::Untrusted(..)) => {
                        refused.hint("if you trust this authority, give its CA with --timestamp-ca")
                    }
                    _ => refused,
                }
            })?);
        }
        Ok(Checked {
            proof: Proof {
                chain: verified.chain,
                signers: self.signatures.iter().map(Signature::signer).collect(),
                timestamps,
            },
            state: verified.state,
            records: verified.records,
        })
    }

    /// Compares the files with the digests in the events.
    fn check_files(&self, records: &[Record]) -> Result<(), RunsError> {
        let named = records.iter().filter_map(|record| named(&record.event));
        let held = self.files.iter();
        let held = held.map(|(edition, files)| (*edition, digest_of(files)));
        refuse_other_files(&self.run, &named.collect(), &held.collect())
    }
}

/// Returns the edition and the digest of the files that an event names.
fn named(event: &Event) -> Option<(u32, Digest)> {
    match event {
        Event::RunStarted(RunStarted { program, .. }) => Some((0, *program)),
        Event::RunEdited(RunEdited {
            program, edition, ..
        }) => Some((*edition, *program)),
        _ => None,
    }
}

/// Compares the digests of a run's files, by edition, with those in its events.
fn refuse_other_files(
    run: &RunId,
    named: &BTreeMap<u32, Digest>,
    held: &BTreeMap<u32, Digest>,
) -> Result<(), RunsError> {
    let mut editions = named.keys().chain(held.keys());
    match editions.find(|edition| named.get(edition) != held.get(edition)) {
        None => Ok(()),
        Some(edition) => {
            let message =
                format!("the files of run {run} (edition {edition}) are not the ones that it ran");
            Err(RunsError::broken("journal", message))
        }
    }
}

/// Verifies a run in a journal: its chain, its files, and its `row` in lists. Returns its state.
///
/// # Errors
/// An error of the journal, or a run that differs from what its chain covers.
pub fn verified(journal: &Journal, row: &RunRow) -> Result<State, RunsError> {
    let id = &row.id;
    let (mut names, mut state) = (BTreeMap::new(), State::default());
    journal.walk(id, 0, Digest::ZERO, |record| {
        names.extend(named(&record.event));
        journal::apply(id, &mut state, &record)
    })?;
    refuse_other_list(std::slice::from_ref(row), id, &state)?;
    let newest = state.run.as_ref().map_or(0, |run| run.edition);
    let files = (0..=newest).map(|edition| {
        let files = journal.files(id, edition)?;
        Ok((edition, digest_of(&files)))
    });
    let held: BTreeMap<_, _> = files.collect::<Result<_, JournalError>>()?;
    refuse_other_files(id, &names, &held)?;
    Ok(state)
}

/// Collects and verifies the evidence of a run.
///
/// # Errors
/// An error of the journal, or a run that differs from what its chain covers.
pub fn gather(journal: &Journal, id: &RunId) -> Result<Evidence, RunsError> {
    let events = journal.evidence(id)?;
    gathered(id, &journal.runs()?, events, |edition| {
        Ok(journal.files(id, edition)?)
    })
}

/// Builds the bundle of a run's events, and verifies it; `files` reads the files of an edition.
///
/// # Errors
/// A broken chain, a list that differs from the events, or an error of `files`.
pub fn gathered(
    id: &RunId,
    rows: &[RunRow],
    events: Vec<Link>,
    mut files: impl FnMut(u32) -> Result<BTreeMap<String, Arc<str>>, RunsError>,
) -> Result<Evidence, RunsError> {
    let verified = journal::verify(id, &events)?;
    refuse_other_list(rows, id, &verified.state)?;
    let newest = verified.state.run.as_ref().map_or(0, |run| run.edition);
    let mut frozen = BTreeMap::new();
    for edition in 0..=newest {
        let texts = files(edition)?.into_iter();
        let texts = texts.map(|(path, text)| (path, text.to_string()));
        frozen.insert(edition, texts.collect::<BTreeMap<_, _>>());
    }
    let bundle = Bundle::new(id.clone(), &verified, events, frozen);
    let checked = bundle.check(&[])?;
    let summary = report::audit_json(id, &checked.state, &checked.records, &checked.proof);
    let text = serde_json::to_string_pretty(&bundle);
    let text = text.map_err(|e| RunsError::broken("output", e.to_string()))?;
    Ok(Evidence {
        bundle: text + "\n",
        summary,
    })
}

/// Each line is needed: the newest digest covers the others only together with the format.
fn statement(run: &RunId, verified: &Verified) -> String {
    let head = verified
        .records
        .last()
        .map_or(Digest::ZERO, |last| last.digest);
    format!(
        "windlass evidence of a run\nrun: {run}\nchain: {}\nevents: {}\nhead: sha256 {head}\n",
        verified.chain,
        verified.records.len(),
    )
}

/// Compares the run's row in lists with its events.
pub fn refuse_other_list(runs: &[RunRow], run: &RunId, state: &State) -> Result<(), RunsError> {
    let row = runs.iter().find(|row| row.id == *run);
    let is_true = row.zip(state.run.as_ref()).is_some_and(|(row, info)| {
        let told = (&row.workflow, &row.file, &row.target, row.started_at);
        let outcome = state.outcome.map(Outcome::as_str);
        told == (&info.workflow, &info.file, &info.target, info.started_at)
            && row
                .requester
                .as_ref()
                .is_none_or(|who| *who == info.requester)
            && row.ended_at == state.ended_at
            && (row.outcome.as_deref() == outcome || state.outcome.is_none())
    });
    if is_true {
        Ok(())
    } else {
        Err(RunsError::broken(
            "journal",
            format!("the list of runs does not match the events of run {run}"),
        )
        .hint("the journal was changed by something other than windlass; restore it from a backup"))
    }
}
