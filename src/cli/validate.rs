use super::{Done, args::Validate, exit, failure::Failure, load::load};

/// `windlass validate FILE…`: every mistake of every file.
pub fn validate(command: &Validate) -> Done {
    let mut failed = 0;
    for file in &command.files {
        match load(file) {
            Ok(program) => {
                let steps = program.workflow.steps().count();
                eprintln!(
                    "{} {}: {steps} steps",
                    console::style("✓").green(),
                    file.display()
                );
            }
            Err(failure) => {
                failure.report();
                failed += 1;
            }
        }
    }
    match failed {
        0 => Ok(exit::SUCCEEDED),
        _ if command.files.len() == 1 => Ok(exit::NOTHING_STARTED),
        n => Err(Failure::new(
            "invalid-workflow",
            format!("{n} of {} files have mistakes", command.files.len()),
        )),
    }
}
