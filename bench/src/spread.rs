//! Lowest, median, highest.

/// Lowest, median and highest of some values; NaN of none. Of an even number
/// the upper one of the two in the middle counts.
pub fn spread(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    match values.as_slice() {
        [] => [f64::NAN; 3],
        [low, .., high] => [*low, values[values.len() / 2], *high],
        [only] => [*only; 3],
    }
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn the_median_is_the_middle_and_one_run_is_its_own_spread() {
        assert_eq!(spread(vec![3.0, 1.0, 2.0]), [1.0, 2.0, 3.0]);
        assert_eq!(spread(vec![7.0]), [7.0; 3]);
    }
}
