//! What was measured, as rows: medians over rounds, written for people and as JSON. Pure but for
//! the file.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::driver::Window;

/// In a table, what was not measured.
const MISSING: &str = "-";

/// Who did the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Who {
    Host,
    Native,
}

/// One line of the JSON file.
#[derive(Debug, Clone, serde::Serialize)]
pub(crate) struct Row {
    pub(crate) bench: &'static str,
    pub(crate) subject: Who,
    pub(crate) outstanding: usize,
    /// What it showed, in the same object.
    #[serde(flatten)]
    pub(crate) figures: Figures,
}

/// Of one window, or the medians over the windows of all rounds.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub(crate) struct Figures {
    pub(crate) per_s: f64,
    /// None where single calls are not seen.
    pub(crate) p50_us: Option<f64>,
    pub(crate) p99_us: Option<f64>,
    /// CPU time of the subject a call.
    pub(crate) cpu_us: f64,
}

impl Figures {
    /// Of a window with the latency of each call.
    pub(crate) fn of(window: &Window) -> Figures {
        let latencies = &window.latencies;
        Figures {
            p50_us: percentile(latencies, 0.50),
            p99_us: percentile(latencies, 0.99),
            ..Figures::of_count(latencies.len() as u64, window.took, window.cpu)
        }
    }

    /// Of so many calls in a window.
    pub(crate) fn of_count(calls: u64, took: Duration, cpu: Duration) -> Figures {
        let calls = calls as f64;
        Figures {
            per_s: round(calls / took.as_secs_f64()),
            p50_us: None,
            p99_us: None,
            cpu_us: round(cpu.as_secs_f64() * 1e6 / calls.max(1.0)),
        }
    }

    /// Each figure's median: a round that something else disturbed does not count.
    pub(crate) fn median(rounds: &[Figures]) -> Figures {
        let all = |figure: fn(&Figures) -> Option<f64>| median(rounds.iter().filter_map(figure));
        Figures {
            per_s: all(|f| Some(f.per_s)).unwrap_or_default(),
            p50_us: all(|f| f.p50_us),
            p99_us: all(|f| f.p99_us),
            cpu_us: all(|f| Some(f.cpu_us)).unwrap_or_default(),
        }
    }
}

/// Host and native side by side, one line a number of outstanding calls; Markdown.
pub(crate) fn compare(rows: &[Row]) -> String {
    let mut lines = vec![
        [
            "outstanding",
            "native/s",
            "host/s",
            "host/native",
            "native p50 µs",
            "host p50 µs",
            "native p99 µs",
            "host p99 µs",
            "native CPU µs",
            "host CPU µs",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    for native in rows.iter().filter(|row| row.subject == Who::Native) {
        let same = |row: &&Row| row.subject == Who::Host && row.outstanding == native.outstanding;
        let host = rows.iter().find(same).map(|row| row.figures);
        let n = native.figures;
        let of_host = |figure: fn(Figures) -> Option<f64>| show(host.and_then(figure));
        lines.push(vec![
            native.outstanding.to_string(),
            show(Some(n.per_s)),
            of_host(|h| Some(h.per_s)),
            host.map_or_else(
                || MISSING.to_owned(),
                |h| format!("{:.2}", h.per_s / n.per_s),
            ),
            show(n.p50_us),
            of_host(|h| h.p50_us),
            show(n.p99_us),
            of_host(|h| h.p99_us),
            show(Some(n.cpu_us)),
            of_host(|h| Some(h.cpu_us)),
        ]);
    }
    markdown(&without_empty_columns(&lines))
}

/// Without the columns that say nothing in any line but the heading.
fn without_empty_columns(lines: &[Vec<String>]) -> Vec<Vec<String>> {
    let says = |column: usize| lines.iter().skip(1).any(|line| line[column] != MISSING);
    let kept = |line: &Vec<String>| {
        let cells = line.iter().enumerate();
        let cells = cells.filter(|(column, _)| says(*column));
        cells.map(|(_, cell)| cell.clone()).collect()
    };
    lines.iter().map(kept).collect()
}

/// The first line is the heading. Columns as wide as their widest cell, numbers to the right.
pub(crate) fn markdown(lines: &[Vec<String>]) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        for (cell, width) in line.iter().zip(&widths) {
            text.push_str(&format!("| {cell:>width$} "));
        }
        text.push_str("|\n");
        if number == 0 {
            for width in &widths {
                text.push_str(&format!("|{}:", "-".repeat(width + 1)));
            }
            text.push_str("|\n");
        }
    }
    text
}

/// Writes all rows as one JSON array.
pub(crate) fn write_json(path: &Path, rows: &[Row]) -> Result<()> {
    let mut text = String::from("[\n");
    for (number, row) in rows.iter().enumerate() {
        let comma = if number + 1 < rows.len() { "," } else { "" };
        text.push_str(&format!("{}{comma}\n", serde_json::to_string(row)?));
    }
    text.push_str("]\n");
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Microseconds, of nanoseconds in ascending order.
fn percentile(latencies: &[u64], part: f64) -> Option<f64> {
    let last = latencies.len().checked_sub(1)?;
    let at = (last as f64 * part).round() as usize;
    Some(round(latencies[at] as f64 / 1e3))
}

pub(crate) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    Some(round((values[last / 2] + values[last.div_ceil(2)]) / 2.0))
}

/// To three digits after the point: the rest is noise.
fn round(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

pub(crate) fn show(value: Option<f64>) -> String {
    match value {
        None => MISSING.to_owned(),
        Some(value) if value.abs() >= 100.0 => format!("{value:.0}"),
        Some(value) if value.abs() >= 10.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Figures, Row, Who, compare, median, percentile};
    use crate::driver::Window;

    fn row(subject: Who, per_s: f64) -> Row {
        let figures = Figures {
            per_s,
            p50_us: Some(12.5),
            p99_us: None,
            cpu_us: 3.0,
        };
        Row {
            bench: "query",
            subject,
            outstanding: 64,
            figures,
        }
    }

    #[test]
    fn a_window_becomes_figures() {
        let window = Window {
            took: Duration::from_secs(2),
            cpu: Duration::from_millis(1),
            latencies: (1..=101).map(|us| us * 1000).collect(),
        };
        let figures = Figures::of(&window);
        assert_eq!((figures.per_s, figures.cpu_us), (50.5, 9.901));
        assert_eq!((figures.p50_us, figures.p99_us), (Some(51.0), Some(100.0)));
        assert_eq!(percentile(&[], 0.5), None);
    }

    #[test]
    fn medians() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0].into_iter()), Some(2.5));
        assert_eq!(median([].into_iter()), None);
    }

    #[test]
    fn rows_are_flat_json() {
        let json = serde_json::to_string(&row(Who::Host, 10.0)).unwrap();
        assert_eq!(
            json,
            r#"{"bench":"query","subject":"host","outstanding":64,"per_s":10.0,"p50_us":12.5,"p99_us":null,"cpu_us":3.0}"#
        );
    }

    #[test]
    fn host_and_native_stand_in_one_line() {
        let text = compare(&[row(Who::Native, 1000.0), row(Who::Host, 820.0)]);
        let line = text.lines().nth(2).unwrap();
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        assert_eq!(cells[1..7], ["64", "1000", "820", "0.82", "12.5", "12.5"]);
        assert!(!text.contains("p99"), "nobody measured it: {text}");
    }
}
