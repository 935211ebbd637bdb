//! Figures, and the table that they end in.

use std::fmt::{self, Write};
use std::fs;

/// The lines of all measurements.
#[derive(Default)]
pub struct Report {
    lines: Vec<[String; 6]>,
}

/// What a figure should be.
#[derive(Clone, Copy)]
pub enum Target {
    AtLeast(f64),
    AtMost(f64),
    /// It is told, no more.
    None,
}

impl Report {
    /// Adds a line: `figure` is judged, `unit` follows it.
    pub fn add(
        &mut self,
        name: &str,
        ours: String,
        reference: String,
        figure: f64,
        unit: &str,
        target: Target,
    ) {
        let met = match target {
            Target::AtLeast(least) => Some(figure >= least),
            Target::AtMost(most) => Some(figure <= most),
            Target::None => None,
        };
        let written = |value: f64| format!("{}{unit}", number(value));
        let target = match target {
            Target::AtLeast(least) => format!(">= {}", written(least)),
            Target::AtMost(most) => format!("<= {}", written(most)),
            Target::None => String::new(),
        };
        let verdict = met.map_or("", |met| if met { "met" } else { "NOT met" });
        let line = [name.to_owned(), ours, reference, written(figure), target, verdict.to_owned()];
        eprintln!("  {}", line.join(" | "));
        self.lines.push(line);
    }
}

/// What is around the table in a document.
const BEGIN: &str = "<!-- What follows was written by `cargo bench --bench load -- --document`. -->\n";
const END: &str = "<!-- Here ends what it has written. -->\n";

impl Report {
    /// Puts the table into a document, in the place of the one that was there.
    pub fn write_into(&self, path: &str, machine: &str) {
        let document = fs::read_to_string(path).unwrap();
        let (before, rest) = document.split_once(BEGIN).expect("the document has a place for the table");
        let (_, after) = rest.split_once(END).expect("the place has an end");
        let mut table = format!("{machine}\n\n| {} |\n|---|---|---|---|---|---|\n", HEAD.join(" | "));
        for line in &self.lines {
            writeln!(table, "| {} |", line.join(" | ")).unwrap();
        }
        fs::write(path, format!("{before}{BEGIN}\n{table}\n{END}{after}")).unwrap();
    }
}

const HEAD: [&str; 6] = ["measurement", "ours", "reference", "figure", "target", ""];

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = HEAD.map(str::to_owned);
        let rows = || std::iter::once(&head).chain(&self.lines);
        let width = |column: usize| rows().map(|row| row[column].chars().count()).max().unwrap_or(0);
        for row in rows() {
            for (column, cell) in row.iter().enumerate() {
                write!(f, "{cell:width$}  ", width = width(column))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// The value in the middle, or the mean of the two there.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

/// The median of the ratios of each round: what disturbs a whole round disturbs both sides of its ratio.
pub fn median_ratio(ours: impl Iterator<Item = f64>, reference: impl Iterator<Item = f64>) -> f64 {
    median(ours.zip(reference).map(|(ours, reference)| ours / reference))
}

/// Three digits that count: 12,300, 123, 1.23.
pub fn number(value: f64) -> String {
    match value {
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        ..1_000.0 => format!("{value:.0}"),
        _ => {
            let whole = value.round() as u64;
            format!("{},{:03}", whole / 1_000, whole % 1_000)
        }
    }
}
