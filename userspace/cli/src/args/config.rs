//! Options of `xdpsar config`.

use std::ffi::OsString;

use clap::Args;

const AFTER_HELP: &str = "\
Who wins, option by option:
  1. the command line
  2. the environment: XDPSAR_RECV_WORKERS for `recv --workers`, XDPSAR_LB_STATUS_JSON or
     XDPSAR_LB_JSON for `lb status --json`, and EJFAT_URI for --uri
  3. the file of --config FILE, or else of XDPSAR_CONFIG. Without either, the user's
     $XDG_CONFIG_HOME/xdpsar/config.toml (~/.config/xdpsar/config.toml), then
     /etc/xdpsar/config.toml, as far as they exist
  4. the default
A stronger setting also ends weaker ones that contradict it. `--config /dev/null` reads no file.

Files:
  TOML has a table for each command, such as [recv] or [lb.status], whose keys are the options'
  long names; a key in [lb], or before the first table, holds for all commands below that have such
  an option. Options without a value are true or false, those that may be repeated take a list.
  E2SAR's INI files are read, too: a reassembler's by `recv`, a segmenter's by `send`.
  Unknown tables and keys and wrong values are errors, with line and column. In E2SAR's files,
  unknown keys are told, and left out.

Examples:
  xdpsar config --generate > ~/.config/xdpsar/config.toml
  xdpsar config --generate recv --listen 10.0.0.7:19522 --workers 4 > recv.toml
  xdpsar config --generate send --config segmenter_config.ini > send.toml
  xdpsar config --explain recv --workers 8";

/// Write a configuration file, or tell where each setting comes from.
#[derive(Clone, Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct ConfigArgs {
    #[command(flatten)]
    pub(crate) what: What,
    /// --explain: one JSON object per line on standard output, of `type` setting, then warning.
    #[arg(long, requires = "explain")]
    pub(crate) json: bool,
    /// A command, and options of it. --generate: none means all commands.
    #[arg(
        value_name = "COMMAND",
        trailing_var_arg = true,
        allow_hyphen_values = true,
        required_unless_present = "generate"
    )]
    pub(crate) line: Vec<OsString>,
}

/// What to do.
#[derive(Clone, Copy, Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct What {
    /// Write a commented file in TOML: what is set, and as comments all else with its default.
    #[arg(long)]
    pub(crate) generate: bool,
    /// Tell what each option of a command is set to, and by whom.
    #[arg(long)]
    pub(crate) explain: bool,
}
