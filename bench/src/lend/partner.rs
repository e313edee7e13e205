//! The thread on the other core: sends bursts, and consumes events.

use std::{
    hint::spin_loop,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::Instant,
};

use anyhow::Context;
use crossbeam_queue::ArrayQueue;
use xdpsar::{EventOptions, Segmenter};
use xdpsar_dataplane::pin;
use xdpsar_reassembly::Event;
use xdpsar_tests::Lab;

use crate::round::{BURST, PORT, Work};

/// What the partner is asked to do.
#[derive(Clone, Copy, Debug)]
struct Task {
    size: usize,
    /// Whether it is the consumer as well.
    consume: Option<Work>,
}

/// The worker's end.
pub(crate) struct Partner {
    tasks: mpsc::Sender<Task>,
    /// Bursts that are in the RX ring.
    sent: Arc<AtomicU64>,
    pub(crate) events: Arc<ArrayQueue<Event>>,
    /// Nanoseconds spent on a burst.
    consumed: mpsc::Receiver<f64>,
}

impl Partner {
    /// Starts it in the lab's sending host.
    pub(crate) fn start(lab: &Lab, mtu: u32) -> anyhow::Result<Self> {
        let (tasks, to_do) = mpsc::channel::<Task>();
        let (report, consumed) = mpsc::channel();
        let sent = Arc::new(AtomicU64::new(0));
        let events = Arc::new(ArrayQueue::new(2 * BURST));
        let to = SocketAddr::new(lab.receiver.address(false), PORT);
        let (sent_there, queue) = (Arc::clone(&sent), Arc::clone(&events));
        let (ready, started) = mpsc::channel();
        lab.sender.spawn(move || {
            let opened = pin::pin_current_thread(0)
                .map_err(xdpsar::Error::from)
                .and_then(|()| Segmenter::builder(to).mtu(mtu).sockets(1).open());
            let mut sender = match opened {
                Ok(sender) => sender,
                Err(error) => return ready.send(Err(error)).unwrap_or(()),
            };
            let _ = ready.send(Ok(()));
            let mut number = 0;
            let mut buffer = vec![0x5a; 1 << 16];
            for task in to_do {
                buffer[..8].copy_from_slice(&u64::to_le_bytes(number));
                for _ in 0..BURST {
                    let options = EventOptions { event_number: Some(number), ..Default::default() };
                    // What is lost, the worker notices.
                    let _ = sender.send_with(&buffer[..task.size], options);
                    number += 1;
                }
                sent_there.fetch_add(1, Ordering::Release);
                if let Some(work) = task.consume {
                    let _ = report.send(consume(&queue, work));
                }
            }
        });
        started.recv().context("the partner ended")??;
        Ok(Self { tasks, sent, events, consumed })
    }

    /// Has a burst sent; returns when it is in the RX ring.
    pub(crate) fn burst(&self, size: usize, consume: Option<Work>) -> anyhow::Result<()> {
        let before = self.sent.load(Ordering::Acquire);
        self.tasks.send(Task { size, consume }).context("the partner is gone")?;
        while self.sent.load(Ordering::Acquire) == before {
            spin_loop();
        }
        Ok(())
    }

    /// Nanoseconds that the partner was busy with the burst's events.
    pub(crate) fn consumed(&self) -> anyhow::Result<f64> {
        self.consumed.recv().context("the partner is gone")
    }
}

fn consume(events: &ArrayQueue<Event>, work: Work) -> f64 {
    let mut left = BURST;
    let mut busy = 0.0;
    while left > 0 {
        // In runs: the clock would cost as much as an event.
        let waiting = events.len().min(64);
        if waiting == 0 {
            spin_loop();
            continue;
        }
        let start = Instant::now();
        for _ in 0..waiting {
            if let Some(event) = events.pop() {
                work.on(event);
                left -= 1;
            }
        }
        busy += start.elapsed().as_nanos() as f64;
    }
    busy
}
