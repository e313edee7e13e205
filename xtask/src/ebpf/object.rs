//! Which objects there are, and what each is made from.

/// A file of XDP programs.
pub(super) struct Object {
    /// The binary of `xdp-ebpf`.
    pub(super) name: &'static str,
    /// Its own sources, beside those that all objects are made from.
    pub(super) sources: &'static str,
}

/// All of them.
pub(super) const OBJECTS: [Object; 2] = [
    Object { name: "xdpsar-steer", sources: "xdp-ebpf/src" },
    Object { name: "xdpsar-bench", sources: "xdp-ebpf/bench" },
];

impl Object {
    /// Where the committed file is, relative to the root.
    pub(super) fn path(&self) -> String {
        format!("xdp-ebpf/prebuilt/{}.o", self.name)
    }

    /// Where its record is.
    pub(super) fn info(&self) -> String {
        format!("xdp-ebpf/prebuilt/{}.info", self.name)
    }
}
