//! Counters over time (`control-plane.md` §12).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{
    LoadBalancer, check,
    error::{Error, ErrorKind},
    status::Status,
};
use crate::message::{self, TimeseriesRequest, TimeseriesResponse};

/// What servers count for a load balancer.
const OF_LB: [&str; 12] = [
    "event_number",
    "avg_event_rate_hz",
    "epoch/boundary_event",
    "rx_packets",
    "rx_bytes",
    "drop_bad_udplb_version",
    "drop_blocked_src",
    "drop_epoch_assign_miss",
    "drop_lb_calendar_miss",
    "drop_mbr_info_miss",
    "drop_no_udplb_hdr",
    "drop_not_ip",
];

/// What servers count for a worker's session.
const OF_SESSION: [&str; 12] = [
    "fill_percent",
    "control_signal",
    "is_ready",
    "total_events_recv",
    "total_events_reassembled",
    "total_events_reassembly_err",
    "total_events_dequeued",
    "total_event_enqueue_err",
    "total_bytes_recv",
    "total_packets_recv",
    "mbr_tx_pkts",
    "mbr_tx_bytes",
];

/// A counter over time.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Series {
    /// Its path: `/lb/2/session/7/fill_percent`.
    pub name: String,
    /// Its unit; may be empty.
    pub unit: String,
    /// What it was, the oldest first.
    pub samples: Samples,
}

/// Samples of one kind, each with its time.
#[derive(Clone, Debug, PartialEq)]
pub enum Samples {
    /// Of 32 bits: great event numbers lose their last digits.
    Float(Vec<(SystemTime, f32)>),
    /// Exact ones.
    Integer(Vec<(SystemTime, i64)>),
}

impl LoadBalancer {
    /// Series by their exact paths, since then; none: of the last minute.
    /// Wildcards do not work with today's servers:
    /// [`series_of`](Self::series_of) asks for all paths instead.
    ///
    /// # Errors
    /// See [`Error`]; [`ErrorKind::NotFound`] if there is none of them.
    pub async fn timeseries<S: AsRef<str>>(
        &self,
        paths: &[S],
        since: Option<SystemTime>,
    ) -> Result<Vec<Series>, Error> {
        let paths: Vec<String> = paths.iter().map(|path| path.as_ref().to_owned()).collect();
        let asked = match &paths[..] {
            [] => "time series".to_owned(),
            [path] => format!("the time series {path}"),
            [path, ..] => format!("{} time series, of them {path}", paths.len()),
        };
        if paths.is_empty() || paths.iter().any(String::is_empty) {
            let remedy = "name one, such as /lb/2/event_number";
            return Err(Error::parameter(asked, "a path is missing", remedy));
        }
        let since = since.map(|since| check::timestamp("the begin of time series", since));
        let token = self.admin_token()?;
        let request = TimeseriesRequest { series_selector: paths, since: since.transpose()? };
        let reply: TimeseriesResponse = self.call("Timeseries", &asked, token, request).await?;
        if reply.timeseries.is_empty() {
            let remedy =
                "name existing ones by their exact paths, and use a token that may see them";
            return Err(Error::new(ErrorKind::NotFound, asked, "there is none", remedy));
        }
        reply.timeseries.into_iter().map(|series| Series::read(&asked, series)).collect()
    }

    /// All series of a load balancer and of its workers of today.
    ///
    /// # Errors
    /// As of [`timeseries`](Self::timeseries).
    pub async fn series_of(
        &self,
        lb_id: Option<&str>,
        since: Option<SystemTime>,
    ) -> Result<Vec<Series>, Error> {
        let lb_id = self.lb_id(lb_id)?;
        let status = self.status(Some(&lb_id)).await?;
        self.timeseries(&paths(&lb_id, &status), since).await
    }
}

/// All of a load balancer's paths.
fn paths(lb_id: &str, status: &Status) -> Vec<String> {
    let sessions = status.workers.iter().filter_map(|worker| worker.session);
    let of_sessions = sessions.flat_map(|session| {
        OF_SESSION.iter().map(move |metric| format!("/lb/{lb_id}/session/{session}/{metric}"))
    });
    OF_LB.iter().map(|metric| format!("/lb/{lb_id}/{metric}")).chain(of_sessions).collect()
}

impl Series {
    fn read(asked: &str, series: message::Timeseries) -> Result<Self, Error> {
        let time =
            |millis| u64::try_from(millis).map(|millis| UNIX_EPOCH + Duration::from_millis(millis));
        let absent = |what| Error::data(asked, format!("{} has {what}", series.name));
        let early = |_| absent("a sample from before 1970");
        let samples = match &series.samples {
            None => return Err(absent("samples of no known kind")),
            Some(message::Samples::Float(floats)) => {
                let sample = |one: &message::FloatSample| {
                    Ok((time(one.timestamp).map_err(early)?, one.value))
                };
                Samples::Float(floats.data.iter().map(sample).collect::<Result<_, Error>>()?)
            }
            Some(message::Samples::Integer(integers)) => {
                let sample = |one: &message::IntegerSample| {
                    Ok((time(one.timestamp).map_err(early)?, one.value))
                };
                Samples::Integer(integers.data.iter().map(sample).collect::<Result<_, Error>>()?)
            }
        };
        Ok(Self { name: series.name, unit: series.unit, samples })
    }
}
