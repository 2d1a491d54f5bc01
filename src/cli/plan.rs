use console::Term;

use super::{
    Done, account,
    args::{Args, Plan},
    beforehand::{Wanted, begin},
    load::load,
    preflight::preflight,
    print, print_text,
};
use crate::{
    compile::bind_params,
    decide,
    report::{self, Room},
    value::Value,
};

/// Stands for the id that a run would get.
const RUN: &str = "RUN";

/// `windlass plan FILE`: what a run would do, as far as it can be told; the target's clusters are
/// looked at, and nothing is changed.
pub fn plan(args: &Args, command: &Plan) -> Done {
    let program = load(&command.file)?;
    let workflow = &program.workflow;
    let params = Value::Map(bind_params(workflow, command.params.given(workflow)?)?);
    let kube = preflight(args, workflow, &params, &command.target)?;
    let clusters: Vec<_> = kube.iter().cloned().collect();
    let account = account::line(args, workflow, &command.target)?;
    let begun = begin(Wanted {
        chosen: Default::default(),
        program: &program,
        file: &command.file,
        target: &command.target,
        kube,
        out: String::new(),
        params,
    })?;
    let steps = decide::preview(workflow, &begun.state, RUN);
    if command.json {
        if let Some(account) = account {
            say!("{account}");
        }
        return print(&format!("{:#}\n", report::preview_json(&steps)));
    }
    let on = match clusters.is_empty() {
        true => format!("the target {}", command.target),
        false => format!(
            "the target {} with the clusters {}",
            command.target,
            clusters.join(", ")
        ),
    };
    let account = account.map_or(String::new(), |account| format!("{account}\n"));
    print_text(&format!(
        "plan of {} on {on}\n{account}\n{}",
        workflow.name,
        report::preview(&steps, Room::of(&Term::stdout()))
    ))
}
