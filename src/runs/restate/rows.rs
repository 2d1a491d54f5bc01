use std::{collections::BTreeMap, sync::Mutex};

use super::{OnRestate, reads::RunRead};
use crate::{
    clock::now,
    error::RunsError,
    service::{Filter, Page, Row, listed_asks, status},
};
use windlass_ground::{Timestamp, lock};
use windlass_journal::{RunId, RunRow};
use windlass_report as report;
use windlass_restate::ListedPart;

/// How many rows are requested first. Restate goes through all of them for each request, so the next parts are larger.
const FIRST_PART: usize = 250;
const GROWTH: usize = 4;

/// The first error of each run that has ended, with the time of its end.
pub(super) type FirstErrors = Mutex<BTreeMap<RunId, (Option<Timestamp>, Option<String>)>>;

impl OnRestate {
    /// Lists runs, the newest first.
    pub(super) fn rows(&self, filter: &Filter) -> Result<Page, RunsError> {
        let at = now();
        let mut page = Page {
            rows: Vec::new(),
            has_more: false,
        };
        let mut part = ListedPart {
            before: filter.before.clone(),
            most: (filter.limit > 0).then(|| filter.limit.saturating_add(1).max(FIRST_PART)),
            ..ListedPart::default()
        };
        loop {
            let runs = self.remote.some_runs(&part)?;
            let is_last = part.most.is_none_or(|most| runs.len() < most);
            part.before = runs.last().map(|run| run.id.clone());
            part.most = part.most.map(|most| most.saturating_mul(GROWTH));
            for run in runs.into_iter().filter(|run| filter.takes(run)) {
                self.reads.hears(&run.id, run.ended_at);
                if filter.limit > 0 && page.rows.len() >= filter.limit {
                    page.has_more = true;
                    return Ok(page);
                }
                let row = self.row(run, filter.is_brief, at);
                let status = filter.status.as_ref();
                if status.is_none_or(|status| row.status == *status) {
                    page.rows.push(row);
                }
            }
            if is_last {
                return Ok(page);
            }
        }
    }

    /// Completes a row with the data that only the events contain.
    fn row(&self, mut run: RunRow, is_brief: bool, at: Timestamp) -> Row {
        let plain = |run: RunRow, error| Row {
            status: run.status().to_owned(),
            error,
            asks: Vec::new(),
            run,
        };
        if run.ended_at.is_none() {
            let found = self.reads.look_lately(&run.id, |read| {
                let is_driven = read.is_driven();
                let asks = listed_asks(&read.state, at);
                let of_row = (status(&read.state, is_driven, at), asks);
                (is_driven, of_row, headline(read))
            });
            return match found {
                Ok((is_driven, (status, asks), error)) => {
                    run.is_owned = is_driven;
                    Row {
                        status: status.to_owned(),
                        error,
                        asks,
                        run,
                    }
                }
                // A run that can't be read still belongs to the list.
                Err(error) => plain(run, Some(error.message)),
            };
        }
        let has_failed = matches!(run.outcome.as_deref(), Some("failed" | "undo failed"));
        if is_brief || !has_failed {
            return plain(run, None);
        }
        if let Some((ended_at, error)) = lock(&self.errors).get(&run.id)
            && *ended_at == run.ended_at
        {
            let error = error.clone();
            return plain(run, error);
        }
        match self.reads.look(&run.id, headline) {
            Ok(error) => {
                lock(&self.errors).insert(run.id.clone(), (run.ended_at, error.clone()));
                plain(run, error)
            }
            Err(error) => plain(run, Some(error.message)),
        }
    }
}

/// Returns the first line of why a run failed.
fn headline(read: &RunRead) -> Option<String> {
    let error = report::errors(&read.state).into_iter().next();
    error.map(|(_, error)| error.headline())
}

impl Filter {
    /// Says whether a run belongs to the list, as far as its row shows.
    fn takes(&self, run: &RunRow) -> bool {
        let is = |wanted: &Option<String>, found: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == found)
        };
        let id = run.id.as_str();
        let has = |text: &String| {
            let names = [id, &run.workflow, &run.target];
            names.iter().any(|name| name.contains(text.as_str()))
        };
        is(&self.workflow, &run.workflow)
            && is(&self.target, &run.target)
            && is(
                &self.requester,
                run.requester.as_deref().unwrap_or_default(),
            )
            && self.text.as_ref().is_none_or(has)
            && self
                .before
                .as_ref()
                .is_none_or(|before| id < before.as_str())
            && self.sees(run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_takes_what_it_says() {
        let run = RunRow {
            id: RunId::stored("20261127-090230715-n8qn6t".into()),
            workflow: "rotate".into(),
            file: "rotate.yaml".into(),
            target: "prod".into(),
            started_at: Timestamp::EPOCH,
            requester: Some("alice".into()),
            ended_at: None,
            outcome: None,
            is_owned: true,
        };
        let text = |text: &str| Some(text.to_owned());
        let before = |id: &str| Some(RunId::stored(id.into()));
        let filter = |change: &dyn Fn(&mut Filter)| {
            let mut filter = Filter::default();
            change(&mut filter);
            filter.takes(&run)
        };
        assert!(filter(&|_| {}));
        assert!(filter(&|f| f.workflow = text("rotate")) && !filter(&|f| f.workflow = text("rot")));
        assert!(filter(&|f| f.target = text("prod")) && !filter(&|f| f.target = text("local")));
        assert!(filter(&|f| f.requester = text("alice")) && !filter(&|f| f.requester = text("a")));
        for part in ["n8qn", "rot", "pro"] {
            assert!(filter(&|f| f.text = text(part)), "{part}");
        }
        assert!(!filter(&|f| f.text = text("alice")));
        assert!(filter(&|f| f.before = before("20261127-1")));
        assert!(!filter(&|f| f.before = Some(run.id.clone())), "not itself");
        assert!(!filter(&|f| f.within = Some(Vec::new())), "nothing is seen");
    }
}
