use std::{io::IsTerminal, path::Path};

use super::{
    Done,
    archive::Archive,
    args::{Args, Format, Graph},
    failure::Failure,
    load::load,
    print, print_text,
    process::now,
    taken::frozen,
};
use crate::{
    compile::Program,
    desk,
    journal::State,
    report::{GraphFormat, Standings, draw},
};

/// `windlass graph FILE` and `windlass graph RUN`.
pub fn graph(args: &Args, command: &Graph) -> Done {
    let (program, state) = find(args, &command.file)?;
    let (workflow, standings) = (
        &program.workflow,
        Standings {
            state: state.as_ref(),
        },
    );
    let is_for_people = std::io::stdout().is_terminal() || state.is_some();
    let format = match command.format {
        None if is_for_people => GraphFormat::Lanes,
        None | Some(Format::Text) => GraphFormat::Text,
        Some(Format::Lanes) => GraphFormat::Lanes,
        Some(Format::Mermaid) => GraphFormat::Mermaid,
        Some(Format::Dot) => GraphFormat::Dot,
        Some(Format::Svg) => {
            let svg = desk::picture(workflow, state.as_ref(), now())
                .ok_or_else(|| Failure::new("output", "the workflow has no steps to draw"))?;
            return print(&svg);
        }
    };
    let drawn = draw(workflow, format, standings);
    match format {
        GraphFormat::Lanes => print_text(&drawn),
        _ => print(&drawn),
    }
}

/// Returns what to draw: the file of a workflow, or a run with its state. A file takes precedence over a run of the same name.
fn find(args: &Args, named: &Path) -> Result<(Program, Option<State>), Failure> {
    let failure = match load(named) {
        Ok(program) => return Ok((program, None)),
        Err(failure) if named.exists() || !failure.is("unreadable-file") => return Err(failure),
        Err(failure) => failure,
    };
    let (Some(name), Ok(Some(archive))) = (named.to_str(), Archive::open_if_there(args)) else {
        return Err(failure);
    };
    // If there is neither, the file was probably meant.
    let Ok(id) = archive.find(Some(name)) else {
        return Err(failure);
    };
    let state = archive.state_of(&id)?;
    let (_, program) = frozen(&archive, &id, &state)?;
    Ok((program, Some(state)))
}
