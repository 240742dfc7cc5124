//! `passerelle run`.

use super::{Failure, Global};
use crate::{config, daemon, logging};

/// Runs the daemon until it is told to stop. A faulty configuration, also one that is found faulty later, is shown in
/// full and ends with the status of a configuration that is wrong.
pub(super) fn run(global: &Global) -> Result<(), Failure> {
    let loaded = config::load(&global.config).map_err(|faults| shown(&faults))?;
    if !loaded.warnings.is_empty() {
        config::print(&loaded.warnings, &loaded.files);
    }
    logging::start(global.log_format, global.log.as_deref())?;
    let runtime = tokio::runtime::Runtime::new()?;
    match runtime.block_on(daemon::run(loaded, global.config.clone())) {
        Ok(()) => Ok(()),
        Err(fault) => Err(match fault.downcast::<config::Faults>() {
            Ok(faults) => shown(&faults),
            Err(fault) => Failure::Other(fault),
        }),
    }
}

fn shown(faults: &config::Faults) -> Failure {
    faults.print();
    Failure::Config
}
