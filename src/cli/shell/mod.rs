//! `windlass shell`: a prompt for the host functions. A session is one run with a step for each entry, so the journal records its calls, and
//! an undo reverses them.
//!
//! - `entry` splits the typed text;
//! - `session` runs it: each entry is an edit of the run that adds a step;
//! - `editor` is the prompt of a terminal; if stdin is a file or a pipe, entries are read from it.

mod editor;
mod entry;
mod session;

use std::io::{BufRead, IsTerminal};

use super::{
    Done,
    args::{Args, Shell},
    exit,
    explain::explain_word,
    failure::Failure,
    print,
    process::create_state,
};
use crate::{
    report,
    value::{Command as Cmd, MASK, Value},
};

use editor::Prompt;
use entry::{OpenPart, is_complete, open_part};
use session::{Session, Told};

/// The commands of the prompt, besides Rhai.
const COMMANDS: [(&str, &str); 4] = [
    (":help", "show what can be typed here"),
    (
        ":explain",
        "explain a host function, a module or an error code: `:explain file::write`",
    ),
    (":vars", "list the variables and functions of this session"),
    (":quit", "exit, as Ctrl-D does"),
];

/// `windlass shell`.
pub fn shell(args: &Args, command: &Shell) -> Done {
    let is_at_a_terminal = std::io::stdin().is_terminal();
    let mut session = Session::open(args, command, !is_at_a_terminal)?;
    let result = if is_at_a_terminal {
        at_a_terminal(args, command, &mut session)
    } else {
        from_a_pipe(command, &mut session)
    };
    if let Some(id) = session.run() {
        let show = report::command(Cmd::new("show").arg(id));
        say!("recorded as run {id} · {show}");
        if session.has_changed() {
            say!("To undo: {}", report::command(Cmd::new("undo").arg(id)));
        }
    }
    result
}

fn at_a_terminal(args: &Args, command: &Shell, session: &mut Session) -> Done {
    let names = editor::Names::default();
    create_state(&args.state)?;
    let mut prompt = Prompt::open(&args.state, names.clone())?;
    say!(
        "windlass {} on target {}; Rhai with the host functions, :help for help, Ctrl-D to leave",
        env!("CARGO_PKG_VERSION"),
        command.target
    );
    while let Some(text) = prompt.read()? {
        match order(&text, session) {
            Some(Order::Quit) => break,
            Some(Order::Done | Order::Failed) => {}
            None => {
                evaluate(command, session, &text)?;
                *names.borrow_mut() = session.names().collect();
            }
        }
    }
    Ok(exit::SUCCEEDED)
}

/// Runs the entries of a file or a pipe, until the first one fails.
fn from_a_pipe(command: &Shell, session: &mut Session) -> Done {
    let mut text = String::new();
    for line in std::io::stdin().lock().lines() {
        let line =
            line.map_err(|e| Failure::new("unreadable-file", format!("can't read stdin: {e}")))?;
        text.push_str(&line);
        text.push('\n');
        if is_complete(&text) {
            let entry = std::mem::take(&mut text);
            match order(&entry, session) {
                Some(Order::Quit) => return Ok(exit::SUCCEEDED),
                Some(Order::Done) => {}
                None if evaluate(command, session, &entry)? => {}
                Some(Order::Failed) | None => return Ok(exit::FAILED),
            }
        }
    }
    // What is left lacks its end.
    if let Some(OpenPart { what, line }) = open_part(&text) {
        let message = format!("the input ends inside {what} of line {line} of the last entry");
        let failure = Failure::new("syntax", message).hint("nothing of this entry was run");
        return Err(failure.of_a_run());
    }
    Ok(if evaluate(command, session, &text)? {
        exit::SUCCEEDED
    } else {
        exit::FAILED
    })
}

/// Runs an entry, and shows its value and its changes. Returns whether it succeeded.
fn evaluate(command: &Shell, session: &mut Session, text: &str) -> Result<bool, Failure> {
    let told = match session.enter(text) {
        Ok(told) => told,
        // Nothing of it has run; the next entry may be right.
        Err(failure) => {
            failure.report();
            return Ok(false);
        }
    };
    let Told {
        value,
        changes,
        problem,
    } = told;
    for change in changes {
        say!("{} {change}", console::style("did").for_stderr().green());
    }
    if let Some(problem) = problem {
        say!("{problem}");
        return Ok(false);
    }
    if let Some(text) = value.as_ref().and_then(|value| shown(value, command.json)) {
        print(&text)?;
    }
    Ok(true)
}

/// Formats a value for printing, with secrets masked; returns `None` for `()`.
fn shown(value: &Value, as_json: bool) -> Option<String> {
    let masked = value.to_json();
    Some(match value {
        Value::Null => return None,
        _ if as_json => report::json_text(&masked),
        Value::String(text) if std::io::stdout().is_terminal() => {
            format!("{}\n", report::lines(text))
        }
        Value::Secret(_) => format!("{MASK}\n"),
        Value::Map(_) | Value::List(_) => {
            let yaml = Value::from_json(masked).to_yaml();
            format!("{}\n", report::lines(yaml.trim_end()))
        }
        value => format!("{value}\n"),
    })
}

enum Order {
    Done,
    Failed,
    Quit,
}

/// Runs a command of the prompt; returns `None` for any other text.
fn order(text: &str, session: &Session) -> Option<Order> {
    let (word, rest) = match text.trim().split_once(char::is_whitespace) {
        Some((word, rest)) => (word, rest.trim()),
        None => (text.trim(), ""),
    };
    // As in other prompts, unless a variable has this name.
    let is_plain = rest.is_empty() && session.names().all(|name| name != word);
    match word {
        ":quit" | ":q" | ":exit" => return Some(Order::Quit),
        "exit" | "quit" if is_plain => return Some(Order::Quit),
        ":help" => help(),
        "help" if is_plain => help(),
        ":vars" => session.names().for_each(|name| say!("{name}")),
        ":explain" => {
            if let Err(failure) = explain_word((!rest.is_empty()).then_some(rest)) {
                failure.report();
                return Some(Order::Failed);
            }
        }
        word if word.starts_with(':') && !word.starts_with("::") => {
            say!("unknown command {word}; :help lists the commands");
            return Some(Order::Failed);
        }
        _ => return None,
    }
    Some(Order::Done)
}

fn help() {
    say!(
        "Type Rhai: `let ca = pca::list_certificate_authorities()`, then `ca.len()`. The value at the end is shown.\n\
        An entry with an open bracket continues on the next line. Tab completes; the arrow keys go through the history.\n\
        Each entry is a step of one run: `windlass show`, `logs` and `undo` know it.\n"
    );
    for (name, about) in COMMANDS {
        say!("  {name:10} {about}");
    }
}
