use super::{
    Done,
    archive::Archive,
    args::{Args, Runs},
    print,
};
use crate::report::{Table, runs_json, utc_time};

/// `windlass runs`.
pub fn runs(args: &Args, command: &Runs) -> Done {
    let runs = Archive::open(args)?.runs()?;
    if command.json {
        return print(&format!("{:#}\n", runs_json(&runs)));
    }
    let mut table = Table::new(&["RUN", "WORKFLOW", "TARGET", "STATUS", "STARTED (UTC)"]);
    for run in &runs {
        table.row([
            run.id.to_string(),
            run.workflow.clone(),
            run.target.clone(),
            run.status().into(),
            utc_time(run.started_at),
        ]);
    }
    print(&table.render(""))
}
