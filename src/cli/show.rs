use std::env;

use super::{
    Done,
    archive::Archive,
    args::{Args, Show},
    drive::problems,
    print,
};
use crate::{
    compile::{Frozen, compile},
    report::{self, utc_time},
};

/// `windlass show [RUN]`.
pub fn show(args: &Args, command: &Show) -> Done {
    let archive = Archive::open(args)?;
    let id = archive.find(command.run.as_deref())?;
    let state = archive.state_of(&id)?;
    if command.json {
        return print(&format!("{:#}\n", report::run_json(&id, &state)));
    }
    let edition = state.run.as_ref().map_or(0, |run| run.edition);
    let files = archive.files(&id, edition)?;
    let mut text = format!("{}\n", report::headline(&id, &state));
    if let Some(run) = &state.run {
        text.push_str(&format!(
            "{} on target {}, started {} UTC by {}\nparams: {}\n\n",
            run.file,
            run.target,
            utc_time(run.started_at),
            run.requester,
            run.params
        ));
        let program = compile(&run.main, &mut Frozen(files.clone()))?;
        let folder = env::current_dir().unwrap_or_default();
        text.push_str(&report::summary(
            &program.workflow,
            &state,
            &folder,
            report::Detail::Full,
        ));
    }
    if state.outcome.is_none() {
        for why in archive.stuck(&id)? {
            text.push_str(&format!("\n{why}\n"));
        }
    }
    for line in report::approvals(&state) {
        text.push_str(&format!("\n{line}\n"));
    }
    for problem in problems(&state, &files) {
        text.push_str(&format!("\n{problem}"));
    }
    print(&text)
}
