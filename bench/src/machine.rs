//! What a figure was measured on.

use std::process::Command;

/// Kernel, cores and processor: `Linux 6.18.44, 2 cores, AMD EPYC`.
pub fn description() -> String {
    format!("{}, {} cores, {}", kernel(), cores(), processor())
}

/// `Linux` and the numbers of its release.
fn kernel() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let numbers: Vec<_> =
        release.trim().split(['.', '-']).take_while(|part| part.parse::<u32>().is_ok()).collect();
    format!("Linux {}", numbers.join("."))
}

/// The processor's model.
fn processor() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    info.lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or_else(|| "unknown processor".to_owned(), |(_, name)| name.to_owned())
}

/// Cores of the machine, whichever of them this process may run on.
fn cores() -> usize {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    info.lines().filter(|line| line.starts_with("processor")).count()
}

/// The data caches of core 0: `L1 32K, L2 512K, L3 32768K`, or nothing where
/// the kernel does not say.
pub fn caches() -> String {
    let read = |index: usize, name: &str| {
        let path = format!("/sys/devices/system/cpu/cpu0/cache/index{index}/{name}");
        std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
    };
    let data =
        (0..8).filter(|index| read(*index, "type").is_some_and(|kind| kind != "Instruction"));
    let cache = |index| Some(format!("L{} {}", read(index, "level")?, read(index, "size")?));
    data.filter_map(cache).collect::<Vec<_>>().join(", ")
}

/// For how long the hypervisor has taken cores away from this machine, in
/// ticks of the kernel (10 ms); 0 where the kernel does not say.
pub fn stolen() -> u64 {
    let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    // cpu user nice system idle iowait irq softirq steal …
    text.split_whitespace().nth(8).and_then(|ticks| ticks.parse().ok()).unwrap_or(0)
}

/// What benchmarks and plots write.
const RESULTS: [&str; 5] =
    ["bench/results", "bench/*.md", "docs/pictures", "docs/PERFORMANCE.md", "README.md"];

/// The commit of the checkout in the working directory, with a `+` when files
/// differ from it, results aside.
pub fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short", "HEAD"]) else {
        return "unknown".to_owned();
    };
    let others = RESULTS.map(|path| format!(":!{path}"));
    let status = ["status", "--porcelain", "--untracked-files=no", "--", "."];
    let clean = git(&[&status[..], &others.each_ref().map(String::as_str)].concat())
        .is_some_and(|files| files.is_empty());
    format!("{commit}{}", if clean { "" } else { "+" })
}
