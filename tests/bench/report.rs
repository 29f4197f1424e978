//! The table that a run prints.

use std::time::Duration;

/// Values of one measure, in the unit of its line.
pub struct Sample(Vec<f64>);

impl Sample {
    /// No values yet.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Takes in a duration, as milliseconds.
    pub fn add(&mut self, duration: Duration) {
        self.0.push(duration.as_secs_f64() * 1000.0);
    }

    /// The value that half of the runs do not exceed.
    pub fn median(&self) -> f64 {
        self.percentile(50)
    }

    /// By nearest rank: with fewer than 100 values the 99th is the largest.
    fn percentile(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted.get(rank - 1).copied().unwrap_or(f64::NAN)
    }
}

/// Prints the head of the table of durations.
pub fn durations_head() {
    println!("\n| ms | runs | median | p99 | min | max | bar (median) |\n|---|---|---|---|---|---|---|");
}

/// Prints a line of durations with what is asked of the median.
pub fn durations(what: &str, sample: &Sample, bar: &str) {
    let Sample(values) = sample;
    println!(
        "| {what} | {} | {:.1} | {:.1} | {:.1} | {:.1} | {bar} |",
        values.len(),
        sample.median(),
        sample.percentile(99),
        sample.percentile(0),
        sample.percentile(100),
    );
}

/// Prints the head of the table of single figures.
pub fn figures_head() {
    println!("\n| figure | value | bar |\n|---|---|---|");
}

/// Prints a single figure.
pub fn figure(what: &str, value: &str, bar: &str) {
    println!("| {what} | {value} | {bar} |");
}
