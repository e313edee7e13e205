//! The program in the kernel against the same function in user space: on the
//! same bytes both must come to the same verdict, count it in the same place,
//! and name the same socket. The object is loaded by aya and by libbpf.
//!
//! `XDPSAR_FRAMES=n` sets how many random frames are tried (100 000).

use xdpsar_wire::{
    LbFraming,
    steering::{LaneMode, SteerConfig, Verdict, decide},
};

use crate::{
    frames::{BASE_PORT, Ip, OUR_V4, OUR_V6, PORTS, Recipe, TAGS, foreign, lies, payloads},
    kernel::{Program, XDP_DROP, XDP_PASS, XDP_REDIRECT},
};

/// A frame that must be read through the helper: fewer linear bytes than
/// `linear` announces headers.
type Linear = Option<u32>;

/// One configuration, and the two programs that have it.
struct Judge {
    config: SteerConfig,
    programs: [Program; 2],
    judged: u64,
}

impl Judge {
    fn new(config: SteerConfig) -> Self {
        let programs = [Program::by_aya(&config), Program::by_libbpf(&config)];
        Self { config, programs, judged: 0 }
    }

    /// Whether this kernel's test run takes a length for the linear part.
    fn can_split(&mut self) -> bool {
        let can = self.programs[0].run(&[0; 64], Some(20), None).is_ok();
        self.programs[0].moved();
        can
    }

    /// Both programs must judge as `decide` does.
    fn agree(&mut self, frame: &[u8]) -> Verdict {
        self.agree_on(frame, None)
    }

    fn agree_on(&mut self, frame: &[u8], linear: Linear) -> Verdict {
        let verdict = decide(frame, frame.len(), &self.config);
        let (action, slot) = match verdict {
            Verdict::Pass(_) => (XDP_PASS, None),
            Verdict::Drop(_) => (XDP_DROP, None),
            Verdict::Lane(lane) => (XDP_REDIRECT, Some(self.config.slot(0, lane))),
        };
        for program in &mut self.programs {
            // The socket is in no slot but the right one: a redirect says
            // that the lane was right as well. What is not redirected must
            // not be, wherever the socket is.
            if slot.is_some() {
                program.only_slot(slot);
            }
            let found = program.run(frame, linear, None).expect("a test run");
            let moved = program.moved();
            let expected = Verdict::COUNTER_NAMES[verdict.counter()];
            assert!(
                found == action && moved == [expected],
                "{} disagrees: {verdict:?} is action {action} counted as {expected}, but got \
                 action {found} counted as {moved:?}\nframe ({} bytes, {linear:?} linear): \
                 {frame:02x?}\n{:?}",
                program.loader,
                frame.len(),
                self.config,
            );
        }
        self.judged += 1;
        verdict
    }
}

/// Every framing × lane mode × way to name an address.
fn configs() -> Vec<SteerConfig> {
    let mut v4 = [0; 16];
    v4[..4].copy_from_slice(&OUR_V4.octets());
    let v6 = OUR_V6.octets();
    let mut configs = Vec::new();
    for framing in [LbFraming::Auto, LbFraming::Keep, LbFraming::None] {
        for (lane_mode, lanes) in [(LaneMode::Port, PORTS), (LaneMode::Entropy, 64)] {
            for (ip_version, address, any_address) in
                [(4, v4, 0), (4, [0; 16], 1), (6, v6, 0), (6, [0; 16], 1)]
            {
                configs.push(SteerConfig {
                    address,
                    max_ip_len: 1500,
                    ip_version,
                    any_address,
                    lane_mode: lane_mode as u8,
                    framing: framing as u8,
                    base_port: BASE_PORT,
                    ports: PORTS,
                    lanes,
                    workers: 5,
                });
            }
        }
    }
    configs
}

/// Not the ones that any address would do for: enough where frames abound.
fn few_configs() -> impl Iterator<Item = SteerConfig> {
    configs().into_iter().filter(|config| config.any_address == 0)
}

/// IP layers of the version that is ours.
fn ips_of(config: &SteerConfig) -> impl Iterator<Item = Ip> {
    let v6 = config.ip_version == 6;
    Ip::all().into_iter().filter(move |ip| ip.is_v6() == v6)
}

