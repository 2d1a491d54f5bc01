use std::{cell::OnceCell, collections::BTreeMap, sync::Mutex};

use crate::{
    journal::{Journal, RunId, RunRow},
    report,
    runs::{
        clock::now,
        drivers::lock,
        error::RunsError,
        folds::Folds,
        service::{Ask, Filter, Page, Row, asks, status},
    },
    targets::Scope,
};

/// What was found out about runs that were listed.
#[derive(Default)]
pub struct Rows {
    known: Mutex<BTreeMap<RunId, Known>>,
}

/// One look at the list.
struct Look<'a> {
    reader: &'a Journal,
    folds: &'a Folds,
    /// For each run, what changes with its events; read when it is needed.
    stamps: OnceCell<BTreeMap<RunId, String>>,
    /// Milliseconds since 1970.
    at: i64,
}

/// What a list shows of a run beside its row, as of some event of it.
#[derive(Clone)]
struct Known {
    stamp: String,
    is_driven: bool,
    /// When a question expires that changes it, in milliseconds since 1970.
    until: Option<i64>,
    status: &'static str,
    error: Option<String>,
    asks: Vec<Ask>,
}

impl Look<'_> {
    /// Says what changes with the events of a run. A journal that can't be read says so where they are read.
    fn stamp(&self, run: &RunId) -> &str {
        let stamps = self.stamps.get_or_init(|| {
            let stamps = self.reader.stamps().unwrap_or_default();
            stamps.into_iter().collect()
        });
        stamps.get(run).map_or("", String::as_str)
    }
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
            stamps: OnceCell::new(),
            at: now(),
        };
        let mut page = Page {
            rows: Vec::new(),
            has_more: false,
        };
        for run in reader.runs()? {
            if !filter.takes_row(&run) {
                continue;
            }
            // The status of a run that has ended is in its row.
            let is_other = |status: &String| run.outcome.as_ref().is_some_and(|is| is != status);
            if filter.status.as_ref().is_some_and(is_other) {
                continue;
            }
            if filter.limit > 0 && page.rows.len() >= filter.limit {
                page.has_more = true;
                break;
            }
            let row = match run.outcome.as_deref() {
                // Why it failed is in its events.
                Some("failed" | "undo failed") if !filter.is_brief => self.row(&look, run),
                None => self.row(&look, run),
                Some(outcome) => Row {
                    status: outcome.to_owned(),
                    error: None,
                    asks: Vec::new(),
                    run,
                },
            };
            if filter
                .status
                .as_ref()
                .is_none_or(|status| row.status == *status)
            {
                page.rows.push(row);
            }
        }
        Ok(page)
    }

    /// Completes a row by what only the events say.
    fn row(&self, look: &Look, row: RunRow) -> Row {
        let (stamp, at) = (look.stamp(&row.id), look.at);
        let is_new = |known: &Known| {
            known.stamp == stamp
                && known.is_driven == row.is_owned
                && known.until.is_none_or(|until| at < until)
        };
        let kept = lock(&self.known).get(&row.id).cloned().filter(is_new);
        let found = kept.map_or_else(|| known(look.reader, look.folds, &row, stamp, at), Ok);
        match found {
            Ok(known) => {
                lock(&self.known).insert(row.id.clone(), known.clone());
                Row {
                    status: known.status.to_owned(),
                    error: known.error,
                    asks: known.asks,
                    run: row,
                }
            }
            // A run that can't be read is still one of the list.
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
    at: i64,
) -> Result<Known, RunsError> {
    let state = folds.state_of(reader, &row.id)?;
    let asks = asks(&state, at);
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
    /// Says whether a run is listed, as far as its row says.
    fn takes_row(&self, run: &RunRow) -> bool {
        let is = |wanted: &Option<String>, found: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == found)
        };
        let has = |text: &String| {
            let parts = [run.id.as_str(), &run.workflow, &run.target];
            parts.iter().any(|part| part.contains(text.as_str()))
        };
        let may_see = |scopes: &Vec<Scope>| {
            let mut scopes = scopes.iter();
            scopes.any(|scope| scope.holds(&run.workflow, &run.target))
        };
        self.within.as_ref().is_none_or(may_see)
            && is(&self.workflow, &run.workflow)
            && is(&self.target, &run.target)
            && is(
                &self.requester,
                run.requester.as_deref().unwrap_or_default(),
            )
            && self.text.as_ref().is_none_or(has)
            && self.before.as_ref().is_none_or(|before| run.id < *before)
    }
}
