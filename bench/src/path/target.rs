//! What is asked for, and who meets it.

use xdpsar_bench::spread::spread;

use crate::{
    course::{Entry, Run},
    lossless::Limit,
    plan::COMPARED_AT,
    report::{LosslessRow, Report, Row},
    role::Consumer,
};

/// Datagrams up to this one are small: handling them, not copying their bytes,
/// is what they cost.
const SMALL: usize = 1400;
const JUMBO: usize = 8900;
/// What copying alone costs, by AF_XDP and by a socket.
const CEILINGS: [(&str, &str); 2] = [("xdp-1", "afxdp-copy"), ("socket", "gro")];
const INCUMBENT: &str = "incumbent";

/// One target.
pub(crate) struct Target {
    pub(crate) description: &'static str,
    /// What was measured of it.
    pub(crate) verdicts: Vec<Verdict>,
}

/// One figure of a target.
pub(crate) struct Verdict {
    /// Where, and what.
    pub(crate) figure: String,
    pub(crate) met: bool,
}

/// A share of what a bare loop takes in, which ours is to take in.
struct Share {
    description: &'static str,
    ours: &'static str,
    bare: &'static str,
    least: f64,
    /// Where.
    asked: fn(&Entry) -> bool,
}

const SHARES: [Share; 3] = [
    Share {
        description: "AF_XDP with reassembly: ≥ 95 % of receiving, copying once and releasing \
                      (100 KB, counted)",
        ours: "xdp-1",
        bare: "afxdp-copy",
        least: 0.95,
        asked: |entry| {
            entry.event == COMPARED_AT
                && match entry.sender.as_str() {
                    "live" => entry.datagram >= SMALL,
                    // By sockets: what its frames are like is the kernel's doing.
                    "gso" | "mmsg" => entry.datagram == JUMBO,
                    _ => false,
                }
        },
    },
    Share {
        description: "events of one fragment, lent: ≥ 95 % of receiving and releasing (counted)",
        ours: "xdp-lent",
        bare: "afxdp-release",
        least: 0.95,
        asked: |entry| {
            entry.event < entry.datagram && entry.sender == "live" && entry.datagram >= SMALL
        },
    },
    Share {
        description: "socket path: ≥ 90 % of a bare GRO loop (100 KB, counted)",
        ours: "socket",
        bare: "gro",
        least: 0.90,
        asked: |entry| entry.event == COMPARED_AT,
    },
];

/// Whether a share rests on what is measured of it: then a few runs are too few.
pub(crate) fn is_judged(entry: &Entry) -> bool {
    SHARES
        .iter()
        .any(|share| (share.asked)(entry) && (share.is_ours(entry) || share.is_bare(entry)))
}

/// All targets.
pub(crate) fn judge(report: &Report) -> Vec<Target> {
    let measured =
        Measured { runs: &report.runs, rows: report.rows(), lossless: report.lossless_rows() };
    let shares = SHARES
        .iter()
        .map(|share| Target { description: share.description, verdicts: measured.shares(share) });
    let rivalries = [
        Target {
            description: "datagrams up to 1400 B: ≥ 10 × the incumbent's lossless rate or, where \
                          the sender is the limit, ≤ 1/10 of its CPU-s/GB",
            verdicts: measured.rivalry(
                |datagram| datagram <= SMALL,
                |ours, times, cpu| {
                    let (sender, whose) = match ours.limit {
                        Limit::Sender => (true, " (the sender's limit)"),
                        Limit::Receiver => (false, ""),
                    };
                    let met = times >= 10.0 || (sender && cpu <= 0.1);
                    Some((format!("{times:.1} ×{whose}, CPU {cpu:.2}"), met))
                },
            ),
        },
        Target {
            description: "datagrams of 8900 B: ≥ 4 × the incumbent's lossless rate, and ≤ 1.5 × \
                          the CPU-s/GB of the unavoidable copies",
            verdicts: measured.rivalry(
                |datagram| datagram == JUMBO,
                |ours, times, _| {
                    let copies = measured.of_copies(ours)?;
                    let figure = format!("{times:.1} ×, {copies:.2} × the copies' CPU");
                    Some((figure, times >= 4.0 && copies <= 1.5))
                },
            ),
        },
    ];
    shares.chain(rivalries).collect()
}