#[test]
fn every_shape_of_frame() {
    xdpsar_tests::privileged!();
    let mut seen = [0_u64; Verdict::COUNTERS];
    let mut judged = 0;
    for config in configs() {
        let mut judge = Judge::new(config);
        let mut see = |verdict: Verdict| seen[verdict.counter()] += 1;
        for frame in foreign() {
            see(judge.agree(&frame));
        }
        for ip in Ip::all() {
            for tags in TAGS {
                for payload in payloads() {
                    let recipe = Recipe::new(tags, ip.clone(), payload);
                    see(judge.agree(&recipe.frame()));
                }
                let recipe = Recipe::new(tags, ip.clone(), payloads().swap_remove(0));
                let foreign = Recipe { ours: false, ..recipe.clone() };
                see(judge.agree(&foreign.frame()));
                for port in [0, 22, BASE_PORT - 1, BASE_PORT + 1, BASE_PORT + PORTS - 1] {
                    see(judge.agree(&Recipe { port, ..recipe.clone() }.frame()));
                }
                for port in [BASE_PORT + PORTS, u16::MAX] {
                    see(judge.agree(&Recipe { port, ..recipe.clone() }.frame()));
                }
            }
        }
        judged += judge.judged;
    }
    println!("{judged} frames, by both loaders");
    for (name, seen) in Verdict::COUNTER_NAMES.iter().zip(seen) {
        // Lengths are the next test's.
        let of_lengths = ["drop_oversized", "drop_length_mismatch"].contains(name);
        assert!(seen > 0 || of_lengths, "the corpus has no frame for {name}");
    }
}

#[test]
fn every_length_that_lies() {
    xdpsar_tests::privileged!();
    let mut seen = [0_u64; Verdict::COUNTERS];
    for config in few_configs() {
        let mut judge = Judge::new(config);
        for ip in ips_of(&config) {
            for tags in [TAGS[0], TAGS[3]] {
                for payload in payloads().into_iter().take(3) {
                    for frame in lies(&Recipe::new(tags, ip.clone(), payload)) {
                        seen[judge.agree(&frame).counter()] += 1;
                    }
                }
                // Around the MTU, and whole super-packets, in several buffers.
                let lb_re = payloads().swap_remove(0);
                for ip_len in [1499, 1500, 1501, 3400, 3600, 9000, 60_000] {
                    let mut recipe = Recipe::new(tags, ip.clone(), lb_re.clone());
                    let headers = recipe.frame().len() - 14 - 4 * tags.len() - lb_re.len();
                    recipe.payload.resize(ip_len - headers, 0xe7);
                    seen[judge.agree(&recipe.frame()).counter()] += 1;
                }
            }
        }
    }
    for name in ["drop_length_mismatch", "drop_oversized"] {
        let counter = Verdict::COUNTER_NAMES.iter().position(|found| *found == name).unwrap();
        assert!(seen[counter] > 100, "{name}: only {} frames", seen[counter]);
    }
}

/// A frame may end anywhere, and its IP header need not know.
#[test]
fn truncated_at_every_byte() {
    xdpsar_tests::privileged!();
    for config in few_configs() {
        let mut judge = Judge::new(config);
        for ip in ips_of(&config) {
            for tags in [TAGS[0], TAGS[3]] {
                for payload in payloads().into_iter().take(3) {
                    let frame = Recipe::new(tags, ip.clone(), payload).frame();
                    // 14: the least that a test run takes (ETH_HLEN).
                    for len in 14..frame.len() {
                        judge.agree(&frame[..len]);
                    }
                }
            }
        }
    }
}

/// Drivers that split headers from data, or fill small buffers, may leave a
/// part of the headers outside of the linear part.
#[test]
fn split_at_every_byte() {
    xdpsar_tests::privileged!();
    for config in few_configs() {
        let mut judge = Judge::new(config);
        if !judge.can_split() {
            println!("no split: this kernel's test run cannot, Linux 6.18 brought it");
            return;
        }
        for ip in ips_of(&config) {
            for tags in [TAGS[0], TAGS[3]] {
                for payload in payloads().into_iter().take(3) {
                    let frame = Recipe::new(tags, ip.clone(), payload).frame();
                    for linear in 14..frame.len().min(160) {
                        judge.agree_on(&frame, Some(linear as u32));
                    }
                }
            }
        }
    }
}

