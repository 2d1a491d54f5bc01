use super::{Done, args::Graph, load::load, print};
use crate::report::draw;

/// `windlass graph FILE`.
pub fn graph(command: &Graph) -> Done {
    let program = load(&command.file)?;
    print(&draw(&program.workflow, command.format.into()))
}
