use std::borrow::Cow;

use console::{Alignment, measure_text_width, pad_str};

use super::plain::styled;

/// The gap between two columns.
const GAP: &str = "   ";
/// The shortest length to which a cell is cut, in characters: a shorter text would be useless.
const LEAST: usize = 6;

/// Rows under a heading, aligned, without lines: as kubectl prints them. Cells may be coloured.
pub struct Table {
    rows: Vec<Vec<Cell>>,
    /// The columns that are never shortened: ids, dates.
    whole: Vec<usize>,
    /// The columns of names and paths, which differ at their ends: they are cut in the middle.
    names: Vec<usize>,
}

struct Cell {
    text: String,
    /// The width in terminal columns. Measured once, because this takes most of the time for a table of 100,000 rows.
    width: usize,
}

impl Cell {
    fn new(text: String) -> Self {
        Self {
            width: width(&text),
            text,
        }
    }

    /// Adds the text to a line, padded or cut to a width.
    fn add_to(&self, line: &mut String, width: usize, is_name: bool) {
        if self.width <= width {
            line.push_str(&self.text);
            line.extend(std::iter::repeat_n(' ', width - self.width));
            return;
        }
        let cell = if is_name {
            without_middle(&self.text, width)
        } else {
            self.text.clone()
        };
        line.push_str(&pad_str(&cell, width, Alignment::Left, Some("…")));
    }
}

/// Measures a text in terminal columns: only the part before its plain end, unless there are escape sequences.
fn width(text: &str) -> usize {
    if text.contains('\u{1b}') {
        return measure_text_width(text);
    }
    let plain = text.bytes().rev().take_while(|b| matches!(b, b' '..=b'~'));
    let plain = plain.count();
    match text.len() - plain {
        0 => plain,
        rest => measure_text_width(&text[..rest]) + plain,
    }
}

/// The space for a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// The number of characters in a line. `None` if the output is not a terminal.
    pub width: Option<usize>,
    /// Whether shortened cells are repeated in full on a line of their own.
    pub repeats: bool,
}

impl Room {
    /// Uses the width of the terminal, or `COLUMNS` if there is none.
    pub fn of(terminal: &console::Term) -> Self {
        let size = terminal.size_checked();
        let told = || std::env::var("COLUMNS").ok()?.parse().ok();
        Self {
            width: size.map(|(_, columns)| columns.into()).or_else(told),
            repeats: false,
        }
    }

    pub fn repeating(self) -> Self {
        Self {
            repeats: true,
            ..self
        }
    }
}

impl Table {
    pub fn new(heading: &[&str]) -> Self {
        Self {
            rows: vec![
                heading
                    .iter()
                    .map(|name| Cell::new(name.to_string()))
                    .collect(),
            ],
            whole: Vec::new(),
            names: Vec::new(),
        }
    }

    /// Never shortens this column.
    pub fn keeping(mut self, column: usize) -> Self {
        self.whole.push(column);
        self
    }

    /// Shortens these columns in the middle, so that names with the same beginning stay distinct.
    pub fn naming(mut self, columns: &[usize]) -> Self {
        self.names.extend(columns);
        self
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells = cells.into_iter().map(|cell| {
            let cell = if cell.contains('\n') {
                cell.replace('\n', "\\n")
            } else {
                cell
            };
            match styled(&cell, console::colors_enabled()) {
                Cow::Owned(clean) => Cell::new(clean),
                Cow::Borrowed(_) => Cell::new(cell),
            }
        });
        self.rows.push(cells.collect());
    }

    /// Formats the table. Every line begins with `indent`; no line ends in spaces. If there is too little room, the widest columns are
    /// shortened.
    pub fn render(&self, indent: &str, room: Room) -> String {
        let widths = self.fit(indent.len(), room.width);
        let mut text = String::new();
        for row in &self.rows {
            let begin = text.len();
            text.push_str(indent);
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                if column > 0 {
                    text.push_str(GAP);
                }
                cell.add_to(&mut text, *width, self.names.contains(&column));
            }
            let end = begin + indent.len() + text[begin + indent.len()..].trim_end().len();
            text.truncate(end);
            text.push('\n');
            let cells = row.iter().zip(&widths);
            let whole: Vec<_> = cells
                .filter(|(cell, width)| cell.width > **width)
                .map(|(cell, _)| cell.text.trim())
                .collect();
            if room.repeats && !whole.is_empty() {
                text.push_str(&repeated(indent, &whole.join(GAP), room.width));
            }
        }
        text
    }

    /// Returns the width of each column.
    fn fit(&self, indent: usize, room: Option<usize>) -> Vec<usize> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.width).max()
        };
        let mut widths: Vec<usize> = (0..columns).map(|c| width(c).unwrap_or(0)).collect();
        let Some(room) = room else {
            return widths;
        };
        let gaps = GAP.len() * columns.saturating_sub(1);
        let mut excess = (indent + gaps + widths.iter().sum::<usize>()).saturating_sub(room);
        while excess > 0 {
            let wide = (0..columns).filter(|c| !self.whole.contains(c) && widths[*c] > LEAST);
            let Some(widest) = wide.max_by_key(|column| widths[*column]) else {
                break;
            };
            widths[widest] -= 1;
            excess -= 1;
        }
        widths
    }
}

