//! Claims cost no resident memory. Alone in its process: what other tests touch
//! would count.
#![cfg(target_os = "linux")]

mod common;

use std::sync::Arc;

use common::{Kept, MS, datagram};
use xdpsar_reassembly::{Assembler, AssemblerConfig, Pool, PoolConfig};
use xdpsar_wire::Pieces;

/// Resident memory in bytes.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux has /proc");
    let pages = statm.split(' ').nth(1).and_then(|field| field.parse::<u64>().ok());
    pages.expect("second field is the resident set") * 4096
}

#[test]
#[cfg_attr(miri, ignore = "needs /proc")]
fn a_flood_of_4_gib_claims_does_not_move_resident_memory() {
    // So large a budget that some claims are taken in: their buffers are
    // address space only.
    for budget in [1 << 30, 64 << 30] {
        let pool = Pool::new(PoolConfig { budget, max_event: u32::MAX });
        let config =
            AssemblerConfig { max_in_progress: 1000, remembered: 1000, ..Default::default() };
        let mut assembler = Assembler::new(config, Arc::clone(&pool));
        let mut sink = Kept::default();
        sink.lost.reserve(20_000);
        let before = resident();
        for number in 0..20_000 {
            for (offset, size) in [(0, 1), (9000, 1), (1 << 31, 1000), (u32::MAX - 1400, 1400)] {
                let claim = datagram(number, 0, offset, u32::MAX, &vec![0xee; size]);
                assembler.ingest(0, Pieces::whole(&claim), number * MS / 10, &mut sink);
            }
            assembler.expire(number * MS / 10, 10, &mut sink);
            assert!(pool.held() <= budget);
        }
        let moved = resident().saturating_sub(before);
        assert!(moved < 16 << 20, "{moved} bytes became resident");
        assert!(sink.events.is_empty());
        let (in_progress, _) = assembler.in_progress();
        assert_eq!(sink.lost.len() + in_progress, 20_000, "every claim is lost once");
        assembler.check_structure();
        assembler.finish(&mut sink);
        assert_eq!(pool.in_use(), 0);
    }
}
