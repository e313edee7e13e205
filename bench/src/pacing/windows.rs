//! What the rate was, over all and in the worst window.

use crate::{BURST, WINDOW, arrivals::Arrival};

/// How a rate was kept. Ratios are 0 where it was kept exactly.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    /// Gb/s over all.
    pub(crate) achieved: f64,
    /// By how much that is off.
    pub(crate) error: f64,
    /// By how much the worst window exceeds the rate.
    pub(crate) over_rate: f64,
    /// By how much it exceeds what the bucket allows.
    pub(crate) over_bucket: f64,
    /// Gb/s in each window, one after the other.
    pub(crate) windows: Vec<f64>,
}

/// `None` for fewer than two datagrams.
pub(crate) fn judge(arrivals: &[Arrival], asked: f64, mtu: u32) -> Option<Kept> {
    let mut arrivals = arrivals.to_vec();
    arrivals.sort_by_key(|arrival| arrival.at);
    let (first, last) = (arrivals.first()?, arrivals.last()?);
    let elapsed = last.at.checked_sub(first.at).filter(|elapsed| *elapsed > 0)? as f64;
    let all: u64 = arrivals.iter().map(|arrival| arrival.bytes).sum();
    // The last datagram's own time is not over when it arrives. A bit per
    // nanosecond is a Gb/s.
    let achieved = (all - last.bytes) as f64 * 8.0 / elapsed;
    let window = WINDOW.as_nanos() as u64;
    let worst = worst(&arrivals, window) as f64;
    let allowed = asked / 8.0 * window as f64;
    let burst = asked / 8.0 * BURST.as_nanos() as f64 + f64::from(mtu);
    let mut sums = vec![0; (elapsed / window as f64) as usize];
    for arrival in &arrivals {
        if let Some(sum) = sums.get_mut(((arrival.at - first.at) / window) as usize) {
            *sum += arrival.bytes;
        }
    }
    Some(Kept {
        achieved,
        error: achieved / asked - 1.0,
        over_rate: worst / allowed - 1.0,
        over_bucket: worst / (allowed + burst) - 1.0,
        windows: sums.into_iter().map(|sum| sum as f64 * 8.0 / window as f64).collect(),
    })
}

/// Most bytes in any window of that many nanoseconds.
fn worst(arrivals: &[Arrival], window: u64) -> u64 {
    let (mut oldest, mut within, mut worst) = (0, 0, 0);
    for arrival in arrivals {
        within += arrival.bytes;
        while arrival.at - arrivals[oldest].at >= window {
            within -= arrivals[oldest].bytes;
            oldest += 1;
        }
        worst = worst.max(within);
    }
    worst
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_even_stream_keeps_its_rate_and_a_burst_shows() {
        // 1000 B each µs are 8 Gb/s.
        let at = |at| Arrival { at, bytes: 1000 };
        let even: Vec<_> = (0..100_000).map(|n| at(1_000_000 + n * 1000)).collect();
        let kept = judge(&even, 8.0, 1500).unwrap();
        assert!(kept.error.abs() < 1e-9 && kept.over_rate.abs() < 1e-9, "{kept:?}");
        assert!(kept.over_bucket < -0.03);
        assert!(kept.windows.len() == 9 && kept.windows.iter().all(|gbps| *gbps == 8.0));
        let mut burst = even.clone();
        burst.extend((0..1000).map(|_| at(50_000_000)));
        let kept = judge(&burst, 8.0, 1500).unwrap();
        assert!((kept.over_rate - 0.1).abs() < 1e-9, "{kept:?}");
        assert!((kept.error - 0.01).abs() < 1e-4, "{kept:?}");
        assert!(judge(&even[..1], 8.0, 1500).is_none() && judge(&[], 8.0, 1500).is_none());
    }
}
