//! Tables and colours for a terminal: pure.

use std::fmt::Write;

/// What a word means for the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Soft,
    Bold,
    Good,
    Warning,
    Bad,
}

/// Whether words are coloured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint(pub(super) bool);

impl Paint {
    /// The text in its tone.
    pub(super) fn text(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Plain => return text.to_owned(),
            Tone::Soft => 2,
            Tone::Bold => 1,
            Tone::Good => 32,
            Tone::Warning => 33,
            Tone::Bad => 31,
        };
        if self.0 { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// On which side the blanks go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

/// Columns as wide as their widest cell, two blanks apart.
#[derive(Debug)]
pub(super) struct Table {
    head: Vec<(&'static str, Side)>,
    rows: Vec<Vec<(String, Tone)>>,
}

impl Table {
    /// A table with these columns. Numbers go to the right.
    pub(super) fn new(head: &[(&'static str, Side)]) -> Self {
        Self { head: head.to_vec(), rows: Vec::new() }
    }

    /// Adds a row.
    pub(super) fn row<const N: usize>(&mut self, cells: [(String, Tone); N]) {
        self.rows.push(cells.into());
    }

    /// The lines, each ended.
    pub(super) fn render(&self, paint: Paint) -> String {
        let head: Vec<(String, Tone)> = self.head.iter().map(|(name, _)| ((*name).to_owned(), Tone::Soft)).collect();
        let lines = || std::iter::once(&head).chain(&self.rows);
        let widths: Vec<usize> = (0..self.head.len())
            .map(|column| lines().filter_map(|line| line.get(column)).map(|(text, _)| width(text)).max().unwrap_or(0))
            .collect();
        let mut text = String::new();
        for line in lines() {
            let mut filled = String::new();
            for (column, (cell, tone)) in line.iter().enumerate() {
                let blanks = " ".repeat(widths.get(column).map_or(0, |wide| wide.saturating_sub(width(cell))));
                let painted = paint.text(*tone, cell);
                let (before, behind) = match self.head.get(column) {
                    Some((_, Side::Right)) => (blanks.as_str(), ""),
                    Some((_, Side::Left)) | None => ("", blanks.as_str()),
                };
                let gap = if column == 0 { "" } else { "  " };
                // Writing to a `String` has no error.
                let _ = write!(filled, "{gap}{before}{painted}{behind}");
            }
            text.push_str(filled.trim_end());
            text.push('\n');
        }
        text
    }
}

/// Characters, which is columns for all but a few scripts.
fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&[("NAME", Side::Left), ("ROWS", Side::Right), ("WHY", Side::Left)]);
        let plain = |text: &str| (text.to_owned(), Tone::Plain);
        table.row([("é".to_owned(), Tone::Bad), plain("12 004"), plain("")]);
        table.row([plain("contacts"), plain("1"), plain("held")]);
        table
    }

    #[test]
    fn columns_are_aligned() {
        let expect = "NAME        ROWS  WHY\n\
                      é         12 004\n\
                      contacts       1  held\n";
        assert_eq!(table().render(Paint(false)), expect);
    }

    #[test]
    fn colours_do_not_move_columns() {
        let painted = table().render(Paint(true));
        let bare = painted.replace("\u{1b}[31m", "").replace("\u{1b}[2m", "").replace("\u{1b}[0m", "");
        assert_eq!(bare.lines().nth(1), table().render(Paint(false)).lines().nth(1));
        assert!(painted.contains("\u{1b}[31mé\u{1b}[0m"));
    }
}
