//! Totals per cause.

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// What became of the datagrams an assembler was given. All are totals
        /// since its start; bytes are payload bytes unless said otherwise.
        ///
        /// Conserved at all times ([`Counters::accounted`]): every datagram is
        /// in exactly one of `fragments`, `duplicates`, `late`, `header_only`,
        /// `empty_events`, `short`, `bad_lb_header`, `bad_re_header`,
        /// `out_of_range`, `length_mismatch`, `over_budget`, `too_scattered`;
        /// every byte of `bytes` is in `event_bytes`, in `lost_bytes`, or in
        /// progress.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)+
        }

        impl Counters {
            /// Names of the counters, in the order of [`Counters::values`].
            pub const NAMES: &'static [&'static str] = &[$(stringify!($name)),+];

            /// The counters, in the order of [`Counters::NAMES`].
            pub fn values(&self) -> impl Iterator<Item = u64> + use<> {
                [$(self.$name),+].into_iter()
            }

            /// Adds another assembler's counters.
            pub fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)+
            }
        }
    };
}

counters! {
    /// Datagrams handed in.
    datagrams,
    /// Bytes of those, headers included.
    datagram_bytes,
    /// Fragments accepted: at least one byte was new and has been placed.
    fragments,
    /// Bytes placed.
    bytes,
    /// Events delivered, empty ones included.
    events,
    /// Bytes of those.
    event_bytes,
    /// Empty events delivered; each is one datagram.
    empty_events,
    /// Fragments without a new byte.
    duplicates,
    /// Bytes that had been placed before, also those of accepted fragments.
    duplicate_bytes,
    /// Fragments of events that are already delivered or lost.
    late,
    /// Bytes of those.
    late_bytes,
    /// Fragments without payload though their event is not empty.
    header_only,
    /// Datagrams that end inside their headers.
    short,
    /// Datagrams with an unsound LB header.
    bad_lb_header,
    /// Datagrams with an unsound RE header.
    bad_re_header,
    /// Fragments that reach beyond the length they claim.
    out_of_range,
    /// Fragments that claim another length than their event's first.
    length_mismatch,
    /// Fragments of events that are refused, or lost, for want of memory.
    over_budget,
    /// Fragments that would tear an odd layout into too many runs.
    too_scattered,
    /// Bytes of rejected fragments whose headers are sound.
    rejected_bytes,
    /// Events lost for want of progress.
    lost_timeout,
    /// Events lost for age.
    lost_lifetime,
    /// Events lost for want of memory.
    lost_budget,
    /// Events lost to make room for another.
    lost_evicted,
    /// Events lost because the assembler was stopped.
    lost_stopped,
    /// Bytes that had been placed in events that were then lost.
    lost_bytes,
}

impl Counters {
    /// Events lost, whatever the cause.
    pub const fn lost(&self) -> u64 {
        self.lost_timeout
            + self.lost_lifetime
            + self.lost_budget
            + self.lost_evicted
            + self.lost_stopped
    }

    /// Datagrams rejected, whatever the cause.
    pub const fn rejected(&self) -> u64 {
        self.short
            + self.bad_lb_header
            + self.bad_re_header
            + self.out_of_range
            + self.length_mismatch
            + self.over_budget
            + self.too_scattered
    }

    /// The sum of all that can become of a datagram: equal to `datagrams`.
    pub const fn accounted(&self) -> u64 {
        self.fragments
            + self.duplicates
            + self.late
            + self.header_only
            + self.empty_events
            + self.rejected()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_in_the_same_order() {
        let counters = Counters { datagrams: 1, lost_bytes: 2, ..Counters::default() };
        let mut sum = counters;
        sum.add(&counters);
        let named: Vec<_> = Counters::NAMES.iter().copied().zip(sum.values()).collect();
        assert_eq!(named.first(), Some(&("datagrams", 2)));
        assert_eq!(named.last(), Some(&("lost_bytes", 4)));
        assert_eq!(named.len(), sum.values().count());
    }
}
