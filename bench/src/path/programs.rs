//! The benchmark's XDP programs (`xdp-ebpf/bench`), compiled in.

use anyhow::Context;
use aya::{
    Ebpf, EbpfLoader,
    maps::Map,
    programs::{Xdp, XdpMode},
};

const OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../xdp-ebpf/prebuilt/xdpsar-bench.o"
));

/// The programs, one of them in the kernel: off its interface when dropped.
pub(crate) struct Programs {
    ebpf: Ebpf,
    name: &'static str,
}

impl Programs {
    /// Loads the one called `name`, with `constants` set.
    pub(crate) fn load<'a>(
        name: &'static str,
        constants: impl FnOnce(&mut EbpfLoader<'a>),
    ) -> anyhow::Result<Self> {
        let mut loader = EbpfLoader::new();
        // They look into no kernel structure: nothing to relocate.
        loader.btf(None);
        constants(&mut loader);
        let ebpf = loader.load(OBJECT).context("loading the benchmark's XDP programs")?;
        let mut programs = Self { ebpf, name };
        let loaded = programs.program()?.load();
        loaded.with_context(|| format!("loading the XDP program `{name}`"))?;
        Ok(programs)
    }

    /// The one that was loaded.
    pub(crate) fn program(&mut self) -> anyhow::Result<&mut Xdp> {
        let program = self.ebpf.program_mut(self.name).context("no such program")?;
        program.try_into().with_context(|| format!("`{}` is no XDP program", self.name))
    }

    /// Puts it on `interface`, in the driver.
    pub(crate) fn attach(&mut self, interface: &str) -> anyhow::Result<()> {
        let name = self.name;
        let attached = self.program()?.attach(interface, XdpMode::Driver);
        attached.with_context(|| format!("attaching `{name}` to {interface}"))?;
        Ok(())
    }

    /// A map of theirs; each only once.
    pub(crate) fn map<M: TryFrom<Map, Error = aya::maps::MapError>>(
        &mut self,
        name: &str,
    ) -> anyhow::Result<M> {
        let map = self.ebpf.take_map(name).with_context(|| format!("no map `{name}` is left"))?;
        M::try_from(map).with_context(|| format!("the map `{name}`"))
    }
}