impl Share {
    fn is_ours(&self, entry: &Entry) -> bool {
        entry.contestant == self.ours && entry.consumer == Some(Consumer::Count)
    }

    fn is_bare(&self, entry: &Entry) -> bool {
        entry.contestant == self.bare
    }
}

struct Measured<'a> {
    runs: &'a [Run],
    rows: Vec<Row>,
    lossless: Vec<LosslessRow>,
}

impl Measured<'_> {
    /// Of the bare loop's datagrams per second, what ours has: the median of
    /// ratios, each of two runs that followed each other closely.
    fn shares(&self, share: &Share) -> Vec<Verdict> {
        let asked = |row: &&Row| share.is_ours(&row.entry) && (share.asked)(&row.entry);
        let verdict = |row: &Row| {
            let bare = &self.bare(share.bare, &row.entry)?.entry;
            let ratio = |run: &Run| {
                let beside = |other: &&Run| other.entry == *bare && other.repeat == run.repeat;
                self.runs.iter().find(beside).map(|bare| run.mpps / bare.mpps)
            };
            let ours = self.runs.iter().filter(|run| run.entry == row.entry);
            let ratios: Vec<_> = ours.filter_map(ratio).collect();
            if ratios.is_empty() {
                return None;
            }
            let [low, median, high] = spread(ratios).map(|ratio| 100.0 * ratio);
            let Entry { sender, datagram, .. } = &row.entry;
            Some(Verdict {
                figure: format!("{sender} {datagram} B: {median:.1} % ({low:.0}–{high:.0})"),
                met: median >= 100.0 * share.least,
            })
        };
        self.rows.iter().filter(asked).filter_map(verdict).collect()
    }

    /// What `name`, which knows no events, made of the stream of `beside`.
    fn bare(&self, name: &str, beside: &Entry) -> Option<&Row> {
        let stream = |entry: &Entry| (entry.sender.clone(), entry.datagram, entry.event);
        self.rows
            .iter()
            .find(|row| row.entry.contestant == name && stream(&row.entry) == stream(beside))
    }

    /// Our lossless rates in times the incumbent's, and our CPU time per byte
    /// in times its; what `judged` says of those.
    fn rivalry(
        &self,
        asked: impl Fn(usize) -> bool,
        judged: impl Fn(&LosslessRow, f64, f64) -> Option<(String, bool)>,
    ) -> Vec<Verdict> {
        let ours = self.lossless.iter().filter(|row| {
            asked(row.entry.datagram)
                && row.entry.event == COMPARED_AT
                && CEILINGS.iter().any(|(name, _)| *name == row.entry.contestant)
        });
        let verdict = |ours: &LosslessRow| {
            let theirs = self.lossless.iter().find(|row| {
                row.entry.contestant == INCUMBENT
                    && row.entry.sender == ours.entry.sender
                    && row.entry.datagram == ours.entry.datagram
                    && row.entry.event == ours.entry.event
            })?;
            let times = ours.gbps[1] / theirs.gbps[1];
            let cpu = ours.receiver_cpu_s_per_gb / theirs.receiver_cpu_s_per_gb;
            let (figure, met) = judged(ours, times, cpu)?;
            let place = format!(
                "{} from {} {} B",
                ours.entry.contestant, ours.entry.sender, ours.entry.datagram
            );
            Some(Verdict { figure: format!("{place}: {figure}"), met })
        };
        ours.filter_map(verdict).collect()
    }

    /// CPU time per byte in times that of its ceiling, unpaced.
    fn of_copies(&self, ours: &LosslessRow) -> Option<f64> {
        let row = self.rows.iter().find(|row| row.entry == ours.entry)?;
        let (_, bare) = CEILINGS.iter().find(|(name, _)| *name == ours.entry.contestant)?;
        Some(row.receiver_cpu_s_per_gb / self.bare(bare, &ours.entry)?.receiver_cpu_s_per_gb)
    }
}
