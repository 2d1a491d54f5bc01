use std::io::IsTerminal;

use super::{
    Done,
    archive::Archive,
    args::{Args, Outputs},
    failure::Failure,
    print,
};
use crate::{journal::Outcome, report, value::Value};

/// `windlass outputs [RUN] [NAME]`. Secrets are masked.
pub fn outputs(args: &Args, command: &Outputs) -> Done {
    let archive = Archive::open(args)?;
    let id = archive.find(command.run.as_deref())?;
    let state = archive.state_of(&id)?;
    if state.outcome != Some(Outcome::Succeeded) {
        return Err(
            Failure::new("no-outputs", format!("run {id} has not succeeded"))
                .hint(format!("`windlass show {id}` shows its state")),
        );
    }
    if let Some(name) = &command.name {
        let value = state.outputs.field(name).ok_or_else(|| {
            let names: Vec<_> = state.outputs.as_map().into_iter().flatten().collect();
            let names: Vec<_> = names.iter().map(|(name, _)| name.as_str()).collect();
            let hint = match names.as_slice() {
                [] => "it has no outputs".to_owned(),
                names => format!("its outputs are {}", names.join(", ")),
            };
            Failure::new("no-outputs", format!("run {id} has no output `{name}`")).hint(hint)
        })?;
        return match command.json {
            true => print(&report::json_text(&value.to_json())),
            // A file or a program gets the outputs that exist.
            false if std::io::stdout().is_terminal() => {
                print(&format!("{}\n", report::lines(&value.to_string())))
            }
            false => print(&format!("{value}\n")),
        };
    }
    if command.json {
        let json = match &state.outputs {
            Value::Null => serde_json::json!({}),
            outputs => outputs.to_json(),
        };
        return print(&report::json_text(&json));
    }
    let entries = state.outputs.as_map().into_iter().flatten();
    print(
        &entries
            .map(|(name, value)| format!("{name} = {}\n", report::line(&value.to_string())))
            .collect::<String>(),
    )
}