#[test]
fn random_frames() {
    xdpsar_tests::privileged!();
    let frames: u64 =
        std::env::var("XDPSAR_FRAMES").ok().and_then(|n| n.parse().ok()).unwrap_or(100_000);
    // A small MTU, so that some frames are longer.
    let short = |config| SteerConfig { max_ip_len: 200, ..config };
    let mut judges: Vec<Judge> = configs().into_iter().map(short).map(Judge::new).collect();
    let split = judges[0].can_split();
    let (ips, payloads) = (Ip::all(), payloads());
    let mut dice = Dice(0x5eed);
    let mut seen = [0_u64; Verdict::COUNTERS];
    for _ in 0..frames {
        // Frames of the other IP version than the program's are dull.
        let judge = dice.below(judges.len());
        let ip = loop {
            let ip = &ips[dice.below(ips.len())];
            if ip.is_v6() == (judges[judge].config.ip_version == 6) || dice.below(8) == 0 {
                break ip.clone();
            }
        };
        let payload = payloads[dice.below(payloads.len())].clone();
        let mut recipe = Recipe::new(TAGS[dice.below(TAGS.len())], ip, payload);
        recipe.port = BASE_PORT.wrapping_add(dice.below(usize::from(PORTS) + 2) as u16);
        let frame = dice.mutated(recipe.frame());
        let linear = (split && frame.len() > 14 && dice.below(4) == 0)
            .then(|| 14 + dice.below(frame.len() - 14) as u32);
        let verdict = judges[judge].agree_on(&frame, linear);
        seen[verdict.counter()] += 1;
    }
    println!("{frames} frames: {seen:?}");
    for (name, seen) in Verdict::COUNTER_NAMES.iter().zip(seen) {
        assert!(seen > frames / 2000, "hardly any frame is {name}: {seen}");
    }
}

/// A frame whose slot has no socket is the kernel's, and is counted as
/// redirected all the same: that was the verdict.
#[test]
fn a_slot_without_a_socket_passes() {
    xdpsar_tests::privileged!();
    for config in configs() {
        let ip = if config.ip_version == 6 { Ip::V6(vec![]) } else { Ip::all().swap_remove(0) };
        let framed = if config.framing == LbFraming::None as u8 { 2 } else { 0 };
        let frame = Recipe::new(&[], ip, payloads().swap_remove(framed)).frame();
        let Verdict::Lane(lane) = decide(&frame[..], frame.len(), &config) else { continue };
        let slot = config.slot(0, lane);
        for mut program in [Program::by_aya(&config), Program::by_libbpf(&config)] {
            for (socket, action) in
                [(None, XDP_PASS), (Some(slot), XDP_REDIRECT), (Some((slot + 1) % 20), XDP_PASS)]
            {
                program.only_slot(socket);
                assert_eq!(program.run(&frame, None, None).unwrap(), action, "{socket:?}");
                assert_eq!(program.moved(), ["redirected"]);
            }
        }
    }
}

/// Small and repeatable (xorshift64*).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        ((self.next() >> 32) as usize * end) >> 32
    }

    /// Up to four changes, some none: most stay frames that look like ours.
    fn mutated(&mut self, mut frame: Vec<u8>) -> Vec<u8> {
        for _ in 0..self.below(5) {
            let at = self.below(frame.len());
            match self.below(10) {
                0..=2 => frame[at] ^= 1 << self.below(8),
                3..=4 => frame[at] = self.next() as u8,
                5 => frame[at] = [0, 1, 0x40, 0x7f, 0x80, 0xff][self.below(6)],
                6 => frame.truncate(at.max(14)),
                7 => {
                    frame.insert(at, self.next() as u8);
                }
                8 if frame.len() > 14 => {
                    frame.remove(at);
                }
                _ => {
                    let more = self.below(64);
                    let len = frame.len();
                    frame.resize(len + more, 0);
                }
            }
        }
        frame
    }
}
