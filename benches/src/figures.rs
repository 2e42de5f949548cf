//! Figures: the middle of them, how they are told, and how great they may be.

use std::fmt;

/// A limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// Not more than this.
    AtMost(f64),
    /// Not less than this.
    AtLeast(f64),
}

impl Limit {
    /// Whether a value is within it.
    pub fn allows(self, value: f64) -> bool {
        match self {
            Limit::AtMost(limit) => value <= limit,
            Limit::AtLeast(limit) => value >= limit,
        }
    }

    /// How a value came out, in the word of a table.
    pub fn verdict(self, value: f64) -> &'static str {
        if self.allows(value) { "met" } else { "**missed**" }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Limit::AtMost(limit) => write!(f, "≤ {}", figure(*limit)),
            Limit::AtLeast(limit) => write!(f, "≥ {}", figure(*limit)),
        }
    }
}

/// The middle of the values; of an even number, the mean of the two in the middle; of none, none.
pub fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n.is_multiple_of(2) => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
        _ => Some(sorted[middle]),
    }
}

/// Three digits that count.
pub fn figure(value: f64) -> String {
    match value.abs() {
        size if size >= 1e6 => format!("{:.2}M", value / 1e6),
        size if size >= 1e4 => format!("{:.1}k", value / 1e3),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Limit, figure, median};

    #[test]
    fn the_median_is_the_middle_in_any_order() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0, 3.0, 2.0].into_iter()), Some(2.5));
        assert_eq!(median([].into_iter()), None);
    }

    #[test]
    fn figures_keep_three_digits() {
        let figures = [0.1234, 1.234, 12.34, 123.4, 1234.0, 12340.0, 1234000.0].map(figure);
        assert_eq!(figures, ["0.123", "1.23", "12.3", "123", "1234", "12.3k", "1.23M"]);
    }

    #[test]
    fn a_limit_is_met_where_it_lies_and_missed_past_it() {
        assert_eq!([1.79, 1.8].map(|value| Limit::AtLeast(1.8).verdict(value)), ["**missed**", "met"]);
        assert_eq!([3.3, 3.31].map(|value| Limit::AtMost(3.3).verdict(value)), ["met", "**missed**"]);
        assert_eq!(Limit::AtLeast(25.0).to_string(), "≥ 25.0");
    }
}
