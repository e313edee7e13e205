//! Which slot is whose (`control-plane.md` §9.4, §9.5).

/// Slots in a calendar.
pub(crate) const SLOTS: usize = 512;

/// A worker's part of it.
#[derive(Clone, Debug)]
pub(crate) struct Share {
    pub(crate) session: u64,
    pub(crate) weight: f64,
    pub(crate) min_factor: f64,
    pub(crate) max_factor: f64,
}

/// Applies control signals to weights, which have a mean of 1000 then.
pub(crate) fn adjust(weights: &mut [(f64, f64)]) {
    let count = weights.len() as f64;
    for (weight, signal) in &mut *weights {
        *weight += *signal;
    }
    let mean = weights.iter().map(|(weight, _)| weight).sum::<f64>() / count;
    for (weight, _) in weights {
        *weight = (*weight * 1000.0 / mean).round();
    }
}

/// How many of `free` slots each gets; `shares` stand by name, the last one
/// first.
pub(crate) fn counts(shares: &[Share], free: usize) -> Vec<usize> {
    let Some(even) = free.checked_div(shares.len()) else { return Vec::new() };
    let all: f64 = shares.iter().map(|share| share.weight).sum();
    let slots = |factor: f64| (even as f64 * factor).round() as usize;
    let count = |share: &Share| {
        let base = (free as f64 * share.weight / all).round().max(0.0) as usize;
        let max = if share.max_factor == 0.0 { SLOTS } else { slots(share.max_factor) };
        base.max(slots(share.min_factor)).min(max)
    };
    let mut counts: Vec<usize> = shares.iter().map(count).collect();
    let mut missing = free.saturating_sub(counts.iter().sum());
    while missing > 0 {
        counts[missing % shares.len()] += 1;
        missing -= 1;
    }
    counts
}

/// Demands first, as `(session, first slot, length)`; -1 is wherever there is
/// room. `None` if two want the same slot.
pub(crate) fn demanded(demands: &[(u64, i32, u32)]) -> Option<Vec<Option<u64>>> {
    let mut calendar = vec![None; SLOTS];
    let (placed, anywhere): (Vec<_>, Vec<_>) =
        demands.iter().copied().partition(|(_, at, _)| *at >= 0);
    for (session, at, length) in placed.into_iter().chain(anywhere) {
        let length = length as usize;
        let start = match usize::try_from(at) {
            Ok(start) => start,
            Err(_) => {
                calendar.windows(length.max(1)).position(|gap| gap.iter().all(Option::is_none))?
            }
        };
        for slot in calendar.get_mut(start..start + length)? {
            if slot.replace(session).is_some() {
                return None;
            }
        }
    }
    Some(calendar)
}

/// Gives what nobody demanded to the shares, in turn.
pub(crate) fn fill(calendar: &mut [Option<u64>], shares: &[Share]) {
    let free = calendar.iter().filter(|slot| slot.is_none()).count();
    let mut left = counts(shares, free);
    let mut next = 0;
    for slot in calendar.iter_mut().filter(|slot| slot.is_none()) {
        if left.iter().all(|left| *left == 0) {
            break;
        }
        while left[next % left.len()] == 0 {
            next += 1;
        }
        let index = next % left.len();
        left[index] -= 1;
        *slot = Some(shares[index].session);
        next += 1;
    }
}

/// The same slots in another order, by this epoch.
pub(crate) fn shuffle(calendar: &mut [Option<u64>], epoch: u64) {
    let mut random = epoch.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for last in (1..calendar.len()).rev() {
        // xorshift64: no more than different from epoch to epoch.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        calendar.swap(last, (random % (last as u64 + 1)) as usize);
    }
}

/// A session's slots, as ranges.
pub(crate) fn ranges(calendar: &[Option<u64>], session: u64) -> Vec<(i32, u32)> {
    let mut ranges: Vec<(i32, u32)> = Vec::new();
    for (at, slot) in calendar.iter().enumerate() {
        if *slot != Some(session) {
            continue;
        }
        match ranges.last_mut() {
            Some((first, length)) if *first as usize + *length as usize == at => *length += 1,
            _ => ranges.push((at as i32, 1)),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(shares: &[Share]) -> Vec<usize> {
        let mut calendar = vec![None; SLOTS];
        fill(&mut calendar, shares);
        let of =
            |share: &Share| calendar.iter().filter(|slot| **slot == Some(share.session)).count();
        shares.iter().map(of).collect()
    }

    fn share(session: u64, weight: f64, min_factor: f64, max_factor: f64) -> Share {
        Share { session, weight, min_factor, max_factor }
    }

    /// The figures that a real server showed (`control-plane.md` §9.4).
    #[test]
    fn weights_and_factors() {
        let mut weights = [(500.0, 0.0), (1000.0, 0.0), (1000.0, 0.0)];
        adjust(&mut weights);
        let [c, b, a] = weights.map(|(weight, _)| weight);
        let shares = [share(3, c, 0.5, 2.0), share(2, b, 0.5, 2.0), share(1, a, 1.0, 1.0)];
        assert_eq!(owned(&shares), [113, 217, 182]);
    }

    #[test]
    fn control_signals_add_up() {
        let mut weights = [(1000.0, 300.0), (1000.0, 0.0), (1000.0, 0.0), (1000.0, 0.0)];
        let mut first = Vec::new();
        for _ in 0..4 {
            adjust(&mut weights);
            let shares: Vec<Share> =
                (0..4).map(|n| share(n, weights[n as usize].0, 0.5, 2.0)).collect();
            first.push(owned(&shares)[0]);
        }
        assert_eq!(first, [155, 179, 203, 224]);
    }

    #[test]
    fn demands() {
        let calendar = demanded(&[(1, 10, 2), (2, -1, 11), (3, 0, 1)]).unwrap();
        assert_eq!(ranges(&calendar, 1), [(10, 2)]);
        assert_eq!(ranges(&calendar, 2), [(12, 11)]);
        assert_eq!(ranges(&calendar, 3), [(0, 1)]);
        assert!(demanded(&[(1, 0, 2), (2, 1, 1)]).is_none(), "an overlap");
        assert!(demanded(&[(1, 511, 2)]).is_none(), "behind the end");
    }

    #[test]
    fn a_shuffled_calendar_has_the_same_slots() {
        let mut calendar = demanded(&[(1, 0, 100), (2, 100, 412)]).unwrap();
        shuffle(&mut calendar, 7);
        assert_eq!(calendar.iter().filter(|slot| **slot == Some(1)).count(), 100);
        assert!(ranges(&calendar, 1).len() > 20, "it is in another order");
    }
}