/// Returns the shortened cells in full, in as many lines as needed.
fn repeated(indent: &str, whole: &str, width: Option<usize>) -> String {
    let indent = format!("{indent}    ");
    let room = width
        .unwrap_or(usize::MAX)
        .saturating_sub(indent.len())
        .max(LEAST);
    let (mut text, mut line) = (String::new(), String::new());
    for word in whole.split(' ') {
        let is_full = measure_text_width(&line) + 1 + measure_text_width(word) > room;
        if is_full && !line.trim().is_empty() {
            text.push_str(&format!("{indent}{}\n", line.trim_end()));
            line.clear();
        } else if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    text.push_str(&format!("{indent}{}\n", line.trim_end()));
    text
}

/// Cuts a name in its middle; keeps the colour of its mark.
fn without_middle(cell: &str, width: usize) -> String {
    const RESET: &str = "\u{1b}[0m";
    if measure_text_width(cell) <= width {
        return cell.to_owned();
    }
    let plain_at = cell.rfind(RESET).map_or(0, |at| at + RESET.len());
    let (mark, name) = cell.split_at(plain_at);
    let room = width.saturating_sub(measure_text_width(mark));
    let characters: Vec<char> = name.chars().collect();
    let tail = room.saturating_sub(1).div_ceil(2);
    let head = room.saturating_sub(1 + tail);
    let is_cut = characters.len() > room && room > 2;
    if is_cut {
        let head: String = characters[..head].iter().collect();
        let tail: String = characters[characters.len() - tail..].iter().collect();
        format!("{mark}{head}…{tail}")
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["STEP", "STATUS", "TIME"]);
        let long = "skipped: `target.kube && params.approve` is false";
        table.row(["go_live".into(), long.into(), String::new()]);
        table.row(["verify".into(), "succeeded".into(), "0.01s".into()]);
        table
    }

    fn in_columns(width: usize) -> Room {
        Room {
            width: Some(width),
            repeats: false,
        }
    }

    #[test]
    fn what_has_no_limit_is_whole() {
        let text = table().render("  ", Room::default());
        assert!(text.contains("is false\n"), "{text}");
    }

    #[test]
    fn the_widest_column_is_shortened_to_fit() {
        let text = table().render("  ", in_columns(40));
        assert!(
            text.contains("  go_live   skipped: `target.ku…\n"),
            "{text}"
        );
        let widest = text.lines().map(measure_text_width).max();
        assert_eq!(widest, Some(40));
    }

    #[test]
    fn what_was_shortened_may_follow_whole() {
        let text = table().render("", in_columns(40).repeating());
        assert!(
            text.contains("\n    skipped: `target.kube &&\n    params.approve` is false\n"),
            "{text}"
        );
    }

    #[test]
    fn e11_names_are_cut_in_the_middle_and_stay_distinct() {
        let mut table = Table::new(&["CERTIFICATE", "FILE"]).naming(&[0, 1]);
        for name in ["a", "b"] {
            let file = format!("out/a/long/way/to/certificates/cluster-{name}/client.pem");
            table.row([format!("CN=cluster-{name}"), file]);
        }
        let text = table.render("", in_columns(50));
        let lines: Vec<_> = text.lines().collect();
        assert_ne!(
            lines[1].split_whitespace().last(),
            lines[2].split_whitespace().last(),
            "{text}"
        );
        assert!(lines[1].ends_with("-a/client.pem"), "{text}");
        assert!(
            lines.iter().all(|line| measure_text_width(line) <= 50),
            "{text}"
        );
        let coloured = format!("{} relay_client[cluster-1]", "\u{1b}[32m✓\u{1b}[0m");
        assert_eq!(
            console::strip_ansi_codes(&without_middle(&coloured, 16)),
            "✓ relay_…ster-1]"
        );
    }

    #[test]
    fn e11_no_line_is_wider_than_its_room() {
        for width in [30, 40, 60] {
            let text = table().render("  ", in_columns(width).repeating());
            let widest = text.lines().map(measure_text_width).max();
            assert!(widest <= Some(width), "{width}: {text}");
        }
    }

    #[test]
    fn an_id_is_never_shortened() {
        let mut table = Table::new(&["RUN", "WORKFLOW"]).keeping(0);
        table.row(["20261125-011729138-bq5dnj".into(), "gloo-mesh".into()]);
        let text = table.render("", in_columns(30));
        assert!(
            text.contains("20261125-011729138-bq5dnj   gloo-…"),
            "{text}"
        );
    }
}
