//! The evidence of a run: what `windlass audit --bundle` writes and shows.

use std::collections::BTreeMap;

use super::Here;
use crate::{
    journal::{self, RunId},
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
        let verified = journal::verify(id, &events)?;
        refuse_other_list(&self.reader.runs()?, id, &verified.state)?;
        let newest = verified.state.run.as_ref().map_or(0, |run| run.edition);
        let mut files = BTreeMap::new();
        for edition in 0..=newest {
            let texts = self.reader.files(id, edition)?.into_iter();
            let texts = texts.map(|(path, text)| (path, text.to_string()));
            files.insert(edition, texts.collect::<BTreeMap<_, _>>());
        }
        let bundle = Bundle::new(id.clone(), &verified, events, files);
        let checked = bundle.check(&[])?;
        let summary = report::audit_json(id, &checked.state, &checked.records, &checked.proof);
        let text = serde_json::to_string_pretty(&bundle);
        let text = text.map_err(|e| RunsError::broken("output", e.to_string()))?;
        Ok(Evidence {
            bundle: text + "\n",
            summary,
        })
    }
}
