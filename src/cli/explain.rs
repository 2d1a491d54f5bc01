use clap::CommandFactory;
use console::Term;

use super::{
    Done,
    args::{Args, Explain},
    failure::Failure,
    print_text,
};
use crate::report::{Page, Room, explain as pages_about, topics_page};

/// The width of a page if the width of the terminal is unknown.
const WIDTH: usize = 100;

/// `windlass explain WORD`.
pub fn explain(command: &Explain) -> Done {
    explain_word(command.topic.as_deref())
}

/// Prints the page of a topic; without one, the list of all topics.
pub fn explain_word(word: Option<&str>) -> Done {
    let pages = match word {
        None => vec![topics_page()],
        Some(topic) => pages_about(topic).map_err(|near| unknown(topic, near))?,
    };
    let width = Room::of(&Term::stdout()).width.unwrap_or(WIDTH).min(WIDTH);
    let pages: Vec<_> = pages
        .iter()
        .map(|page: &Page| page.to_terminal(width))
        .collect();
    print_text(&pages.join("\n"))
}

fn unknown(topic: &str, near: Vec<String>) -> Failure {
    let failure = Failure::new("unknown-topic", format!("there is no topic `{topic}`"));
    let is_command = Args::command().find_subcommand(topic).is_some();
    failure.hint(match near.as_slice() {
        _ if is_command => format!("it is a command: `windlass help {topic}`"),
        [] => "`windlass explain` lists all topics".to_owned(),
        near => {
            let near: Vec<_> = near.iter().map(|topic| format!("`{topic}`")).collect();
            format!("did you mean {}?", near.join(", or "))
        }
    })
}
