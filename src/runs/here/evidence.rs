//! The evidence of a run: what `windlass audit --bundle` writes and shows.

use std::{collections::BTreeMap, sync::Arc};

use super::Here;
use crate::{
    journal::{self, Link, RunId, RunRow},
    report,
    runs::{
        bundle::{Bundle, refuse_other_list},
        error::RunsError,
        service::Evidence,
    },
};

impl Here {
    /// Gathers and verifies all that a run proves.
    pub(super) fn gather(&self, id: &RunId) -> Result<Evidence, RunsError> {
        self.must_exist(id)?;
        let events = self.reader.evidence(id)?;
        gathered(id, &self.reader.runs()?, events, |edition| {
            Ok(self.reader.files(id, edition)?)
        })
    }
}

/// Makes the bundle of a run's events, and verifies it; `files` reads those of an edition.
///
/// # Errors
/// A chain that is broken, a list that says something else, and what `files` says.
pub(in crate::runs) fn gathered(
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
