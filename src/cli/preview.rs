//! `passerelle preview`: what rows of a mapping become, field by field and filter by filter, without sending anything.

mod document;
mod screen;
mod words;

use super::{Failure, Global, print, print_json, stdout_paint, waiting};
use crate::config::{self, Config, nearest};
use crate::preview::{self, PreviewError, Which};

/// Which rows of which mapping.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct PreviewArgs {
    /// The mapping
    mapping: String,
    /// The row with this row key, or this external key where that is a plain column; the parts of a key of several
    /// columns are joined by commas
    #[arg(long, value_name = "KEY", conflicts_with = "limit")]
    key: Option<String>,
    /// So many rows, the first in the order of their keys that `where` lets through
    #[arg(long, value_name = "NUMBER", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=500))]
    limit: u16,
}

/// Reads the rows and shows them.
pub(super) fn preview(global: &Global, args: &PreviewArgs) -> Result<(), Failure> {
    let loaded = config::load(&global.config).map_err(|faults| {
        faults.print();
        Failure::Config
    })?;
    let config = &loaded.config;
    let Some(mapping) = config.mappings.get(&args.mapping) else { return Err(no_mapping(config, &args.mapping)) };
    let Some(source) = config.sources.get(&mapping.source) else {
        return Err(Failure::Other(anyhow::anyhow!("there is no source {}", mapping.source)));
    };
    let which = match &args.key {
        Some(key) => Which::Key(key),
        None => Which::First(usize::from(args.limit)),
    };
    waiting(async {
        match preview::preview(config, source, mapping, which).await {
            Ok(preview) if global.json => print_json(&document::document(mapping, &preview)),
            Ok(preview) => print(&screen::screen(mapping, &preview, stdout_paint())),
            Err(PreviewError::Mapping(faults)) => {
                let faults: Vec<_> = faults.into_iter().map(|fault| fault.shown(&loaded.files)).collect();
                config::print(&faults, &loaded.files);
                Err(Failure::Config)
            }
            Err(fault) => Err(Failure::Other(fault.into())),
        }
    })
}

fn no_mapping(config: &Config, name: &str) -> Failure {
    let known: Vec<&str> = config.mappings.keys().map(String::as_str).collect();
    let hint = match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("there are: {}", known.join(", ")),
    };
    Failure::Other(anyhow::anyhow!("there is no mapping {name}; {hint}"))
}
