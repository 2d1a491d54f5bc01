use console::Term;

use super::{Done, args::Explain, failure::Failure, print_text};
use crate::report::{Page, Room, explain as pages_about, topics_page};

/// Where a page is wrapped if nobody says how wide the terminal is.
const WIDTH: usize = 100;

/// `windlass explain WORD`.
pub fn explain(command: &Explain) -> Done {
    let pages = match &command.topic {
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

fn unknown(topic: &str, near: Option<String>) -> Failure {
    let failure = Failure::new("unknown-topic", format!("there is no topic `{topic}`"));
    failure.hint(match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`windlass explain` lists all topics".to_owned(),
    })
}
