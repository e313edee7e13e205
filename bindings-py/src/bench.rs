//! What the library takes without Python, measured in the process that
//! measures what it takes with it: for `make bench-py`.

use std::{
    hint::black_box,
    io::IoSlice,
    time::{Duration, Instant},
};

use pyo3::prelude::*;
use xdpsar::EventOptions;

use crate::{error, export::Export, reassembler::PyReassembler, segmenter::PySegmenter};

/// Takes `events` out of the queue, where they must be already, one by one or
/// `at_once` so many, and drops them. Returns the seconds that this took.
#[pyfunction(name = "_drain")]
pub(crate) fn drain(
    reassembler: &Bound<'_, PyReassembler>,
    events: usize,
    at_once: Option<usize>,
) -> PyResult<f64> {
    let py = reassembler.py();
    let Some(receiver) = reassembler.get().if_open(py)? else {
        return Err(error::raise(py, "Closed", "bench of a closed reassembler".into()));
    };
    let receiver = &receiver.inner;
    let seconds = py.detach(|| {
        let start = Instant::now();
        let mut left = events;
        let mut batch = Vec::with_capacity(at_once.unwrap_or(0));
        while left > 0 {
            left -= match at_once {
                None => black_box(receiver.try_recv()).map_or(0, |_event| 1),
                Some(most) => receiver.recv_batch(&mut batch, most.min(left), Duration::ZERO),
            };
            black_box(&mut batch).clear();
        }
        start.elapsed().as_secs_f64()
    });
    Ok(seconds)
}

/// Sends `data` so many `times`. Returns the seconds that this took.
#[pyfunction(name = "_send_again")]
pub(crate) fn send_again(
    segmenter: &Bound<'_, PySegmenter>,
    data: &Bound<'_, PyAny>,
    times: usize,
) -> PyResult<f64> {
    let py = segmenter.py();
    let data = Export::readable(data)?;
    let sent = segmenter.get().sending.with_sender(py, "bench", |sender, _| {
        let start = Instant::now();
        for _ in 0..times {
            sender.send_until(&[IoSlice::new(data.bytes())], EventOptions::default(), &|| false)?;
        }
        Ok(start.elapsed().as_secs_f64())
    })?;
    sent.map_err(|error| error::from_library(py, &error))
}
