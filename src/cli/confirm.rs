use std::io::{IsTerminal, Write, stdin};

use super::failure::Failure;

/// Asks a person, unless `--yes` was given; a machine has to give it.
pub fn confirm(is_sure: bool, question: &str) -> Result<bool, Failure> {
    if is_sure {
        return Ok(true);
    }
    if !stdin().is_terminal() {
        return Err(Failure::new(
            "not-confirmed",
            "this needs somebody to say yes, and there is no terminal",
        )
        .hint("look at it with --plan, then give --yes"));
    }
    eprint!("\n{question} [y/N] ");
    let _ = std::io::stderr().flush();
    let mut answer = String::new();
    stdin()
        .read_line(&mut answer)
        .map_err(|e| Failure::new("not-confirmed", format!("can't read the answer: {e}")))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
