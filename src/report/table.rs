use console::{Alignment, measure_text_width, pad_str};

/// What stands between two columns.
const GAP: &str = "   ";

/// Rows under a heading, aligned, without lines: as kubectl prints them. Cells may be coloured.
pub struct Table(Vec<Vec<String>>);

impl Table {
    pub fn new(heading: &[&str]) -> Self {
        Self(vec![heading.iter().map(ToString::to_string).collect()])
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.0.push(cells.into_iter().collect());
    }

    /// Every line begins with `indent`; no line ends in spaces.
    pub fn render(&self, indent: &str) -> String {
        let columns = self.0.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.0.iter().filter_map(|row| row.get(column));
            cells
                .map(|cell| measure_text_width(cell))
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for row in &self.0 {
            let cells = row.iter().zip(&widths);
            let cells: Vec<_> = cells
                .map(|(cell, width)| pad_str(cell, *width, Alignment::Left, None))
                .collect();
            text.push_str(indent);
            text.push_str(cells.join(GAP).trim_end());
            text.push('\n');
        }
        text
    }
}
