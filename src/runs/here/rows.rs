use std::{collections::BTreeMap, sync::Mutex};

use crate::{
    clock::now,
    error::RunsError,
    folds::Folds,
    service::{Ask, Filter, Page, Row, listed_asks, status},
};
use windlass_ground::{Timestamp, lock};
use windlass_journal::{Journal, RunId, RunRow, RunsWanted};
use windlass_report as report;

/// The smallest number of rows that are read at once; also the number if all are wanted.
const FEW: usize = 64;
const MANY: usize = 4096;

/// Cached data of runs that were listed.
#[derive(Default)]
pub struct Rows {
    known: Mutex<BTreeMap<RunId, Known>>,
}

/// How many runs are remembered; also those that have been deleted count until then.
const MOST_KNOWN: usize = 20_000;

/// The input of one listing.
struct Look<'a> {
    reader: &'a Journal,
    folds: &'a Folds,
    at: Timestamp,
}

/// The data of a run in a list that is not in its row, as of some event.
#[derive(Clone)]
struct Known {
    stamp: String,
    is_driven: bool,
    /// When a question expires, which changes the data.
    until: Option<Timestamp>,
    status: &'static str,
    error: Option<String>,
    asks: Vec<Ask>,
}

impl Rows {
    /// Lists runs, the newest first.
    pub fn list(
        &self,
        reader: &Journal,
        folds: &Folds,
        filter: &Filter,
    ) -> Result<Page, RunsError> {
        let look = Look {
            reader,
            folds,
            at: now(),
        };
        let mut page = Page {
            rows: Vec::new(),
            has_more: false,
        };
        let mut wanted = filter.wanted();
        loop {
            let part = reader.list_runs(&wanted)?;
            wanted.before = part.last().map(|(run, _)| run.id.clone());
            let is_last = part.len() < wanted.limit;
            for (run, stamp) in part.into_iter().filter(|(run, _)| filter.sees(run)) {
                if filter.limit > 0 && page.rows.len() >= filter.limit {
                    page.has_more = true;
                    return Ok(page);
                }
                let row = match run.outcome.as_deref() {
                    // The reason of the failure is in its events.
                    Some("failed" | "undo failed") if !filter.is_brief => {
                        self.row(&look, run, &stamp)
                    }
                    // Suspended at a question, which may have been answered or expired since.
                    None | Some("waiting") => self.row(&look, run, &stamp),
                    Some(outcome) => Row {
                        status: outcome.to_owned(),
                        error: None,
                        asks: Vec::new(),
                        run,
                    },
                };
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
    fn row(&self, look: &Look, row: RunRow, stamp: &str) -> Row {
        let at = look.at;
        let is_new = |known: &Known| {
            known.stamp == stamp
                && known.is_driven == row.is_owned
                && known.until.is_none_or(|until| at < until)
        };
        let kept = lock(&self.known).get(&row.id).cloned().filter(is_new);
        let found = kept.map_or_else(|| known(look.reader, look.folds, &row, stamp, at), Ok);
        match found {
            Ok(known) => {
                let mut kept = lock(&self.known);
                if kept.len() >= MOST_KNOWN {
                    kept.clear();
                }
                kept.insert(row.id.clone(), known.clone());
                drop(kept);
                Row {
                    status: known.status.to_owned(),
                    error: known.error,
                    asks: known.asks,
                    run: row,
                }
            }
            // A run that can't be read still belongs to the list.
            Err(error) => Row {
                status: row.status().to_owned(),
                error: Some(error.message),
                asks: Vec::new(),
                run: row,
            },
        }
    }
}

fn known(
    reader: &Journal,
    folds: &Folds,
    row: &RunRow,
    stamp: &str,
    at: Timestamp,
) -> Result<Known, RunsError> {
    let state = folds.state_of(reader, &row.id)?;
    let asks = listed_asks(&state, at);
    let error = report::errors(&state).into_iter().next();
    Ok(Known {
        stamp: stamp.to_owned(),
        is_driven: row.is_owned,
        until: asks.iter().filter_map(|ask| ask.deadline).min(),
        status: status(&state, row.is_owned, at),
        error: error.map(|(_, error)| error.headline()),
        asks,
    })
}

impl Filter {
    /// Returns how many rows are read at once: one more than a page has, to see whether more follow, if every row belongs to the list.
    fn wanted(&self) -> RunsWanted {
        RunsWanted {
            before: self.before.clone(),
            workflow: self.workflow.clone(),
            target: self.target.clone(),
            requester: self.requester.clone(),
            text: self.text.clone(),
            outcome: self.status.clone(),
            limit: match self.limit {
                0 => MANY,
                limit => (limit + 1).max(FEW),
            },
        }
    }

    /// Says whether the reader of the list may see a run.
    pub fn sees(&self, run: &RunRow) -> bool {
        self.within.as_ref().is_none_or(|scopes| {
            let mut scopes = scopes.iter();
            scopes.any(|scope| scope.holds(&run.workflow, &run.target))
        })
    }
}
